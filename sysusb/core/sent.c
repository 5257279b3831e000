/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "sysusb/core/sent.h"

static size_t slot_of(int64_t seq)
{
    return (size_t) ((uint64_t) seq % SENT_MAX);
}

void sent_reset(Sent *sent)
{
    *sent = (Sent){};
}

int64_t sent_next(Sent *sent, const DeviceName *device)
{
    int64_t seq = ++sent->last_seq;

    sent->events[slot_of(seq)] = (SentEvent){ .seq = seq, .device = *device };
    return seq;
}

const DeviceName *sent_device(const Sent *sent, int64_t seq)
{
    const SentEvent *event;

    if (seq < 1)
        return NULL;
    event = &sent->events[slot_of(seq)];
    return event->seq == seq ? &event->device : NULL;
}
