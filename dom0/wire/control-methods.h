/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Control methods: what the control socket can be asked for (DESIGN 7)
 *
 * The interface files beside this one describe them; a test compares the two.
 */

#include "dom0/wire/control.h"

/* our own errors */
#define CONTROL_ERROR_NO_SUCH_DEVICE CONTROL_INTERFACE ".NoSuchDevice"
#define CONTROL_ERROR_NO_SUCH_RULE   CONTROL_INTERFACE ".NoSuchRule"
#define CONTROL_ERROR_NO_QUBESD      CONTROL_INTERFACE ".NoQubesd"

/* What a caller may ask for. */
typedef enum ControlMethod {
    CONTROL_METHOD_INVALID,
    CONTROL_GET_INFO,
    CONTROL_GET_INTERFACE_DESCRIPTION,
    CONTROL_GET_STATUS,
    CONTROL_LIST_DEVICES,
    CONTROL_LIST_RULES,
    CONTROL_GET_HISTORY,
    CONTROL_WAIT,
    CONTROL_RETRY,
    CONTROL_DETACH,
    CONTROL_PAUSE,
    CONTROL_RESUME,
    CONTROL_RELOAD,
    CONTROL_EXPLAIN,
    CONTROL_LIST_QUBES,
} ControlMethod;

/*
 * Find the method of a call and check its parameters' names and types. What
 * needs nothing of the daemon is answered at once: the methods of
 * org.varlink.service and the standard errors. Then *@ret_answer is a message
 * and *@ret is CONTROL_METHOD_INVALID; otherwise the one is NULL and the other
 * the method to answer. Fails only with -ENOMEM.
 */
int control_call_route(ControlMethod *ret,
                       json_t **ret_answer,
                       const ControlCall *call);

/* The text of an interface's definition, or NULL for one that is not known. */
const char *control_interface_text(const char *interface);
