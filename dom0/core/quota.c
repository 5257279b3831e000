/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "dom0/core/quota.h"

bool quota_peek(const Quota *quota,
                const uint64_t *times,
                const QuotaLimit *limit,
                uint64_t now_usec,
                uint64_t *ret_when_usec)
{
    uint64_t when_usec;

    *ret_when_usec = now_usec;
    if (quota->n < limit->max)
        return true;

    when_usec = times[quota->next] + limit->span_usec;
    if (when_usec <= now_usec)
        return true;

    *ret_when_usec = when_usec;
    return false;
}

void quota_take(Quota *quota,
                uint64_t *times,
                const QuotaLimit *limit,
                uint64_t now_usec)
{
    uint64_t when_usec;

    assert(quota_peek(quota, times, limit, now_usec, &when_usec));

    times[quota->next] = now_usec;
    quota->next = (quota->next + 1) % limit->max;
    if (quota->n < limit->max)
        quota->n++;
}

bool quota_is_idle(const Quota *quota,
                   const uint64_t *times,
                   const QuotaLimit *limit,
                   uint64_t now_usec)
{
    for (uint32_t i = 0; i < quota->n; i++)
        if (times[i] + limit->span_usec > now_usec)
            return false;
    return true;
}
