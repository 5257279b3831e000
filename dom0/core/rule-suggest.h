/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule suggest: by what a device could be told from others
 *
 * From strict to loose: each takes all that the ones before take, or another
 * side of it.
 */

#include "dom0/core/rule-condition.h"

#define RULE_SUGGESTIONS_MAX     12U
#define RULE_SUGGESTION_KEYS_MAX 3U

typedef struct RuleSuggestion {
    /* a name for the rule, which says what it means; it is ours, and not of
     * the device's choice: a prompt shows it */
    const char *name;
    const char *meaning; /* for a person */
    ConditionKey keys[RULE_SUGGESTION_KEYS_MAX];
    size_t n_keys;
} RuleSuggestion;

/* Answers how many there are, at least one. */
size_t rule_suggest(const Record *record,
                    RuleSuggestion ret[RULE_SUGGESTIONS_MAX]);
