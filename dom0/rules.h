/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rules in force: read from the folder, all or nothing
 *
 * Keeps the newest ruleset without an error, and what was wrong with the
 * newest one that had some.
 */

#include "dom0/core/report.h"
#include "dom0/core/ruleset.h"

typedef struct Rules Rules;

int rules_new(Rules **ret, const char *dir_path);
Rules *rules_free(Rules *rules);

/*
 * Read the folder. The rules in force change only if all is well; what is
 * wrong is logged. Fails with -ENOMEM only, and then the report tells that.
 */
int rules_reload(Rules *rules);

Ruleset *rules_get(const Rules *rules); /* never NULL after the first reload */
void rules_report(const Rules *rules, Report *report);

DEFINE_CLEANUP(Rules *, rules_free)
