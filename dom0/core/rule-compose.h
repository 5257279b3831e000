/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule compose: a rule for a device that is there
 *
 * The text of a rule that takes the device, by those of its properties that are
 * asked for. It reads back without an error: what cannot be written, or not be
 * seen, is written as `?`.
 */

#include "dom0/core/rule-condition.h"
#include "dom0/core/rule.h"

typedef struct RuleSpec {
    RuleName name;
    RuleAction action; /* not RULE_DENY */
    const ConditionKey *keys;
    size_t n_keys;
    QubeName source;
    const Target *targets;
    size_t n_targets;
    RuleOptions options;
    bool ascii; /* `?` for all that is not ASCII, too */
} RuleSpec;

/* Whether the device has what a condition of this key could be made of. */
bool rule_compose_has(ConditionKey key, const Record *record);

/*
 * The rule on one line without its newline, into malloc()ed memory; NULL
 * without memory. The device must have all that the keys ask for. Of a
 * partition its number is asked for in any case, so that it is taken at all.
 */
char *rule_compose(const RuleSpec *spec, const Record *record);

/* A name out of @wanted with a number behind it if that name is taken. */
typedef bool (*RuleNameTakenFn)(const char *name, const void *userdata);
void rule_compose_name(RuleName *ret,
                       const char *wanted,
                       RuleNameTakenFn is_taken,
                       const void *userdata);
