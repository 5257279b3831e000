/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as a line of the record protocol, from either end
 *
 * What is of the form of DESIGN 3 is taken, and nothing else. A refused line
 * leaves nothing in the result but its seq; a refused answer nothing. One that
 * is taken is what its JSON says, under the names of DESIGN 3. The encoder
 * writes the same JSON again, and that is read back as the same value.
 */

#include <stdlib.h>
#include <string.h>

#include "common/wire/record-wire.h"
#include "tests/fuzz/taken.h"
#include "tests/support/json-input.h"
#include "tests/support/record-form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_nothing(const WireMessage *message)
{
    static const Record none;

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

/* What a refused line's seq is, or a good one's. */
static int64_t seq_of(const json_t *line)
{
    json_int_t seq = json_integer_value(json_object_get(line, "seq"));

    return seq > 0 ? seq : 0;
}

static void require_json(const json_t *line, const char *text, size_t len)
{
    _cleanup_(json_decrefp) json_t *written = json_input(text, len);

    require(json_equal(line, written));
}

static bool fuzz_message(const char *data, size_t size)
{
    _cleanup_(freep) char *line = NULL, *line_again = NULL;
    _cleanup_(json_decrefp) json_t *json = json_input(data, size);
    const char *error = NULL;
    char agent[RECORD_AGENT_MAX + 1];
    WireMessage message, again;
    size_t len, len_again;
    Status status;

    memset(&message, 0xff, sizeof(message));
    status = wire_decode(&message, data, size, &error);
    require((error != NULL) == (status != STATUS_INVALID));
    require(status ==
            (size > WIRE_LINE_MAX ? STATUS_TOO_LARGE : form_of_line(json)));
    require(message.seq == (size > WIRE_LINE_MAX ? 0 : seq_of(json)));
    memset(agent, 'x', sizeof(agent));
    wire_decode_agent(agent, data, size);
    require(strcmp(agent, size > WIRE_LINE_MAX ? "" : form_agent(json)) == 0);
    if (status != STATUS_INVALID) {
        require_nothing(&message);
        return false;
    }

    require(json != NULL);
    if (message.type == WIRE_HELLO)
        json_lower(json, "boot_id");
    if (message.type == WIRE_EVENT) {
        json_complete(json, "properties");
        require(form_says(json, &message.record));
    }
    line = encode(&message, &len);
    require_json(json, line, len);
    require(wire_decode(&again, line, len - 1, NULL) == STATUS_INVALID);
    require_equal(&message, &again);
    line_again = encode(&again, &len_again);
    require(len == len_again && memcmp(line, line_again, len) == 0);
    return true;
}

static bool fuzz_answer(const char *data, size_t size)
{
    _cleanup_(freep) char *line = NULL;
    _cleanup_(json_decrefp) json_t *json = json_input(data, size);
    const WireAnswer untouched = { .seq = 77, .status = STATUS_QUIET };
    WireAnswer answer = untouched, again;
    size_t len;
    bool taken = wire_decode_answer(&answer, data, size);

    require(taken == (size <= WIRE_LINE_MAX && form_is_answer(json)));
    if (!taken) {
        require(answer.seq == untouched.seq &&
                answer.status == untouched.status);
        return false;
    }

    require(answer.seq == seq_of(json));
    require(json_integer_value(json_object_get(json, "code")) ==
            (json_int_t) answer.status);
    require(wire_encode_answer(&line, &len, &answer) == 0);
    require_json(json, line, len);
    require(wire_decode_answer(&again, line, len - 1));
    require(answer.seq == again.seq && answer.status == again.status);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool is_message = fuzz_message((const char *) data, size);
    bool is_answer = fuzz_answer((const char *) data, size);

    fuzz_set_taken(is_message || is_answer);
    return 0;
}
