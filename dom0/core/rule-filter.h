/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleFilter: a glance at a rule, to leave out most of many
 *
 * Digests of the one id and the one serial number that a rule wants. A record
 * that the rule matches has the same ones; one that has the same ones need not
 * match: the rule itself decides.
 */

#include "dom0/core/rule.h"

typedef struct RuleFilter {
    uint32_t id; /* 0, of a rule: any */
    uint32_t serial;
} RuleFilter;

RuleFilter rule_filter_of_rule(const Rule *rule);
RuleFilter rule_filter_of_record(const Record *record);

static inline bool rule_filter_lets_through(const RuleFilter *rule,
                                            const RuleFilter *record)
{
    return (rule->id == 0 || rule->id == record->id) &&
           (rule->serial == 0 || rule->serial == record->serial);
}
