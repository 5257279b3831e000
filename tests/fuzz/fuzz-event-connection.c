/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a source may say on one connection, from its descriptor to the end of
 * input: the first byte is the size of the pieces in which the rest arrives,
 * one less. A good descriptor stands before it, unless it has one of its own.
 *
 * In whatever pieces, the same is taken. Behind a good descriptor that is the
 * lines as they stand there, each if it is of its form (DESIGN 3) and may come
 * now, and what it says; a refusal has its answer and is the last word. Behind
 * no descriptor, or a bad one, nothing is taken.
 */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/wire/line-buffer.h"
#include "dom0/wire/descriptor.h"
#include "dom0/wire/event-session.h"
#include "tests/fuzz/taken.h"
#include "tests/support/descriptor-form.h"
#include "tests/support/json-input.h"
#include "tests/support/record-form.h"
#include "tests/support/request-header.h"

#define DESCRIPTOR       "autoattach.Event+ sys-usb name dom0"
#define BEGIN_DESCRIPTOR "autoattach."

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has been taken, as a sum, and how it ended. */
typedef struct Taken {
    size_t n_lines;
    uint64_t sum;
    bool known; /* the descriptor was good */
    bool bad;   /* it was not */
    bool refused;
    bool too_long;
    bool partial; /* the last line had no end */
    WireAnswer answer;
} Taken;

typedef struct Connection {
    DescriptorBuffer descriptor;
    LineBuffer *lines;
    EventSession session;
    Taken taken;

    bool is_good; /* of the input: its descriptor */
    Bytes source;
    Bytes rest; /* the lines that are still to come */
    /* what of them was taken */
    bool greeted;
    bool synced;
    int64_t last_seq;
    char agent[RECORD_AGENT_MAX + 1];
} Connection;

/* The device that it names can go into headers as it is. */
static void check_request(const Record *record)
{
    static const AdminMethod methods[] = { ADMIN_AVAILABLE, ADMIN_ATTACH,
                                           ADMIN_DETACH };
    AdminRequest request = { .class = record->class,
                             .dest = { "work" },
                             .backend = { "sys-usb" },
                             .port = record->device };

    assert(record->device.s[0] != '\0');
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        request.method = methods[i];
        assert(request_header_is_true(&request));
    }
}

/* The seq of a line, as far as it is one. */
static int64_t seq_of(const json_t *line)
{
    json_int_t seq = json_integer_value(json_object_get(line, "seq"));

    return seq > 0 ? seq : 0;
}

/* What the line is to be told, now; STATUS_INVALID if it is taken. */
static Status want(const Connection *connection, const json_t *line)
{
    Status status = form_of_line(line);
    bool good = status == STATUS_INVALID;

    /* hello comes once, of whatever version the second one is */
    if (json_says(line, "type", "hello"))
        return connection->greeted ? STATUS_MALFORMED : status;
    if (json_says(line, "type", "synced"))
        good = good && connection->greeted && !connection->synced;
    else
        good = good && connection->greeted &&
               seq_of(line) > connection->last_seq &&
               !(connection->synced && json_says(line, "action", "present"));
    return status == STATUS_INVALID && !good ? STATUS_MALFORMED : status;
}

static void check_hello(const WireHello *hello, json_t *line)
{
    json_lower(line, "boot_id");
    assert(json_says(line, "boot_id", hello->boot_id.s));
    assert(json_says(line, "agent", hello->agent));
}

static void check_event(const WireMessage *message, json_t *line)
{
    json_complete(line, "properties");
    assert(message->seq == seq_of(line));
    assert(form_says(line, &message->record));
    check_request(&message->record);
}

static void check_taken(Connection *connection,
                        SessionResult result,
                        const WireMessage *message,
                        json_t *line)
{
    if (json_says(line, "type", "hello")) {
        assert(result == SESSION_HELLO && message->type == WIRE_HELLO);
        check_hello(&message->hello, line);
        connection->greeted = true;
    } else if (json_says(line, "type", "synced")) {
        assert(result == SESSION_SYNCED && message->type == WIRE_SYNCED);
        connection->synced = true;
    } else {
        assert(result == SESSION_EVENT && message->type == WIRE_EVENT);
        check_event(message, line);
        connection->last_seq = seq_of(line);
    }
}

static void check_refused(const WireMessage *message,
                          const WireAnswer *answer,
                          const char *error,
                          Status wanted,
                          const json_t *line)
{
    static const Record none;

    assert(error && error[0] != '\0');
    assert(answer->status == wanted && answer->seq == seq_of(line));
    assert(message->type == WIRE_INVALID && message->seq == answer->seq);
    assert(record_equal(&message->record, &none));
}

/* It is the one that comes now, byte for byte. */
static void check_bytes(Connection *connection, const char *line, size_t len)
{
    const Bytes all = connection->rest;
    Bytes wanted = bytes_before(all, '\n', &connection->rest);

    assert(len == wanted.len && len < all.len && len <= WIRE_LINE_MAX);
    assert(memcmp(line, wanted.start, len) == 0);
}

static void check_session(const Connection *connection)
{
    const EventSession *session = &connection->session;

    assert(session->greeted == connection->greeted);
    assert(session->synced == connection->synced);
    assert(session->last_seq == connection->last_seq);
    assert(strcmp(session->agent, connection->agent) == 0);
}

