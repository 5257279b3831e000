/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <time.h>

#include "common/sys/clock.h"

static uint64_t clock_usec(clockid_t id)
{
    struct timespec now;
    int r = clock_gettime(id, &now);

    assert(r == 0);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

uint64_t clock_monotonic_usec(void)
{
    return clock_usec(CLOCK_MONOTONIC);
}

uint64_t clock_boottime_usec(void)
{
    return clock_usec(CLOCK_BOOTTIME);
}

uint64_t clock_realtime_usec(void)
{
    return clock_usec(CLOCK_REALTIME);
}
