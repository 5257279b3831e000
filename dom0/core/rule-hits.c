/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "dom0/core/rule-hits.h"

void rule_hits_clear(RuleHits *hits)
{
    ruleset_unref(hits->ruleset);
    free(hits->counts);
    *hits = (RuleHits){};
}

/* What was counted for rules that are still the same. */
static void take_over(const RuleHits *old, RuleHits *new)
{
    size_t n = ruleset_count(new->ruleset);

    for (size_t i = 0; i < n; i++) {
        const Rule *rule = ruleset_get(new->ruleset, i);
        const Rule *before = ruleset_find(old->ruleset, rule->name.s);

        if (before && rule_equal(before, rule))
            new->counts[i] = old->counts[ruleset_index(old->ruleset, before)];
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
        hits->counts[ruleset_index(hits->ruleset, rule)]++;
}

uint64_t rule_hits_get(const RuleHits *hits, size_t index)
{
    return hits->counts ? hits->counts[index] : 0;
}
