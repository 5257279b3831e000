/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/instant.h"
#include "common/sys/clock.h"

Instant instant_now(void)
{
    return (Instant){ .monotonic_usec = clock_monotonic_usec(),
                      .boottime_usec = clock_boottime_usec(),
                      .realtime_usec = clock_realtime_usec() };
}
