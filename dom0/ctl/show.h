/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Show: texts, spans of time and sizes for a person
 *
 * Whatever was printed through here holds nothing that a terminal acts upon,
 * and nothing that has no width: its width is the sum of its characters'.
 * Widths are those of the locale (wcwidth(3)).
 */

#include "common/util.h"

#define SHOW_TEXT_MAX 2047U /* of one text; a longer one ends in "..." */

typedef struct ShowText {
    char s[SHOW_TEXT_MAX + 1];
} ShowText;

/*
 * Escape text that is escaped already as it should be: a backslash stays, but
 * what text_escape() would not let pass does not pass here either. Without
 * @utf8 all but ASCII is escaped. NULL is shown as "".
 */
const char *show_text(ShowText *ret, const char *untrusted_text, bool utf8);

/* Somebody's own words as they are, between double quotes, which no text can
 * end. A backslash is doubled: no text looks as if it were escaped. */
const char *show_quoted(ShowText *ret, const char *untrusted_text, bool utf8);

/* The same of words that text_escape() made: a backslash stays. */
const char *show_quoted_escaped(ShowText *ret,
                                const char *untrusted_text,
                                bool utf8);

/* In columns, of what show_text() made. */
size_t show_width(const char *text);

/* In columns, what show_text() makes of the first @n characters. */
size_t show_width_of(const char *untrusted_text, size_t n, bool utf8);

/* How many bytes of what show_text() made have room in @columns. */
size_t show_fit(const char *text, size_t columns);

/* "3 min", the unit that fits, rounded down; "0 s" at least. */
const char *show_span(ShowText *ret, uint64_t usec);
/* "210 min": the largest unit of which it is a whole number. */
const char *show_exact_span(ShowText *ret, uint64_t usec);
/* "3 min ago" or "just now". */
const char *show_age(ShowText *ret, uint64_t now_usec, uint64_t then_usec);
/* "2.1 MiB" */
const char *show_bytes(ShowText *ret, uint64_t bytes);

/* "no errors", "1 error", "2 errors" */
const char *show_count(ShowText *ret, uint64_t n, const char *noun);
