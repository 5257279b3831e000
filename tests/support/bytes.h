/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Bytes: a part of an input, to read it once more in another way than the
 * decoder that is tested
 */

#include <string.h>

#include "common/util.h"

#define LOWER   "abcdefghijklmnopqrstuvwxyz"
#define LETTERS LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"
#define HEX     DIGITS "abcdefABCDEF"

typedef struct Bytes {
    const char *start;
    size_t len;
} Bytes;

static inline bool bytes_begin(Bytes bytes, const char *text)
{
    return bytes.len >= strlen(text) &&
           memcmp(bytes.start, text, strlen(text)) == 0;
}

static inline bool bytes_are(Bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && bytes_begin(bytes, text);
}

static inline bool bytes_are_all_of(Bytes bytes, const char *allowed)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (!memchr(allowed, bytes.start[i], strlen(allowed)))
            return false;
    return true;
}

/* Without the first @n. */
static inline Bytes bytes_behind(Bytes bytes, size_t n)
{
    return (Bytes){ bytes.start + n, bytes.len - n };
}

/* What is before the first @mark, or all; @rest is behind it. */
static inline Bytes bytes_before(Bytes bytes, char mark, Bytes *rest)
{
    const char *at =
        bytes.len > 0 ? memchr(bytes.start, mark, bytes.len) : NULL;
    size_t len = at ? (size_t) (at - bytes.start) : bytes.len;

    *rest = bytes_behind(bytes, at ? len + 1 : len);
    return (Bytes){ bytes.start, len };
}

/* What is behind the first @text; false if it is not there. */
static inline bool bytes_find(Bytes bytes, const char *text, Bytes *ret)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes_begin(bytes_behind(bytes, i), text)) {
            *ret = bytes_behind(bytes, i + strlen(text));
            return true;
        }
    return false;
}
