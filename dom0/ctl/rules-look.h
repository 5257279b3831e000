/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rules look: what `check` would warn of in the rules that are in force
 *
 * The daemon tells errors only: which of its rules are hardly meant is looked
 * up here, in its folder.
 */

#include <jansson.h>

/* to compare more than these with each other would keep the person waiting */
#define RULES_LOOK_MAX 2000U

/*
 * Put the warnings into @rules, which the daemon told, of type Rules in
 * org.qubes-contrib.autoattach. @qubes is a list of Qube, or NULL if that is
 * not known: then nothing is said of qubes. Nothing is added where the folder
 * cannot be read, has errors or more than RULES_LOOK_MAX rules. Fails with
 * -ENOMEM only.
 */
int rules_look(json_t *rules, const json_t *qubes);
