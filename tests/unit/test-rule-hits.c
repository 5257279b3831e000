/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-hits.h"
#include "tests/support/test.h"

#define ONE   "one: deny any id 0781:5581\n"
#define TWO   "two: deny any id 0781:5582\n"
#define THREE "three: deny any id 0781:5583\n"

static Ruleset *ruleset_of(const char *first, const char *second)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    Ruleset *ruleset;

    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(ruleset_add_file(ruleset, "1.rules", first, strlen(first),
                                      diagnostics),
                     0);
    assert_int_equal(ruleset_add_file(ruleset, "2.rules", second,
                                      strlen(second), diagnostics),
                     0);
    assert_int_equal(diagnostics_count(diagnostics), 0);
    return ruleset;
}

static void test_each_rule_has_its_place(void **state)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = ruleset_of(ONE TWO, THREE);

    (void) state;

    assert_int_equal(ruleset_count(ruleset), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ruleset_index(ruleset, ruleset_get(ruleset, i)), i);
}

static void test_a_rule_that_stays_keeps_its_number(void **state)
{
    _cleanup_(ruleset_unrefp) Ruleset *before = ruleset_of(ONE TWO, THREE);
    _cleanup_(ruleset_unrefp) Ruleset *after = ruleset_of(
        THREE, "two: allow block id 0781:5582 to work\n" ONE);
    RuleHits hits = {};

    (void) state;

    assert_int_equal(rule_hits_set_rules(&hits, before), 0);
    rule_hits_add(&hits, NULL);
    rule_hits_add(&hits, ruleset_find(before, "two"));
    for (size_t i = 0; i < 3; i++)
        rule_hits_add(&hits, ruleset_find(before, "three"));
    assert_int_equal(rule_hits_get(&hits, 0), 0);
    assert_int_equal(rule_hits_get(&hits, 1), 1);
    assert_int_equal(rule_hits_get(&hits, 2), 3);

    /* the second one has become another */
    assert_int_equal(rule_hits_set_rules(&hits, after), 0);
    assert_int_equal(rule_hits_get(&hits, 0), 3);
    assert_int_equal(rule_hits_get(&hits, 1), 0);
    assert_int_equal(rule_hits_get(&hits, 2), 0);
    rule_hits_clear(&hits);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_rule_has_its_place),
        cmocka_unit_test(test_a_rule_that_stays_keeps_its_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
