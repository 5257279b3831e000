/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/refusals.h"

static void drop(Refusals *refusals, size_t index)
{
    Refusal *at = &refusals->list[index];

    refusals->n--;
    memmove(at, at + 1, (refusals->n - index) * sizeof(*at));
}

void refusals_clear(Refusals *refusals, const QubeName *source)
{
    for (size_t i = refusals->n; i-- > 0;)
        if (qube_name_equal(&refusals->list[i].source, source))
            drop(refusals, i);
}

void refusals_note(Refusals *refusals, const Refusal *refusal)
{
    refusals_clear(refusals, &refusal->source);
    if (refusals->n == REFUSALS_MAX)
        drop(refusals, 0);
    refusals->list[refusals->n++] = *refusal;
}
