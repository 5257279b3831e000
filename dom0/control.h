/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Control: answers the calls of the control socket (DESIGN 7)
 *
 * What the manager and the daemon know, as the interface file says it. A call
 * that is not answered at once is pending: an act of the person until its
 * outcome is known, a stream for as long as its client wants it. Of a stream
 * nothing is prepared before the client has taken what was sent: who is too
 * slow misses outcomes, and is told how many.
 */

#include "dom0/inquiry.h"
#include "dom0/instant.h"
#include "dom0/io/control-service.h"

typedef struct Control Control;

typedef struct ControlHooks {
    /* Fill in all of the report. */
    void (*on_report)(Report *report, Instant now, void *userdata);
    /* Read the rules again. */
    void (*on_reload)(void *userdata);
    /* The manager may want something done now. If somebody has acted it is
     * called before the answer to that: by then it has to be kept. */
    void (*on_acted)(void *userdata);
    void (*on_log)(const char *message, void *userdata);
} ControlHooks;

/* Takes over @fd, which listens, also when it fails. @sockets is copied, @hooks
 * must outlive it. */
int control_new(Control **ret,
                const InquirySockets *sockets,
                int fd,
                Manager *manager,
                const ControlHooks *hooks,
                void *userdata);
Control *control_free(Control *control);

/* An answer of the manager's; false if its asker is none of ours. */
bool control_answer(Control *control, uint64_t asker, Status status);

/* Something has happened: tell those who want to know. */
void control_update(Control *control);

DEFINE_CLEANUP(Control *, control_free)
