/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * GlobPart: one part of a pattern in normal form
 *
 * What a character of a pattern or of a text is, for whoever reads patterns
 * themselves; to match a text is glob's.
 */

#include "common/util.h"

/* what a byte counts as that is no UTF-8: beyond all code points */
#define GLOB_NO_CODE_POINT UINT32_C(0x110000)

typedef enum GlobPartKind {
    GLOB_PART_CHAR, /* the character @c */
    GLOB_PART_ANY,  /* any one character */
    GLOB_PART_SET,  /* one out of the set whose '[' is at @set */
    GLOB_PART_STAR, /* any characters, also none */
} GlobPartKind;

typedef struct GlobPart {
    GlobPartKind kind;
    uint32_t c;
    const char *set;
} GlobPart;

/* The part at @pattern; answers the place behind it, NULL at the end. */
const char *glob_next_part(GlobPart *ret, const char *pattern);
/* Whether a part, other than a star, takes the character. */
bool glob_part_takes(const GlobPart *part, uint32_t c, bool fold);

/*
 * Tell each character at which a part begins or ceases to take characters,
 * without regard to folding: between two neighbours all are taken, or none.
 */
typedef void (*GlobEdgeFn)(uint32_t c, void *userdata);
void glob_part_edges(const GlobPart *part, GlobEdgeFn add, void *userdata);

/* The same as glob_next_char(), for any character. */
const char *glob_decode_char(const char *p, const char *end, uint32_t *ret);

/* One character at @p, which is before @end; answers the place behind it. */
static inline const char *glob_next_char(const char *p,
                                         const char *end,
                                         uint32_t *ret)
{
    /* most are of ASCII */
    if ((unsigned char) *p >= 0x80)
        return glob_decode_char(p, end, ret);
    *ret = (unsigned char) *p;
    return p + 1;
}

/* The same for a character of a good pattern, which may be quoted. */
static inline const char *glob_next_quoted(const char *p,
                                           const char *end,
                                           uint32_t *ret)
{
    return glob_next_char(*p == '\\' ? p + 1 : p, end, ret);
}

/* Behind the set whose '[' is at @p. */
const char *glob_skip_set(const char *p);
/* Whether the set whose '[' is at @p takes the character. */
bool glob_set_match(const char *p, const char *end, uint32_t c, bool fold);

static inline bool glob_is_upper(uint32_t c)
{
    return c >= 'A' && c <= 'Z';
}

static inline uint32_t glob_to_lower(uint32_t c)
{
    return glob_is_upper(c) ? c - 'A' + 'a' : c;
}
