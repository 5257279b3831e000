/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "dom0/core/orphans.h"

/* A free place; NULL if there is none. */
static Orphan *find_place(Orphans *orphans)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++) {
        Orphan *orphan = &orphans->orphans[i];

        if (orphan->name.s[0] == '\0' && !orphan->awaited)
            return orphan;
    }
    return NULL;
}

bool orphans_add(Orphans *orphans, const QubeName *name)
{
    Orphan *orphan = find_place(orphans);

    if (!orphan)
        return false;
    *orphan = (Orphan){ .name = *name, .wants_call = true };
    return true;
}

void orphans_await(Orphans *orphans, uint64_t call)
{
    Orphan *orphan = find_place(orphans);

    if (orphan)
        *orphan = (Orphan){ .awaited = true, .call = call };
}

const QubeName *orphans_get(const Orphans *orphans, size_t index)
{
    const QubeName *name;

    assert(index < ORPHANS_MAX);

    name = &orphans->orphans[index].name;
    return name->s[0] != '\0' ? name : NULL;
}

bool orphans_next_call(Orphans *orphans,
                       uint64_t call,
                       AdminRequest *ret_request)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++) {
        Orphan *orphan = &orphans->orphans[i];

        if (!orphan->wants_call)
            continue;
        orphan->wants_call = false;
        orphan->call = call;
        *ret_request = (AdminRequest){
            .method = orphan->never_ran ? ADMIN_REMOVE : ADMIN_KILL,
            .dest = orphan->name,
        };
        return true;
    }
    return false;
}

static void orphan_take_answer(Orphan *orphan,
                               const AdminAnswer *answer,
                               uint64_t retry_usec)
{
    orphan->call = 0;
    if (orphan->awaited && answer->result == ADMIN_OK) {
        *orphan = (Orphan){ .name = answer->qube, .wants_call = true };
        return;
    }
    if (orphan->awaited || orphan->gone) {
        *orphan = (Orphan){};
        return;
    }
    /* or qubesd has gone down in the middle, or the hypervisor has failed */
    if (answer->result == ADMIN_UNREACHABLE || answer->result == ADMIN_EMPTY) {
        orphan->retry_usec = retry_usec;
        return;
    }
    if (answer->result == ADMIN_EXCEPTION &&
        answer->error == ADMIN_ERROR_NOT_STARTED && !orphan->never_ran) {
        orphan->never_ran = true;
        orphan->wants_call = true;
        return;
    }
    /* it was being started: Remove waits for the end of that, and then it runs
     */
    if (answer->result == ADMIN_EXCEPTION &&
        answer->error == ADMIN_ERROR_OTHER &&
        orphan->n_refused < ORPHAN_REFUSED_MAX) {
        orphan->n_refused++;
        orphan->never_ran = false;
        orphan->retry_usec = retry_usec;
        return;
    }
    *orphan = (Orphan){};
}

bool orphans_on_answer(Orphans *orphans,
                       uint64_t call,
                       const AdminAnswer *answer,
                       uint64_t retry_usec)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++) {
        if (orphans->orphans[i].call != call)
            continue;
        orphan_take_answer(&orphans->orphans[i], answer, retry_usec);
        return true;
    }
    return false;
}

void orphans_forget(Orphans *orphans, const QubeName *name)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++) {
        Orphan *orphan = &orphans->orphans[i];

        if (!qube_name_equal(&orphan->name, name))
            continue;
        if (orphan->call != 0)
            orphan->gone = true;
        else
            *orphan = (Orphan){};
    }
}

static void orphan_call_again(Orphan *orphan)
{
    orphan->retry_usec = 0;
    orphan->wants_call = true;
}

void orphans_on_qubesd(Orphans *orphans)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++)
        if (orphans->orphans[i].name.s[0] != '\0' &&
            orphans->orphans[i].call == 0)
            orphan_call_again(&orphans->orphans[i]);
}

void orphans_on_time(Orphans *orphans, uint64_t now_usec)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++)
        if (orphans->orphans[i].retry_usec != 0 &&
            orphans->orphans[i].retry_usec <= now_usec)
            orphan_call_again(&orphans->orphans[i]);
}

uint64_t orphans_next_usec(const Orphans *orphans)
{
    uint64_t next_usec = UINT64_MAX;

    for (size_t i = 0; i < ORPHANS_MAX; i++) {
        uint64_t usec = orphans->orphans[i].retry_usec;

        if (usec != 0 && usec < next_usec)
            next_usec = usec;
    }
    return next_usec;
}
