/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <stdlib.h>

#include "tests/support/random.h"

#define DEFAULT_SEED UINT64_C(0x9e3779b97f4a7c15)

Random random_begin(void)
{
    const char *text = getenv("AUTOATTACH_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : DEFAULT_SEED;

    return (Random){ .state = seed ? seed : DEFAULT_SEED };
}

uint64_t random_next(Random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

size_t random_below(Random *random, size_t limit)
{
    assert(limit > 0);

    return (size_t) (random_next(random) >> 11) % limit;
}

bool random_bool(Random *random)
{
    return random_below(random, 2) == 1;
}
