/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule explain: why a rule takes a device, or does not
 *
 * The first thing in its way, as rule_match() finds it, where that is written,
 * and what the device has there instead.
 */

#include "dom0/core/rule-condition.h"
#include "dom0/core/rule.h"

#define RULE_FOUND_MAX 255U

typedef struct RuleReason {
    RuleMismatch mismatch;
    const Condition *condition; /* of RULE_CONDITION, else NULL */
    RulePlace at;               /* of the condition, else of the rule */
    /*
     * What the device has there, as it would be written in a rule: its class,
     * its source, "partition 1", or the value that the condition is about. It
     * may be the device's own words. "" if it has nothing there, which no value
     * is, and for RULE_MATCHES.
     */
    char untrusted_found[RULE_FOUND_MAX + 1];
} RuleReason;

void rule_explain(RuleReason *ret,
                  const Rule *rule,
                  const QubeName *source,
                  const Record *record);

/* As "condition"; stable. */
const char *rule_mismatch_to_string(RuleMismatch mismatch);
