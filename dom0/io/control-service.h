/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Control service: the clients of the control socket
 *
 * Moves Varlink messages between clients and whoever knows the answers. A
 * client is in one of these states:
 *
 *     READING --message--> ANSWERING --last reply--> SENDING --sent--> READING
 *
 * The next call of a client is looked at only when the answer to the one
 * before has been sent, one call of one client in a turn of the loop, so a
 * client can make us hold at most one call and one answer, and nobody wait.
 *
 * A client may be idle for ever. It is dropped, with the reason in the log, for
 * a message that is none or longer than CONTROL_CALL_MAX, for a begun message
 * that is not complete within CONTROL_DEADLINE_USEC, and for replies that it
 * does not read: none of it for CONTROL_DEADLINE_USEC, or more of it than
 * CONTROL_OUTPUT_MAX.
 */

#include <systemd/sd-event.h>

#include "common/rate.h"
#include "dom0/wire/control.h"

#define CONTROL_CLIENTS_MAX      32U /* a further one is closed at once */
#define CONTROL_OUTPUT_MAX       (1024U * 1024U)
#define CONTROL_DEADLINE_USEC    (30 * USEC_PER_SEC)
#define CONTROL_ACCEPT_WAIT_USEC (1 * USEC_PER_SEC) /* without descriptors */

typedef struct ControlService ControlService;
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
    /* A client went while its call was still to be answered: @client is not to
     * be used any more. May be NULL if all calls are answered at once. */
    void (*on_gone)(ControlClient *client, void *userdata);
    /* A line for the log; safe to print. */
    void (*on_log)(const char *message, void *userdata);
    void *userdata;
    uint64_t deadline_usec; /* 0: CONTROL_DEADLINE_USEC; for tests */
} ControlHandler;

/* Takes over @fd, which listens, also when it fails. @handler is copied. */
int control_service_new(ControlService **ret,
                        sd_event *event,
                        int fd,
                        const ControlHandler *handler);
/* Closes all; on_gone() is called for calls that are not answered. */
ControlService *control_service_free(ControlService *service);

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

size_t control_service_count(const ControlService *service);

DEFINE_CLEANUP(ControlService *, control_service_free)
