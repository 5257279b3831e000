/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleFilter: a glance at a rule, to leave out most of many
 *
 * Which neighbouring bytes a rule's patterns want to be in the texts of a
 * device, and which a record has: each pair is a bit, and several pairs may be
 * the same bit. A record that the rule matches has all that the rule wants; one
 * that has it need not match: the rule itself decides.
 */

#include "dom0/core/rule.h"

#define RULE_FILTER_WORDS 2U

/* Zeroed: wants nothing, has nothing. */
typedef struct RuleFilter {
    uint64_t pairs[RULE_FILTER_WORDS];
} RuleFilter;

RuleFilter rule_filter_of_rule(const Rule *rule);
RuleFilter rule_filter_of_record(const Record *record);

static inline bool rule_filter_lets_through(const RuleFilter *rule,
                                            const RuleFilter *record)
{
    uint64_t missing = 0;

    for (size_t i = 0; i < RULE_FILTER_WORDS; i++)
        missing |= rule->pairs[i] & ~record->pairs[i];
    return missing == 0;
}
