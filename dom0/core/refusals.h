/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Refusals: the sources that sent what is not understood here
 *
 * So that the person learns of a forwarder that does not fit dom0's version:
 * its source may have nothing else by which it would be known. Of each the last
 * one is kept; when full, the oldest makes room.
 */

#include "common/qube-name.h"
#include "common/record.h"
#include "common/status.h"

#define REFUSALS_MAX 16U

typedef struct Refusal {
    QubeName source;
    Status status;                    /* that its connection was closed with */
    char agent[RECORD_AGENT_MAX + 1]; /* the source's own words; "" */
    uint64_t when_usec;               /* CLOCK_REALTIME */
} Refusal;

typedef struct Refusals {
    Refusal list[REFUSALS_MAX]; /* the oldest first */
    size_t n;
} Refusals;

void refusals_note(Refusals *refusals, const Refusal *refusal);
/* What the source sends is understood again. */
void refusals_clear(Refusals *refusals, const QubeName *source);
