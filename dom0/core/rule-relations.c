/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>

#include "dom0/core/rule-cover.h"
#include "dom0/core/rule-relations.h"

#define STORAGE "08*" /* the interfaces of mass storage */

#define USB_FACETS (RULE_FACET_BIT(RULE_FACET_NAME) - 1)
/* what a device or its maker chose to be told apart by */
#define NAMING_FACETS                                                    \
    (RULE_FACET_BIT(RULE_FACET_ID) | RULE_FACET_BIT(RULE_FACET_SERIAL) | \
     RULE_FACET_BIT(RULE_FACET_MODEL))
/* by what it is known whether it has disks at all */
#define MAKE_FACETS (NAMING_FACETS | RULE_FACET_BIT(RULE_FACET_VENDOR))

struct RuleRelations {
    const Ruleset *ruleset;
    RuleShape *shapes; /* of each rule */
    bool *attaches;    /* each rule */
    GlobWalk *walk;
};

/* Conditions of two rules and one more, and what meets all of them */
typedef struct Joined {
    Condition conditions[2 * RULE_CONDITIONS_MAX + 1];
    size_t n;
    QubeName sources[RULE_NAMES_MAX]; /* those that both have */
    RuleShape shape;
} Joined;

static const ConditionValue input_values[] = {
    { .glob = { RULE_KEYBOARD, RULE_KEYBOARD } },
    { .glob = { RULE_MOUSE, RULE_MOUSE } },
};
static const Condition input_condition = {
    .key = CONDITION_INTERFACE,
    .values = input_values,
    .n_values = ARRAY_SIZE(input_values),
};
static const ConditionValue storage_values[] = {
    { .glob = { STORAGE, NULL } },
};
static const Condition storage_condition = {
    .key = CONDITION_INTERFACE,
    .values = storage_values,
    .n_values = ARRAY_SIZE(storage_values),
};

static const Rule *rule_at(const RuleRelations *relations, size_t i)
{
    return ruleset_get(relations->ruleset, i);
}

int rule_relations_new(RuleRelations **ret, const Ruleset *ruleset)
{
    _cleanup_(rule_relations_freep) RuleRelations *relations = NULL;
    size_t n = ruleset_count(ruleset);
    int r;

    relations = calloc(1, sizeof(*relations));
    if (!relations)
        return -ENOMEM;

    relations->ruleset = ruleset;
    relations->shapes = calloc(n + 1, sizeof(*relations->shapes));
    relations->attaches = calloc(n + 1, sizeof(*relations->attaches));
    if (!relations->shapes || !relations->attaches)
        return -ENOMEM;
    r = glob_walk_new(&relations->walk, GLOB_WALK_WORK_MAX);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        rule_shape_of(&relations->shapes[i], rule_at(relations, i));
        relations->attaches[i] = rule_at(relations, i)->action != RULE_DENY;
    }

    *ret = TAKE_PTR(relations);
    return 0;
}

RuleRelations *rule_relations_free(RuleRelations *relations)
{
    if (!relations)
        return NULL;

    glob_walk_free(relations->walk);
    free(relations->shapes);
    free(relations->attaches);
    free(relations);
    return NULL;
}

const RuleShape *rule_relations_shape(const RuleRelations *relations,
                                      size_t index)
{
    assert(index < ruleset_count(relations->ruleset));

    return &relations->shapes[index];
}

bool rule_relations_is_spent(const RuleRelations *relations)
{
    return glob_walk_is_spent(relations->walk);
}

bool rule_relations_takes_none(RuleRelations *relations,
                               size_t index,
                               RuleFacet *ret_facet)
{
    return rule_shape_find(&relations->shapes[index], relations->walk,
                           ret_facet) == GLOB_NONE;
}

static void join(Joined *joined, const Rule *rule, bool block_too)
{
    for (size_t i = 0; i < rule->n_conditions; i++) {
        const Condition *condition = &rule->conditions[i];

        if (block_too || !condition_key_is_block_only(condition->key))
            joined->conditions[joined->n++] = *condition;
    }
}

/* The last condition, and the class of the devices. */
static void join_end(Joined *joined,
                     RuleClass class,
                     const Condition *condition)
{
    joined->conditions[joined->n++] = *condition;
    rule_shape_of_conditions(&joined->shape, class, joined->conditions,
                             joined->n);
}

/* Only from sources that both rules take devices from. */
static void join_sources(Joined *joined, const RuleShape *a, const RuleShape *b)
{
    RuleShape *shape = &joined->shape;

    for (size_t i = 0; i < a->n_sources; i++)
        if (rule_shape_takes_source(b, &a->sources[i]))
            joined->sources[shape->n_sources++] = a->sources[i];
    shape->sources = joined->sources;
    if (a->n_sources == 0) {
        shape->sources = b->sources;
        shape->n_sources = b->n_sources;
    }
}

/* The first rule before the one at @end that takes all that @shape takes; @end
 * if there is none. */
static size_t find_cover(RuleRelations *relations,
                         const RuleShape *shape,
                         size_t end)
{
    size_t i = 0;

    while (i < end &&
           !rule_shape_covers(&relations->shapes[i], shape, relations->walk))
        i++;
    return i;
}

