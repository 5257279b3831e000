/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/rule-suggest.h"
#include "dom0/core/rule-compose.h"

typedef enum Side {
    SIDE_BOTH,
    SIDE_USB,
    SIDE_BLOCK,
    SIDE_DISK,
    SIDE_PARTITION,
} Side;

typedef struct Pattern {
    Side side;
    RuleSuggestion suggestion;
} Pattern;

static const Pattern patterns[] = {
    { SIDE_BOTH,
      { "this-one-here",
        "this very device in this port",
        { CONDITION_ID, CONDITION_SERIAL, CONDITION_PATH },
        3 } },
    { SIDE_BOTH,
      { "this-one",
        "this very device in any port",
        { CONDITION_ID, CONDITION_SERIAL },
        2 } },
    { SIDE_BOTH,
      { "this-kind-here",
        "any device of this product in this port",
        { CONDITION_ID, CONDITION_PATH },
        2 } },
    { SIDE_BLOCK,
      { "this-content",
        "this content on any device of this product",
        { CONDITION_ID, CONDITION_FS_UUID },
        2 } },
    { SIDE_BOTH,
      { "this-kind", "any device of this product", { CONDITION_ID }, 1 } },
    { SIDE_BLOCK,
      { "this-content-anywhere",
        "this file system or container; it can be forged",
        { CONDITION_FS_UUID },
        1 } },
    { SIDE_BOTH,
      { "this-port", "whatever is in this port", { CONDITION_PATH }, 1 } },
    { SIDE_USB,
      { "this-function",
        "any device that can do nothing but what this one can",
        { CONDITION_ONLY_INTERFACE },
        1 } },
    { SIDE_DISK, { "any-disk", "any whole disk", { CONDITION_TYPE }, 1 } },
    { SIDE_PARTITION, { "any-part", "any partition", { CONDITION_TYPE }, 1 } },
};

/* where it tells nothing of itself */
static const RuleSuggestion anything = {
    .name = "anything",
    .meaning = "anything of this class",
};

static bool is_on_side(Side side, const Record *record)
{
    bool is_block = record->class == DEVICE_CLASS_BLOCK;
    bool is_partition =
        properties_have(&record->properties, PROPERTY_DEVTYPE) &&
        record->properties.devtype == DEVICE_TYPE_PARTITION;

    switch (side) {
    case SIDE_BOTH:
        break;
    case SIDE_USB:
        return !is_block;
    case SIDE_BLOCK:
        return is_block;
    case SIDE_DISK:
        return is_block && !is_partition;
    case SIDE_PARTITION:
        return is_block && is_partition;
    }
    return true;
}

static bool fits(const Pattern *pattern, const Record *record)
{
    const RuleSuggestion *suggestion = &pattern->suggestion;

    for (size_t i = 0; i < suggestion->n_keys; i++)
        if (!rule_compose_has(suggestion->keys[i], record))
            return false;
    return is_on_side(pattern->side, record);
}

size_t rule_suggest(const Record *record,
                    RuleSuggestion ret[RULE_SUGGESTIONS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
        if (fits(&patterns[i], record))
            ret[n++] = patterns[i].suggestion;
    if (n == 0)
        ret[n++] = anything;
    return n;
}
