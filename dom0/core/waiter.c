/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdlib.h>

#include "dom0/core/source.h"
#include "dom0/core/waiter.h"

void waiters_init(WaiterList *list)
{
    *list = (WaiterList){ .end = &list->first };
}

void waiters_push(WaiterList *list, Waiter *waiter)
{
    waiter->next = NULL;
    *list->end = waiter;
    list->end = &waiter->next;
}

Waiter *waiters_pop(WaiterList *list)
{
    Waiter *waiter = list->first;

    if (!waiter)
        return NULL;
    list->first = waiter->next;
    if (!list->first)
        list->end = &list->first;
    return waiter;
}

/* A place among what waits for an outcome. */
Waiter *waiter_new(Source *source, uint64_t connection, int64_t seq)
{
    Waiter *waiter;

    if (source->n_waiters >= SOURCE_JOBS_MAX)
        return NULL;
    waiter = malloc(sizeof(*waiter));
    if (!waiter)
        return NULL;

    *waiter =
        (Waiter){ .connection = connection, .seq = seq, .source = source };
    source->n_waiters++;
    return waiter;
}

Waiter *waiter_new_for_person(uint64_t asker)
{
    Waiter *waiter = malloc(sizeof(*waiter));

    if (waiter)
        *waiter = (Waiter){ .connection = asker };
    return waiter;
}

void waiter_free(Waiter *waiter)
{
    if (waiter->source)
        waiter->source->n_waiters--;
    free(waiter);
}

/* Forget the waiters of a connection that is gone. */
void waiters_drop(WaiterList *list, uint64_t connection)
{
    WaiterList kept;
    Waiter *waiter;

    waiters_init(&kept);
    while ((waiter = waiters_pop(list))) {
        if (waiter->connection == connection)
            waiter_free(waiter);
        else
            waiters_push(&kept, waiter);
    }
    waiters_init(list);
    while ((waiter = waiters_pop(&kept)))
        waiters_push(list, waiter);
}

void waiters_clear(WaiterList *list)
{
    Waiter *waiter;

    while ((waiter = waiters_pop(list)))
        waiter_free(waiter);
}
