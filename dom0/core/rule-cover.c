/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/rule-cover.h"

/* where what a device must be like is a text, or several interfaces */
#define TEXT_FACETS                                                           \
    ((RULE_FACET_BIT(N_RULE_FACETS) - 1) & ~RULE_FACET_BIT(RULE_FACET_KIND) & \
     ~RULE_FACET_BIT(RULE_FACET_REMOVABLE) & ~RULE_FACET_BIT(RULE_FACET_SIZE))

static bool has_facet(uint32_t facets, RuleFacet facet)
{
    return (facets & RULE_FACET_BIT(facet)) != 0;
}

/* whether anything fits */

/* The conditions of a facet as terms; false if there are too many. */
static bool facet_terms(const RuleShape *shape,
                        RuleFacet facet,
                        RuleTerm terms[RULE_TERMS_MAX],
                        size_t *ret_n)
{
    *ret_n = 0;
    for (size_t i = 0; i < shape->n_conditions; i++) {
        const Condition *condition = &shape->conditions[i];

        if (rule_facet_of(condition->key) != facet)
            continue;
        if (*ret_n == RULE_TERMS_MAX)
            return false;
        terms[(*ret_n)++] = (RuleTerm){ condition, condition->negated };
    }
    return true;
}

static GlobFinding find_text(const RuleShape *shape,
                             RuleFacet facet,
                             GlobWalk *walk)
{
    RuleTerm terms[RULE_TERMS_MAX];
    size_t n;

    if (facet != RULE_FACET_NAME && !has_facet(shape->needed, facet))
        return GLOB_SOME; /* a device that lacks it */
    if (!facet_terms(shape, facet, terms, &n))
        return GLOB_UNKNOWN;
    return rule_search_value(walk, terms, n);
}

/* What must be true of each interface; the others are of at least one. */
static bool is_of_each(const Condition *condition)
{
    return (condition->key == CONDITION_ONLY_INTERFACE) != condition->negated;
}

/* Whether one interface can meet what must be of each and these terms, of which
 * there are @n. */
static GlobFinding find_interface(const RuleShape *shape,
                                  const RuleTerm *more,
                                  size_t n_more,
                                  GlobWalk *walk)
{
    RuleTerm terms[RULE_TERMS_MAX];
    size_t n = 0;

    for (; n < n_more; n++)
        terms[n] = more[n];
    for (size_t i = 0; i < shape->n_conditions; i++) {
        const Condition *condition = &shape->conditions[i];

        if (rule_facet_of(condition->key) != RULE_FACET_INTERFACES ||
            !is_of_each(condition))
            continue;
        if (n == RULE_TERMS_MAX)
            return GLOB_UNKNOWN;
        terms[n++] = (RuleTerm){ condition, condition->negated };
    }
    return n > 0 ? rule_search_value(walk, terms, n) : GLOB_SOME;
}

static GlobFinding weaker(GlobFinding a, GlobFinding b)
{
    if (a == GLOB_NONE || b == GLOB_NONE)
        return GLOB_NONE;
    return a == GLOB_SOME ? b : a;
}

static GlobFinding find_interfaces(const RuleShape *shape, GlobWalk *walk)
{
    GlobFinding finding;
    size_t n = 0;

    if (!has_facet(shape->needed, RULE_FACET_INTERFACES))
        return GLOB_SOME;

    finding = find_interface(shape, NULL, 0, walk);
    for (size_t i = 0; i < shape->n_conditions; i++) {
        const Condition *condition = &shape->conditions[i];
        RuleTerm one = { condition, condition->negated };

        if (rule_facet_of(condition->key) != RULE_FACET_INTERFACES ||
            is_of_each(condition))
            continue;
        finding = weaker(finding, find_interface(shape, &one, 1, walk));
        n++;
    }
    /* a device has room for so many */
    return n > RECORD_INTERFACES_MAX ? weaker(finding, GLOB_UNKNOWN) : finding;
}

static bool find_kind(const RuleShape *shape)
{
    for (size_t type = 0; type < ARRAY_SIZE(shape->kinds); type++)
        for (size_t i = 0; i < RULE_KINDS_WORDS; i++)
            if (shape->kinds[type][i] != 0)
                return true;
    return false;
}

static GlobFinding find_facet(const RuleShape *shape,
                              RuleFacet facet,
                              GlobWalk *walk)
{
    bool finds = false;

    switch (facet) {
    case RULE_FACET_INTERFACES:
        return find_interfaces(shape, walk);
    case RULE_FACET_KIND:
        finds = find_kind(shape);
        break;
    case RULE_FACET_REMOVABLE:
        finds = shape->removable[RULE_REMOVABLE_NO] ||
                shape->removable[RULE_REMOVABLE_YES] ||
                shape->removable[RULE_REMOVABLE_UNKNOWN];
        break;
    case RULE_FACET_SIZE:
        finds = shape->size_unknown || shape->size_min <= shape->size_max;
        break;
    case RULE_FACET_ID:
    case RULE_FACET_SERIAL:
    case RULE_FACET_VENDOR:
    case RULE_FACET_MODEL:
    case RULE_FACET_REVISION:
    case RULE_FACET_PATH:
    case RULE_FACET_NAME:
    case RULE_FACET_FS_TYPE:
    case RULE_FACET_FS_UUID:
    case RULE_FACET_FS_LABEL:
    case RULE_FACET_PART_UUID:
    case RULE_FACET_PART_LABEL:
        return find_text(shape, facet, walk);
    }
    return finds ? GLOB_SOME : GLOB_NONE;
}

