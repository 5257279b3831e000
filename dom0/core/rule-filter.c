/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/rule-filter.h"
#include "dom0/core/rule-condition.h"

#define DIGEST_FIRST UINT32_C(0x811c9dc5)

static uint32_t mix(uint32_t digest, const char *text)
{
    while (*text)
        digest = (digest ^ (unsigned char) *text++) * UINT32_C(0x01000193);
    return digest;
}

/* 0 is for any. */
static uint32_t end(uint32_t digest)
{
    return digest == 0 ? 1 : digest;
}

static uint32_t digest_of(const char *first, const char *second)
{
    return end(mix(mix(DIGEST_FIRST, first), second));
}

RuleFilter rule_filter_of_rule(const Rule *rule)
{
    RuleFilter filter = {};

    for (size_t i = 0; i < rule->n_conditions; i++) {
        const Condition *condition = &rule->conditions[i];
        const ConditionValue *value = condition->values;

        if (condition->negated || condition->n_values != 1)
            continue;
        /* literals of an id are in lower case, as they are in records */
        if (condition->key == CONDITION_ID && value->glob.literal &&
            value->product.literal)
            filter.id = digest_of(value->glob.literal, value->product.literal);
        if (condition->key == CONDITION_SERIAL && value->glob.literal)
            filter.serial = digest_of(value->glob.literal, "");
    }
    return filter;
}

RuleFilter rule_filter_of_record(const Record *record)
{
    const Properties *properties = &record->properties;

    /* of what the record lacks it is the digest of no text: no rule's */
    return (RuleFilter){
        .id = digest_of(properties->vendor_id, properties->product_id),
        .serial = digest_of(properties->serial, ""),
    };
}
