/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-shape.h"

RuleFacet rule_facet_of(ConditionKey key)
{
    static const RuleFacet facets[N_CONDITION_KEYS] = {
        [CONDITION_ID] = RULE_FACET_ID,
        [CONDITION_SERIAL] = RULE_FACET_SERIAL,
        [CONDITION_VENDOR] = RULE_FACET_VENDOR,
        [CONDITION_MODEL] = RULE_FACET_MODEL,
        [CONDITION_REVISION] = RULE_FACET_REVISION,
        [CONDITION_PATH] = RULE_FACET_PATH,
        [CONDITION_INTERFACE] = RULE_FACET_INTERFACES,
        [CONDITION_ONLY_INTERFACE] = RULE_FACET_INTERFACES,
        [CONDITION_NAME] = RULE_FACET_NAME,
        [CONDITION_TYPE] = RULE_FACET_KIND,
        [CONDITION_PARTITION] = RULE_FACET_KIND,
        [CONDITION_FS_TYPE] = RULE_FACET_FS_TYPE,
        [CONDITION_FS_UUID] = RULE_FACET_FS_UUID,
        [CONDITION_FS_LABEL] = RULE_FACET_FS_LABEL,
        [CONDITION_PART_UUID] = RULE_FACET_PART_UUID,
        [CONDITION_PART_LABEL] = RULE_FACET_PART_LABEL,
        [CONDITION_REMOVABLE] = RULE_FACET_REMOVABLE,
        [CONDITION_MIN_SIZE] = RULE_FACET_SIZE,
        [CONDITION_MAX_SIZE] = RULE_FACET_SIZE,
    };

    return facets[key];
}

static uint32_t add_to_hash(uint32_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char) *text) * UINT32_C(0x01000193);
    return hash;
}

static void set_hash(RuleShape *shape,
                     RuleFacet facet,
                     const ConditionValue *value)
{
    uint32_t hash = UINT32_C(0x811c9dc5);

    if (!value->glob.literal ||
        (facet == RULE_FACET_ID && !value->product.literal))
        return;

    hash = add_to_hash(hash, value->glob.literal);
    if (facet == RULE_FACET_ID)
        hash = add_to_hash(hash, value->product.literal);
    shape->hashes[facet] = hash;
    shape->hashed |= RULE_FACET_BIT(facet);
}

/* Add the bytes that every text begins with; false if that is not all of it. */
static bool add_prefix(RulePrefix *prefix, size_t *n, const char *pattern)
{
    for (; *pattern; pattern++) {
        if (*n == sizeof(prefix->mask) || strchr("*?[", *pattern))
            return false;
        if (*pattern == '\\')
            pattern++;
        prefix->bytes |= (uint64_t) (unsigned char) *pattern << (8 * *n);
        prefix->mask |= UINT64_C(0xff) << (8 * *n);
        ++*n;
    }
    return true;
}

/* What only one text can fit, or only those that begin alike. */
static void set_quick(RuleShape *shape, const Condition *condition)
{
    RuleFacet facet = rule_facet_of(condition->key);
    const ConditionValue *value = condition->values;
    RulePrefix *prefix = &shape->prefixes[facet];
    size_t n = 0;

    /* a device has several interfaces */
    if (facet == RULE_FACET_INTERFACES || condition->negated ||
        condition->n_values != 1)
        return;

    set_hash(shape, facet, value);
    *prefix = (RulePrefix){};
    if (add_prefix(prefix, &n, value->glob.pattern) && facet == RULE_FACET_ID)
        (void) add_prefix(prefix, &n, value->product.pattern);
    if (n > 0)
        shape->prefixed |= RULE_FACET_BIT(facet);
}

/* Whether the condition, on nothing else, matches a device of this kind; 0 is
 * a property that it does not have. */
static bool kind_matches(const Condition *condition,
                         Record *scratch,
                         size_t type,
                         size_t partition)
{
    Properties *properties = &scratch->properties;

    properties->devtype = (DeviceType) type;
    properties->partition = (uint8_t) partition;
    properties->present =
        (type > 0 ? UINT32_C(1) << PROPERTY_DEVTYPE : 0) |
        (partition > 0 ? UINT32_C(1) << PROPERTY_PARTITION : 0);
    return condition_match(condition, scratch);
}

/* Keep those kinds that the condition matches. To a type all partitions are
 * the same, and to a partition all types. */
