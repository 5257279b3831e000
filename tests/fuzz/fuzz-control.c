/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Calls and replies of the control socket: what is of their form is accepted,
 * and nothing else; it encodes to the JSON that it came from, and is accepted
 * again. A call goes to the method of its name, and names the device or the
 * rule that its parameters say; that device can go into a request of qubesd.
 * Messages that come in pieces are those that stand between the NULs, however
 * they are cut.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dom0/wire/control-buffer.h"
#include "dom0/wire/control-methods.h"
#include "dom0/wire/control-values.h"
#include "tests/fuzz/taken.h"
#include "tests/support/control-form.h"
#include "tests/support/json-input.h"
#include "tests/support/request-header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* escapes make a message longer: up to 12 bytes for 3 */
#define ENCODED_MAX (CONTROL_REPLY_MAX * 6U)
/* what is large is slow: only with sizes that this divides */
#define LIMITS_EVERY 320U
/* sizes of the pieces in which messages come, of which the input's says one */
#define PIECES 64U
/* what is in a result before: a refused message leaves it */
#define POISON 0x5aU

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

/* Takes over @message: it says what the input does, where parameters may be
 * left out, and flags that are not set. */
static void check_json(const char *data, size_t size, json_t *message_arg)
{
    static const char *const flags[] = { "oneway", "more", "upgrade",
                                         "continues" };
    _cleanup_(json_decrefp) json_t *message = message_arg;
    _cleanup_(json_decrefp) json_t *input = json_input(data, size);

    json_complete(input, "parameters");
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if (json_is_false(json_object_get(input, flags[i])))
            (void) json_object_del(input, flags[i]);
    assert(json_equal(input, message));
}

typedef struct Method {
    const char *name;
    ControlMethod method;
    bool of_device; /* needs these two */
    const char *optional_texts;
    const char *optional_number;
} Method;

static const Method *find_method(const char *name)
{
    static const Method methods[] = {
        { "GetStatus", CONTROL_GET_STATUS, false, "", "" },
        { "ListDevices", CONTROL_LIST_DEVICES, false, "", "" },
        { "ListRules", CONTROL_LIST_RULES, false, "", "" },
        { "GetHistory", CONTROL_GET_HISTORY, false, "", "n" },
        { "Wait", CONTROL_WAIT, false, "source device rule", "" },
        { "Retry", CONTROL_RETRY, true, "", "" },
        { "Detach", CONTROL_DETACH, true, "", "" },
        { "Pause", CONTROL_PAUSE, false, "", "duration_usec" },
        { "Resume", CONTROL_RESUME, false, "", "" },
        { "Reload", CONTROL_RELOAD, false, "", "" },
        { "Explain", CONTROL_EXPLAIN, true, "", "" },
        { "ListQubes", CONTROL_LIST_QUBES, false, "", "" },
    };
    const size_t prefix = strlen(CONTROL_INTERFACE ".");

    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (strncmp(name, CONTROL_INTERFACE ".", prefix) == 0 &&
            strcmp(name + prefix, methods[i].name) == 0)
            return &methods[i];
    return NULL;
}

static bool is_word_of(const char *list, const char *key)
{
    Bytes rest = { list, strlen(list) };

    while (rest.len > 0)
        if (bytes_are(bytes_before(rest, ' ', &rest), key))
            return true;
    return false;
}

static bool parameters_fit(const Method *method, json_t *parameters)
{
    const char *needed = method->of_device ? "source device" : "", *key;
    size_t n_needed = 0;
    json_t *value;

    json_object_foreach(parameters, key, value)
    {
        bool is_text = is_word_of(method->optional_texts, key);
        bool is_number = is_word_of(method->optional_number, key);

        if (is_word_of(needed, key) && json_is_string(value))
            n_needed++;
        else if (!(is_text && json_is_string(value)) &&
                 !(is_number && json_is_integer(value)) &&
                 !((is_text || is_number) && json_is_null(value)))
            return false;
    }
    return !method->of_device || n_needed == 2;
}

/* It goes where its name says, if its parameters are of their form; else it is
 * answered at once, which may be an error. */
static ControlMethod check_route(const ControlCall *call, bool *ret_served)
{
    const Method *wanted = find_method(call->method.s);
    ControlMethod method;
    json_t *answer;
    size_t len;

    assert(control_call_route(&method, &answer, call) == 0);
    assert((method == CONTROL_METHOD_INVALID) == (answer != NULL));
    *ret_served = !json_object_get(answer, "error");
    if (answer)
        free(encode(answer, &len));
    if (!wanted || call->upgrade || !parameters_fit(wanted, call->parameters))
        assert(method == CONTROL_METHOD_INVALID);
    else
        assert(method == wanted->method);
    return method;
}

