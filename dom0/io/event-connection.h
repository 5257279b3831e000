/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Event connection: one call of a source, inside of the event service
 *
 * It is in one of these stages:
 *
 *     DESCRIPTOR --a good one--> HELLO --hello--> OPEN
 *     HELLO, OPEN --end of input--> ENDED --all is answered--> gone
 *     HELLO, OPEN, ENDED --refused, or closed--> CLOSING --written--> gone
 *
 * In DESCRIPTOR the peer is a stranger: with a bad one, or none, it is dropped
 * without a word. A deadline, or what breaks the connection, ends any stage;
 * but lines that a peer had sent before it went are still handled.
 *
 * The limits and deadlines are those of event-service.h. Lines are handled in
 * turns, so that no connection keeps the others waiting. What fails, be it
 * memory or the peer, costs this connection only.
 */

#include "dom0/io/event-service.h"

typedef struct EventConnection EventConnection;

/* What all connections of a service share. */
typedef struct EventConnectionContext {
    sd_event *event;
    const EventServiceHooks *hooks;
    void *userdata; /* of @hooks */
    /* It is no stranger any more: once for each, before on_closed(). */
    void (*on_known)(EventService *service);
    /* The end of a connection, which is freed then. */
    void (*on_closed)(EventService *service, EventConnection *connection);
    EventService *service;
} EventConnectionContext;

/* Takes over @fd, which must not block, also when it fails: with -ENOMEM or
 * what sd-event answers. @context must outlive it. */
int event_connection_new(EventConnection **ret,
                         int fd,
                         const EventConnectionContext *context);
/* Without a word to the peer, and without on_disconnect() or a call of
 * @context. */
EventConnection *event_connection_free(EventConnection *connection);

/* 0: not granted */
uint64_t event_connection_id(const EventConnection *connection);
/* Where the service keeps the next one of its list. */
EventConnection **event_connection_next(EventConnection *connection);

/* See event_service_answer() and event_service_close(); @connection may be gone
 * afterwards. */
void event_connection_answer(EventConnection *connection,
                             int64_t seq,
                             Status status);
void event_connection_close(EventConnection *connection);

DEFINE_CLEANUP(EventConnection *, event_connection_free)
