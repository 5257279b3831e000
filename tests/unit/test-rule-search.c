/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-search.h"
#include "dom0/core/ruleset.h"
#include "tests/support/test.h"

static GlobFinding search_terms(const RuleTerm *terms,
                                size_t n_terms,
                                uint64_t work_max)
{
    _cleanup_(glob_walk_freep) GlobWalk *walk = NULL;

    assert_int_equal(glob_walk_new(&walk, work_max), 0);
    return rule_search_value(walk, terms, n_terms);
}

/* Terms out of the conditions of one rule. */
static GlobFinding search_rule(const char *rule_text, uint64_t work_max)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    RuleTerm terms[RULE_TERMS_MAX + 1];
    const Rule *rule;

    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_add_file(ruleset, "a.rules", rule_text,
                                      strlen(rule_text), diagnostics),
                     0);
    assert_int_equal(diagnostics_count(diagnostics), 0);
    rule = ruleset_get(ruleset, 0);
    for (size_t i = 0; i < rule->n_conditions; i++)
        terms[i] =
            (RuleTerm){ &rule->conditions[i], rule->conditions[i].negated };

    return search_terms(terms, rule->n_conditions, work_max);
}

static void test_work_is_bounded(void **state)
{
    static const char rule[] =
        "a: deny usb serial *a?? not serial { a0* *b?? }\n";
    static const char many_states[] =
        "a: deny usb serial *a??????????? not serial *[a]???????????\n";

    (void) state;

    assert_int_equal(search_rule(rule, UINT64_MAX), GLOB_SOME);
    assert_int_equal(search_rule(rule, 10), GLOB_UNKNOWN);
    assert_int_equal(search_rule(many_states, UINT64_MAX), GLOB_UNKNOWN);
    /* what is known of one value is not known of all */
    assert_int_equal(search_rule("a: deny usb serial { x*y? b } not serial "
                                 "{ *y* b }\n",
                                 2),
                     GLOB_UNKNOWN);
    assert_int_equal(search_rule("a: deny usb serial { x*y? b } not serial "
                                 "{ *y* b }\n",
                                 UINT64_MAX),
                     GLOB_NONE);
}

static void test_letters_are_searched_in_both_cases(void **state)
{
    (void) state;

    assert_int_equal(search_rule("a: deny block fs-uuid \"[Z-a]\" not fs-uuid "
                                 "\"[\\[-a]\"\n",
                                 UINT64_MAX),
                     GLOB_SOME);
    assert_int_equal(search_rule("a: deny block fs-uuid \"[Z-a]\" not fs-uuid "
                                 "\"[\\[-az]\"\n",
                                 UINT64_MAX),
                     GLOB_NONE);
}

static void test_only_hex_digits_make_an_id_or_a_revision(void **state)
{
    (void) state;

    assert_int_equal(
        search_rule("a: deny usb revision [!0-9a-f]*\n", UINT64_MAX),
        GLOB_NONE);
    assert_int_equal(
        search_rule("a: deny usb revision [!0-9a-e]*\n", UINT64_MAX),
        GLOB_SOME);
    assert_int_equal(search_rule("a: deny usb id *:[!0-9a-f]*\n", UINT64_MAX),
                     GLOB_NONE);
}

static void test_a_text_that_shows_it_saves_the_search(void **state)
{
    (void) state;

    assert_int_equal(search_rule("a: deny usb serial *a* not serial *b*\n", 2),
                     GLOB_SOME);
}

static void test_exact_values_save_the_search(void **state)
{
    /* the exact ones, and behind them the pattern */
    static const ConditionValue values[] = {
        { .glob = { "abxqc", "abxqc" } },
        { .glob = { "abyqc", "abyqc" } },
        { .glob = { "ab[xy]*c", NULL } },
    };
    static const Condition exact = { .key = CONDITION_SERIAL,
                                     .values = values,
                                     .n_values = 2 };
    static const Condition pattern = { .key = CONDITION_SERIAL,
                                       .values = values + 2,
                                       .n_values = 1 };
    static const RuleTerm terms[] = { { &pattern, false }, { &exact, false } };

    (void) state;

    assert_int_equal(search_terms(terms, ARRAY_SIZE(terms), 2), GLOB_SOME);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_letters_are_searched_in_both_cases),
        cmocka_unit_test(test_only_hex_digits_make_an_id_or_a_revision),
        cmocka_unit_test(test_a_text_that_shows_it_saves_the_search),
        cmocka_unit_test(test_exact_values_save_the_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
