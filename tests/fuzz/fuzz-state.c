/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as the state file
 *
 * What is of its form is taken, and nothing else. What is refused gives nothing
 * but a line and a sentence. What is taken is written again by the encoder with
 * the same JSON, and read back as the same; a manager that starts from it
 * either says that it cannot be, or lives on: without rules nothing is
 * attached, and what it then saves is a state again.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/core/manager.h"
#include "dom0/wire/state-wire.h"
#include "tests/fuzz/taken.h"
#include "tests/support/json-input.h"
#include "tests/support/record-form.h"
#include "tests/support/request-header.h"
#include "tests/support/state-form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BOOT "0123456789abcdef0123456789abcdef"
/* more than all that a manager wants of qubesd without being told anything */
#define CALLS_MAX 100000U
/* what is large is slow: only with sizes that this divides */
#define LIMIT_EVERY 1280U
/* as the encoder begins a device */
#define PLUG "{\"type\":\"plug\","

static const Instant now = { .monotonic_usec = 1000 * USEC_PER_SEC,
                             .boottime_usec = 1000 * USEC_PER_SEC,
                             .realtime_usec = 1000 * USEC_PER_SEC };

static void require_same(const State *state, const char *text, size_t len)
{
    char *again;
    size_t again_len;
    int r = state_encode(&again, &again_len, state);

    assert(r == 0);
    assert(again_len == len && memcmp(again, text, len) == 0);
    free(again);
}

/*
 * The objects of all lines, in the order of the encoder: disposables and then
 * windows are behind the sources, and records have its numbers.
 */
static json_t *objects_of(const char *text, size_t len)
{
    static const char *const late[] = { "disposable", "window", "end" };
    const char *end = text + len;
    json_t *lists[] = { json_array(), json_array(), json_array(),
                        json_array() };

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t) (end - text));
        json_t *object = json_input(text, (size_t) (newline - text));
        size_t list = 0;

        json_lower(object, "boot_id");
        for (size_t i = 0; i < ARRAY_SIZE(late); i++)
            if (json_says(object, "type", late[i]))
                list = i + 1;
        if (json_says(object, "type", "event")) {
            assert(form_of_line(object) == STATUS_INVALID);
            json_complete(object, "properties");
            (void) json_object_del(object, "seq");
        }
        assert(json_array_append_new(lists[list], object) == 0);
        text = newline + 1;
    }
    for (size_t i = 1; i < ARRAY_SIZE(lists); i++) {
        assert(json_array_extend(lists[0], lists[i]) == 0);
        json_decref(lists[i]);
    }
    return lists[0];
}

static void require_meaning(const char *data,
                            size_t size,
                            const char *text,
                            size_t len)
{
    _cleanup_(json_decrefp) json_t *wanted = objects_of(data, size);
    _cleanup_(json_decrefp) json_t *written = objects_of(text, len);

    assert(json_equal(wanted, written));
}

static void require_limits(const State *state)
{
    assert(state->n_sources <= STATE_SOURCES_MAX);
    assert(state->n_disposables <= STATE_DISPOSABLES_MAX);
    assert(state->n_windows <= STATE_WINDOWS_MAX);
    for (size_t i = 0; i < state->n_sources; i++)
        assert(state->sources[i].n_plugs <= STATE_PLUGS_MAX);
}

/* The two lines of the first device in what the encoder wrote. */
static Bytes first_plug(const char *text, size_t len)
{
    Bytes all = { text, len }, rest, behind;

    while (!bytes_begin(all, PLUG))
        (void) bytes_before(all, '\n', &all);
    (void) bytes_before(all, '\n', &rest);
    (void) bytes_before(rest, '\n', &behind);
    return (Bytes){ all.start, (size_t) (behind.start - all.start) };
}