GlobFinding rule_shape_find(const RuleShape *shape,
                            GlobWalk *walk,
                            RuleFacet *ret_facet)
{
    GlobFinding finding = GLOB_SOME;

    for (size_t i = 0; i < N_RULE_FACETS && finding != GLOB_NONE; i++) {
        RuleFacet facet = (RuleFacet) i;

        if (!has_facet(shape->facets, facet))
            continue;
        finding = weaker(finding, find_facet(shape, facet, walk));
        if (finding == GLOB_NONE && ret_facet)
            *ret_facet = facet;
    }
    return finding;
}

/* whether one takes all that the other takes */

bool rule_shape_takes_source(const RuleShape *shape, const QubeName *source)
{
    for (size_t i = 0; i < shape->n_sources; i++)
        if (qube_name_equal(&shape->sources[i], source))
            return true;
    return shape->n_sources == 0;
}

static bool takes_class(RuleClass class, RuleClass other)
{
    return class == other || class == RULE_CLASS_ANY;
}

static bool covers_sources(const RuleShape *shape, const RuleShape *other)
{
    if (shape->n_sources > 0 && other->n_sources == 0)
        return false;
    for (size_t i = 0; i < other->n_sources; i++)
        if (!rule_shape_takes_source(shape, &other->sources[i]))
            return false;
    return true;
}

static bool covers_block(const RuleShape *shape, const RuleShape *other)
{
    for (size_t type = 0; type < ARRAY_SIZE(shape->kinds); type++)
        for (size_t i = 0; i < RULE_KINDS_WORDS; i++)
            if ((other->kinds[type][i] & ~shape->kinds[type][i]) != 0)
                return false;
    for (size_t i = 0; i < ARRAY_SIZE(shape->removable); i++)
        if (other->removable[i] && !shape->removable[i])
            return false;
    if (other->size_unknown && !shape->size_unknown)
        return false;
    return other->size_min >= shape->size_min &&
           other->size_max <= shape->size_max;
}

static bool covers_text(const Condition *condition,
                        const RuleShape *other,
                        GlobWalk *walk)
{
    RuleTerm terms[RULE_TERMS_MAX];
    size_t n;

    if (!facet_terms(other, rule_facet_of(condition->key), terms, &n) ||
        n == RULE_TERMS_MAX)
        return false;
    terms[n++] = (RuleTerm){ condition, !condition->negated };
    return rule_search_value(walk, terms, n) == GLOB_NONE;
}

/* That something is true of one interface follows from what is true of each (if
 * there are any), or of some one. */
static bool covers_interfaces(const Condition *condition,
                              const RuleShape *other,
                              GlobWalk *walk)
{
    RuleTerm terms[2] = { { condition, !condition->negated } };

    if (find_interface(other, terms, 1, walk) == GLOB_NONE)
        return true;
    if (is_of_each(condition))
        return false;

    for (size_t i = 0; i < other->n_conditions; i++) {
        const Condition *one = &other->conditions[i];

        if (rule_facet_of(one->key) != RULE_FACET_INTERFACES || is_of_each(one))
            continue;
        terms[1] = (RuleTerm){ one, one->negated };
        if (find_interface(other, terms, 2, walk) == GLOB_NONE)
            return true;
    }
    return false;
}

static bool prefixes_differ(const RulePrefix *a, const RulePrefix *b)
{
    return ((a->bytes ^ b->bytes) & a->mask & b->mask) != 0;
}

bool rule_shape_may_meet(const RuleShape *a,
                         const RuleShape *b,
                         uint32_t facets)
{
    uint32_t hashed = facets & a->hashed & b->hashed;
    uint32_t prefixed = facets & a->prefixed & b->prefixed;

    for (; hashed != 0; hashed &= hashed - 1) {
        int i = __builtin_ctz(hashed);

        if (a->hashes[i] != b->hashes[i])
            return false;
    }
    for (; prefixed != 0; prefixed &= prefixed - 1) {
        int i = __builtin_ctz(prefixed);

        if (prefixes_differ(&a->prefixes[i], &b->prefixes[i]))
            return false;
    }
    return true;
}

bool rule_shape_covers(const RuleShape *shape,
                       const RuleShape *other,
                       GlobWalk *walk)
{
    uint32_t facets = shape->facets & TEXT_FACETS;

    /* what it asks of a property the other must ask, too */
    if (!takes_class(shape->class, other->class) ||
        (facets & ~other->facets) != 0 ||
        (shape->needed & TEXT_FACETS & ~other->needed) != 0 ||
        !rule_shape_may_meet(shape, other, facets) ||
        !covers_sources(shape, other) ||
        (other->class != RULE_CLASS_USB && !covers_block(shape, other)))
        return false;

    for (size_t i = 0; i < shape->n_conditions; i++) {
        const Condition *condition = &shape->conditions[i];
        RuleFacet facet = rule_facet_of(condition->key);

        if (!has_facet(facets, facet))
            continue;
        if (facet == RULE_FACET_INTERFACES
                ? !covers_interfaces(condition, other, walk)
                : !covers_text(condition, other, walk))
            return false;
    }
    return true;
}

bool rule_shape_shares_source(const RuleShape *a, const RuleShape *b)
{
    for (size_t i = 0; i < a->n_sources; i++)
        if (rule_shape_takes_source(b, &a->sources[i]))
            return true;
    return a->n_sources == 0;
}
