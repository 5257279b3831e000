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
    m->desk.backoff_usec = MANAGER_AGENT_USEC;
    m->watch.backoff_usec = MANAGER_POLICY_USEC;
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
    r = rule_hits_set_rules(&m->hits, m->ruleset);
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
    desk_clear(m);
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
    rule_hits_clear(&m->hits);
    history_free(m->history);
    free(m);
    return NULL;
}

/* Free jobs and sources that are done with. Only manager_settle() calls it, so
 * that a loop over the jobs never meets a freed one. */
static void manager_sweep(Manager *m, Instant now)
{
    ManagedJob **link = &m->jobs;

    while (m->n_dead > 0 && *link) {
        ManagedJob *managed = *link;

        if (managed->dead && managed->call == 0 && managed->overdue_call == 0 &&
            managed->question == 0) {
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
        if (m->sources[i] &&
            source_is_idle(m->sources[i], now.monotonic_usec) &&
            !desk_has_window_of(m, &m->sources[i]->name))
            m->sources[i] = source_free(m->sources[i]);
}

void manager_settle(Manager *m, Instant now)
{
    do {
        manager_give_turns(m, now);
        desk_step(m, now);
        manager_sweep(m, now);
    } while (manager_give_room(m, now));
    census_step(m, now);
}

void manager_set_rules(Manager *m, Ruleset *ruleset, Instant now)
{
    (void) rule_hits_set_rules(&m->hits, ruleset);
    ruleset_ref(ruleset);
    ruleset_unref(m->ruleset);
    m->ruleset = ruleset;

    /* what waits to be sent may not be wanted any more */
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (managed->wants_call && managed_acts(managed, JOB_WISH_CALL) &&
            managed_is_outdated(m, managed))
            managed_apply(m, managed, managed_end_outdated(managed), now);
    manager_settle(m, now);
}

void manager_on_time(Manager *m, Instant now)
{
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (!managed->dead &&
            job_next_usec(&managed->job) <= now.monotonic_usec)
            managed_apply(m, managed,
                          job_on_time(&managed->job, now.monotonic_usec), now);
    pause_on_time(m, now);
    suspects_on_time(m, now);
    orphans_on_time(&m->orphans, now.monotonic_usec);
    probes_on_time(m, now);
    policy_on_time(m, now);
    manager_settle(m, now);
}

/* The call that asks whether a source still runs, see Source.wants_probe. */
static bool probe_next_call(Manager *m,
                            uint64_t call,
                            AdminRequest *ret_request)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];

        if (!source || !source->wants_probe || source->probe_call != 0)
            continue;
        source->wants_probe = false;
        source->probe_call = call;
        *ret_request = (AdminRequest){ .method = ADMIN_CURRENT_STATE,
                                       .dest = source->name };
        return true;
    }
    return false;
}

bool manager_next_call(Manager *m,
                       uint64_t *ret_call,
                       AdminRequest *ret_request)
{
    *ret_call = m->last_call + 1;
    if (target_starts_next_call(m->starts, *ret_call, ret_request) ||
        orphans_next_call(&m->orphans, *ret_call, ret_request) ||
        probe_next_call(m, *ret_call, ret_request) ||
        desk_next_call(m, *ret_call, ret_request) ||
        census_next_call(m, *ret_call, ret_request)) {
        m->last_call++;
        return true;
    }

    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        if (!managed->wants_call || managed->call != 0 ||
            managed->source->n_calls >= SOURCE_CALLS_MAX)
            continue;
        managed->wants_call = false;
        managed->call = ++m->last_call;
        managed->source->n_calls++;
        managed->unheard = m->qubesd != QUBESD_CONNECTED;
        job_on_sent(&managed->job);
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

bool manager_has_jobs(const Manager *m, size_t n)
{
    const ManagedJob *managed = m->jobs;

    for (; n > 0 && managed; n--)
        managed = managed->next;
    return n == 0;
}

uint64_t manager_next_usec(const Manager *m)
{
    uint64_t next_usec = suspects_next_usec(m);

    if (orphans_next_usec(&m->orphans) < next_usec)
        next_usec = orphans_next_usec(&m->orphans);
    if (probes_next_usec(m) < next_usec)
        next_usec = probes_next_usec(m);
    if (room_next_usec(m) < next_usec)
        next_usec = room_next_usec(m);
    if (census_next_usec(m) < next_usec)
        next_usec = census_next_usec(m);
    if (policy_next_usec(m) < next_usec)
        next_usec = policy_next_usec(m);
    for (const ManagedJob *managed = m->jobs; managed;
         managed = managed->next) {
        uint64_t usec =
            managed->dead ? UINT64_MAX : job_next_usec(&managed->job);

        next_usec = usec < next_usec ? usec : next_usec;
    }
    return desk_next_usec(m) < next_usec ? desk_next_usec(m) : next_usec;
}

const History *manager_history(const Manager *m)
{
    return m->history;
}