static void narrow_kinds(RuleShape *shape, const Condition *condition)
{
    Record scratch = { .class = DEVICE_CLASS_BLOCK };

    for (size_t n = 0; n < RULE_PARTITIONS; n++) {
        uint64_t bit = UINT64_C(1) << (n % 64);
        bool by_type = condition->key == CONDITION_TYPE;

        if (by_type && n > 1)
            break;
        for (size_t type = 0; type < ARRAY_SIZE(shape->kinds); type++) {
            uint64_t *kinds = shape->kinds[type];

            if (kind_matches(condition, &scratch, type, n))
                continue;
            if (by_type && n == 1) {
                memset(kinds + 1, 0, sizeof(shape->kinds[0]) - sizeof(*kinds));
                kinds[0] &= 1;
            } else {
                kinds[n / 64] &= ~bit;
            }
        }
    }
}

static void narrow_removable(RuleShape *shape, const Condition *condition)
{
    Record scratch = { .class = DEVICE_CLASS_BLOCK };

    shape->removable[RULE_REMOVABLE_UNKNOWN] &=
        condition_match(condition, &scratch);
    properties_set_bool(&scratch.properties, PROPERTY_REMOVABLE, false);
    shape->removable[RULE_REMOVABLE_NO] &= condition_match(condition, &scratch);
    properties_set_bool(&scratch.properties, PROPERTY_REMOVABLE, true);
    shape->removable[RULE_REMOVABLE_YES] &=
        condition_match(condition, &scratch);
}

static void raise_size_min(RuleShape *shape, int64_t size)
{
    if (size > shape->size_min)
        shape->size_min = size;
}

static void lower_size_max(RuleShape *shape, int64_t size)
{
    if (size < shape->size_max)
        shape->size_max = size;
}

static void narrow_size(RuleShape *shape, const Condition *condition)
{
    int64_t size = condition->values[0].number;

    if (!condition->negated)
        shape->size_unknown = false;
    if (condition->key == CONDITION_MIN_SIZE) {
        if (condition->negated)
            lower_size_max(shape, size - 1);
        else
            raise_size_min(shape, size);
    } else if (!condition->negated) {
        lower_size_max(shape, size);
    } else if (size == INT64_MAX) {
        lower_size_max(shape, -1); /* none is larger */
    } else {
        raise_size_min(shape, size + 1);
    }
}

static void narrow(RuleShape *shape, const Condition *condition)
{
    RuleFacet facet = rule_facet_of(condition->key);

    shape->facets |= RULE_FACET_BIT(facet);
    /* a name is always there */
    if (!condition->negated && facet != RULE_FACET_NAME)
        shape->needed |= RULE_FACET_BIT(facet);

    if (facet == RULE_FACET_KIND)
        narrow_kinds(shape, condition);
    else if (facet == RULE_FACET_REMOVABLE)
        narrow_removable(shape, condition);
    else if (facet == RULE_FACET_SIZE)
        narrow_size(shape, condition);
    else
        set_quick(shape, condition);
}

static bool is_passed_over(const RuleShape *shape, ConditionKey key)
{
    return shape->class == RULE_CLASS_USB && condition_key_is_block_only(key);
}

void rule_shape_of_conditions(RuleShape *ret,
                              RuleClass class,
                              const Condition *conditions,
                              size_t n_conditions)
{
    *ret = (RuleShape){
        .class = class,
        .conditions = conditions,
        .n_conditions = n_conditions,
        .removable = { true, true, true },
        .size_max = INT64_MAX,
        .size_unknown = true,
    };
    memset(ret->kinds, 0xff, sizeof(ret->kinds));

    for (size_t i = 0; i < n_conditions; i++)
        if (!is_passed_over(ret, conditions[i].key))
            narrow(ret, &conditions[i]);
}

void rule_shape_keep_disks(RuleShape *shape)
{
    for (size_t type = 0; type < ARRAY_SIZE(shape->kinds); type++) {
        uint64_t first = type != DEVICE_TYPE_PARTITION;

        first &= shape->kinds[type][0];
        memset(shape->kinds[type], 0, sizeof(shape->kinds[type]));
        shape->kinds[type][0] = first;
    }
}

void rule_shape_of(RuleShape *ret, const Rule *rule)
{
    rule_shape_of_conditions(ret, rule->class, rule->conditions,
                             rule->n_conditions);
    ret->sources = rule->sources;
    ret->n_sources = rule->n_sources;
    if (rule->whole_disks)
        rule_shape_keep_disks(ret);
}
