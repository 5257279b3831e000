/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * DESIGN 4 read once more: what the rules of a file mean, without a check or a
 * table of the code that is tested
 *
 * Only of a file that nothing is said against. What a value means is compared
 * as it is written: a pattern part by part, whatever its form.
 */

#include "dom0/core/ruleset.h"
#include "tests/support/bytes.h"

/* Whether @ruleset has just the rules of @file, in its order, and each of them
 * its line and all that is written there, and nothing else. */
bool form_are_rules(const Ruleset *ruleset, Bytes file);
