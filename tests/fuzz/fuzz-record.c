/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as a line of the record protocol, from either end
 *
 * A refused line leaves nothing in the result. One that is taken is written
 * again by the encoder, and that is read back as the same value.
 */

#include <stdlib.h>
#include <string.h>

#include "common/wire/record-wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_nothing(const WireMessage *message, Status status)
{
    static const Record none;

    require(status == STATUS_MALFORMED || status == STATUS_TOO_LARGE ||
            status == STATUS_UNSUPPORTED_VERSION);
    require(message->type == WIRE_INVALID && message->seq >= 0);
    require(record_equal(&message->record, &none));
}

static char *encode(const WireMessage *message, size_t *ret_len)
{
    char *line = NULL;
    int r = -1;

    switch (message->type) {
    case WIRE_HELLO:
        r = wire_encode_hello(&line, ret_len, &message->hello);
        break;
    case WIRE_EVENT:
        r = wire_encode_event(&line, ret_len, message->seq, &message->record);
        break;
    case WIRE_SYNCED:
        r = wire_encode_synced(&line, ret_len);
        break;
    case WIRE_INVALID:
        break;
    }
    require(r == 0 && line[*ret_len - 1] == '\n' &&
            *ret_len <= WIRE_LINE_MAX + 1);
    return line;
}

static void require_equal(const WireMessage *a, const WireMessage *b)
{
    require(a->type == b->type && a->seq == b->seq);
    if (a->type == WIRE_EVENT)
        require(record_equal(&a->record, &b->record));
    if (a->type == WIRE_HELLO)
        require(boot_id_equal(&a->hello.boot_id, &b->hello.boot_id) &&
                strcmp(a->hello.agent, b->hello.agent) == 0);
}

static void fuzz_message(const char *data, size_t size)
{
    _cleanup_(freep) char *line = NULL, *line_again = NULL;
    const char *error = NULL;
    WireMessage message, again;
    size_t len, len_again;
    Status status;

    memset(&message, 0xff, sizeof(message));
    status = wire_decode(&message, data, size, &error);
    require(error != NULL || status == STATUS_INVALID);
    if (status != STATUS_INVALID) {
        require_nothing(&message, status);
        return;
    }

    line = encode(&message, &len);
    require(wire_decode(&again, line, len - 1, NULL) == STATUS_INVALID);
    require_equal(&message, &again);
    line_again = encode(&again, &len_again);
    require(len == len_again && memcmp(line, line_again, len) == 0);
}

static void fuzz_answer(const char *data, size_t size)
{
    _cleanup_(freep) char *line = NULL;
    WireAnswer answer, again;
    size_t len;

    if (!wire_decode_answer(&answer, data, size))
        return;

    require(wire_encode_answer(&line, &len, &answer) == 0);
    require(wire_decode_answer(&again, line, len - 1));
    require(answer.seq == again.seq && answer.status == again.status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_message((const char *) data, size);
    fuzz_answer((const char *) data, size);
    return 0;
}
