/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/glob-part.h"

const char *glob_decode_char(const char *p, const char *end, uint32_t *ret)
{
    size_t n = text_decode_utf8(ret, p, (size_t) (end - p));

    if (n == 0) {
        *ret = GLOB_NO_CODE_POINT + (unsigned char) *p;
        n = 1;
    }
    return p + n;
}

static bool is_lower(uint32_t c)
{
    return c >= 'a' && c <= 'z';
}

static uint32_t other_case(uint32_t c)
{
    return is_lower(c) ? c - 'a' + 'A' : glob_to_lower(c);
}

const char *glob_skip_set(const char *p)
{
    while (*p != ']')
        p += *p == '\\' ? 2 : 1;
    return p + 1;
}

static bool is_negated(const char *set)
{
    return set[1] == '!';
}

/* The first item of a set; its ']' is behind the last. */
static const char *set_items(const char *set)
{
    return set + (is_negated(set) ? 2 : 1);
}

/* One character or range of a set. */
static const char *next_item(const char *p,
                             const char *end,
                             uint32_t *ret_first,
                             uint32_t *ret_last)
{
    p = glob_next_quoted(p, end, ret_first);
    *ret_last = *ret_first;
    if (*p == '-')
        p = glob_next_quoted(p + 1, end, ret_last);
    return p;
}

static bool set_has(const char *p, const char *end, uint32_t c)
{
    while (*p != ']') {
        uint32_t first, last;

        p = next_item(p, end, &first, &last);
        if (c >= first && c <= last)
            return true;
    }
    return false;
}

bool glob_set_match(const char *p, const char *end, uint32_t c, bool fold)
{
    const char *items = set_items(p);
    bool has =
        set_has(items, end, c) || (fold && set_has(items, end, other_case(c)));

    return has != is_negated(p);
}

const char *glob_next_part(GlobPart *ret, const char *pattern)
{
    *ret = (GlobPart){};
    switch (*pattern) {
    case '\0':
        return NULL;
    case '*':
        ret->kind = GLOB_PART_STAR;
        return pattern + 1;
    case '?':
        ret->kind = GLOB_PART_ANY;
        return pattern + 1;
    case '[':
        ret->kind = GLOB_PART_SET;
        ret->set = pattern;
        return glob_skip_set(pattern);
    }
    return glob_next_quoted(pattern, pattern + strlen(pattern), &ret->c);
}

bool glob_part_takes(const GlobPart *part, uint32_t c, bool fold)
{
    switch (part->kind) {
    case GLOB_PART_CHAR:
        return part->c == (fold ? glob_to_lower(c) : c);
    case GLOB_PART_SET:
        return glob_set_match(part->set, part->set + strlen(part->set), c,
                              fold);
    case GLOB_PART_ANY:
    case GLOB_PART_STAR:
        break;
    }
    return true;
}

void glob_part_edges(const GlobPart *part, GlobEdgeFn add, void *userdata)
{
    const char *p, *end;

    switch (part->kind) {
    case GLOB_PART_CHAR:
        add(part->c, userdata);
        add(part->c + 1, userdata);
        return;
    case GLOB_PART_SET:
        p = set_items(part->set);
        end = part->set + strlen(part->set);
        while (*p != ']') {
            uint32_t first, last;

            p = next_item(p, end, &first, &last);
            add(first, userdata);
            add(last + 1, userdata);
        }
        return;
    case GLOB_PART_ANY:
    case GLOB_PART_STAR:
        return;
    }
}