/* Whether one of the condition's values can be one of the other's. */
static bool shares_value(RuleRelations *relations,
                         const Condition *condition,
                         const Condition *other)
{
    const RuleTerm terms[] = { { condition, false }, { other, false } };

    return rule_search_value(relations->walk, terms, ARRAY_SIZE(terms)) ==
           GLOB_SOME;
}

/* The rule's first condition that asks for interfaces such as those of @wanted;
 * @ret_asks whether any asks for interfaces at all. */
static const Condition *find_interface(RuleRelations *relations,
                                       const Rule *rule,
                                       const Condition *wanted,
                                       bool *ret_asks)
{
    *ret_asks = false;
    for (size_t i = 0; i < rule->n_conditions; i++) {
        const Condition *condition = &rule->conditions[i];

        if (condition->negated ||
            condition_key_form(condition->key) != CONDITION_FORM_INTERFACES)
            continue;
        *ret_asks = true;
        if (shares_value(relations, condition, wanted))
            return condition;
    }
    return NULL;
}

const Rule *rule_relations_cover(RuleRelations *relations, size_t index)
{
    size_t i = find_cover(relations, &relations->shapes[index], index);

    return i < index ? rule_at(relations, i) : NULL;
}

bool rule_relations_takes_input(RuleRelations *relations,
                                size_t index,
                                size_t *ret_condition)
{
    const Rule *rule = rule_at(relations, index);
    const Condition *condition;
    Joined joined = {};
    bool asks;

    if (rule->class == RULE_CLASS_BLOCK)
        return false;
    condition = find_interface(relations, rule, &input_condition, &asks);
    if (!condition &&
        (asks || (relations->shapes[index].needed & NAMING_FACETS) != 0))
        return false;

    join(&joined, rule, false);
    join_end(&joined, RULE_CLASS_USB, &input_condition);
    joined.shape.sources = rule->sources;
    joined.shape.n_sources = rule->n_sources;
    if (rule_shape_find(&joined.shape, relations->walk, NULL) != GLOB_SOME ||
        find_cover(relations, &joined.shape, index) < index)
        return false;

    *ret_condition = condition ? (size_t) (condition - rule->conditions)
                               : rule->n_conditions;
    return true;
}

/* Whether the usb rule, which does not say which devices it means, is about
 * such as have disks. */
static bool means_storage(RuleRelations *relations, size_t usb)
{
    bool asks;

    if ((relations->shapes[usb].needed & MAKE_FACETS) != 0)
        return false;
    return find_interface(relations, rule_at(relations, usb),
                          &storage_condition, &asks) ||
           !asks;
}

/* What the rule at @index would take of what both take, unless an earlier one
 * does. */
static bool has_share(RuleRelations *relations,
                      size_t index,
                      const RuleShape *shape)
{
    return rule_shape_find(shape, relations->walk, NULL) == GLOB_SOME &&
           find_cover(relations, shape, index) == index;
}

/* Whether both say by the same property which devices they mean, or the usb
 * rule means storage as such; and nothing quickly tells that they never meet.
 */
static bool may_share_plug(RuleRelations *relations, size_t usb, size_t block)
{
    const RuleShape *a = &relations->shapes[usb];
    const RuleShape *b = &relations->shapes[block];

    return rule_shape_may_meet(a, b, USB_FACETS) &&
           rule_shape_shares_source(a, b) &&
           ((a->needed & b->needed & MAKE_FACETS) != 0 ||
            means_storage(relations, usb));
}

/* Whether one plug can go to both, because no earlier rule has it. */
static bool shares_plug(RuleRelations *relations, size_t usb, size_t block)
{
    const RuleShape *a = &relations->shapes[usb];
    const RuleShape *b = &relations->shapes[block];
    const Rule *block_rule = rule_at(relations, block);
    Joined whole = {}, disk = {};

    join(&whole, rule_at(relations, usb), false);
    join(&whole, block_rule, false);
    join_end(&whole, RULE_CLASS_USB, &storage_condition);
    join_sources(&whole, a, b);
    if (!has_share(relations, usb, &whole.shape))
        return false;

    join(&disk, rule_at(relations, usb), false);
    join(&disk, block_rule, true);
    join_end(&disk, RULE_CLASS_BLOCK, &storage_condition);
    join_sources(&disk, a, b);
    if (block_rule->whole_disks)
        rule_shape_keep_disks(&disk.shape);
    return has_share(relations, block, &disk.shape);
}

/* Of two rules for `any` the earlier one has the whole plug. */
static bool are_apart(const RuleRelations *relations,
                      size_t index,
                      size_t before)
{
    RuleClass class = relations->shapes[before].class;

    return !relations->attaches[index] || !relations->attaches[before] ||
           class == RULE_CLASS_ANY || class == relations->shapes[index].class;
}

const Rule *rule_relations_plug(RuleRelations *relations, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        bool is_usb = relations->shapes[i].class == RULE_CLASS_USB;
        size_t usb = is_usb ? i : index, block = is_usb ? index : i;

        if (!are_apart(relations, index, i) &&
            may_share_plug(relations, usb, block) &&
            shares_plug(relations, usb, block))
            return rule_at(relations, i);
    }
    return NULL;
}
