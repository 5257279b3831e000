/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each allocation of a reload fails once: the old rules stay in force, status
 * says so loudly, and the next reload is as good as if nothing had been.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/sys/rules-write.h"
#include "dom0/rules.h"
#include "tests/support/fault.h"
#include "tests/support/test.h"

#define OLD_TEXT "a: allow block to work\n"
#define NEW_TEXT "a: deny block\nb: deny usb\n"
#define BAD_TEXT "a: alow block to work\n"

static char folder[] = "/tmp/fault-reload-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void) state;

    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    (void) snprintf(path, sizeof(path), "%s/a.rules", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    (void) unlink(path);
    (void) rmdir(folder);
    return 0;
}

static void put(const char *text)
{
    assert_int_equal(rules_file_write(path, text, strlen(text)), 0);
}

static Report report_of(const Rules *rules)
{
    Report report = {};

    rules_report(rules, &report);
    return report;
}

/* What `status`, `reload`, `add` and `remove` show of it. */
static void assert_told(const Report *report)
{
    const Diagnostics *diagnostics = report->rules_diagnostics;

    assert_true(report->rules_failed);
    assert_false(report->rules_dir_missing);
    assert_int_equal(diagnostics_count_level(diagnostics, DIAGNOSTIC_ERROR), 1);
    assert_string_equal(diagnostics_get(diagnostics, 0)->file, folder);
    assert_non_null(
        strstr(diagnostics_get(diagnostics, 0)->message, "out of memory"));
}

/* A reload of @text after one of @before, each allocation of it failing. */
static void reload_of(const char *before, const char *text, bool good)
{
    size_t n_faults = 0;

    FAULT_LOOP(n) {
        _cleanup_(rules_freep) Rules *rules = NULL;
        Ruleset *old;
        Report report;
        int r;

        (void) fault_end();
        assert_int_equal(rules_new(&rules, folder), 0);
        put(before);
        assert_int_equal(rules_reload(rules), 0);
        old = rules_get(rules);
        put(text);

        fault_begin(n);
        r = rules_reload(rules);
        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        n_faults++;
        report = report_of(rules);
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_ptr_equal(rules_get(rules), old);
            assert_told(&report);
        }

        assert_int_equal(rules_reload(rules), 0);
        report = report_of(rules);
        assert_int_equal(report.rules_failed, !good);
        assert_int_equal(
            diagnostics_count_level(report.rules_diagnostics, DIAGNOSTIC_ERROR),
            good ? 0 : 1);
        if (!good)
            assert_null(
                strstr(diagnostics_get(report.rules_diagnostics, 0)->message,
                       "memory"));
    }
    assert_true(n_faults >= 5);
}

static void test_a_reload_without_memory_is_told_and_mended(void **state)
{
    (void) state;

    reload_of(OLD_TEXT, NEW_TEXT, true);
    reload_of(BAD_TEXT, NEW_TEXT, true);
    reload_of(OLD_TEXT, BAD_TEXT, false);
}

/* A folder that was not there, and is. */
static void test_a_folder_is_not_called_missing_for_want_of_memory(void **state)
{
    _cleanup_(rules_freep) Rules *rules = NULL;
    Report report;

    (void) state;

    assert_int_equal(rules_new(&rules, folder), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(rules_reload(rules), 0);
    report = report_of(rules);
    assert_true(report.rules_dir_missing);
    assert_false(report.rules_failed);

    fault_begin(0);
    assert_int_equal(rules_reload(rules), -ENOMEM);
    assert_true(fault_end());
    report = report_of(rules);
    assert_told(&report);
}

static void test_rules_are_made_or_not(void **state)
{
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        _cleanup_(rules_freep) Rules *rules = NULL;
        int r = rules_new(&rules, folder);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(rules);
        n_faults++;
    }
    assert_true(n_faults >= 4);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_reload_without_memory_is_told_and_mended),
        TEST(test_a_folder_is_not_called_missing_for_want_of_memory),
        TEST(test_rules_are_made_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
