/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "common/byte-queue.h"
#include "common/wire/line-buffer.h"
#include "dom0/io/event-connection.h"
#include "dom0/wire/descriptor.h"
#include "dom0/wire/event-session.h"

/* lines of one connection that are handled before others get their turn */
#define LINES_PER_TURN 64U
/* unread input that is thrown away when a connection is closed: else the peer
 * would get a reset in place of its last answer */
#define DISCARD_MAX 65536U
/* unwritten answers: those of records that are in work already come on top of
 * EVENT_ANSWERS_MAX */
#define ANSWERS_MAX (4 * EVENT_ANSWERS_MAX)

typedef enum Stage {
    STAGE_DESCRIPTOR,
    STAGE_HELLO,
    STAGE_OPEN,
    STAGE_ENDED,   /* its input has ended; answers may be due */
    STAGE_CLOSING, /* only its last answers are to be written */
} Stage;

struct EventConnection {
    EventConnection *next;
    const EventConnectionContext *context;
    sd_event_source *io_source;
    sd_event_source *deadline_source;
    sd_event_source *resume_source; /* when it may send lines again */
    int fd;
    Stage stage;
    bool waiting; /* for resume_source */
    bool deaf;    /* the peer is gone: answers are thrown away */
    bool line_begun;

    QubeName source;
    uint64_t id; /* 0: not granted */
    EventSession session;
    size_t n_due; /* answers that are still to come */

    DescriptorBuffer descriptor;
    LineBuffer *lines;

    ByteQueue answers; /* not yet written */
};

/* Whose source is known, or who is to go, is no stranger any more. */
static void connection_set_stage(EventConnection *connection, Stage stage)
{
    const EventConnectionContext *context = connection->context;

    if (connection->stage == STAGE_DESCRIPTOR)
        context->on_known(context->service);
    connection->stage = stage;
}

static void connection_discard_input(EventConnection *connection)
{
    char discarded[4096];
    size_t n_discarded = 0;
    ssize_t n;

    do {
        n = recv(connection->fd, discarded, sizeof(discarded), 0);
        n_discarded += n > 0 ? (size_t) n : 0;
    } while (n > 0 && n_discarded < DISCARD_MAX);
}

/* @connection is gone afterwards. */
static void connection_drop(EventConnection *connection)
{
    const EventConnectionContext *context = connection->context;
    uint64_t id = connection->id;

    connection_set_stage(connection, STAGE_CLOSING);
    context->on_closed(context->service, connection);
    connection_discard_input(connection);
    event_connection_free(connection);
    if (id != 0)
        context->hooks->on_disconnect(id, context->userdata);
}

static void connection_set_deadline(EventConnection *connection,
                                    uint64_t timeout_usec)
{
    if (timeout_usec == 0) {
        (void) sd_event_source_set_enabled(connection->deadline_source,
                                           SD_EVENT_OFF);
        return;
    }
    (void) sd_event_source_set_time_relative(connection->deadline_source,
                                             timeout_usec);
    (void) sd_event_source_set_enabled(connection->deadline_source,
                                       SD_EVENT_ONESHOT);
}

/* Read nothing more from the connection; close it once its answers are
 * written. */
static void connection_begin_close(EventConnection *connection)
{
    connection_set_stage(connection, STAGE_CLOSING);
    connection_set_deadline(connection, EVENT_CLOSE_USEC);
}

/* Put an answer behind those not yet written. */
static int connection_push(EventConnection *connection,
                           const WireAnswer *answer)
{
    _cleanup_(freep) char *line = NULL;
    size_t len;
    int r;

    r = wire_encode_answer(&line, &len, answer);
    if (r < 0)
        return r;
    return byte_queue_append(&connection->answers, line, len);
}

