/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule search: is there a value that several conditions have room for?
 *
 * Where there are patterns it is glob-walk that finds out, so the answer is
 * right or GLOB_UNKNOWN.
 */

#include "dom0/core/glob-walk.h"
#include "dom0/core/rule-condition.h"

#define RULE_TERMS_MAX (GLOB_WALK_TERMS_MAX - 2)

/*
 * One of the condition's values, or with @negated none of them; what the
 * condition itself has for `not` is not looked at.
 */
typedef struct RuleTerm {
    const Condition *condition;
    bool negated;
} RuleTerm;

/*
 * Whether one value fits all terms. They are all of one form, one that has
 * patterns; of interfaces it is about a single one. More than RULE_TERMS_MAX
 * are unknown.
 */
GlobFinding rule_search_value(GlobWalk *walk,
                              const RuleTerm *terms,
                              size_t n_terms);
