/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

uint64_t manager_paused_until(const Manager *m)
{
    return m->paused_until_usec;
}

bool managed_is_attaching(const ManagedJob *managed)
{
    const Job *job = &managed->job;

    bool unsent = job->state == JOB_ATTACHING && managed->wants_call;

    return job->holding != HOLDING_NOTHING && !unsent;
}

void manager_pause(Manager *m, uint64_t until_usec, Instant now)
{
    m->paused_until_usec = until_usec;
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        if (managed->dead || managed->kind != JOB_KIND_ATTACH)
            continue;
        if (managed == managed->device->queued)
            device_drop_queued(m, managed->device, STATUS_PAUSED, "", now);
        else if (!managed_is_attaching(managed))
            managed_withdraw(m, managed, STATUS_PAUSED, "", now);
    }
    manager_settle(m, now);
}

Device *next_plug(const Source *source, uint64_t plug)
{
    Device *next = NULL;

    for (Device *device = source->devices; device; device = device->next)
        if (device->plugged && device->plug > plug &&
            (!next || device->plug < next->plug))
            next = device;
    return next;
}

/* Decide what is plugged in: @all of it, or what the pause has held up. In the
 * order in which it came: of parts that exclude one another the first one is
 * attached. */
static void source_decide(Manager *m, Source *source, bool all, Instant now)
{
    uint64_t plug = 0;

    for (Device *device; (device = next_plug(source, plug));) {
        plug = device->plug;
        if (!all && !device->waits_for_pause)
            continue;
        device_stop_waiting(device);
        /* else it waits for its record: it may be another plug by now */
        if (device->told)
            (void) device_decide(m, device, NULL, now);
    }
}

static void source_forgive(Source *source)
{
    for (Device *device = source->devices; device; device = device->next) {
        device->detached_by_user = false;
        device->refused_by_user = false;
        device->stopped = (QubeName){};
    }
    source_forgive_memories(source, NULL);
}

void manager_resume(Manager *m, Instant now)
{
    if (m->paused_until_usec == 0)
        return;

    m->paused_until_usec = 0;
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        if (!m->sources[i])
            continue;
        source_forgive(m->sources[i]);
        source_decide(m, m->sources[i], true, now);
    }
    manager_settle(m, now);
}

void pause_on_time(Manager *m, Instant now)
{
    if (m->paused_until_usec == 0 || now.boottime_usec < m->paused_until_usec)
        return;

    m->paused_until_usec = 0;
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        if (m->sources[i])
            source_decide(m, m->sources[i], false, now);
}

uint64_t manager_new_asker(Manager *m)
{
    return ++m->last_connection;
}

void manager_drop_asker(Manager *m, uint64_t asker)
{
    waiters_drop(&m->answers, asker);
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        waiters_drop(&managed->attach_waiters, asker);
        waiters_drop(&managed->remove_waiters, asker);
    }
}

static Device *find_plugged(const Manager *m, const DeviceRef *ref)
{
    Source *source = manager_find_source(m, &ref->source);
    Device *device =
        source ? source_find(source, ref->class, &ref->device) : NULL;

    return device && device->plugged ? device : NULL;
}

/* The person wants a device attached whose target was stopped: a job that began
 * when that was not to be started, and no disposable made, is begun anew. */
static void device_end_modest_jobs(Manager *m, Device *device, Instant now)
{
    if (device->stopped.s[0] == '\0')
        return;
    device_drop_queued(m, device, STATUS_SUPERSEDED, DECIDED_ANEW, now);
    if (device->job && device->job->kind == JOB_KIND_ATTACH &&
        !managed_is_attaching(device->job))
        managed_supersede(m, device->job, DECIDED_ANEW, now);
}

Status manager_retry(Manager *m,
                     const DeviceRef *ref,
                     uint64_t asker,
                     Instant now)
{
    Device *device = find_plugged(m, ref);
    Waiter *waiter;
    Status status;

    if (!device)
        return STATUS_NO_SUCH_DEVICE;
    waiter = waiter_new_for_person(asker);
    if (!waiter)
        return STATUS_INTERNAL;

    device_end_modest_jobs(m, device, now);
    device_forgive(device);
    if (device->job)
        device->job->detach_behind = false;
    device->wanted = true;
    device_stop_waiting(device);
    status = device_decide(m, device, waiter, now);
    if (status != STATUS_INVALID)
        waiter_free(waiter);
    manager_settle(m, now);
    return status;
}

Status person_begin_detach(Manager *m, Device *device, Instant now)
{
    JobTask task = task_of(m, device);
    const QubeName *target = device->holding != HOLDING_NOTHING
                                 ? &device->held_by
                                 : &device->attached_to;
    ManagedJob *managed;

    if (target->s[0] == '\0' && device->attachment_known) {
        manager_record(m, device, "", "", STATUS_DETACHED, "", 0, now);
        return STATUS_DETACHED;
    }
    if (managed_new(m, &managed, JOB_KIND_DETACH, device, NULL, now) < 0)
        return STATUS_INTERNAL;

    managed->by_person = true;
    device->job = managed;
    managed_apply(
        m, managed,
        job_begin_detach(&managed->job, &task, target, now.monotonic_usec),
        now);
    return STATUS_INVALID;
}

Status manager_detach(Manager *m,
                      const DeviceRef *ref,
                      uint64_t asker,
                      Instant now)
{
    Device *device = find_plugged(m, ref);
    Status status = STATUS_INVALID;
    Waiter *waiter;

    if (!device)
        return STATUS_NO_SUCH_DEVICE;
    waiter = waiter_new_for_person(asker);
    if (!waiter)
        return STATUS_INTERNAL;

    device_mark_detached(device);
    plug_withdraw(m, device, now);
    device_stop_waiting(device);
    device->suspect = false; /* there will be nothing to look at */
    device_drop_queued(m, device, STATUS_DETACHED_BY_USER, "", now);
    if (device->job && device->job->kind == JOB_KIND_ATTACH)
        managed_withdraw(m, device->job, STATUS_DETACHED_BY_USER, "", now);
    /* the job that has just ended may have been followed by a look */
    if (device->job && device->job->kind == JOB_KIND_LOOK)
        managed_supersede(m, device->job, "", now);
    if (!device->job)
        status = person_begin_detach(m, device, now);
    else
        device->job->detach_behind =
            !device->job->by_person || device->job->plug != device->plug;
    if (status == STATUS_INVALID)
        waiters_push(&device->job->remove_waiters, waiter);
    else
        waiter_free(waiter);
    manager_settle(m, now);
    return status;
}
