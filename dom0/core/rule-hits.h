/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleHits: how often each rule in force has decided a record
 *
 * A rule that is still the same after a reload keeps its number. Embed it;
 * zeroed memory counts nothing.
 */

#include "dom0/core/ruleset.h"

typedef struct RuleHits {
    Ruleset *ruleset; /* that the numbers belong to */
    uint64_t *counts; /* in the order of the rules */
} RuleHits;

void rule_hits_clear(RuleHits *hits);

/* -ENOMEM: then the numbers are lost, and nothing is counted until the next set
 * of rules. */
int rule_hits_set_rules(RuleHits *hits, Ruleset *ruleset);

/* @rule, which may be NULL, is of the newest ruleset. */
void rule_hits_add(RuleHits *hits, const Rule *rule);
uint64_t rule_hits_get(const RuleHits *hits, size_t index);