/* Answer with an error, and close the connection. */
static void connection_refuse(EventConnection *connection,
                              const WireAnswer *answer,
                              const char *reason)
{
    const EventConnectionContext *context = connection->context;
    const EventRefusal refusal = { .source = &connection->source,
                                   .id = connection->id,
                                   .status = answer->status,
                                   .reason = reason,
                                   .agent = connection->session.agent };

    context->hooks->on_refused(&refusal, context->userdata);
    (void) connection_push(connection, answer);
    connection_begin_close(connection);
}

/* The peer is gone, or an answer to it is lost: then it has to notice, and to
 * begin anew. What it has sent before can still be read. */
static void connection_deafen(EventConnection *connection)
{
    connection->deaf = true;
    (void) shutdown(connection->fd, SHUT_RDWR);
}

/* Write what can be written. If that fails answers are thrown away, but lines
 * that the peer has sent before are still handled. */
static void connection_flush(EventConnection *connection)
{
    ByteQueue *answers = &connection->answers;

    while (byte_queue_len(answers) > 0 && !connection->deaf) {
        ssize_t n = send(connection->fd, byte_queue_data(answers),
                         byte_queue_len(answers), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            connection_deafen(connection);
        else
            byte_queue_drop(answers, (size_t) n);
    }
    byte_queue_clear(answers);
}

static void connection_take(EventConnection *connection,
                            const char *untrusted_line,
                            size_t untrusted_len)
{
    const EventConnectionContext *context = connection->context;
    const char *error = "";
    WireMessage message;
    WireAnswer answer;
    Status status;

    switch (event_session_take(&connection->session, untrusted_line,
                               untrusted_len, &message, &answer, &error)) {
    case SESSION_REFUSED:
        connection_refuse(connection, &answer, error);
        return;
    case SESSION_HELLO:
        connection_set_stage(connection, STAGE_OPEN);
        context->hooks->on_hello(&connection->source, connection->id,
                                 &message.hello, context->userdata);
        return;
    case SESSION_SYNCED:
        context->hooks->on_synced(connection->id, context->userdata);
        return;
    case SESSION_EVENT:
        break;
    }

    status = context->hooks->on_event(connection->id, message.seq,
                                      &message.record, context->userdata);
    if (status == STATUS_INVALID) {
        connection->n_due++;
        return;
    }
    answer = (WireAnswer){ .seq = message.seq, .status = status_told(status) };
    if (connection_push(connection, &answer) < 0)
        connection_begin_close(connection);
}

static bool connection_is_reading(const EventConnection *connection)
{
    return (connection->stage == STAGE_HELLO ||
            connection->stage == STAGE_OPEN) &&
           !connection->waiting &&
           byte_queue_len(&connection->answers) <= EVENT_ANSWERS_MAX;
}

/* Handle no further line before @when_usec. */
static void connection_wait(EventConnection *connection, uint64_t when_usec)
{
    connection->waiting = true;
    (void) sd_event_source_set_time(connection->resume_source, when_usec);
    (void) sd_event_source_set_enabled(connection->resume_source,
                                       SD_EVENT_ONESHOT);
}

/* Handle the lines that are there, a turn's worth at most. */
static void connection_work(EventConnection *connection)
{
    const EventConnectionContext *context = connection->context;

    for (size_t i = 0; i < LINES_PER_TURN; i++) {
        const WireAnswer too_long = { .status = STATUS_TOO_LARGE };
        const char *line = NULL;
        size_t len = 0;
        uint64_t when_usec;

        if (!connection_is_reading(connection) ||
            !line_buffer_is_ready(connection->lines))
            return;
        if (!context->hooks->on_line(connection->id, &when_usec,
                                     context->userdata)) {
            connection_wait(connection, when_usec);
            return;
        }
        switch (line_buffer_next(connection->lines, &line, &len)) {
        case LINE_NONE:
            return;
        case LINE_TOO_LONG:
            connection_refuse(connection, &too_long, "the line is too long");
            return;
        case LINE_GOOD:
            connection->line_begun = false;
            connection_take(connection, line, len);
            break;
        }
    }
}

/* The peer sends no more: a line without an end is malformed. */
static void connection_end_input(EventConnection *connection)
{
    const EventConnectionContext *context = connection->context;
    const WireAnswer cut = { .status = STATUS_MALFORMED };

    if (line_buffer_has_partial(connection->lines)) {
        connection_refuse(connection, &cut, "the input ended within a line");
        return;
    }
    connection_set_stage(connection, STAGE_ENDED);
    context->hooks->on_input_ended(connection->id, context->userdata);
}

/* Read once. False if the connection is broken. */
static bool connection_read(EventConnection *connection)
{
    size_t size;
    char *space = line_buffer_space(connection->lines, &size);
    ssize_t n = recv(connection->fd, space, size, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        connection_end_input(connection);
    else
        line_buffer_filled(connection->lines, (size_t) n);
    return true;
}

/* The source is known: may it have this connection? */
static void connection_admit(EventConnection *connection,
                             const QubeName *source)
{
    const EventConnectionContext *context = connection->context;
    Status status;

    connection->source = *source;
    connection_set_stage(connection, STAGE_HELLO);
    connection_set_deadline(connection, EVENT_HELLO_USEC);

    status =
        context->hooks->on_connect(source, &connection->id, context->userdata);
    if (status != STATUS_INVALID) {
        const WireAnswer answer = { .status = status_told(status) };

        connection->id = 0;
        connection_refuse(connection, &answer, "too many connections");
    }
}

/* False if the connection is to be dropped, without a word. */
static bool connection_read_descriptor(EventConnection *connection)
{
    QubeName source;
    size_t size;
    char *space = descriptor_space(&connection->descriptor, &size);
    ssize_t n = recv(connection->fd, space, size, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;

    switch (descriptor_filled(&connection->descriptor, (size_t) n, &source,
                              connection->lines)) {
    case DESCRIPTOR_INCOMPLETE:
        return true;
    case DESCRIPTOR_BAD:
        return false;
    case DESCRIPTOR_GOOD:
        break;
    }

    connection_admit(connection, &source);
    return true;
}

/* A line that was begun has a deadline, but not while it is us who do not
 * read. */
static void connection_update_deadline(EventConnection *connection)
{
    bool begun = connection_is_reading(connection) &&
                 line_buffer_has_partial(connection->lines);

    if (connection->stage != STAGE_OPEN && connection->stage != STAGE_ENDED)
        return;
    if (connection->stage == STAGE_ENDED || !begun) {
        connection->line_begun = false;
        connection_set_deadline(connection, 0);
    } else if (!connection->line_begun) {
        connection->line_begun = true;
        connection_set_deadline(connection, EVENT_LINE_USEC);
    }
}

/* Write, and set what to watch for. @connection may be gone afterwards. */
static void connection_update(EventConnection *connection)
{
    uint32_t events = 0;

    connection_flush(connection);
    if (byte_queue_len(&connection->answers) == 0 &&
        (connection->stage == STAGE_CLOSING ||
         (connection->stage == STAGE_ENDED &&
          (connection->n_due == 0 || connection->deaf)))) {
        connection_drop(connection);
        return;
    }

    /* handle lines that are here already after other connections had their
     * turn */
    if (connection_is_reading(connection) &&
        line_buffer_is_ready(connection->lines))
        connection_wait(connection, 0);

    if (connection->stage == STAGE_DESCRIPTOR ||
        connection_is_reading(connection))
        events |= EPOLLIN;
    if (byte_queue_len(&connection->answers) > 0)
        events |= EPOLLOUT;
    connection_update_deadline(connection);
    (void) sd_event_source_set_io_events(connection->io_source, events);
}

static void connection_continue(EventConnection *connection)
{
    connection_work(connection);
    connection_update(connection);
}

static int connection_on_io(sd_event_source *io,
                            int fd,
                            uint32_t revents,
                            void *userdata)
{
    EventConnection *connection = userdata;
    const EventConnectionContext *context = connection->context;
    bool good = true;

    (void) fd;

    if (connection->stage == STAGE_DESCRIPTOR) {
        good = connection_read_descriptor(connection);
    } else if (connection_is_reading(connection)) {
        good = connection_read(connection);
    } else if (connection->waiting) {
        /* the peer is gone, but lines wait to be handled: do not watch until
         * then */
        (void) sd_event_source_set_enabled(io, SD_EVENT_OFF);
    } else if (revents & (EPOLLHUP | EPOLLERR)) {
        /* nobody reads the answers, but lines that were sent still count */
        connection->deaf = true;
        good = connection->stage == STAGE_OPEN;
    }

    if (good)
        connection_continue(connection);
    else
        connection_drop(connection);
    context->hooks->on_idle(context->userdata);
    return 0;
}

static int connection_on_resume(sd_event_source *source,
                                uint64_t usec,
                                void *userdata)
{
    EventConnection *connection = userdata;
    const EventConnectionContext *context = connection->context;

    (void) source;
    (void) usec;

    connection->waiting = false;
    (void) sd_event_source_set_enabled(connection->io_source, SD_EVENT_ON);
    connection_continue(connection);
    context->hooks->on_idle(context->userdata);
    return 0;
}

static int connection_on_deadline(sd_event_source *source,
                                  uint64_t usec,
                                  void *userdata)
{
    EventConnection *connection = userdata;
    const EventConnectionContext *context = connection->context;

    (void) source;
    (void) usec;

    connection_drop(connection);
    context->hooks->on_idle(context->userdata);
    return 0;
}

static int connection_add_sources(EventConnection *connection)
{
    sd_event *event = connection->context->event;
    int r;

    r = sd_event_add_io(event, &connection->io_source, connection->fd, EPOLLIN,
                        connection_on_io, connection);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(event, &connection->deadline_source,
                                   CLOCK_MONOTONIC, EVENT_DESCRIPTOR_USEC, 0,
                                   connection_on_deadline, connection);
    if (r < 0)
        return r;
    r = sd_event_add_time(event, &connection->resume_source, CLOCK_MONOTONIC, 0,
                          1, connection_on_resume, connection);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(connection->resume_source, SD_EVENT_OFF);
}

int event_connection_new(EventConnection **ret,
                         int fd,
                         const EventConnectionContext *context)
{
    _cleanup_(event_connection_freep) EventConnection *connection = NULL;
    int r;

    connection = calloc(1, sizeof(*connection));
    if (!connection) {
        fd_close(fd);
        return -ENOMEM;
    }
    connection->context = context;
    connection->fd = fd;
    connection->answers.max = ANSWERS_MAX;
    r = line_buffer_new(&connection->lines, WIRE_LINE_MAX);
    if (r < 0)
        return r;
    r = connection_add_sources(connection);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(connection);
    return 0;
}

EventConnection *event_connection_free(EventConnection *connection)
{
    if (!connection)
        return NULL;

    sd_event_source_disable_unref(connection->io_source);
    sd_event_source_disable_unref(connection->deadline_source);
    sd_event_source_disable_unref(connection->resume_source);
    line_buffer_free(connection->lines);
    fd_close(connection->fd);
    byte_queue_clear(&connection->answers);
    free(connection);
    return NULL;
}

uint64_t event_connection_id(const EventConnection *connection)
{
    return connection->id;
}

EventConnection **event_connection_next(EventConnection *connection)
{
    return &connection->next;
}

void event_connection_answer(EventConnection *connection,
                             int64_t seq,
                             Status status)
{
    const WireAnswer answer = { .seq = seq, .status = status };

    if (connection->stage == STAGE_CLOSING)
        return;

    assert(connection->n_due > 0);
    connection->n_due--;
    if (connection_push(connection, &answer) < 0)
        connection_begin_close(connection);
    connection_update(connection);
}

void event_connection_close(EventConnection *connection)
{
    if (connection->stage == STAGE_CLOSING)
        return;

    connection_begin_close(connection);
    connection_update(connection);
}
