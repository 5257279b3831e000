/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule cover: whether one rule takes all that another takes
 *
 * What is said here for sure holds for every record of every source. What
 * cannot be said for sure, or only with too much work, is not known.
 */

#include "dom0/core/rule-search.h"
#include "dom0/core/rule-shape.h"

/*
 * Whether any device fits at all: GLOB_NONE tells that none does, then
 * @ret_facet (may be NULL) is one that nothing fits.
 */
GlobFinding rule_shape_find(const RuleShape *shape,
                            GlobWalk *walk,
                            RuleFacet *ret_facet);

/* Whether @shape takes, for sure, every device that @other takes. */
bool rule_shape_covers(const RuleShape *shape,
                       const RuleShape *other,
                       GlobWalk *walk);

bool rule_shape_takes_source(const RuleShape *shape, const QubeName *source);

/* Whether there is a source from which both would take a device. */
bool rule_shape_shares_source(const RuleShape *a, const RuleShape *b);

/* Quick, to leave out what cannot meet: false only if by one facet among these
 * bits no text fits both. */
bool rule_shape_may_meet(const RuleShape *a,
                         const RuleShape *b,
                         uint32_t facets);
