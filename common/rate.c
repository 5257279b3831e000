/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "common/rate.h"

/* @rate as it is at @now_usec */
static Rate refilled(const Rate *rate,
                     const RateLimit *limit,
                     uint64_t now_usec)
{
    Rate ret = *rate;
    uint64_t n_gained;

    if (now_usec <= rate->since_usec)
        return ret;

    n_gained = (now_usec - rate->since_usec) / limit->interval_usec;
    if (n_gained >= rate->n_taken)
        return (Rate){ .n_taken = 0, .since_usec = now_usec };

    ret.n_taken -= (uint32_t) n_gained;
    ret.since_usec += n_gained * limit->interval_usec;
    return ret;
}

bool rate_take(Rate *rate, const RateLimit *limit, uint64_t now_usec)
{
    if (limit->interval_usec == 0)
        return true;

    *rate = refilled(rate, limit, now_usec);
    if (rate->n_taken >= limit->burst)
        return false;

    rate->n_taken++;
    return true;
}

bool rate_peek(const Rate *rate,
               const RateLimit *limit,
               uint64_t now_usec,
               uint64_t *ret_when_usec)
{
    Rate now;

    *ret_when_usec = now_usec;
    if (limit->interval_usec == 0)
        return true;

    now = refilled(rate, limit, now_usec);
    if (now.n_taken < limit->burst)
        return true;

    *ret_when_usec = now.since_usec + limit->interval_usec;
    return false;
}

bool rate_is_full(const Rate *rate, const RateLimit *limit, uint64_t now_usec)
{
    return limit->interval_usec == 0 ||
           refilled(rate, limit, now_usec).n_taken == 0;
}
