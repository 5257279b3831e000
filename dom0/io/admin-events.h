/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The stream of qubesd's events (admin.Events)
 *
 * One connection that is always drained. When it is lost it is made anew, after
 * ADMIN_EVENTS_RETRY_USEC, doubling up to ADMIN_EVENTS_RETRY_MAX_USEC. Events
 * in between are lost: after on_state(true) the owner has to look anew. A frame
 * that is longer than any that concerns us is passed over.
 */

#include <systemd/sd-event.h>

#include "dom0/core/admin.h"

#define ADMIN_EVENTS_RETRY_USEC     (500 * USEC_PER_MSEC)
#define ADMIN_EVENTS_RETRY_MAX_USEC (10 * USEC_PER_SEC)

typedef struct AdminEvents AdminEvents;

typedef struct AdminEventsHooks {
    /* connected is true once qubesd has said connection-established; else
     * @detail says what is wrong */
    void (*on_state)(bool connected, const char *detail, void *userdata);
    void (*on_event)(const AdminEvent *event, void *userdata);
} AdminEventsHooks;

/* The first try to connect is made from the loop. @hooks are borrowed. */
int admin_events_new(AdminEvents **ret,
                     sd_event *event,
                     const char *socket_path,
                     const AdminEventsHooks *hooks,
                     void *userdata);
AdminEvents *admin_events_free(AdminEvents *events);

DEFINE_CLEANUP(AdminEvents *, admin_events_free)
