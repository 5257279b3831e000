/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-lines.h"
#include "dom0/core/ruleset.h"
#include "tests/support/test.h"

/* What is left of a file without the rule of this name. */
static void expect(const char *text, const char *name, const char *left)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    char rest[1024];
    const Rule *rule;
    RuleSpan span;
    size_t len = strlen(text);

    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(
        ruleset_add_file(ruleset, "a.rules", text, len, diagnostics), 0);
    rule = ruleset_find(ruleset, name);
    assert_non_null(rule);

    span = rule_lines_find(text, len, rule->line);
    assert_true(span.start <= span.end && span.end <= len);
    memcpy(rest, text, span.start);
    memcpy(rest + span.start, text + span.end, len - span.end);
    rest[len - (span.end - span.start)] = '\0';
    assert_string_equal(rest, left);
}

static void test_a_rule_is_taken_out_with_its_line(void **state)
{
    (void) state;

    expect("a: deny usb\nb: deny block\nc: deny any\n", "a",
           "b: deny block\nc: deny any\n");
    expect("a: deny usb\nb: deny block\nc: deny any\n", "b",
           "a: deny usb\nc: deny any\n");
    expect("a: deny usb\nb: deny block\nc: deny any\n", "c",
           "a: deny usb\nb: deny block\n");
    expect("a: deny usb", "a", "");
    expect("b: deny any\na: deny usb", "a", "b: deny any\n");
}

static void test_comments_before_it_stay_and_those_in_it_go(void **state)
{
    (void) state;

    expect("# all\n\na: deny usb # a comment\n# more\n", "a",
           "# all\n\n# more\n");
    expect("  a: deny usb serial \"#\"# x \\\n# y\n", "a", "# y\n");
}

static void test_joined_lines_are_one(void **state)
{
    (void) state;

    expect("x: deny usb\na: deny \\\n  usb \\\n serial 1\ny: deny any\n", "a",
           "x: deny usb\ny: deny any\n");
    expect("x: deny usb\n\\\n\\\n a: deny usb\ny: deny any\n", "a",
           "x: deny usb\ny: deny any\n");
    expect("a: deny usb serial { 1 \\\n2 }\ny: deny any\n", "y",
           "a: deny usb serial { 1 \\\n2 }\n");
    /* a rule's number may be that of a later physical line */
    expect("\\\na: deny usb \\\n serial 1\n", "a", "");
}

static void test_bad_lines_are_passed_over(void **state)
{
    (void) state;

    expect("what is \"this\nb d\"e\na: deny usb\nz z z\n", "a",
           "what is \"this\nb d\"e\nz z z\n");
}

static void test_blank_is_what_has_nothing_to_see(void **state)
{
    (void) state;

    assert_true(rule_lines_are_blank("", 0));
    assert_true(rule_lines_are_blank(" \t\n\n\r\n", 6));
    assert_false(rule_lines_are_blank("\n#", 2));
    assert_false(rule_lines_are_blank("\\\n", 2));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rule_is_taken_out_with_its_line),
        cmocka_unit_test(test_comments_before_it_stay_and_those_in_it_go),
        cmocka_unit_test(test_joined_lines_are_one),
        cmocka_unit_test(test_bad_lines_are_passed_over),
        cmocka_unit_test(test_blank_is_what_has_nothing_to_see),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
