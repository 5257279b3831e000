/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "dom0/wire/state-wire.h"
#include "tests/support/random-record.h"
#include "tests/support/test.h"

#define BOOT "00112233445566778899aabbccddeeff"

static QubeName qube(const char *text)
{
    QubeName name;

    assert_true(qube_name_parse(&name, text, strlen(text)));
    return name;
}

/* Everything that a state can hold. */
static State *whole_state(Random *random)
{
    StateSource *source;
    StatePlug *plug;
    State *state;

    assert_int_equal(state_new(&state), 0);
    memcpy(state->boot_id.s, BOOT, sizeof(BOOT));
    state->last_plug = 12;
    state->paused_until_usec = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(state_add_source(state, &source), 0);
        source->name = qube(i ? "sys-usb" : "sys-net");
        if (i)
            memcpy(source->boot_id.s, BOOT, sizeof(BOOT));
        source->n_noes = 3;
        source->no_usec = 17;
        source->quiet_usec = 18;
        source->resumed_usec = 20;
        for (size_t j = 0; j < 20; j++) {
            assert_int_equal(state_add_plug(source, &plug), 0);
            plug->record = random_record(random);
            plug->record.action = RECORD_PRESENT;
            plug->plug = j;
            plug->plugged = j % 2;
            plug->lineage = 2 * j;
            plug->usb_lineage = 3 * j;
            plug->detached_by_user = j % 3 == 0;
            plug->refused_by_user = j % 5 == 0;
            if (j % 4 == 0)
                plug->stopped = qube("work");
            plug->came_usec = 5 + j;
            plug->holding = (Holding) (j % 3);
            plug->held_by = qube("vault");
            if (j % 2)
                memcpy(plug->held_rule.s, "a-rule", 7);
            plug->made = j % 7 == 0 ? qube("disp2") : (QubeName){};
            plug->held_before = j % 5 == 1;
            plug->detach_told = j % 5 == 2;
            for (size_t k = 0; k < j % (DEVICE_CLOSE_MAX + 1); k++)
                plug->close[k] = qube(k ? "disp1" : "disp3");
            plug->gone_usec = 6 + j;
            plug->detached_usec = 7 + j;
            memcpy(plug->usb.s, "2-1.4", j % 2 ? 6 : 0);
            plug->missing_from = j % 2 ? qube("work") : (QubeName){};
            plug->removed = j % 2 == 0;
            plug->replaced = j % 4 == 2;
            plug->open = j % 3 == 1;
        }
    }
    state->disposables[state->n_disposables++] = qube("disp7");
    state->windows[state->n_windows++] =
        (StateWindow){ .source = qube("sys-usb"), .opened_usec = 19 };
    return state;
}

static void assert_plug_equal(const StatePlug *a, const StatePlug *b)
{
    assert_true(record_equal(&a->record, &b->record));
    assert_int_equal(a->plug, b->plug);
    assert_int_equal(a->plugged, b->plugged);
    assert_int_equal(a->lineage, b->lineage);
    assert_int_equal(a->usb_lineage, b->usb_lineage);
    assert_int_equal(a->detached_by_user, b->detached_by_user);
    assert_int_equal(a->refused_by_user, b->refused_by_user);
    assert_string_equal(a->stopped.s, b->stopped.s);
    assert_int_equal(a->came_usec, b->came_usec);
    assert_int_equal(a->holding, b->holding);
    assert_string_equal(a->held_by.s, b->held_by.s);
    assert_string_equal(a->held_rule.s, b->held_rule.s);
    assert_string_equal(a->made.s, b->made.s);
    assert_int_equal(a->held_before, b->held_before);
    assert_int_equal(a->detach_told, b->detach_told);
    for (size_t i = 0; i < DEVICE_CLOSE_MAX; i++)
        assert_string_equal(a->close[i].s, b->close[i].s);
    assert_int_equal(a->gone_usec, b->gone_usec);
    assert_int_equal(a->detached_usec, b->detached_usec);
    assert_string_equal(a->usb.s, b->usb.s);
    assert_string_equal(a->missing_from.s, b->missing_from.s);
    assert_int_equal(a->removed, b->removed);
    assert_int_equal(a->replaced, b->replaced);
    assert_int_equal(a->open, b->open);
}

