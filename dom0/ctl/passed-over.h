/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Passed over: what is in a rules folder and is not read, and why
 *
 * For who wonders where the rules are.
 */

#include "dom0/ctl/view.h"

#define PASSED_OVER_MAX 50U /* told of a folder; the first by name */

/* Put objects with file (the path) and reason behind those of @list. Of a
 * folder that cannot be read there are none. -ENOMEM. */
int passed_over_add(json_t *list, const char *folder);

/* Put that list into @rules as "passed_over", which the daemon told, of type
 * Rules in org.qubes-contrib.autoattach, if it has found no rule. -ENOMEM. */
int passed_over_look(json_t *rules);

/* On a screen that has an end only the first are shown. */
void passed_over_view(View *view, const json_t *list, size_t indent);