static const DeviceRef untouched = { .source = { "untouched" },
                                     .class = DEVICE_CLASS_USB,
                                     .device = { "7-7" } };

static bool is_untouched(const DeviceRef *ref)
{
    return qube_name_equal(&ref->source, &untouched.source) &&
           ref->class == untouched.class &&
           device_name_equal(&ref->device, &untouched.device);
}

/* The device can be looked for at its source, and detached. */
static void check_request(const DeviceRef *ref)
{
    AdminRequest request = { .method = ADMIN_AVAILABLE,
                             .class = ref->class,
                             .dest = ref->source,
                             .backend = ref->source,
                             .port = ref->device };

    assert(request_header_is_true(&request));
    request.method = ADMIN_DETACH;
    request.dest = (QubeName){ "work" };
    assert(request_header_is_true(&request));
}

/* Whether it names one. */
static bool check_device(const ControlCall *call)
{
    const char *source = json_text(call->parameters, "source");
    const char *device = json_text(call->parameters, "device");
    DeviceRef ref = untouched;
    const char *bad = control_device_decode(&ref, call);
    DeviceName port;
    QubeName qube;

    if (!qube_name_parse(&qube, source, strlen(source))) {
        assert(bad && strcmp(bad, "source") == 0);
        assert(is_untouched(&ref));
        return false;
    }
    if (device_name_parse_any(&port, device, strlen(device)) ==
        DEVICE_CLASS_INVALID) {
        assert(bad && strcmp(bad, "device") == 0);
        assert(is_untouched(&ref));
        return false;
    }
    assert(!bad && strcmp(ref.source.s, source) == 0);
    assert(strcmp(ref.device.s, device) == 0);
    assert(device_name_parse(&port, ref.class, device, strlen(device)));
    check_request(&ref);
    return true;
}

/* Wait names a rule, and no device, or a device. */
static bool check_awaited(const ControlCall *call)
{
    const json_t *parameters = call->parameters;
    const char *rule = json_text(parameters, "rule");
    bool has_device = json_is_string(json_object_get(parameters, "source")) ||
                      json_is_string(json_object_get(parameters, "device"));
    DeviceRef ref = untouched, again_ref;
    RuleName name = { "untouched" }, again;
    const char *bad = control_awaited_decode(&ref, &name, call);

    if (!json_is_string(json_object_get(parameters, "rule"))) {
        assert(name.s[0] == '\0');
        assert((bad != NULL) == is_untouched(&ref));
        assert((bad == NULL) ==
               (control_device_decode(&again_ref, call) == NULL));
        return check_device(call);
    }
    assert(is_untouched(&ref));
    assert((bad != NULL) == (has_device || rule[0] == '\0'));
    assert(!bad || strcmp(bad, "rule") == 0);
    if (!bad && rule_name_parse(&again, rule, strlen(rule)))
        assert(strcmp(name.s, rule) == 0);
    else
        assert(name.s[0] == '\0');
    return bad == NULL;
}

/* One after the other, until there is none that is whole. */
static void take_messages(ControlBuffer *buffer, Bytes *wanted)
{
    size_t len = SIZE_MAX;

    while (control_buffer_has_message(buffer, &len)) {
        const Bytes all = *wanted;
        Bytes message = bytes_before(all, '\0', wanted);

        assert(len == message.len && len < all.len);
        assert(memcmp(byte_queue_data(&buffer->bytes), message.start, len) ==
               0);
        control_buffer_drop(buffer, len);
        len = SIZE_MAX;
    }
    assert(len == SIZE_MAX);
}

/* As a client of the socket does it: a message of more than @max bytes ends it.
 */
static void check_stream(Bytes stream, size_t piece, size_t max)
{
    ControlBuffer buffer = { .bytes.max = max + 1 };
    Bytes wanted = stream, behind;
    bool too_long = false;

    while (stream.len > 0 && !too_long) {
        char *space;
        ssize_t room = byte_queue_space(
            &buffer.bytes, &space, piece < stream.len ? piece : stream.len);

        assert(room > 0);
        memcpy(space, stream.start, (size_t) room);
        byte_queue_filled(&buffer.bytes, (size_t) room);
        stream = bytes_behind(stream, (size_t) room);
        take_messages(&buffer, &wanted);
        too_long = byte_queue_len(&buffer.bytes) > max;
    }
    assert(too_long == (bytes_before(wanted, '\0', &behind).len > max));
    assert(too_long || byte_queue_len(&buffer.bytes) == wanted.len);
    control_buffer_clear(&buffer);
}

