/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/core/rule-cover.h"
#include "dom0/core/ruleset.h"
#include "tests/support/test.h"

/* Of two rules, by what follows the class. */
static bool may_meet(const char *first, const char *second, uint32_t facets)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    RuleShape a, b;
    char rules[512];

    (void) snprintf(rules, sizeof(rules), "a: deny usb %s\nb: deny usb %s\n",
                    first, second);
    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(
        ruleset_add_file(ruleset, "a.rules", rules, strlen(rules), diagnostics),
        0);
    assert_int_equal(diagnostics_count(diagnostics), 0);
    rule_shape_of(&a, ruleset_get(ruleset, 0));
    rule_shape_of(&b, ruleset_get(ruleset, 1));
    assert_int_equal(rule_shape_may_meet(&a, &b, facets),
                     rule_shape_may_meet(&b, &a, facets));
    return rule_shape_may_meet(&a, &b, facets);
}

static void test_texts_that_begin_otherwise_quickly_never_meet(void **state)
{
    (void) state;

    assert_false(may_meet("serial abc*", "serial abd*", UINT32_MAX));
    assert_false(may_meet("serial abc*", "serial abd", UINT32_MAX));
    assert_false(may_meet("id 1050:04*", "id 1050:05*", UINT32_MAX));
    assert_true(may_meet("serial a*", "serial ab*", UINT32_MAX));
    assert_true(may_meet("serial *a", "serial b", UINT32_MAX));
}

static void test_exact_texts_that_differ_at_the_end_never_meet(void **state)
{
    (void) state;

    assert_false(
        may_meet("serial 0123456789", "serial 0123456780", UINT32_MAX));
    assert_false(may_meet("id 1050:0407", "id 1050:0408", UINT32_MAX));
    assert_true(may_meet("serial 0123456789", "serial 0123456789", UINT32_MAX));
}

static void test_only_what_both_ask_of_one_property_counts(void **state)
{
    (void) state;

    assert_true(may_meet("serial a", "vendor b", UINT32_MAX));
    assert_true(may_meet("serial a", "not serial b", UINT32_MAX));
    assert_true(may_meet("interface 030101", "interface 080650", UINT32_MAX));
    assert_true(may_meet("serial a vendor b", "serial c vendor b",
                         RULE_FACET_BIT(RULE_FACET_VENDOR)));
    assert_false(may_meet("serial a vendor b", "serial c vendor b",
                          RULE_FACET_BIT(RULE_FACET_SERIAL)));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_that_begin_otherwise_quickly_never_meet),
        cmocka_unit_test(test_exact_texts_that_differ_at_the_end_never_meet),
        cmocka_unit_test(test_only_what_both_ask_of_one_property_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