static void take_line(Connection *connection, const char *line, size_t len)
{
    static const WireAnswer untouched = { .seq = 77, .status = STATUS_QUIET };
    _cleanup_(json_decrefp) json_t *json = json_input(line, len);
    const Status wanted = want(connection, json);
    Taken *taken = &connection->taken;
    WireAnswer answer = untouched;
    const char *error = NULL;
    WireMessage message;
    SessionResult result;

    memset(&message, 0xff, sizeof(message));
    check_bytes(connection, line, len);
    result = event_session_take(&connection->session, line, len, &message,
                                &answer, &error);
    /* it is told who sends what is of another version */
    if (json_says(json, "type", "hello") && !connection->greeted &&
        (wanted == STATUS_INVALID || wanted == STATUS_UNSUPPORTED_VERSION))
        (void) snprintf(connection->agent, sizeof(connection->agent), "%s",
                        form_agent(json));

    taken->n_lines++;
    taken->sum = (taken->sum + (uint64_t) result) * 31 +
                 (uint64_t) connection->session.last_seq;
    if (wanted != STATUS_INVALID) {
        assert(result == SESSION_REFUSED);
        check_refused(&message, &answer, error, wanted, json);
        taken->refused = true;
        taken->answer = answer;
    } else {
        check_taken(connection, result, &message, json);
        assert(!error && answer.seq == untouched.seq &&
               answer.status == untouched.status);
    }
    check_session(connection);
}

static void take_lines(Connection *connection)
{
    Taken *taken = &connection->taken;

    while (!taken->refused) {
        const char *line = NULL;
        size_t len = SIZE_MAX;
        bool ready = line_buffer_is_ready(connection->lines);
        LineResult result = line_buffer_next(connection->lines, &line, &len);

        assert(ready == (result != LINE_NONE));
        if (result == LINE_GOOD) {
            take_line(connection, line, len);
            continue;
        }
        assert(!line && len == SIZE_MAX);
        taken->too_long = result == LINE_TOO_LONG;
        break;
    }
}

/* Where so many bytes can be written, one at least. */
static char *space_of(Connection *connection, size_t *ret_size)
{
    return connection->taken.known
               ? line_buffer_space(connection->lines, ret_size)
               : descriptor_space(&connection->descriptor, ret_size);
}

static void on_read(Connection *connection, size_t n)
{
    QubeName source = { "untouched" };
    Taken *taken = &connection->taken;
    DescriptorResult result;

    if (taken->known) {
        line_buffer_filled(connection->lines, n);
        take_lines(connection);
        return;
    }
    result = descriptor_filled(&connection->descriptor, n, &source,
                               connection->lines);
    taken->known = result == DESCRIPTOR_GOOD;
    taken->bad = result == DESCRIPTOR_BAD;
    if (taken->known) {
        assert(connection->is_good && bytes_are(connection->source, source.s));
        take_lines(connection);
    } else {
        assert(strcmp(source.s, "untouched") == 0);
        assert(!line_buffer_has_partial(connection->lines));
    }
}

/* The end of input, unless it is over before. */
static void check_end(const Connection *connection)
{
    const Taken *taken = &connection->taken;
    Bytes rest = connection->rest, behind;
    size_t len = bytes_before(rest, '\n', &behind).len;

    if (!connection->is_good || taken->refused)
        assert(connection->is_good == taken->known);
    else if (taken->too_long)
        assert(len > WIRE_LINE_MAX);
    else
        /* no more than a line without its end */
        assert(taken->known && len == rest.len && len <= WIRE_LINE_MAX &&
               line_buffer_has_partial(connection->lines) == (len > 0));
}

static Taken take_all(Bytes input, size_t piece)
{
    Connection connection = {};
    Taken *taken = &connection.taken;
    Bytes rest = input;
    int r = line_buffer_new(&connection.lines, WIRE_LINE_MAX);

    assert(r == 0);
    connection.is_good =
        descriptor_is_good(input, &connection.source, &connection.rest);
    while (rest.len > 0 && !taken->bad && !taken->refused && !taken->too_long) {
        size_t size;
        char *space = space_of(&connection, &size);

        assert(size > 0);
        size = size > piece ? piece : size;
        size = size > rest.len ? rest.len : size;
        memcpy(space, rest.start, size);
        rest = bytes_behind(rest, size);
        on_read(&connection, size);
    }
    check_end(&connection);
    taken->partial = line_buffer_has_partial(connection.lines);
    line_buffer_free(connection.lines);
    return *taken;
}

static void check_pieces(Bytes input, size_t piece)
{
    Taken whole = take_all(input, SIZE_MAX), pieces = take_all(input, piece);

    assert(whole.n_lines == pieces.n_lines);
    assert(whole.sum == pieces.sum);
    assert(whole.known == pieces.known && whole.bad == pieces.bad);
    assert(whole.refused == pieces.refused);
    assert(whole.too_long == pieces.too_long);
    assert(whole.answer.seq == pieces.answer.seq);
    assert(whole.answer.status == pieces.answer.status);
    fuzz_set_taken(whole.known && !whole.refused && !whole.too_long &&
                   !whole.partial);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *joined = NULL;
    Bytes input;

    if (size == 0)
        return 0;

    input = (Bytes){ (const char *) data + 1, size - 1 };
    if (!bytes_begin(input, BEGIN_DESCRIPTOR)) {
        joined = malloc(sizeof(DESCRIPTOR) + input.len);
        assert(joined);
        memcpy(joined, DESCRIPTOR, sizeof(DESCRIPTOR));
        memcpy(joined + sizeof(DESCRIPTOR), input.start, input.len);
        input = (Bytes){ joined, sizeof(DESCRIPTOR) + input.len };
    }
    check_pieces(input, 1U + data[0]);
    return 0;
}
