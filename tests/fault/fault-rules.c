/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/sys/rules-files.h"
#include "common/text.h"
#include "dom0/core/rule-condition.h"
#include "dom0/core/rule-lint.h"
#include "dom0/core/rule-text.h"
#include "dom0/core/ruleset-build.h"
#include "tests/support/fault.h"
#include "tests/support/test.h"

/* Good and bad lines, and a text that needs a second block of memory. */
static char text[160 * 1024];

static void fill_text(void)
{
    size_t used = 0;

    for (size_t i = 0; i < 40; i++) {
        char line[64];

        (void) text_format(line, sizeof(line), "r%zu: deny usb serial \\*%zu\n",
                           i, i);
        memcpy(text + used, line, strlen(line));
        used += strlen(line);
    }
    (void) text_format(text + used, sizeof(text) - used,
                       "bad: ask blokc to dom0\n"
                       "all: ask block id { 1050:* 0781:5581 } fs-label \"a b\""
                       " from sys-usb to { work @dispvm } close\n");
}

static int build(Ruleset **ret, Diagnostics **ret_diagnostics)
{
    char name[] = "10-my.rules";
    RulesFile file = { .name = name, .contents = text, .len = strlen(text) };
    const RulesFiles files = { .n_files = 1, .files = &file };
    int r;

    r = diagnostics_new(ret_diagnostics);
    if (r < 0)
        return r;
    return ruleset_build(ret, &files, *ret_diagnostics);
}

static void test_building_survives_every_allocation_failure(void **state)
{
    size_t n_faults = 0;

    (void) state;

    fill_text();
    FAULT_LOOP(n) {
        _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
        _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
        int r = build(&ruleset, &diagnostics);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            assert_null(ruleset);
            assert_int_equal(diagnostics_count(diagnostics), 2);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(ruleset);
        n_faults++;
    }
    assert_true(n_faults > 10);
}

static void test_a_good_file_survives_every_allocation_failure(void **state)
{
    size_t n_faults = 0;
    char *bad;

    (void) state;

    fill_text();
    bad = strstr(text, "bad: ");
    *bad = '#';
    FAULT_LOOP(n) {
        _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
        _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
        int r = build(&ruleset, &diagnostics);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            assert_int_equal(ruleset_count(ruleset), 41);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(ruleset);
        n_faults++;
    }
    /* of each rule itself, its text and its five lists */
    assert_true(n_faults >= 41 * 7);
}

static void test_lint_survives_every_allocation_failure(void **state)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    const RuleLintHelp help = {};
    size_t n_faults = 0;

    (void) state;

    fill_text();
    *strstr(text, "bad: ") = '#';
    /* the first rule takes all that the others would */
    *strstr(text, "serial") = '#';
    assert_int_equal(build(&ruleset, &diagnostics), 0);

    FAULT_LOOP(n) {
        _cleanup_(diagnostics_freep) Diagnostics *said = NULL;
        int r;

        fault_hold(true);
        assert_int_equal(diagnostics_new(&said), 0);
        fault_hold(false);
        r = rule_lint(ruleset, &help, said);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            assert_int_equal(diagnostics_count(said), 39);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        n_faults++;
    }
    assert_true(n_faults > 40);
}

static void test_formatting_answers_null_without_memory(void **state)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    const Condition condition = { .key = CONDITION_SERIAL };

    (void) state;

    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(
        diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, "f", 0, 0, NULL, 0, "m"),
        0);

    fault_begin(0);
    assert_null(diagnostic_format(diagnostics_get(diagnostics, 0)));
    assert_true(fault_end());
    fault_begin(0);
    assert_null(condition_to_text(&condition));
    assert_true(fault_end());
}

static void test_reading_a_folder_survives_every_allocation_failure(
    void **state)
{
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        _cleanup_(rules_files_freep) RulesFiles *files = NULL;
        int r =
            rules_files_read(&files, TESTS_SOURCE_DIR "/rules/bad", geteuid());

        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(files);
        n_faults++;
    }
    assert_true(n_faults > 2);
}

static void test_reading_a_file_survives_every_allocation_failure(void **state)
{
    (void) state;

    FAULT_LOOP(n) {
        _cleanup_(rules_files_freep) RulesFiles *files = NULL;
        int r = rules_files_read_one(
            &files, TESTS_SOURCE_DIR "/rules/good/minimal.rules", geteuid());

        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(files);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_building_survives_every_allocation_failure),
        cmocka_unit_test(test_a_good_file_survives_every_allocation_failure),
        cmocka_unit_test(test_lint_survives_every_allocation_failure),
        cmocka_unit_test(test_formatting_answers_null_without_memory),
        cmocka_unit_test(
            test_reading_a_folder_survives_every_allocation_failure),
        cmocka_unit_test(test_reading_a_file_survives_every_allocation_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
