/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What is said of random rules holds for random records
 *
 * A rule that is said to be covered must match no record that the earlier one
 * does not match; one that is said to take nothing must match none at all. And
 * a rule that only asks for more than another must be said to be covered.
 */

#include <string.h>

#include "dom0/core/rule-cover.h"
#include "dom0/core/rule-relations.h"
#include "dom0/core/ruleset.h"
#include "tests/support/random-rule.h"
#include "tests/support/test.h"

#define N_PAIRS        (20000U / TESTS_SHARE)
#define N_RECORDS      200U
/* else the property says nothing */
#define N_CLAIMS_MIN   (1000U / TESTS_SHARE)
#define CONDITIONS_MAX 3U
#define N_TRIES        100U

typedef struct Pair {
    Ruleset *ruleset;
    RuleRelations *relations;
    uint64_t seed; /* the state from which it was drawn */
} Pair;

static void pair_clear(Pair *pair)
{
    rule_relations_free(pair->relations);
    ruleset_unref(pair->ruleset);
}

static void pair_of(Pair *ret,
                    Random *random,
                    const RuleModel *first,
                    const RuleModel *second)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    static RuleSheet sheet;

    sheet.len = 0;
    random_rule_write(random, &sheet, first, 0);
    random_rule_write(random, &sheet, second, 1);

    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_new(&ret->ruleset), 0);
    assert_int_equal(ruleset_add_file(ret->ruleset, "random.rules", sheet.text,
                                      sheet.len, diagnostics),
                     0);
    assert_int_equal(ruleset_count(ret->ruleset), 2);
    assert_int_equal(rule_relations_new(&ret->relations, ret->ruleset), 0);
}

static void fail_pair(const Pair *pair, const char *what)
{
    fail_msg("%s:\n%s\n%s\n" RANDOM_SEED_FORMAT, what,
             ruleset_get(pair->ruleset, 0)->text,
             ruleset_get(pair->ruleset, 1)->text, pair->seed);
}

static bool matches(const Pair *pair,
                    size_t index,
                    const QubeName *source,
                    const Record *record)
{
    return rule_match(ruleset_get(pair->ruleset, index), source, record,
                      NULL) == RULE_MATCHES;
}

/* Hold the claims against records; answers whether there was any claim. */
static bool check_claims(Pair *pair, Random *random)
{
    bool covered = rule_relations_cover(pair->relations, 1) != NULL;
    RuleFacet facet;
    bool none = rule_relations_takes_none(pair->relations, 1, &facet);

    for (size_t i = 0; (covered || none) && i < N_RECORDS; i++) {
        const char *name = random_rule_source(random);
        Record record = random_rule_record(random);
        QubeName source;

        assert_true(qube_name_parse(&source, name, strlen(name)));
        if (!matches(pair, 1, &source, &record))
            continue;
        if (none)
            fail_pair(pair, "the second takes something");
        if (covered && !matches(pair, 0, &source, &record))
            fail_pair(pair, "the second is not covered by the first");
    }
    return covered || none;
}

/* A condition of the same facet as another one, if one is found. */
static ConditionModel draw_like(Random *random,
                                const RuleModel *rule,
                                const ConditionModel *like)
{
    ConditionModel condition;
    size_t n = 0;

    do
        condition = random_rule_condition(random, rule);
    while (rule_facet_of(condition.key) != rule_facet_of(like->key) &&
           ++n < N_TRIES);
    return condition;
}

/* Ask of the same properties as another rule, more often than by chance. */
static void follow(Random *random, RuleModel *rule, const RuleModel *other)
{
    for (size_t i = 0; other->n_conditions > 0 && i < rule->n_conditions; i++)
        if (random_below(random, 4) > 0)
            rule->conditions[i] = draw_like(
                random, rule, &other->conditions[i % other->n_conditions]);
}

static void test_what_is_covered_never_matches_first(void **state)
{
    Random random = random_begin();
    size_t n_claims = 0;

    (void) state;

    for (size_t i = 0; i < N_PAIRS; i++) {
        _cleanup_(pair_clear) Pair pair = { .seed = random.state };
        RuleModel first = random_rule(&random, CONDITIONS_MAX);
        RuleModel second = random_rule(&random, CONDITIONS_MAX);

        follow(&random, &second, &first);
        pair_of(&pair, &random, &first, &second);
        n_claims += check_claims(&pair, &random);
    }
    if (n_claims < N_CLAIMS_MIN)
        fail_msg("only %zu of %u pairs had something said", n_claims, N_PAIRS);
}

/* Whether the rule would speak of the kind of block device, other than by
 * default. */
static bool is_of_kind(const ConditionModel *condition)
{
    return condition->key == CONDITION_TYPE ||
           condition->key == CONDITION_PARTITION;
}

static bool speaks_of_kind(const RuleModel *rule)
{
    for (size_t i = 0; i < rule->n_conditions; i++)
        if (is_of_kind(&rule->conditions[i]))
            return true;
    return false;
}

static void test_a_rule_that_asks_for_more_is_covered(void **state)
{
    Random random = random_begin();

    (void) state;

    for (size_t i = 0; i < N_PAIRS; i++) {
        _cleanup_(pair_clear) Pair pair = { .seed = random.state };
        RuleModel first = random_rule(&random, CONDITIONS_MAX);
        RuleModel second = first;
        RuleFacet facet;

        for (size_t n = random_below(&random, 3); n > 0; n--) {
            ConditionModel more = random_rule_condition(&random, &first);

            if (first.n_conditions > 0 && random_bool(&random))
                more = draw_like(&random, &first, &first.conditions[0]);

            /* that would make partitions be taken, too */
            if (!is_of_kind(&more) || speaks_of_kind(&first))
                second.conditions[second.n_conditions++] = more;
        }
        pair_of(&pair, &random, &first, &second);
        if (!rule_relations_cover(pair.relations, 1) &&
            !rule_relations_takes_none(pair.relations, 1, &facet))
            fail_pair(&pair, "the second asks for more and is not covered");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_covered_never_matches_first),
        cmocka_unit_test(test_a_rule_that_asks_for_more_is_covered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
