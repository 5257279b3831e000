/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Errors view: what is wrong with the rules in the daemon's folder
 *
 * On a screen that has an end only the first are shown.
 */

#include "dom0/core/diagnostic.h"
#include "dom0/ctl/view.h"

/* @rules is of type Rules in org.qubes-contrib.autoattach. */
void errors_view(View *view, const json_t *rules, size_t indent);

/* Which rules are in force as long as there are errors. */
const char *errors_consequence(const json_t *rules);

/* As diagnostic_format(), with the caret right under wide characters too. */
char *errors_format(const Diagnostic *diagnostic);
