/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which device an answer is about
 *
 * Answers carry only the seq of their event, and may come long after it. The
 * last SENT_MAX events are remembered: as many as one picture has, and as many
 * changes after it. The journal names an older one by its number.
 */

#include "common/record.h"

#define SENT_MAX 1024U

typedef struct SentEvent {
    int64_t seq; /* 0: none */
    DeviceName device;
} SentEvent;

typedef struct Sent {
    int64_t last_seq;
    SentEvent events[SENT_MAX];
} Sent;

/* Forget all: a new connection counts from 1. */
void sent_reset(Sent *sent);

/* The seq for the next event, which is about @device. */
int64_t sent_next(Sent *sent, const DeviceName *device);

/* The device of an event; NULL if it is not remembered. */
const DeviceName *sent_device(const Sent *sent, int64_t seq);
