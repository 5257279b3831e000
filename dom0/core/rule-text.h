/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A rule as text in normal form
 *
 * One line without comment that reads back as an equal rule: single blanks,
 * texts in quotes, hex digits in lower case, patterns as rule's globs have
 * them, lists of one without braces, options in a fixed order and only where
 * they are not the default. Values and qubes keep the order they have.
 */

#include "dom0/core/rule-arena.h"
#include "dom0/core/rule-condition.h"
#include "dom0/core/rule.h"

/* NULL without memory. */
char *rule_to_text(const Rule *rule, RuleArena *arena);

/* One of its conditions alone, into malloc()ed text; NULL without memory. */
char *condition_to_text(const Condition *condition);
