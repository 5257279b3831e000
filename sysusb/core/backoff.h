/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * How long to wait before calling dom0 again
 *
 * 0.5 s after the first lost call, doubling, each time up to half as much more
 * by chance, never over 60 s. A call that lived for a minute was a good one:
 * the next wait is short again. A refusal by policy is not a failure that
 * passes by itself, so that wait is 10 minutes, and what comes after it begins
 * anew. A zeroed Backoff is fresh.
 */

#include "common/util.h"

#define BACKOFF_MIN_USEC     UINT64_C(500000)
#define BACKOFF_MAX_USEC     UINT64_C(60000000)
#define BACKOFF_STABLE_USEC  UINT64_C(60000000)
#define BACKOFF_REFUSED_USEC UINT64_C(600000000)

typedef struct Backoff {
    unsigned int n_failures; /* in a row */
} Backoff;

/*
 * A call ended after @lived_usec. @refused: by policy. @chance is any number.
 * Answers how long to wait.
 */
uint64_t backoff_next(Backoff *backoff,
                      uint64_t lived_usec,
                      bool refused,
                      uint64_t chance);
