/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Glob: a pattern for one text
 *
 *     *        any characters, also none
 *     ?        any one character
 *     [a-z0]   one of these; [!a-z] one that is none of these
 *     \x       the character x itself, outside of [ ] and in it
 *
 * Characters are code points. Matching takes time in proportion to the
 * pattern's length times the text's, whatever both are, and no memory.
 *
 * A Glob holds its pattern in normal form: equal patterns are equal bytes, and
 * between double quotes it can be read back.
 */

#include "common/util.h"

/* in bytes, as written and in normal form */
#define GLOB_MAX 255U

/* no place in a pattern: it is wrong as a whole */
#define GLOB_WHOLE SIZE_MAX

typedef struct Glob {
    const char *pattern; /* in normal form */
    const char *literal; /* the only text it matches, or NULL */
} Glob;

/*
 * Bring a pattern into normal form; with @fold it is to match without regard
 * to the case of ASCII letters. Answers NULL, or what is wrong and what would
 * be right, with the place in bytes from @text in @ret_offset, or
 * GLOB_WHOLE.
 */
_must_check_ const char *glob_normalize(char ret[GLOB_MAX + 1],
                                        const char *text,
                                        size_t len,
                                        bool fold,
                                        size_t *ret_offset);

/*
 * The text that a pattern in normal form stands for, if it stands for one
 * only; it is never longer than the pattern.
 */
_must_check_ bool glob_to_literal(char ret[GLOB_MAX + 1], const char *pattern);

/* How many characters a pattern in normal form takes at least; @ret_open says
 * whether it may take more. */
size_t glob_min_length(const char *pattern, bool *ret_open);

/* Match all of @text against a pattern in normal form, made with this @fold. */
bool glob_match(const char *pattern, const char *text, bool fold);

/* The same, by comparing where that is enough. */
bool glob_test(const Glob *glob, const char *text, bool fold);

/*
 * A pattern in normal form that matches @text: itself where it can be written,
 * `?` for what cannot be seen (text_is_deceptive()), and `*` for an end that
 * has no room. For writing rules, between double quotes.
 */
char *glob_quote(char ret[GLOB_MAX + 1], const char *untrusted_text);
