/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Random numbers that can be had again: xorshift64* from a seed
 *
 * The seed is that of the environment variable AUTOATTACH_SEED, or a fixed one,
 * so that a test does the same in every run. A failing test prints the state
 * from which its round began.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* for the message of a failure, with the state from which the round began */
#define RANDOM_SEED_FORMAT "AUTOATTACH_SEED=%#" PRIx64

typedef struct Random {
    uint64_t state; /* never 0 */
} Random;

Random random_begin(void);

uint64_t random_next(Random *random);
/* 0 <= result < @limit */
size_t random_below(Random *random, size_t limit);
bool random_bool(Random *random);
