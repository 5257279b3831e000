/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One call to qubesd: which qubes are there? Within ADMIN_LOOK_USEC. */

#include <systemd/sd-event.h>

#include "dom0/core/qube-list.h"

typedef struct QubesCall QubesCall;

/*
 * Called exactly once, never from within qubes_call_new(); the call may be
 * freed by it. @qubes belongs to the call, and is NULL if it failed.
 */
typedef void (*QubesCallFn)(QubesCall *call,
                            const QubeList *qubes,
                            void *userdata);

int qubes_call_new(QubesCall **ret,
                   sd_event *event,
                   const char *socket_path,
                   QubesCallFn fn,
                   void *userdata);
QubesCall *qubes_call_free(QubesCall *call);

DEFINE_CLEANUP(QubesCall *, qubes_call_free)
