/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Waiters: records whose outcome is not known yet
 *
 * A waiter takes a place among the SOURCE_JOBS_MAX of its source until it is
 * freed. It is in one list at a time.
 */

#include "common/status.h"
#include "common/util.h"

typedef struct Source Source;

typedef struct Waiter {
    struct Waiter *next;
    uint64_t connection;
    int64_t seq;
    Source *source; /* NULL: it is the person who waits */
    Status status;  /* once it is an answer */
} Waiter;

/* First in, first out. It may not be moved while it is in use. */
typedef struct WaiterList {
    Waiter *first;
    Waiter **end;
} WaiterList;

/* NULL if the source has none left, or without memory. */
Waiter *waiter_new(Source *source, uint64_t connection, int64_t seq);
/* No source can use up what the person needs. NULL without memory. */
Waiter *waiter_new_for_person(uint64_t asker);
void waiter_free(Waiter *waiter);

void waiters_init(WaiterList *list);
void waiters_push(WaiterList *list, Waiter *waiter);
Waiter *waiters_pop(WaiterList *list);
/* Forget those of a connection that is gone. */
void waiters_drop(WaiterList *list, uint64_t connection);
void waiters_clear(WaiterList *list);
