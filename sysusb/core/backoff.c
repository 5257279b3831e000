/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sysusb/core/backoff.h"

/* the last step that, with its share of chance, stays within the limit */
#define LAST_STEP_USEC (BACKOFF_MAX_USEC / 3 * 2)

uint64_t backoff_next(Backoff *backoff,
                      uint64_t lived_usec,
                      bool refused,
                      uint64_t chance)
{
    uint64_t step_usec = BACKOFF_MIN_USEC;

    if (lived_usec >= BACKOFF_STABLE_USEC || refused)
        backoff->n_failures = 0;
    if (refused)
        return BACKOFF_REFUSED_USEC;

    for (unsigned int i = 0; i < backoff->n_failures; i++) {
        step_usec *= 2;
        if (step_usec >= LAST_STEP_USEC) {
            step_usec = LAST_STEP_USEC;
            break;
        }
    }
    if (step_usec < LAST_STEP_USEC)
        backoff->n_failures++;

    return step_usec + chance % (step_usec / 2 + 1);
}
