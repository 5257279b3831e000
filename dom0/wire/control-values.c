/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/wire/control-values.h"

const char *control_text_of(const ControlCall *call, const char *key)
{
    return json_string_value(json_object_get(call->parameters, key));
}

const char *control_device_decode(DeviceRef *ret, const ControlCall *call)
{
    const char *untrusted_source = control_text_of(call, "source");
    const char *untrusted_device = control_text_of(call, "device");
    DeviceRef ref = {};

    if (!untrusted_source || !qube_name_parse(&ref.source, untrusted_source,
                                              strlen(untrusted_source)))
        return "source";
    if (untrusted_device)
        ref.class = device_name_parse_any(&ref.device, untrusted_device,
                                          strlen(untrusted_device));
    if (ref.class == DEVICE_CLASS_INVALID)
        return "device";

    *ret = ref;
    return NULL;
}

const char *control_awaited_decode(DeviceRef *ret,
                                   RuleName *ret_rule,
                                   const ControlCall *call)
{
    const char *untrusted_rule = control_text_of(call, "rule");

    *ret_rule = (RuleName){};
    if (!untrusted_rule)
        return control_device_decode(ret, call);
    if (control_text_of(call, "source") || control_text_of(call, "device") ||
        untrusted_rule[0] == '\0')
        return "rule";
    if (!rule_name_parse(ret_rule, untrusted_rule, strlen(untrusted_rule)))
        *ret_rule = (RuleName){};
    return NULL;
}