/* @data with blanks behind it, up to @len bytes. */
static char *pad(const char *data, size_t size, size_t len)
{
    char *text = malloc(len);

    assert(text && size <= len);
    memset(text, ' ', len);
    memcpy(text, data, size);
    return text;
}

/* A call of the largest size is one, a byte more is too much. */
static void check_call_limit(const char *data, size_t size)
{
    _cleanup_(freep) char *text = pad(data, size, CONTROL_CALL_MAX + 1);
    ControlCall call;

    assert(control_call_decode(&call, text, CONTROL_CALL_MAX + 1) < 0);
    assert(control_call_decode(&call, text, CONTROL_CALL_MAX) == 0);
    control_call_clear(&call);
}

static void check_reply_limit(const char *data, size_t size)
{
    _cleanup_(freep) char *text = pad(data, size, CONTROL_REPLY_MAX + 1);
    ControlReply reply;

    assert(control_reply_decode(&reply, text, CONTROL_REPLY_MAX + 1) < 0);
    assert(control_reply_decode(&reply, text, CONTROL_REPLY_MAX) == 0);
    control_reply_clear(&reply);
}

static bool is_all_poison(const void *value, size_t size)
{
    const unsigned char *bytes = value;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] != POISON)
            return false;
    return true;
}

/* Whether it is a call that can be served. */
static bool fuzz_call(const char *data, size_t size, bool is_form)
{
    ControlCall call, again;
    ControlMethod method;
    bool served;
    size_t len;
    char *text;

    memset(&call, POISON, sizeof(call));
    if (control_call_decode(&call, data, size) < 0) {
        assert(!is_form);
        assert(is_all_poison(&call, sizeof(call)));
        return false;
    }

    assert(is_form);
    check_json(data, size, control_call_to_json(&call));
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

    method = check_route(&call, &served);
    if (method == CONTROL_WAIT)
        served = check_awaited(&call);
    else if (method == CONTROL_RETRY || method == CONTROL_DETACH ||
             method == CONTROL_EXPLAIN)
        served = check_device(&call);
    if (size % LIMITS_EVERY == 0)
        check_call_limit(data, size);
    control_call_clear(&call);
    return served;
}

static bool fuzz_reply(const char *data, size_t size, bool is_form)
{
    ControlReply reply, again;
    size_t len;
    char *text;

    memset(&reply, POISON, sizeof(reply));
    if (control_reply_decode(&reply, data, size) < 0) {
        assert(!is_form);
        assert(is_all_poison(&reply, sizeof(reply)));
        return false;
    }

    assert(is_form);
    check_json(data, size, control_reply_to_json(&reply));
    text = encode(control_reply_to_json(&reply), &len);
    if (len - 1 <= CONTROL_REPLY_MAX) {
        assert(control_reply_decode(&again, text, len - 1) == 0);
        assert(strcmp(reply.error.s, again.error.s) == 0);
        assert(json_equal(reply.parameters, again.parameters));
        assert(reply.continues == again.continues);
        control_reply_clear(&again);
    }
    free(text);
    if (size % LIMITS_EVERY == 0)
        check_reply_limit(data, size);
    control_reply_clear(&reply);
    return true;
}

/* Twice, so that one ends where the other begins, and with no more room than
 * for one; then with less. */
static void fuzz_pieces(const char *data, size_t size)
{
    char *text = malloc(2 * size + 1);
    const Bytes stream = { text, 2 * size + 1 };

    assert(text);
    memcpy(text, data, size);
    text[size] = '\0';
    memcpy(text + size + 1, data, size);
    check_stream(stream, stream.len, size);
    check_stream(stream, 1 + size % PIECES, size);
    if (size > 0)
        check_stream(stream, 1 + size % PIECES, size - 1);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *) data;
    _cleanup_(json_decrefp) json_t *input = json_input(text, size);
    bool served, replied;

    fuzz_pieces(text, size);
    served = fuzz_call(
        text, size, input && size <= CONTROL_CALL_MAX && form_is_call(input));
    replied = fuzz_reply(
        text, size, input && size <= CONTROL_REPLY_MAX && form_is_reply(input));
    fuzz_set_taken(served || replied);
    return 0;
}
