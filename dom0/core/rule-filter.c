/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/glob-part.h"
#include "dom0/core/rule-condition.h"
#include "dom0/core/rule-filter.h"

#define N_BITS (RULE_FILTER_WORDS * 64)

/* what stands before the first byte of a text, and behind its last */
#define EDGE '\0'

/* Of which property, and whether it is compared without regard to case */
typedef struct Place {
    PropertyKey property;
    bool fold;
} Place;

static Place place_of(ConditionKey key)
{
    return (Place){ .property = condition_key_property(key),
                    .fold = condition_key_folds(key) };
}

/* The other half of an id. */
static Place product_of(Place place)
{
    place.property = PROPERTY_PRODUCT_ID;
    return place;
}

static uint32_t number_of(Place place, char c)
{
    unsigned char byte = (unsigned char) c;

    return place.fold ? glob_to_lower(byte) : byte;
}

static void add_pair(RuleFilter *filter, Place place, char first, char next)
{
    uint32_t pair = (uint32_t) place.property << 16 |
                    number_of(place, first) << 8 | number_of(place, next);
    /* by the golden ratio: the upper bits depend on all others */
    uint32_t digest = pair * UINT32_C(0x9e3779b1);
    size_t bit = (size_t) ((uint64_t) digest * N_BITS >> 32);

    filter->pairs[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static void add_text(RuleFilter *filter, Place place, const char *text)
{
    char before = EDGE;

    for (; *text; text++) {
        add_pair(filter, place, before, *text);
        before = *text;
    }
    add_pair(filter, place, before, EDGE);
}

/* What stands together in a pattern does so in each text that it takes. */
static void add_pattern(RuleFilter *filter, Place place, const char *pattern)
{
    char before = EDGE;
    bool together = true;
    const char *next;
    GlobPart part;

    for (; (next = glob_next_part(&part, pattern)); pattern = next) {
        if (part.kind != GLOB_PART_CHAR) {
            together = false;
            continue;
        }
        pattern += *pattern == '\\';
        for (; pattern < next; pattern++) {
            if (together)
                add_pair(filter, place, before, *pattern);
            before = *pattern;
            together = true;
        }
    }
    if (together)
        add_pair(filter, place, before, EDGE);
}

/* Nothing if the value is no pattern. */
static void add_value(RuleFilter *filter,
                      ConditionKey key,
                      const ConditionValue *value)
{
    if (value->glob.pattern)
        add_pattern(filter, place_of(key), value->glob.pattern);
    if (value->product.pattern)
        add_pattern(filter, product_of(place_of(key)), value->product.pattern);
}

/* Any one of the values may be the one that matches: what all of them want. */
static void add_condition(RuleFilter *filter, const Condition *condition)
{
    RuleFilter all = {};

    for (size_t i = 0; i < condition->n_values; i++) {
        RuleFilter one = {};

        add_value(&one, condition->key, &condition->values[i]);
        for (size_t word = 0; word < RULE_FILTER_WORDS; word++)
            all.pairs[word] = i == 0 ? one.pairs[word]
                                     : all.pairs[word] & one.pairs[word];
    }
    for (size_t word = 0; word < RULE_FILTER_WORDS; word++)
        filter->pairs[word] |= all.pairs[word];
}

RuleFilter rule_filter_of_rule(const Rule *rule)
{
    RuleFilter filter = {};

    for (size_t i = 0; i < rule->n_conditions; i++)
        if (!rule->conditions[i].negated)
            add_condition(&filter, &rule->conditions[i]);
    return filter;
}

static void add_property(RuleFilter *filter,
                         ConditionKey key,
                         const Properties *properties)
{
    Place place = place_of(key);

    if (!properties_have(properties, place.property))
        return;

    switch (condition_key_form(key)) {
    case CONDITION_FORM_ID:
        add_text(filter, place, properties->vendor_id);
        add_text(filter, product_of(place), properties->product_id);
        break;
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
    case CONDITION_FORM_REVISION:
        add_text(filter, place,
                 properties_get_text(properties, place.property));
        break;
    case CONDITION_FORM_INTERFACES:
        /* all of them together: a pattern is about one */
        for (size_t i = 0; i < properties->n_interfaces; i++)
            add_text(filter, place, properties->interfaces[i].s);
        break;
    case CONDITION_FORM_TYPE:
    case CONDITION_FORM_PARTITION:
    case CONDITION_FORM_YES_NO:
    case CONDITION_FORM_SIZE:
        break;
    }
}

RuleFilter rule_filter_of_record(const Record *record)
{
    RuleFilter filter = {};

    for (size_t i = 0; i < N_CONDITION_KEYS; i++) {
        ConditionKey key = (ConditionKey) i;

        if (key == CONDITION_NAME)
            add_text(&filter, place_of(key), record->device.s);
        else if (key != CONDITION_ONLY_INTERFACE) /* as interface */
            add_property(&filter, key, &record->properties);
    }
    return filter;
}
