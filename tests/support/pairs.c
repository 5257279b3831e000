/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "tests/support/pairs.h"

/* KEY='VALUE' at the start of @line, which is then behind it. */
static bool read_pair(Pair *ret, Bytes *line)
{
    Bytes at;

    ret->key = bytes_before(*line, '=', &at);
    ret->len = 0;
    if (ret->key.len == 0 || !bytes_are_all_of(ret->key, LOWER "_-") ||
        !bytes_begin(at, "'"))
        return false;
    for (at = bytes_behind(at, 1); at.len > 0; at = bytes_behind(at, 1)) {
        if (bytes_begin(at, "'")) {
            *line = bytes_behind(at, 1);
            return true;
        }
        if (bytes_begin(at, "\\'"))
            at = bytes_behind(at, 1);
        if (ret->len == VALUE_MAX)
            return false;
        ret->value[ret->len++] = *at.start;
    }
    return false;
}

const Pair *pairs_find(const Pairs *pairs, Bytes key)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (pairs->pairs[i].key.len == key.len &&
            memcmp(pairs->pairs[i].key.start, key.start, key.len) == 0)
            return &pairs->pairs[i];
    return NULL;
}

bool pairs_read(Pairs *ret, Bytes line)
{
    for (ret->n = 0; line.len > 0; ret->n++) {
        Pair pair;

        if (ret->n == PAIRS_MAX || !bytes_begin(line, " "))
            return false;
        line = bytes_behind(line, 1);
        if (!read_pair(&pair, &line) || pairs_find(ret, pair.key))
            return false;
        ret->pairs[ret->n] = pair;
    }
    return true;
}
