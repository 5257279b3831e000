/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * qubesd: all that goes to it and comes from it
 *
 * The stream of its events, the calls under way, and what release it is: that
 * is found out after each connect by asking for what only some releases know.
 */

#include <systemd/sd-event.h>

#include "dom0/core/admin.h"
#include "dom0/core/report.h"

typedef struct Qubesd Qubesd;

typedef struct QubesdHooks {
    void (*on_state)(QubesdState state, void *userdata);
    void (*on_event)(const AdminEvent *event, void *userdata);
    /* each call is answered once, or twice if the first answer is @pending */
    void (*on_answer)(uint64_t id, const AdminAnswer *answer, void *userdata);
} QubesdHooks;

/* @socket_path and @hooks are borrowed. */
int qubesd_new(Qubesd **ret,
               sd_event *event,
               const char *socket_path,
               const QubesdHooks *hooks,
               void *userdata);
Qubesd *qubesd_free(Qubesd *qubesd);

/* A negative errno: the call was not begun, and will not be answered. */
int qubesd_call(Qubesd *qubesd, uint64_t id, const AdminRequest *request);

QubesdState qubesd_state(const Qubesd *qubesd);
/* what is wrong, for a person; "" if nothing is */
const char *qubesd_detail(const Qubesd *qubesd);

DEFINE_CLEANUP(Qubesd *, qubesd_free)
