/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "dom0/core/rule-hits.h"

void rule_hits_clear(RuleHits *hits)
{
    ruleset_unref(hits->ruleset);
    free(hits->counts);
    *hits = (RuleHits){};
}

/* The index of a rule, looked for from @start on: most often it is there. */
static size_t index_of(const Ruleset *ruleset, const Rule *rule, size_t start)
{
    size_t n = ruleset_count(ruleset);

    for (size_t i = start; i < n; i++)
        if (ruleset_get(ruleset, i) == rule)
            return i;
    for (size_t i = 0; i < start; i++)
        if (ruleset_get(ruleset, i) == rule)
            return i;
    return n;
}

/* What was counted for rules that are still the same. */
static void take_over(const RuleHits *old, RuleHits *new)
{
    size_t n = ruleset_count(new->ruleset), next = 0;

    for (size_t i = 0; i < n; i++) {
        const Rule *rule = ruleset_get(new->ruleset, i);
        const Rule *before = ruleset_find(old->ruleset, rule->name.s);

        if (!before || !rule_equal(before, rule))
            continue;
        next = index_of(old->ruleset, before, next);
        new->counts[i] = old->counts[next];
    }
}

int rule_hits_set_rules(RuleHits *hits, Ruleset *ruleset)
{
    size_t n = ruleset_count(ruleset);
    RuleHits new = { .ruleset = ruleset_ref(ruleset),
                     .counts = calloc(n > 0 ? n : 1, sizeof(*new.counts)) };

    if (hits->counts && new.counts)
        take_over(hits, &new);
    rule_hits_clear(hits);
    *hits = new;
    return new.counts ? 0 : -ENOMEM;
}

void rule_hits_add(RuleHits *hits, const Rule *rule)
{
    if (rule && hits->counts)
        hits->counts[index_of(hits->ruleset, rule, 0)]++;
}

uint64_t rule_hits_get(const RuleHits *hits, size_t index)
{
    return hits->counts ? hits->counts[index] : 0;
}
