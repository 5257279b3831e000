/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "dom0/core/device-label.h"
#include "dom0/outcome-log.h"
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

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_a_flood_of_records_does_not_hide_what_was_attached),
        test(test_what_is_attached_is_limited_as_well),
        test(test_a_device_s_words_stay_within_their_quotes),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
