/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/wire/control-interfaces.h"
#include "dom0/wire/control-methods.h"

#define VENDOR  "qubes-contrib"
#define PRODUCT "qubes-autoattach"
#define URL     "https://github.com/QubesOS-contrib/qubes-autoattach"

typedef struct Interface {
    const char *name;
    const char *text;
} Interface;

static const Interface interfaces[] = {
    { CONTROL_SERVICE_INTERFACE, control_text_org_varlink_service },
    { CONTROL_INTERFACE, control_text_org_qubes_contrib_autoattach },
};

typedef struct Parameter {
    const char *name;
    json_type type;
    bool is_optional; /* it may be null or missing */
} Parameter;

#define PARAMETERS_MAX 8U

typedef struct MethodInfo {
    ControlMethod method;
    const char *name;
    Parameter parameters[PARAMETERS_MAX]; /* ends with no name */
} MethodInfo;

#define NEEDED(name, type)    \
    {                         \
        (name), (type), false \
    }
#define OPTIONAL(name, type) \
    {                        \
        (name), (type), true \
    }

static const MethodInfo methods[] = {
    { CONTROL_GET_INFO, CONTROL_SERVICE_INTERFACE ".GetInfo", {} },
    { CONTROL_GET_INTERFACE_DESCRIPTION,
      CONTROL_SERVICE_INTERFACE ".GetInterfaceDescription",
      { NEEDED("interface", JSON_STRING) } },
    { CONTROL_GET_STATUS, CONTROL_INTERFACE ".GetStatus", {} },
    { CONTROL_LIST_DEVICES, CONTROL_INTERFACE ".ListDevices", {} },
    { CONTROL_LIST_RULES, CONTROL_INTERFACE ".ListRules", {} },
    { CONTROL_GET_HISTORY,
      CONTROL_INTERFACE ".GetHistory",
      { OPTIONAL("n", JSON_INTEGER) } },
    { CONTROL_WAIT,
      CONTROL_INTERFACE ".Wait",
      { OPTIONAL("source", JSON_STRING), OPTIONAL("device", JSON_STRING),
        OPTIONAL("rule", JSON_STRING) } },
    { CONTROL_RETRY,
      CONTROL_INTERFACE ".Retry",
      { NEEDED("source", JSON_STRING), NEEDED("device", JSON_STRING) } },
    { CONTROL_DETACH,
      CONTROL_INTERFACE ".Detach",
      { NEEDED("source", JSON_STRING), NEEDED("device", JSON_STRING) } },
    { CONTROL_PAUSE,
      CONTROL_INTERFACE ".Pause",
      { OPTIONAL("duration_usec", JSON_INTEGER) } },
    { CONTROL_RESUME, CONTROL_INTERFACE ".Resume", {} },
    { CONTROL_RELOAD, CONTROL_INTERFACE ".Reload", {} },
    { CONTROL_EXPLAIN,
      CONTROL_INTERFACE ".Explain",
      { NEEDED("source", JSON_STRING), NEEDED("device", JSON_STRING) } },
    { CONTROL_LIST_QUBES, CONTROL_INTERFACE ".ListQubes", {} },
};

const char *control_interface_text(const char *interface)
{
    for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++)
        if (strcmp(interfaces[i].name, interface) == 0)
            return interfaces[i].text;
    return NULL;
}

static json_t *answer_get_info(void)
{
    _cleanup_(json_decrefp) json_t *names = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++)
        if (json_array_append_new(names, json_string(interfaces[i].name)) < 0)
            return NULL;
    return control_reply_new(json_pack("{s:s, s:s, s:s, s:s, s:O}", "vendor",
                                       VENDOR, "product", PRODUCT, "version",
                                       AUTOATTACH_VERSION, "url", URL,
                                       "interfaces", names),
                             false);
}

static json_t *answer_get_interface_description(const ControlCall *call)
{
    const char *untrusted_interface =
        json_string_value(json_object_get(call->parameters, "interface"));
    const char *text = control_interface_text(untrusted_interface);

    if (!text)
        return control_error_about(CONTROL_ERROR_INTERFACE_NOT_FOUND,
                                   "interface", untrusted_interface);
    return control_reply_new(json_pack("{s:s}", "description", text), false);
}

/* The interface or the method is not known: say which. */
static json_t *answer_not_found(const ControlCall *call)
{
    ControlName interface = call->method;

    *strrchr(interface.s, '.') = '\0';
    if (control_interface_text(interface.s))
        return control_error_about(CONTROL_ERROR_METHOD_NOT_FOUND, "method",
                                   call->method.s);
    return control_error_about(CONTROL_ERROR_INTERFACE_NOT_FOUND, "interface",
                               interface.s);
}

static const Parameter *find_parameter(const MethodInfo *info,
                                       const char *untrusted_name)
{
    for (const Parameter *p = info->parameters; p->name; p++)
        if (strcmp(p->name, untrusted_name) == 0)
            return p;
    return NULL;
}

static bool parameter_takes(const Parameter *parameter, const json_t *value)
{
    return json_typeof(value) == parameter->type ||
           (parameter->is_optional && json_is_null(value));
}

/* The name of the first parameter that is missing, unknown or of another type;
 * NULL if all is well. */
static const char *find_bad_parameter(const MethodInfo *info,
                                      json_t *parameters)
{
    const char *key;
    json_t *value;

    json_object_foreach(parameters, key, value)
    {
        const Parameter *parameter = find_parameter(info, key);

        if (!parameter || !parameter_takes(parameter, value))
            return key;
    }
    for (const Parameter *p = info->parameters; p->name; p++)
        if (!p->is_optional && !json_object_get(parameters, p->name))
            return p->name;
    return NULL;
}

static const MethodInfo *find_method(const ControlName *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (strcmp(methods[i].name, name->s) == 0)
            return &methods[i];
    return NULL;
}

/* The error that a call gets whatever the daemon's state is, or NULL; *@ret_bad
 * says whether there is one. */
static json_t *answer_bad_call(const MethodInfo *info,
                               const ControlCall *call,
                               bool *ret_bad)
{
    const char *bad;

    *ret_bad = true;
    if (!info)
        return answer_not_found(call);
    bad = find_bad_parameter(info, call->parameters);
    if (!bad && call->upgrade)
        bad = "upgrade";
    if (bad)
        return control_error_about(CONTROL_ERROR_INVALID_PARAMETER, "parameter",
                                   bad);

    *ret_bad = false;
    return NULL;
}

int control_call_route(ControlMethod *ret,
                       json_t **ret_answer,
                       const ControlCall *call)
{
    const MethodInfo *info = find_method(&call->method);
    json_t *answer;
    bool is_bad;

    *ret = CONTROL_METHOD_INVALID;
    *ret_answer = NULL;

    answer = answer_bad_call(info, call, &is_bad);
    assert(is_bad || info);
    if (!is_bad && info->method == CONTROL_GET_INFO)
        answer = answer_get_info();
    else if (!is_bad && info->method == CONTROL_GET_INTERFACE_DESCRIPTION)
        answer = answer_get_interface_description(call);
    else if (!is_bad) {
        *ret = info->method;
        return 0;
    }
    if (!answer)
        return -ENOMEM;

    *ret_answer = answer;
    return 0;
}
