/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/glob-part.h"
#include "dom0/core/glob.h"

/* what must be quoted to stand for itself; '"' ends a quoted value */
#define SPECIAL        "*?[\\\""
#define SPECIAL_IN_SET "]\\-!^[\""

/* A pattern in normal form, as far as it is written */
typedef struct Normal {
    char *text;
    size_t len;
    bool fold;
    bool full;
} Normal;

static void put_byte(Normal *normal, char byte)
{
    if (normal->len == GLOB_MAX)
        normal->full = true;
    else
        normal->text[normal->len++] = byte;
}

static void put_char(Normal *normal,
                     const char *text,
                     size_t len,
                     const char *special)
{
    if (len == 1 && strchr(special, *text))
        put_byte(normal, '\\');
    for (size_t i = 0; i < len; i++)
        put_byte(normal, text[i]);
}

static void put_folded(Normal *normal,
                       const char *text,
                       size_t len,
                       const char *special)
{
    char lower = (char) glob_to_lower((unsigned char) *text);

    if (len == 1 && normal->fold)
        put_char(normal, &lower, 1, special);
    else
        put_char(normal, text, len, special);
}

/* A character as it was written, without the '\' that may quote it */
typedef struct Written {
    const char *text;
    size_t len;
    uint32_t c;
} Written;

/* NULL if a '\' has nothing behind it. */
static const char *read_written(Written *ret, const char *p, const char *end)
{
    if (*p == '\\' && ++p == end)
        return NULL;
    ret->text = p;
    p = glob_next_char(p, end, &ret->c);
    ret->len = (size_t) (p - ret->text);
    return p;
}

/* One character or range of a set. */
static const char *normalize_item(Normal *normal,
                                  const char **p,
                                  const char *end,
                                  const char *unclosed)
{
    Written first, last;

    if (end - *p >= 2 && (*p)[0] == '[' && (*p)[1] == ':')
        return "there are no classes such as [:digit:]; write what is in them, "
               "as [0-9], and '\\[' for a bracket itself";
    *p = read_written(&first, *p, end);
    if (!*p)
        return unclosed;
    if (end - *p < 2 || **p != '-' || (*p)[1] == ']') {
        put_folded(normal, first.text, first.len, SPECIAL_IN_SET);
        return NULL;
    }

    *p = read_written(&last, *p + 1, end);
    if (!*p)
        return unclosed;
    if (first.c > last.c)
        return "this range is empty: the smaller character comes first, as in "
               "[a-z]";

    if (glob_is_upper(first.c) && glob_is_upper(last.c)) {
        put_folded(normal, first.text, first.len, SPECIAL_IN_SET);
        put_byte(normal, '-');
        put_folded(normal, last.text, last.len, SPECIAL_IN_SET);
    } else {
        put_char(normal, first.text, first.len, SPECIAL_IN_SET);
        put_byte(normal, '-');
        put_char(normal, last.text, last.len, SPECIAL_IN_SET);
    }
    return NULL;
}

/* A set, from behind its '[' to behind its ']'. */
static const char *normalize_set(Normal *normal,
                                 const char **p,
                                 const char *end,
                                 const char **ret_place)
{
    static const char unclosed[] =
        "this '[' has no ']'; write '\\[' for a bracket itself";
    const char *open = *p - 1;

    *ret_place = open;
    put_byte(normal, '[');
    if (*p < end && **p == '!') {
        put_byte(normal, '!');
        (*p)++;
    } else if (*p < end && **p == '^') {
        *ret_place = *p;
        return "write [!...] for 'none of these', and '\\^' for a '^' itself";
    }
    if (*p < end && **p == ']')
        return "these brackets are empty; write '\\]' for a ']' among the "
               "characters";

    while (*p < end && **p != ']') {
        const char *item = *p;
        const char *error = normalize_item(normal, p, end, unclosed);

        if (error) {
            *ret_place = error == unclosed ? open : item;
            return error;
        }
    }
    if (*p == end)
        return unclosed;

    put_byte(normal, ']');
    (*p)++;
    return NULL;
}

/* One character or set; a '*' that follows another is the same as one. */
static const char *normalize_one(Normal *normal,
                                 const char **p,
                                 const char *end,
                                 bool *star,
                                 const char **ret_place)
{
    bool after_star = *star;
    Written written;

    *ret_place = *p;
    *star = **p == '*';
    switch (**p) {
    case '*':
        (*p)++;
        if (!after_star)
            put_byte(normal, '*');
        return NULL;
    case '?':
        (*p)++;
        put_byte(normal, '?');
        return NULL;
    case '[':
        (*p)++;
        return normalize_set(normal, p, end, ret_place);
    }

    *p = read_written(&written, *p, end);
    if (!*p)
        return "this '\\' quotes the next character, and there is none; write "
               "'\\\\' for a '\\' itself";
    put_folded(normal, written.text, written.len, SPECIAL);
    return NULL;
}

