/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Orphans: disposables that were made for nothing, and whose job is no more
 *
 * An earlier run of the daemon made them. Each is killed, or removed if it
 * never ran (WIRE 1). A call that does not reach qubesd is made again once
 * qubesd is there. Pure like the jobs: the calls are got by
 * orphans_next_call().
 */

#include "dom0/core/admin.h"

#define ORPHANS_MAX 64U

typedef struct Orphan {
    QubeName name; /* "": a free place */
    bool wants_call;
    bool never_ran;
    uint64_t call; /* under way; 0: none */
} Orphan;

typedef struct Orphans {
    Orphan orphans[ORPHANS_MAX];
} Orphans;

/* False when there are too many: the disposable is left to the person then. */
bool orphans_add(Orphans *orphans, const QubeName *name);

/* Whether a call has to be made; @call is the id it gets. */
bool orphans_next_call(Orphans *orphans,
                       uint64_t call,
                       AdminRequest *ret_request);
/* Whether @call was made for an orphan; then the answer was taken. */
bool orphans_on_answer(Orphans *orphans,
                       uint64_t call,
                       const AdminAnswer *answer);
/* qubesd can be reached again: make anew the calls that did not reach it. */
void orphans_on_qubesd(Orphans *orphans);