static void test_what_is_read_is_what_was_written(void **unused)
{
    Random random = random_begin();
    _cleanup_(state_freep) State *state = whole_state(&random), *again = NULL;
    _cleanup_(freep) char *text = NULL, *twice = NULL;
    size_t len, twice_len;

    (void) unused;

    assert_int_equal(state_encode(&text, &len, state), 0);
    assert_int_equal(state_decode(&again, text, len, NULL, NULL), 0);
    assert_string_equal(again->boot_id.s, BOOT);
    assert_int_equal(again->n_sources, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(again->sources[i].n_plugs, 20);
        for (size_t j = 0; j < 20; j++)
            assert_plug_equal(&again->sources[i].plugs[j],
                              &state->sources[i].plugs[j]);
    }
    /* and so are the rest of its fields */
    assert_int_equal(state_encode(&twice, &twice_len, again), 0);
    assert_int_equal(twice_len, len);
    assert_memory_equal(text, twice, len);
}

static void test_a_file_that_was_cut_anywhere_is_refused(void **unused)
{
    Random random = random_begin();
    _cleanup_(state_freep) State *state = whole_state(&random);
    _cleanup_(freep) char *text = NULL;
    size_t len;

    (void) unused;

    assert_int_equal(state_encode(&text, &len, state), 0);
    for (size_t cut = 0; cut < len; cut += cut < 500 ? 1 : 97 * TESTS_SHARE) {
        State *again = NULL;
        const char *error = NULL;
        size_t line;

        assert_int_equal(state_decode(&again, text, cut, &line, &error),
                         -EBADMSG);
        assert_null(again);
        assert_non_null(error);
    }
}

static void refused(const char *text, const char *expected)
{
    State *state = NULL;
    const char *error;
    size_t line;

    assert_int_equal(state_decode(&state, text, strlen(text), &line, &error),
                     -EBADMSG);
    assert_string_equal(error, expected);
}

#define BEGIN                                                     \
    "{\"type\":\"state\",\"version\":1,\"boot_id\":\"" BOOT "\"," \
    "\"last_plug\":0,\"paused_until\":0}\n"
#define SOURCE                                                    \
    "{\"type\":\"source\",\"name\":\"sys-usb\",\"boot_id\":\"\"," \
    "\"n_noes\":0,\"no\":0,\"quiet\":0,\"resumed\":0}\n"
#define END "{\"type\":\"end\"}\n"

static void test_what_the_encoder_does_not_write_is_refused(void **unused)
{
    _cleanup_(state_freep) State *state = NULL;

    (void) unused;

    assert_int_equal(state_decode(&state, BEGIN SOURCE END,
                                  strlen(BEGIN SOURCE END), NULL, NULL),
                     0);
    refused("", "its end is missing");
    refused("hello\n", "a line is not one JSON object");
    refused(END, "it is not a state file");
    refused("{\"type\":\"state\",\"version\":2}\n", "it is of another version");
    refused("{\"type\":\"state\"}\n", "it is of another version");
    refused(BEGIN BEGIN END, "a line is of no kind");
    refused(BEGIN "{\"type\":\"more\"}\n" END, "a line is of no kind");
    refused(BEGIN SOURCE SOURCE END, "a source comes twice");
    refused(BEGIN END END, "something follows its end");
    refused(BEGIN SOURCE, "its end is missing");
    refused(BEGIN "{\"type\":\"plug\"}\n" END, "a device has no source");
    refused(BEGIN SOURCE "{\"type\":\"plug\"}\n" END,
            "a line has a wrong field");
    refused(BEGIN "{\"type\":\"disposable\",\"name\":\"\"}\n" END,
            "a disposable has no name");
    refused(BEGIN "{\"type\":\"disposable\",\"name\":\"-x\"}\n" END,
            "a disposable has no name");
    refused(BEGIN "{\"type\":\"disposable\",\"name\":\"a\",\"b\":1}\n" END,
            "a line has a wrong field");
    refused(BEGIN "{\"type\":\"window\",\"source\":\"a\",\"opened\":-1}\n" END,
            "a line has a wrong field");
    refused(BEGIN "{\"type\":\"end\",\"type\":\"end\"}\n",
            "a line is not one JSON object");
}

