/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleRelations: what the rules of a set have to do with each other
 *
 * What is said here is sure, for every record of every source; what is not
 * sure, or would take too long to find out, is not said.
 */

#include "dom0/core/rule-shape.h"
#include "dom0/core/ruleset.h"

/* the interfaces of a boot keyboard and of a mouse */
#define RULE_KEYBOARD "030101"
#define RULE_MOUSE    "030102"

typedef struct RuleRelations RuleRelations;

/* Of all rules that there are now; the set must outlive it. */
int rule_relations_new(RuleRelations **ret, const Ruleset *ruleset);
RuleRelations *rule_relations_free(RuleRelations *relations);

/* What the rule at this place takes. */
const RuleShape *rule_relations_shape(const RuleRelations *relations,
                                      size_t index);

/* The rule's conditions exclude each other, those of one facet. */
bool rule_relations_takes_none(RuleRelations *relations,
                               size_t index,
                               RuleFacet *ret_facet);

/* The first of the rules before it that takes all that it would, or NULL. */
const Rule *rule_relations_cover(RuleRelations *relations, size_t index);

/*
 * The rule takes keyboards or mice as USB devices, that is whatever has their
 * interfaces: it asks for these, by the condition at @ret_condition, or it does
 * not say which devices it means, then that is the number of its conditions.
 */
bool rule_relations_takes_input(RuleRelations *relations,
                                size_t index,
                                size_t *ret_condition);

/*
 * The first of the rules before it, of the other class, so that one plug can go
 * to both, to one as the USB device and to one as its disk; or NULL. Both say
 * by the same property which devices they mean, or that for usb means storage
 * as such: a plug that one means by its id need not have a disk.
 */
const Rule *rule_relations_plug(RuleRelations *relations, size_t index);

/* All work was done that may be: from now on little is said. */
bool rule_relations_is_spent(const RuleRelations *relations);

DEFINE_CLEANUP(RuleRelations *, rule_relations_free)
