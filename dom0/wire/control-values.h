/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Control values: what the parameters of a call name, as values
 *
 * Their names and types were checked by control_call_route(), their words were
 * not.
 */

#include "dom0/core/manager.h"
#include "dom0/wire/control.h"

/* NULL if the parameter was not given. */
const char *control_text_of(const ControlCall *call, const char *key);

/* The device that a call names. Answers NULL, or the name of the parameter that
 * is bad; @ret is left then. */
const char *control_device_decode(DeviceRef *ret, const ControlCall *call);

/*
 * What Wait waits for: a device, or a rule, and then @ret is left as it is. The
 * rule is "" where there is none, and where no rule can have such a name.
 * Answers as above.
 */
const char *control_awaited_decode(DeviceRef *ret,
                                   RuleName *ret_rule,
                                   const ControlCall *call);