/* A device's list of disposables, in a file that is good but for it. */
static void refused_close(const char *list)
{
    static const char empty[] = "\"close\":[]";
    Random random = random_begin();
    _cleanup_(state_freep) State *state = whole_state(&random);
    _cleanup_(freep) char *text = NULL;
    char *line, changed[8192];
    size_t len;

    assert_int_equal(state_encode(&text, &len, state), 0);
    line = strstr(text, empty);
    assert_non_null(line);
    (void) text_format(changed, sizeof(changed), "%.*s\"close\":%s%s",
                       (int) (line - text), text, list, line + strlen(empty));
    refused(changed, "a line has a wrong field");
}

static void test_a_list_that_is_none_or_too_long_is_refused(void **unused)
{
    (void) unused;

    refused_close("5");
    refused_close("\"disp1\"");
    refused_close("[\"a\",\"b\",\"c\",\"d\",\"e\"]");
}

static void test_a_state_holds_what_one_source_can_have(void **state)
{
    _cleanup_(state_freep) State *full = NULL;
    StateSource *source;
    StatePlug *plug;

    (void) state;

    assert_int_equal(state_new(&full), 0);
    for (size_t i = 0; i < STATE_SOURCES_MAX; i++)
        assert_int_equal(state_add_source(full, &source), 0);
    for (size_t i = 0; i < STATE_PLUGS_MAX; i++)
        assert_int_equal(state_add_plug(source, &plug), 0);
    assert_int_equal(state_add_plug(source, &plug), -ENOBUFS);
    assert_int_equal(state_add_source(full, &source), -ENOBUFS);
}

/* @line, so many times, with another number each. */
static int decode_lines(State **ret,
                        const char *line,
                        size_t n,
                        const char **ret_error)
{
    const size_t size = strlen(BEGIN END) + n * (strlen(line) + 8) + 1;
    char *text = malloc(size);
    size_t used, where;
    int r;

    assert_non_null(text);
    used = text_format(text, size, "%s", BEGIN);
    for (size_t i = 0; i < n; i++) {
        const char *mark = strchr(line, '@');

        used += text_format(text + used, size - used, "%.*s%zu%s\n",
                            (int) (mark - line), line, i, mark + 1);
    }
    used += text_format(text + used, size - used, "%s", END);
    r = state_decode(ret, text, used, &where, ret_error);
    free(text);
    return r;
}

static void test_a_file_has_no_more_than_a_state_can_hold(void **unused)
{
    static const struct {
        const char *line;
        size_t max;
        const char *error;
    } cases[] = {
        { "{\"type\":\"source\",\"name\":\"usb@\",\"boot_id\":\"\","
          "\"n_noes\":0,\"no\":0,\"quiet\":0,\"resumed\":0}",
          STATE_SOURCES_MAX, "there are too many sources" },
        { "{\"type\":\"disposable\",\"name\":\"disp@\"}", STATE_DISPOSABLES_MAX,
          "there are too many disposables" },
        { "{\"type\":\"window\",\"source\":\"usb@\",\"opened\":0}",
          STATE_WINDOWS_MAX, "there are too many windows" },
    };

    (void) unused;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(state_freep) State *full = NULL, *more = NULL;
        const char *error = NULL;

        assert_int_equal(
            decode_lines(&full, cases[i].line, cases[i].max, &error), 0);
        assert_int_equal(full->n_sources + full->n_disposables +
                             full->n_windows,
                         cases[i].max);
        assert_int_equal(
            decode_lines(&more, cases[i].line, cases[i].max + 1, &error),
            -EBADMSG);
        assert_string_equal(error, cases[i].error);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read_is_what_was_written),
        cmocka_unit_test(test_a_file_that_was_cut_anywhere_is_refused),
        cmocka_unit_test(test_what_the_encoder_does_not_write_is_refused),
        cmocka_unit_test(test_a_list_that_is_none_or_too_long_is_refused),
        cmocka_unit_test(test_a_state_holds_what_one_source_can_have),
        cmocka_unit_test(test_a_file_has_no_more_than_a_state_can_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
