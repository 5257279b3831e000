/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a source may say on one connection: the first byte is the size of the
 * pieces in which the rest arrives. In whatever pieces, the same is taken; seq
 * grows; a refusal has its answer and is the last word.
 */

#include <assert.h>
#include <string.h>

#include "common/wire/line-buffer.h"
#include "dom0/wire/event-session.h"
#include "tests/support/request-header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has been taken, as a sum, and how it ended. */
typedef struct Taken {
    size_t n_lines;
    uint64_t sum;
    bool refused;
    bool too_long;
    WireAnswer answer;
} Taken;

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

static void check_message(const EventSession *before,
                          const EventSession *after,
                          SessionResult result,
                          const WireMessage *message)
{
    switch (result) {
    case SESSION_HELLO:
        assert(!before->greeted && after->greeted);
        assert(strlen(message->hello.boot_id.s) == BOOT_ID_LEN);
        break;
    case SESSION_EVENT:
        assert(before->greeted);
        assert(message->seq > before->last_seq);
        assert(after->last_seq == message->seq);
        assert(!before->synced || message->record.action != RECORD_PRESENT);
        assert(message->record.class != DEVICE_CLASS_INVALID);
        check_request(&message->record);
        break;
    case SESSION_SYNCED:
        assert(before->greeted && !before->synced && after->synced);
        break;
    case SESSION_REFUSED:
        break;
    }
}

/* Of its form, but not what can come now. */
static bool is_out_of_turn(const EventSession *before,
                           const WireMessage *message)
{
    switch (message->type) {
    case WIRE_HELLO:
        return before->greeted;
    case WIRE_EVENT:
        return !before->greeted || message->seq <= before->last_seq ||
               (before->synced && message->record.action == RECORD_PRESENT);
    case WIRE_SYNCED:
        return !before->greeted || before->synced;
    case WIRE_INVALID:
        break;
    }
    return true;
}

/* What is taken is just what the line says. */
static void check_line(const EventSession *before,
                       SessionResult result,
                       const WireMessage *message,
                       const WireAnswer *answer,
                       const char *line,
                       size_t len)
{
    WireMessage said;
    Status status = wire_decode(&said, line, len, NULL);

    if (status != STATUS_INVALID || is_out_of_turn(before, &said)) {
        assert(result == SESSION_REFUSED);
        assert(answer->seq == said.seq);
        assert(answer->status ==
               (status != STATUS_INVALID ? status : STATUS_MALFORMED));
        return;
    }
    assert(result == (said.type == WIRE_HELLO   ? SESSION_HELLO
                      : said.type == WIRE_EVENT ? SESSION_EVENT
                                                : SESSION_SYNCED));
    assert(message->type == said.type && message->seq == said.seq);
    if (said.type == WIRE_EVENT)
        assert(record_equal(&message->record, &said.record));
}

static void take_line(Taken *taken,
                      EventSession *session,
                      const char *line,
                      size_t len)
{
    EventSession before = *session;
    const char *error = NULL;
    WireMessage message;
    SessionResult result = event_session_take(session, line, len, &message,
                                              &taken->answer, &error);

    taken->n_lines++;
    taken->sum =
        (taken->sum + (uint64_t) result) * 31 + (uint64_t) session->last_seq;
    check_line(&before, result, &message, &taken->answer, line, len);
    if (result != SESSION_REFUSED) {
        check_message(&before, session, result, &message);
        return;
    }
    taken->refused = true;
    assert(error && error[0] != '\0');
    assert(taken->answer.status == STATUS_MALFORMED ||
           taken->answer.status == STATUS_UNSUPPORTED_VERSION ||
           taken->answer.status == STATUS_TOO_LARGE);
    assert(taken->answer.seq >= 0);
    /* it is told who sends what is of another version */
    if (taken->answer.status == STATUS_UNSUPPORTED_VERSION && !before.greeted)
        wire_decode_agent(before.agent, line, len);
    assert(memcmp(&before, session, sizeof(before)) == 0);
}

static Taken take_all(const char *data, size_t size, size_t piece)
{
    EventSession session = {};
    Taken taken = {};
    LineBuffer *lines;
    size_t at = 0;
    int r = line_buffer_new(&lines, WIRE_LINE_MAX);

    assert(r == 0);
    while (at < size && !taken.refused && !taken.too_long) {
        const char *line = NULL;
        size_t room, len = 0;
        char *space = line_buffer_space(lines, &room);
        LineResult result;

        room = room > piece ? piece : room;
        room = room > size - at ? size - at : room;
        assert(room > 0);
        memcpy(space, data + at, room);
        line_buffer_filled(lines, room);
        at += room;
        while (!taken.refused &&
               (result = line_buffer_next(lines, &line, &len)) != LINE_NONE) {
            if (result == LINE_TOO_LONG) {
                taken.too_long = true;
                break;
            }
            assert(len <= WIRE_LINE_MAX);
            take_line(&taken, &session, line, len);
        }
    }
    line_buffer_free(lines);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Taken whole, pieces;

    if (size == 0)
        return 0;

    whole = take_all((const char *) data + 1, size - 1, SIZE_MAX);
    pieces = take_all((const char *) data + 1, size - 1, 1U + data[0]);
    assert(whole.n_lines == pieces.n_lines);
    assert(whole.sum == pieces.sum);
    assert(whole.refused == pieces.refused);
    assert(whole.too_long == pieces.too_long);
    assert(whole.answer.seq == pieces.answer.seq);
    assert(whole.answer.status == pieces.answer.status);
    return 0;
}
