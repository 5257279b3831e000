/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

/* The one that was asked for the longest ago; NULL if none waits. */
static Device *next_unjudged(const Manager *m)
{
    Device *next = NULL;

    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        for (Device *device = m->sources[i] ? m->sources[i]->devices : NULL;
             device; device = device->next)
            if (device->waits_for_policy &&
                (!next || device->asked < next->asked))
                next = device;
    return next;
}

static void watch_pause(PolicyWatch *watch, Instant now)
{
    watch->retry_usec = now.monotonic_usec + watch->backoff_usec;
    watch->backoff_usec *= 2;
    if (watch->backoff_usec > MANAGER_POLICY_MAX_USEC)
        watch->backoff_usec = MANAGER_POLICY_MAX_USEC;
}

void policy_await(Manager *m,
                  Device *device,
                  const PolicyQuestion *question,
                  Instant now)
{
    PolicyWatch *watch = &m->watch;

    device->waits_for_policy = true;
    device->unanswered = *question;
    device->asked = m->last_call;
    watch->any = true;
    if (now.monotonic_usec >= watch->retry_usec + MANAGER_POLICY_MAX_USEC)
        watch->backoff_usec = MANAGER_POLICY_USEC; /* of another trouble */
    if (now.monotonic_usec >= watch->retry_usec)
        watch_pause(watch, now);
}

/*
 * The policy daemon has answered something: what waits for it is decided again.
 * Questions of jobs call for that only now and then: there may be one that it
 * never answers, whose job asks others before.
 */
static void policy_on_heard(Manager *m, bool is_own, Instant now)
{
    PolicyWatch *watch = &m->watch;

    if (!watch->any || (!is_own && now.monotonic_usec < watch->calm_usec))
        return;

    watch->any = false;
    watch->calm_usec = now.monotonic_usec + MANAGER_POLICY_MAX_USEC;
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        for (Device *device = m->sources[i] ? m->sources[i]->devices : NULL;
             device; device = device->next) {
            device->waits_for_room |= device->waits_for_policy;
            m->lacks_room |= device->waits_for_policy;
            device->waits_for_policy = false;
        }
}

static void policy_on_answer(Manager *m,
                             PolicyAnswer answer,
                             bool is_own,
                             Instant now)
{
    m->policy = answer;
    m->policy_usec = now.realtime_usec;
    switch (answer) {
    case POLICY_NO:
    case POLICY_YES:
        policy_on_heard(m, is_own, now);
        break;
    case POLICY_SILENT:
    case POLICY_UNREACHABLE:
    case POLICY_TIMED_OUT:
        break;
    }
}

void manager_note_policy(Manager *m, PolicyAnswer answer, Instant now)
{
    policy_on_answer(m, answer, false, now);
    manager_settle(m, now);
}

static bool policy_next_question(Manager *m,
                                 uint64_t *ret_id,
                                 PolicyQuestion *ret_question)
{
    Device *device = m->watch.wants_question ? next_unjudged(m) : NULL;

    m->watch.wants_question = false;
    if (!device)
        return false;

    *ret_question = device->unanswered;
    *ret_id = m->watch.question = device->asked = ++m->last_call;
    return true;
}

bool manager_next_question(Manager *m,
                           uint64_t *ret_id,
                           PolicyQuestion *ret_question)
{
    if (policy_next_question(m, ret_id, ret_question))
        return true;
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        if (!managed->wants_question ||
            managed->source->n_calls >= SOURCE_CALLS_MAX)
            continue;
        managed->wants_question = false;
        managed->question = ++m->last_call;
        managed->source->n_calls++;
        *ret_id = managed->question;
        *ret_question = managed->job.question;
        return true;
    }
    return false;
}

void manager_on_verdict(Manager *m,
                        uint64_t id,
                        PolicyAnswer answer,
                        Instant now)
{
    bool is_own = m->watch.question == id;

    if (is_own) {
        m->watch.question = 0;
        watch_pause(&m->watch, now);
    }
    policy_on_answer(m, answer, is_own, now);
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        if (managed->question != id)
            continue;
        managed->question = 0;
        managed->source->n_calls--;
        if (!managed->dead)
            managed_apply(
                m, managed,
                job_on_verdict(&managed->job, answer, now.monotonic_usec), now);
        break;
    }
    manager_settle(m, now);
}

uint64_t policy_next_usec(const Manager *m)
{
    const PolicyWatch *watch = &m->watch;

    return watch->any && !watch->wants_question && watch->question == 0 &&
                   next_unjudged(m)
               ? watch->retry_usec
               : UINT64_MAX;
}

void policy_on_time(Manager *m, Instant now)
{
    m->watch.wants_question |= policy_next_usec(m) <= now.monotonic_usec;
}
