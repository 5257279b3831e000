/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The event service: connections of sources, bytes <-> messages (DESIGN 3)
 *
 * Accepts calls that qrexec passes on, reads the descriptor and the lines, and
 * writes the answers. The owner decides what a source may send, and answers.
 *
 * A peer can cost no more than its connections (the owner counts them by
 * on_connect) with one line each, and its answers: while more than
 * EVENT_ANSWERS_MAX bytes of these are unwritten, or it sends lines faster than
 * on_line allows, nothing is read from it, and only the answers to what is in
 * work already still come on top. Descriptor, hello and a line that was begun
 * have deadlines; an idle connection has none.
 */

#include <systemd/sd-event.h>

#include "common/boot-id.h"
#include "common/qube-name.h"
#include "common/rate.h"
#include "common/record.h"
#include "common/status.h"
#include "common/wire/record-wire.h"

#define EVENT_DESCRIPTOR_USEC (5 * USEC_PER_SEC)
#define EVENT_HELLO_USEC      (10 * USEC_PER_SEC)
#define EVENT_LINE_USEC       (30 * USEC_PER_SEC)
#define EVENT_CLOSE_USEC      (5 * USEC_PER_SEC)
/* without descriptors or memory for one more call: how long to wait */
#define EVENT_ACCEPT_PAUSE_USEC (1 * USEC_PER_SEC)
/* bytes of answers: with more of them unwritten, no lines are read */
#define EVENT_ANSWERS_MAX 16384U
/* calls whose source is not known yet; more wait in the socket's queue */
#define EVENT_STRANGERS_MAX 64U

typedef struct EventService EventService;

/* A connection that is closed because of what it sent. */
typedef struct EventRefusal {
    const QubeName *source;
    uint64_t id; /* 0: it was not granted */
    Status status;
    const char *reason; /* a sentence */
    const char *agent;  /* what its hello called the sender; "" */
} EventRefusal;

typedef struct EventServiceHooks {
    /* STATUS_INVALID (0): granted, with an id; else what to answer */
    Status (*on_connect)(const QubeName *source,
                         uint64_t *ret_id,
                         void *userdata);
    void (*on_disconnect)(uint64_t id, void *userdata);
    /* whether a line may be taken now; if not, when (CLOCK_MONOTONIC) */
    bool (*on_line)(uint64_t id, uint64_t *ret_when_usec, void *userdata);
    void (*on_hello)(const QubeName *source,
                     uint64_t id,
                     const WireHello *hello,
                     void *userdata);
    /* the outcome, or STATUS_INVALID (0): it comes by event_service_answer() */
    Status (*on_event)(uint64_t id,
                       int64_t seq,
                       const Record *record,
                       void *userdata);
    void (*on_synced)(uint64_t id, void *userdata);
    /* no more lines come; answers may be due */
    void (*on_input_ended)(uint64_t id, void *userdata);
    void (*on_refused)(const EventRefusal *refusal, void *userdata);
    /* all input that was there has been handled */
    void (*on_idle)(void *userdata);
} EventServiceHooks;

/* Takes over @fd, a listening socket, also when it fails. @hooks are
 * borrowed. */
int event_service_new(EventService **ret,
                      sd_event *event,
                      int fd,
                      const EventServiceHooks *hooks,
                      void *userdata);
EventService *event_service_free(EventService *service);

/* Write an answer (what the source is told, not what dom0 knows). Nothing
 * happens if the connection is gone. */
void event_service_answer(EventService *service,
                          uint64_t id,
                          int64_t seq,
                          Status status);

/* Close a connection once its answers are written. */
void event_service_close(EventService *service, uint64_t id);

DEFINE_CLEANUP(EventService *, event_service_free)
