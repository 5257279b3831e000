/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Control client: one connection to the control socket
 *
 * Moves Varlink messages between a client and whoever knows the answers. It is
 * in one of these states:
 *
 *     READING --message--> ANSWERING --last reply--> SENDING --sent--> READING
 *
 * The next call is looked at only when the answer to the one before has been
 * sent, one call of one client in a turn of the loop, so a client can make us
 * hold at most one call and one answer, and nobody wait. A stream of answers
 * goes on when the client has taken what was sent so far: see on_ready().
 *
 * A client may be idle for ever. It is dropped, with the reason in the log, for
 * a message that is none or longer than CONTROL_CALL_MAX, for a begun message
 * that is not complete within CONTROL_DEADLINE_USEC, and for replies that it
 * does not read: none of it for CONTROL_DEADLINE_USEC, or more of it than
 * CONTROL_OUTPUT_MAX.
 */

#include <systemd/sd-event.h>

#include "common/rate.h"
#include "dom0/wire/control-methods.h"

#define CONTROL_OUTPUT_MAX    (1024U * 1024U)
#define CONTROL_DEADLINE_USEC (30 * USEC_PER_SEC)

typedef struct ControlClient ControlClient;

typedef struct ControlHandler {
    /*
     * A call to answer: exactly one control_client_reply() or _error(), in
     * this call or later, with any number of control_client_continue() before
     * if call->more is set. What is sent to a client of a "oneway" call goes
     * nowhere, but it is needed all the same. @call is gone afterwards.
     */
    void (*on_call)(ControlClient *client,
                    ControlMethod method,
                    const ControlCall *call,
                    void *userdata);
    /* All that control_client_continue() was given has been sent: it can take
     * more. May be NULL if nothing is ever continued. */
    void (*on_ready)(ControlClient *client, void *userdata);
    /* A client went while its call was still to be answered: @client is not to
     * be used any more. May be NULL if all calls are answered at once. */
    void (*on_gone)(ControlClient *client, void *userdata);
    /* A line for the log; safe to print. */
    void (*on_log)(const char *message, void *userdata);
    void *userdata;
    uint64_t deadline_usec; /* 0: CONTROL_DEADLINE_USEC; for tests */
} ControlHandler;

/*
 * Answer the client's call. All take over @parameters or the like, which may
 * be NULL for want of memory: then the client is dropped. None calls back: a
 * client that is dropped here goes in a later turn of the loop, with on_gone()
 * if its call is still to be answered.
 */
void control_client_reply(ControlClient *client, json_t *parameters);
void control_client_continue(ControlClient *client, json_t *parameters);
void control_client_error(ControlClient *client,
                          const char *error,
                          json_t *parameters);

/* Whether nothing waits for the client to take it. */
bool control_client_is_ready(const ControlClient *client);

/* for the service that the clients belong to */

/* The end of a client, which is freed then. */
typedef void (*ControlClientClosed)(ControlClient *client, void *userdata);

/* Takes over @fd, also when it fails. @handler must outlive it. */
int control_client_new(ControlClient **ret,
                       sd_event *event,
                       int fd,
                       const ControlHandler *handler,
                       ControlClientClosed on_closed,
                       void *userdata);
/* Without on_closed(), but with on_gone(). */
ControlClient *control_client_free(ControlClient *client);

DEFINE_CLEANUP(ControlClient *, control_client_free)
