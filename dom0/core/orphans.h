/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Orphans: disposables that were made for nothing, and whose job is no more
 *
 * An earlier run of the daemon made them, or qubesd after its time. Each is
 * killed, or removed if it never ran (WIRE 1); both are refused while it is
 * being started. A call that does not reach qubesd is made again once qubesd is
 * there, and after ORPHAN_RETRY_USEC if it is but has too much to do. Pure like
 * the jobs: the calls are got by orphans_next_call().
 */

#include "dom0/core/admin.h"

#define ORPHANS_MAX       64U
#define ORPHAN_RETRY_USEC (10 * USEC_PER_SEC)
/* how often one that qubesd does not let go is tried again */
#define ORPHAN_REFUSED_MAX 6U

typedef struct Orphan {
    QubeName name; /* "": a free place, or with @awaited: not known yet */
    bool awaited;  /* @call is still to tell whether it was made */
    bool wants_call;
    bool never_ran;
    bool gone; /* it has stopped, or is somebody's */
    unsigned int n_refused;
    uint64_t call;       /* under way; 0: none */
    uint64_t retry_usec; /* when to make it again; 0: not by time */
} Orphan;

typedef struct Orphans {
    Orphan orphans[ORPHANS_MAX];
} Orphans;

/* False when there are too many: the disposable is left to the person then. */
bool orphans_add(Orphans *orphans, const QubeName *name);

/* @call, a CreateDisposable that nobody waits for any more, will be answered.
 */
void orphans_await(Orphans *orphans, uint64_t call);

/* The disposable in place @index, which is less than ORPHANS_MAX; NULL: none.
 */
const QubeName *orphans_get(const Orphans *orphans, size_t index);

/* Whether a call has to be made; @call is the id it gets. */
bool orphans_next_call(Orphans *orphans,
                       uint64_t call,
                       AdminRequest *ret_request);
/* Whether @call was made for an orphan; then the answer was taken. If the call
 * did not reach qubesd it is made again at @retry_usec (0: only by
 * orphans_on_qubesd()). */
bool orphans_on_answer(Orphans *orphans,
                       uint64_t call,
                       const AdminAnswer *answer,
                       uint64_t retry_usec);
/* A qube has stopped, or somebody has attached a device to it: if it is one of
 * them, nothing is done to that name any more. */
void orphans_forget(Orphans *orphans, const QubeName *name);
/* qubesd can be reached again: make anew the calls that did not reach it. */
void orphans_on_qubesd(Orphans *orphans);
/* Make anew the calls whose time has come. */
void orphans_on_time(Orphans *orphans, uint64_t now_usec);
/* When that is; UINT64_MAX: never. */
uint64_t orphans_next_usec(const Orphans *orphans);
