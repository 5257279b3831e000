/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule lines: where in a file a rule is, to take it out
 *
 * A rule is on one logical line, which is all physical lines that are joined,
 * with the comments in it and behind it.
 */

#include "common/util.h"

typedef struct RuleSpan {
    size_t start; /* in bytes, of its first physical line */
    size_t end;   /* behind its last one's newline */
} RuleSpan;

/* The logical line that has something on physical line @line (from 1), which
 * must be so. @text has no NUL bytes. */
RuleSpan rule_lines_find(const char *text, size_t len, unsigned int line);

/* Whether nothing but blanks is left: no rule and no comment. */
bool rule_lines_are_blank(const char *text, size_t len);
