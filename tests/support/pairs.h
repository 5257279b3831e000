/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Pairs: " KEY='VALUE'" of a line of qubesd's (WIRE 1), read strictly
 */

#include "tests/support/bytes.h"

/* with more, or a longer value, a line is not believed */
#define PAIRS_MAX 64U
#define VALUE_MAX 1023U

typedef struct Pair {
    Bytes key;
    char value[VALUE_MAX + 1]; /* unescaped */
    size_t len;
} Pair;

typedef struct Pairs {
    Pair pairs[PAIRS_MAX];
    size_t n;
} Pairs;

/* False for a line that has anything else in it, or a key twice. */
bool pairs_read(Pairs *ret, Bytes line);
const Pair *pairs_find(const Pairs *pairs, Bytes key);
