/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Quota: at most so many in any span of time
 *
 * Unlike a token bucket it never allows more than its maximum in a window,
 * wherever the window begins. Embed the times behind it:
 *
 *     struct { Quota quota; uint64_t times[MAX]; }
 */

#include "common/util.h"

typedef struct QuotaLimit {
    uint32_t max;
    uint64_t span_usec;
} QuotaLimit;

typedef struct Quota {
    uint32_t n;    /* how many of the times are set */
    uint32_t next; /* the oldest one, once all are set */
} Quota;

/* Whether one may be taken now; if not, @ret_when_usec says when. */
bool quota_peek(const Quota *quota,
                const uint64_t *times,
                const QuotaLimit *limit,
                uint64_t now_usec,
                uint64_t *ret_when_usec);

/* Take one; quota_peek() must have said yes. */
void quota_take(Quota *quota,
                uint64_t *times,
                const QuotaLimit *limit,
                uint64_t now_usec);

/* Whether forgetting it would allow no more than keeping it. */
bool quota_is_idle(const Quota *quota,
                   const uint64_t *times,
                   const QuotaLimit *limit,
                   uint64_t now_usec);
