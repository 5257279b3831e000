/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "dom0/core/manager-internal.h"

int manager_new(Manager **ret, bool unlimited)
{
    _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(*m));
    int r;

    if (!m)
        return -ENOMEM;

    m->unlimited = unlimited;
    m->jobs_end = &m->jobs;
    waiters_init(&m->answers);
    r = history_new(&m->history, HISTORY_CAPACITY);
    if (r < 0)
        return r;
    r = target_starts_new(&m->starts, unlimited);
    if (r < 0)
        return r;
    r = ruleset_new(&m->ruleset);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(m);
    return 0;
}

Manager *manager_free(Manager *m)
{
    if (!m)
        return NULL;

    waiters_clear(&m->answers);
    while (m->jobs) {
        ManagedJob *managed = m->jobs;

        m->jobs = managed->next;
        if (managed->device) {
            managed->device->job = NULL;
            managed->device->queued = NULL;
        }
        managed_free(managed);
    }
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        source_free(m->sources[i]);
    target_starts_free(m->starts);
    ruleset_unref(m->ruleset);
    history_free(m->history);
    free(m);
    return NULL;
}

void manager_set_rules(Manager *m, Ruleset *ruleset)
{
    ruleset_ref(ruleset);
    ruleset_unref(m->ruleset);
    m->ruleset = ruleset;
}

/* Free the jobs that are done and the sources that nothing is known of. Only
 * here: whoever walks the jobs need not fear that one goes away under it. */
void manager_sweep(Manager *m)
{
    ManagedJob **link = &m->jobs;

    while (m->n_dead > 0 && *link) {
        ManagedJob *managed = *link;

        if (managed->dead && managed->call == 0) {
            *link = managed->next;
            if (m->jobs_end == &managed->next)
                m->jobs_end = link;
            managed_free(managed);
            m->n_dead--;
        } else {
            link = &managed->next;
        }
    }

    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        if (m->sources[i] && source_is_idle(m->sources[i]))
            m->sources[i] = source_free(m->sources[i]);
}

void manager_on_time(Manager *m, Instant now)
{
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (!managed->dead &&
            job_next_usec(&managed->job) <= now.monotonic_usec)
            managed_apply(m, managed,
                          job_on_time(&managed->job, now.monotonic_usec), now);
    manager_sweep(m);
}

bool manager_next_call(Manager *m,
                       uint64_t *ret_call,
                       AdminRequest *ret_request)
{
    if (target_starts_next_call(m->starts, m->last_call + 1, ret_request)) {
        *ret_call = ++m->last_call;
        return true;
    }

    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        if (!managed->wants_call ||
            managed->source->n_calls >= SOURCE_CALLS_MAX)
            continue;
        managed->wants_call = false;
        managed->call = ++m->last_call;
        managed->source->n_calls++;
        *ret_call = managed->call;
        *ret_request = managed->job.request;
        return true;
    }
    return false;
}

bool manager_next_answer(Manager *m,
                         uint64_t *ret_connection,
                         int64_t *ret_seq,
                         Status *ret_status)
{
    Waiter *waiter = waiters_pop(&m->answers);

    if (!waiter)
        return false;

    *ret_connection = waiter->connection;
    *ret_seq = waiter->seq;
    *ret_status = waiter->status;
    waiter_free(waiter);
    return true;
}

bool manager_next_close(Manager *m, uint64_t *ret_connection)
{
    if (m->n_closing == 0)
        return false;

    *ret_connection = m->closing[--m->n_closing];
    return true;
}

uint64_t manager_next_usec(const Manager *m)
{
    uint64_t next_usec = UINT64_MAX;

    for (const ManagedJob *managed = m->jobs; managed;
         managed = managed->next) {
        uint64_t usec =
            managed->dead ? UINT64_MAX : job_next_usec(&managed->job);

        next_usec = usec < next_usec ? usec : next_usec;
    }
    return next_usec;
}

const History *manager_history(const Manager *m)
{
    return m->history;
}
