/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Random rules, and records for them
 *
 * A rule is drawn as a plain model, which can be read naively, and written down
 * in a random way that the language allows. The words are few and short, so
 * that about as many conditions match a record as not.
 */

#include "dom0/core/rule-condition.h"
#include "tests/support/random.h"

#define RANDOM_RULE_CONDITIONS_MAX 6U
#define RANDOM_RULE_VALUES_MAX     3U
#define RANDOM_RULE_SHEET_SIZE     4096U

typedef struct ConditionModel {
    ConditionKey key;
    bool negated;
    size_t n_values;
    const char *values[RANDOM_RULE_VALUES_MAX];
} ConditionModel;

typedef struct RuleModel {
    const char *action;
    const char *class;
    size_t n_conditions;
    ConditionModel conditions[RANDOM_RULE_CONDITIONS_MAX];
    size_t n_sources;
    const char *sources[2];
} RuleModel;

/* A rule file that grows */
typedef struct RuleSheet {
    size_t len;
    char text[RANDOM_RULE_SHEET_SIZE];
} RuleSheet;

/* A rule of up to @conditions_max conditions. */
RuleModel random_rule(Random *random, size_t conditions_max);
/* One more condition, of those that the rule may have. */
ConditionModel random_rule_condition(Random *random, const RuleModel *rule);

/* Write it behind what the sheet holds, under the name "rNUMBER". */
void random_rule_write(Random *random,
                       RuleSheet *sheet,
                       const RuleModel *rule,
                       size_t number);

/* A record that such rules may take, and where it comes from. */
Record random_rule_record(Random *random);
const char *random_rule_source(Random *random);