/* The number of devices that are written once more. */
static int decode_with_more(State **ret,
                            const char *text,
                            size_t len,
                            size_t n_more)
{
    const Bytes plug = first_plug(text, len);
    const size_t before = (size_t) (plug.start - text);
    const size_t more = n_more * plug.len;
    _cleanup_(freep) char *longer = malloc(len + more);

    assert(longer);
    memcpy(longer, text, before);
    for (size_t i = 0; i < n_more; i++)
        memcpy(longer + before + i * plug.len, plug.start, plug.len);
    memcpy(longer + before + more, plug.start, len - before);
    return state_decode(ret, longer, len + more, NULL, NULL);
}

/* With its first device as often as a source can have one it is a state, once
 * more is too much. */
static void check_limit(const State *state, const char *text, size_t len)
{
    _cleanup_(state_freep) State *full = NULL, *fuller = NULL;
    size_t i = 0, n_more;
    int r;

    while (i < state->n_sources && state->sources[i].n_plugs == 0)
        i++;
    if (i == state->n_sources)
        return;
    n_more = STATE_PLUGS_MAX - state->sources[i].n_plugs;
    r = decode_with_more(&full, text, len, n_more);
    assert(r == 0 && full->sources[i].n_plugs == STATE_PLUGS_MAX);
    r = decode_with_more(&fuller, text, len, n_more + 1);
    assert(r == -EBADMSG);
}

/* All that it wants is answered with a yes, and what it asks about is listed;
 * it may detach, and ask, of what the state names. */
static void serve(Manager *manager)
{
    static const AdminAnswer good = { .result = ADMIN_OK,
                                      .listing = { .listed = true } };
    AdminRequest request;
    uint64_t call;

    for (size_t i = 0; manager_next_call(manager, &call, &request); i++) {
        assert(i < CALLS_MAX);
        assert(request.method != ADMIN_ATTACH &&
               request.method != ADMIN_START &&
               request.method != ADMIN_CREATE_DISPOSABLE);
        assert(request_header_is_true(&request));
        manager_on_answer(manager, call, &good, now);
    }
}

static void live_on(Manager *manager, const State *state)
{
    BootId boot_id;
    uint64_t id;

    assert(boot_id_parse(&boot_id, BOOT, strlen(BOOT)));
    manager_set_qubesd(manager, QUBESD_CONNECTED, now);
    serve(manager);
    for (size_t i = 0; i < state->n_sources; i++) {
        if (manager_connect(manager, &state->sources[i].name, now, &id) !=
            STATUS_INVALID)
            continue;
        manager_hello(manager, id, &boot_id, now);
        manager_synced(manager, id, now);
        serve(manager);
    }
    manager_on_time(manager, now);
    serve(manager);
}

static void start_from(const State *state)
{
    _cleanup_(state_freep) State *saved = NULL;
    _cleanup_(manager_freep) Manager *manager = NULL;
    int r = manager_new(&manager, false);

    assert(r == 0);
    if (manager_restore(manager, state) < 0)
        return;
    live_on(manager, state);
    r = manager_save(manager, &saved);
    assert(r == 0);
    require_limits(saved);
    {
        _cleanup_(state_freep) State *again = NULL;
        char *text;
        size_t len;

        r = state_encode(&text, &len, saved);
        assert(r == 0);
        r = state_decode(&again, text, len, NULL, NULL);
        assert(r == 0);
        require_same(again, text, len);
        free(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(state_freep) State *state = NULL, *again = NULL;
    const char *error = NULL;
    size_t line = SIZE_MAX, len;
    char *text;
    int r = state_decode(&state, (const char *) data, size, &line, &error);

    fuzz_set_taken(r == 0);
    assert((r == 0) == form_is_state((Bytes){ (const char *) data, size }));
    if (r < 0) {
        assert(r == -EBADMSG);
        assert(!state && error && error[0] != '\0' && line <= size);
        return 0;
    }
    assert(!error && line == SIZE_MAX);
    require_limits(state);

    r = state_encode(&text, &len, state);
    assert(r == 0);
    require_meaning((const char *) data, size, text, len);
    r = state_decode(&again, text, len, NULL, NULL);
    assert(r == 0);
    require_same(again, text, len);
    if (size % LIMIT_EVERY == 0)
        check_limit(state, text, len);
    free(text);

    start_from(state);
    return 0;
}