const char *glob_normalize(char ret[GLOB_MAX + 1],
                           const char *text,
                           size_t len,
                           bool fold,
                           size_t *ret_offset)
{
    Normal normal = { .text = ret, .fold = fold };
    const char *p = text, *end = text + len;
    bool star = false;

    *ret_offset = GLOB_WHOLE;
    if (len == 0)
        return "an empty value matches nothing; write '*' for any text";

    normal.full = len > GLOB_MAX;
    while (p < end && !normal.full) {
        const char *place, *error;

        error = normalize_one(&normal, &p, end, &star, &place);
        if (error) {
            *ret_offset = (size_t) (place - text);
            return error;
        }
    }
    if (normal.full)
        return "a value has at most 255 bytes; write '*' for the rest";

    ret[normal.len] = '\0';
    return NULL;
}

bool glob_to_literal(char ret[GLOB_MAX + 1], const char *pattern)
{
    size_t len = 0;

    for (; *pattern; pattern++) {
        if (*pattern == '*' || *pattern == '?' || *pattern == '[')
            return false;
        if (*pattern == '\\')
            pattern++;
        ret[len++] = *pattern;
    }
    ret[len] = '\0';
    return true;
}

size_t glob_min_length(const char *pattern, bool *ret_open)
{
    const char *end = pattern + strlen(pattern);
    size_t n = 0;

    *ret_open = false;
    while (pattern < end) {
        uint32_t c;

        if (*pattern == '*') {
            *ret_open = true;
            pattern++;
            continue;
        }
        pattern = *pattern == '[' ? glob_skip_set(pattern)
                                  : glob_next_quoted(pattern, end, &c);
        n++;
    }
    return n;
}

/* Behind the part of the pattern that takes the one character @c, or NULL. */
static const char *match_one(const char *p,
                             const char *end,
                             uint32_t c,
                             bool fold)
{
    uint32_t wanted;

    if (p == end)
        return NULL;
    if (*p == '?')
        return p + 1;
    if (*p == '[')
        return glob_set_match(p, end, c, fold) ? glob_skip_set(p) : NULL;

    p = glob_next_quoted(p, end, &wanted);
    return wanted == (fold ? glob_to_lower(c) : c) ? p : NULL;
}

bool glob_match(const char *pattern, const char *text, bool fold)
{
    const char *p = pattern, *p_end = pattern + strlen(pattern);
    const char *t = text, *t_end = text + strlen(text);
    const char *after_star = NULL, *taken = NULL;

    while (t < t_end) {
        const char *next, *p_next;
        uint32_t c;

        if (p < p_end && *p == '*') {
            after_star = ++p;
            taken = t;
            if (p == p_end)
                return true; /* all the rest is for it */
            continue;
        }
        next = glob_next_char(t, t_end, &c);
        p_next = match_one(p, p_end, c, fold);
        if (p_next) {
            p = p_next;
            t = next;
            continue;
        }
        if (!after_star)
            return false;
        /* only the last '*' ever needs to take one more */
        taken = glob_next_char(taken, t_end, &c);
        t = taken;
        p = after_star;
    }

    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}

static bool equal_folded(const char *lower, const char *text)
{
    for (; *lower && *text; lower++, text++)
        if ((unsigned char) *lower != glob_to_lower((unsigned char) *text))
            return false;
    return *lower == *text;
}

bool glob_test(const Glob *glob, const char *text, bool fold)
{
    if (!glob->literal)
        return glob_match(glob->pattern, text, fold);
    if (fold)
        return equal_folded(glob->literal, text);
    return strcmp(glob->literal, text) == 0;
}

char *glob_quote(char ret[GLOB_MAX + 1], const char *untrusted_text)
{
    Normal normal = { .text = ret };
    const char *p = untrusted_text, *end = p + strlen(p);
    size_t good_len = 0;

    while (p < end && !normal.full) {
        const char *start = p;
        uint32_t c;

        /* from here a '*' still fits */
        if (normal.len < GLOB_MAX)
            good_len = normal.len;
        p = glob_next_char(p, end, &c);
        if (c >= GLOB_NO_CODE_POINT || c < 0x20 || text_is_deceptive(c))
            put_byte(&normal, '?');
        else
            put_char(&normal, start, (size_t) (p - start), SPECIAL);
    }
    if (normal.full) {
        normal.len = good_len;
        ret[normal.len++] = '*';
    }

    ret[normal.len] = '\0';
    return ret;
}
