/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Calls and replies of the control socket: what is accepted, encodes to what
 * is accepted again and is the same.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dom0/wire/control-methods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* escapes make a message longer: up to 12 bytes for 3 */
#define ENCODED_MAX (CONTROL_REPLY_MAX * 6U)

static char *encode(json_t *message, size_t *ret_len)
{
    char *text;
    int r = control_message_encode(&text, ret_len, message, ENCODED_MAX);

    assert(r == 0);
    assert(strlen(text) + 1 == *ret_len);
    for (size_t i = 0; i + 1 < *ret_len; i++)
        assert((unsigned char) text[i] >= 0x20 &&
               (unsigned char) text[i] < 0x80);
    return text;
}

static void fuzz_call(const char *data, size_t size)
{
    ControlCall call, again;
    ControlMethod method;
    json_t *answer;
    size_t len;
    char *text;

    if (control_call_decode(&call, data, size) < 0)
        return;

    text = encode(control_call_to_json(&call), &len);
    if (len - 1 <= CONTROL_CALL_MAX) {
        assert(control_call_decode(&again, text, len - 1) == 0);
        assert(strcmp(call.method.s, again.method.s) == 0);
        assert(json_equal(call.parameters, again.parameters));
        assert(call.oneway == again.oneway && call.more == again.more &&
               call.upgrade == again.upgrade);
        control_call_clear(&again);
    }
    free(text);

    assert(control_call_route(&method, &answer, &call) == 0);
    assert((method == CONTROL_METHOD_INVALID) == (answer != NULL));
    if (answer)
        free(encode(answer, &len));
    control_call_clear(&call);
}

static void fuzz_reply(const char *data, size_t size)
{
    ControlReply reply, again;
    size_t len;
    char *text;

    if (control_reply_decode(&reply, data, size) < 0)
        return;

    text = encode(control_reply_to_json(&reply), &len);
    if (len - 1 <= CONTROL_REPLY_MAX) {
        assert(control_reply_decode(&again, text, len - 1) == 0);
        assert(strcmp(reply.error.s, again.error.s) == 0);
        assert(json_equal(reply.parameters, again.parameters));
        assert(reply.continues == again.continues);
        control_reply_clear(&again);
    }
    free(text);
    control_reply_clear(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_call((const char *) data, size);
    fuzz_reply((const char *) data, size);
    return 0;
}
