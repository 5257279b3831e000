/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One call to qubesd: a connection, a request, an answer (WIRE 1)
 *
 * Within the deadline of its method, see admin_deadline_usec(). Only a USB
 * attach and CreateDisposable go on after it: they are answered twice then, the
 * first time with ADMIN_TIMED_OUT that is @pending.
 */

#include <systemd/sd-event.h>

#include "dom0/core/admin.h"

typedef struct AdminCall AdminCall;

/*
 * Called exactly once (but see above), never from within admin_call_new(). The
 * call is still alive then and may be freed, unless its answer is @pending. The
 * answer belongs to the call.
 */
typedef void (*AdminCallFn)(AdminCall *call,
                            const AdminAnswer *answer,
                            void *userdata);

/* -ENOMEM and what sd-event says; a qubesd that is not there is an answer. */
int admin_call_new(AdminCall **ret,
                   sd_event *event,
                   const char *socket_path,
                   const AdminRequest *request,
                   AdminCallFn fn,
                   void *userdata);
/* If it is not answered yet, it will not be; qubesd goes on with it all the
 * same. */
AdminCall *admin_call_free(AdminCall *call);

DEFINE_CLEANUP(AdminCall *, admin_call_free)
