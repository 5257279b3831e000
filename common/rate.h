/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Token bucket
 *
 * Holds up to @burst tokens and gains one every @interval_usec. A zeroed Rate
 * is full. Times are of one monotonic clock, in microseconds.
 */

#include "common/util.h"

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)

typedef struct RateLimit {
    uint64_t interval_usec; /* 0: no limit */
    uint32_t burst;         /* at least 1 */
} RateLimit;

typedef struct Rate {
    uint32_t n_taken;     /* tokens missing from a full bucket at since_usec */
    uint64_t since_usec;
} Rate;

/* Take a token if there is one. */
bool rate_take(Rate *rate, const RateLimit *limit, uint64_t now_usec);

/* Whether there is a token now, and if not, when there will be one. */
bool rate_peek(const Rate *rate,
               const RateLimit *limit,
               uint64_t now_usec,
               uint64_t *ret_when_usec);

/* Whether the bucket is full again, so that forgetting it loses nothing. */
bool rate_is_full(const Rate *rate, const RateLimit *limit, uint64_t now_usec);
