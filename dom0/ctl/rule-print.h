/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rules and comments as they can be pasted into a rule file
 *
 * On a terminal a long one is broken at its width, between words and not in
 * quotes, so that it is a rule or a comment still. Elsewhere it is one line.
 */

#include "dom0/ctl/terminal.h"

void rule_print(const Terminal *terminal, size_t indent, const char *text);

/* @text without the `#`. */
void rule_print_comment(const Terminal *terminal, const char *text);
