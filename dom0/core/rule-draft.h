/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleDraft: what has been read of one line, with the places of its parts
 *
 * A part that is missing or was refused is zeroed: a token of it has no
 * line_start. Each part that was refused has been reported.
 */

#include "dom0/core/rule-condition.h"
#include "dom0/core/rule-lex.h"
#include "dom0/core/rule-words.h"
#include "dom0/core/rule.h"

typedef struct RuleDraft {
    RuleName name;
    RuleToken name_at;

    RuleAction action;
    RuleToken action_at;
    RuleClass class;
    RuleToken class_at;

    Condition conditions[RULE_CONDITIONS_MAX]; /* values are the arena's */
    RuleToken condition_at[RULE_CONDITIONS_MAX];
    size_t n_conditions;

    QubeName sources[RULE_NAMES_MAX];
    RuleToken source_at[RULE_NAMES_MAX];
    size_t n_sources;
    RuleToken from_at;

    Target targets[RULE_NAMES_MAX];
    RuleToken target_at[RULE_NAMES_MAX];
    size_t n_targets;
    bool targets_refused;
    RuleToken to_at;

    RuleOptions options;
    RuleToken option_at[N_RULE_OPTIONS];

    /* of the condition that is being read */
    ConditionValue values[CONDITION_VALUES_MAX];
    size_t n_values;
} RuleDraft;

static inline bool rule_token_is_set(const RuleToken *token)
{
    return token->line_start != NULL;
}
