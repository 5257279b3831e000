/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "dom0/core/device-label.h"
#include "dom0/outcome-log.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

/* more than any limit lets through */
#define FLOOD 1000U

static sd_event *event;
static OutcomeLog *log_under_test;
static FILE *output;
static int saved;

/* From now on what is written to stderr goes into @output. */
static int set_up(void **state)
{
    (void) state;

    assert_return_code(sd_event_new(&event), 0);
    loop_divisor = 1000;
    assert_int_equal(outcome_log_new(&log_under_test, event), 0);
    output = tmpfile();
    assert_non_null(output);
    saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    assert_return_code(saved, errno);
    assert_return_code(dup2(fileno(output), STDERR_FILENO), errno);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    (void) dup2(saved, STDERR_FILENO);
    fd_close(saved);
    (void) fclose(output);
    log_under_test = outcome_log_free(log_under_test);
    event = sd_event_unref(event);
    return 0;
}

static HistoryEntry entry_of(Status status)
{
    return (HistoryEntry){
        .source = { "sys-usb" },
        .class = DEVICE_CLASS_BLOCK,
        .device = { "sda" },
        .status = status,
    };
}

/* How many lines have @word in them. */
static size_t count(const char *word)
{
    char line[8192];
    size_t n = 0;

    rewind(output);
    while (fgets(line, sizeof(line), output))
        n += strstr(line, word) != NULL;
    return n;
}

static void test_a_flood_of_records_does_not_hide_what_was_attached(
    void **state)
{
    const HistoryEntry flood = entry_of(STATUS_NO_RULE);
    const HistoryEntry attached = entry_of(STATUS_ATTACHED);
    const HistoryEntry detached = entry_of(STATUS_DETACHED);
    const QubeName source = { "sys-usb" };

    (void) state;

    for (size_t i = 0; i < FLOOD; i++) {
        outcome_log_entry(log_under_test, &flood);
        outcome_log_refused(log_under_test, &source, STATUS_MALFORMED, "why");
    }
    outcome_log_entry(log_under_test, &attached);
    outcome_log_entry(log_under_test, &detached);
    assert_int_equal(count(": 200 attached"), 1);
    assert_int_equal(count(": 203 detached"), 1);
    assert_in_range(count("sys-usb"), OUTCOME_LOG_BURST, FLOOD);
}

static void test_what_is_attached_is_limited_as_well(void **state)
{
    const HistoryEntry attached = entry_of(STATUS_ATTACHED);

    (void) state;

    for (size_t i = 0; i < 2 * FLOOD; i++)
        outcome_log_entry(log_under_test, &attached);
    assert_in_range(count(": 200 attached"), OUTCOME_LOG_BURST, FLOOD);
}

static void test_a_device_s_words_stay_within_their_quotes(void **state)
{
    static const char model[] = "x\": 200 attached, target vault \\";
    HistoryEntry entry = entry_of(STATUS_NO_RULE);
    Properties properties = {};

    (void) state;

    assert_true(
        properties_set_text(&properties, PROPERTY_MODEL, model, strlen(model)));
    entry.label = device_label(&properties);
    outcome_log_entry(log_under_test, &entry);
    assert_int_equal(count("sys-usb:sda \"x\\\": 200 attached, target vault "
                           "\\\\\": 301 no-rule AUTOATTACH_SOURCE=sys-usb"),
                     1);
}

static void test_a_hello_tells_what_the_sender_calls_itself(void **state)
{
    const QubeName source = { "sys-usb" };

    (void) state;

    outcome_log_hello(log_under_test, &source, "qubes-autoattach/1.0.0");
    assert_int_equal(count("sys-usb: hello from \"qubes-autoattach/1.0.0\"\n"),
                     1);
    outcome_log_hello(log_under_test, &source, "x\" \xe2\x80\xae");
    assert_int_equal(count("hello from \"x\\\" \\u{202e}\"\n"), 1);
}

static void test_a_flood_of_hellos_is_limited(void **state)
{
    const QubeName source = { "sys-usb" };

    (void) state;

    for (size_t i = 0; i < FLOOD; i++)
        outcome_log_hello(log_under_test, &source, "x");
    assert_in_range(count("hello from"), OUTCOME_LOG_BURST, FLOOD - 1);
}

/* So many may come before there is time to log any. */
static void test_what_the_history_has_dropped_is_told_as_left_out(void **state)
{
    const HistoryEntry entry = entry_of(STATUS_ATTACHED);
    History *history;

    (void) state;

    assert_int_equal(history_new(&history, 8), 0);
    for (size_t i = 0; i < 5; i++)
        history_add(history, &entry);
    outcome_log_history(log_under_test, history);
    outcome_log_history(log_under_test, history);
    assert_int_equal(count(": 200 attached"), 5);
    for (size_t i = 0; i < 11; i++)
        history_add(history, &entry);
    outcome_log_history(log_under_test, history);
    assert_int_equal(count(": 200 attached"), 5 + 8);
    LOOP_UNTIL(event, count("3 more outcomes were left out here") == 1);
    history_free(history);
}

static void test_it_is_behind_before_the_history_drops_any(void **state)
{
    const HistoryEntry entry = entry_of(STATUS_NO_RULE);
    History *history;

    (void) state;

    assert_int_equal(history_new(&history, HISTORY_CAPACITY), 0);
    while (!outcome_log_is_behind(log_under_test, history))
        history_add(history, &entry);
    assert_int_equal(history_dropped(history), 0);
    outcome_log_history(log_under_test, history);
    assert_false(outcome_log_is_behind(log_under_test, history));
    history_free(history);
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_a_flood_of_records_does_not_hide_what_was_attached),
        test(test_what_is_attached_is_limited_as_well),
        test(test_a_device_s_words_stay_within_their_quotes),
        test(test_a_hello_tells_what_the_sender_calls_itself),
        test(test_a_flood_of_hellos_is_limited),
        test(test_what_the_history_has_dropped_is_told_as_left_out),
        test(test_it_is_behind_before_the_history_drops_any),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
