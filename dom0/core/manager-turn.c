/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

/* The job that has its turn for a USB attach into the same target, or of the
 * same device, or NULL. */
static const ManagedJob *port_turn_holder(const Manager *m,
                                          const ManagedJob *managed)
{
    for (const ManagedJob *other = m->jobs; other; other = other->next)
        if (other != managed && other->port_turn &&
            (qube_name_equal(&other->job.target, &managed->job.target) ||
             (other->source == managed->source &&
              device_name_equal(&other->job.task.device,
                                &managed->job.task.device))))
            return other;
    return NULL;
}

/* Whether a device that excludes this one was attached by an earlier run, or a
 * part of the same USB device was detached by the person, as that run was told,
 * and no record has told yet that it still is there. */
static bool device_has_unconfirmed_part(const Device *device)
{
    for (const Device *part = device->source->devices; part; part = part->next)
        if (part->plugged && !part->told &&
            ((device_is_attached(part) && device_excludes(device, part)) ||
             (part->detach_told && device_is_same_usb(device, part))))
            return true;
    return false;
}

/* Grant the job its turn, or say why not: JOB_TURN_SHUT if something is in the
 * way that may never end, so that the job's own time goes on. */
static JobWish managed_give_turn(Manager *m, ManagedJob *managed, Instant now)
{
    Job *job = &managed->job;
    bool is_port = job_holds_port_turn(job);
    const ManagedJob *holder = is_port ? port_turn_holder(m, managed) : NULL;
    const ManagedJob *before = device_follows(managed->device);
    uint64_t when_usec = UINT64_MAX;
    JobTurn turn = JOB_TURN_GRANTED;

    if (device_is_looked_at(managed->device))
        turn = JOB_TURN_LATER;
    else if (before)
        turn = before->overdue_call != 0 ? JOB_TURN_SHUT : JOB_TURN_LATER;
    else if (device_has_unconfirmed_part(managed->device) ||
             (managed->job.task.class == DEVICE_CLASS_USB &&
              source_is_picturing(managed->source, managed->device)))
        turn = JOB_TURN_SHUT;
    else if (holder)
        turn = holder->overdue_call != 0 || holder->dead ? JOB_TURN_SHUT
                                                         : JOB_TURN_LATER;
    else if (!m->unlimited && !job->has_turn &&
             !source_take_attach(managed->source, managed->device,
                                 now.monotonic_usec, &when_usec))
        turn = JOB_TURN_LATER;
    managed->port_turn = is_port && turn == JOB_TURN_GRANTED;
    return job_on_turn(job, turn, when_usec, now.monotonic_usec);
}

/* Whether a part is attached, or a job has had its turn to attach it: two jobs
 * may have waited for the same look, and the first one wins. */
static bool part_is_in_the_way(const Device *part)
{
    const ManagedJob *managed = part->job;

    return (device_is_attached_now(part) && device_is_confirmed(part)) ||
           (managed && managed->kind == JOB_KIND_ATTACH &&
            !plug_before_is_busy(part) &&
            (managed->port_turn || managed->job.state == JOB_ATTACHING ||
             managed_is_attaching(managed)));
}

bool managed_is_outdated(const Manager *m, const ManagedJob *managed)
{
    return managed->ruleset != m->ruleset &&
           !rule_is_current(m, managed->device, managed->rule);
}

JobWish managed_end_outdated(ManagedJob *managed)
{
    managed->outdated = true;
    return job_on_withdrawn(&managed->job, false, STATUS_SUPERSEDED,
                            RULES_CHANGED);
}

JobWish managed_check_turn(Manager *m, ManagedJob *managed, Instant now)
{
    const Device *device = managed->device;

    if (device_is_left_alone(device))
        return job_on_withdrawn(&managed->job, true, STATUS_DETACHED_BY_USER,
                                "");
    /* in a window that an earlier rule has opened */
    if (device_is_refused(device))
        return job_on_withdrawn(&managed->job, true, STATUS_DENIED_BY_USER, "");
    if (managed_is_outdated(m, managed))
        return managed_end_outdated(managed);
    for (const Device *part = device->source->devices; part;
         part = part->next) {
        if (!part->plugged || !part_is_in_the_way(part) ||
            !device_excludes(device, part))
            continue;
        managed->device->waits_for_part = true;
        return job_on_withdrawn(&managed->job, true, STATUS_ATTACHED_ELSEWHERE,
                                "another part of the same device is attached");
    }
    return managed_give_turn(m, managed, now);
}

void manager_give_turn_to_parts(Manager *m, const Device *device)
{
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (!managed->dead && managed->source == device->source &&
            managed->job.state == JOB_TURN &&
            device_excludes(managed->device, device)) {
            managed->asks_again = true;
            m->asks_again = true;
        }
}

/* Not one whose rate is used up: nothing but time helps that, and a source may
 * have hundreds of them. */
static bool managed_asks_again(const ManagedJob *managed, bool all)
{
    return !managed->dead && managed->job.state == JOB_TURN &&
           (managed->asks_again ||
            (all && managed->job.wake_usec == UINT64_MAX));
}

void manager_give_turns(Manager *m, Instant now)
{
    while (m->turns_changed || m->asks_again) {
        bool all = m->turns_changed;

        m->turns_changed = false;
        m->asks_again = false;
        for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
            if (managed_asks_again(managed, all)) {
                managed->asks_again = false;
                managed_apply(m, managed, JOB_WISH_TURN, now);
            }
    }
}

JobWish managed_give_part(ManagedJob *managed, Instant now)
{
    const Record *unknown = NULL;
    bool attached = false;

    for (const Device *part = managed->source->devices; part;
         part = part->next) {
        if (!part->plugged || !device_excludes(managed->device, part))
            continue;
        /* one that is not confirmed keeps the job from its turn, see
         * device_has_unconfirmed_part() */
        attached |= device_is_attached_now(part) && device_is_confirmed(part);
        if (!part->attachment_known)
            unknown = &part->record;
    }
    managed->presumed =
        !attached && managed->job.task.class == DEVICE_CLASS_USB &&
        source_has_early_of(managed->source, &managed->device->record);
    attached |= managed->presumed;
    return job_on_part(&managed->job, unknown, attached, now.monotonic_usec);
}

void managed_end_overdue(Manager *m,
                         ManagedJob *managed,
                         const AdminAnswer *answer,
                         Instant now)
{
    const JobTask *task = &managed->job.task;
    Device *device = source_find(managed->source, task->class, &task->device);

    managed->port_turn = false;
    m->turns_changed = true;
    /* only if nothing has been decided or told of the device since the job
     * ended */
    if (!device || device->job || device->plug != managed->plug ||
        device->holding != HOLDING_MAYBE ||
        !qube_name_equal(&device->held_by, &managed->job.target))
        return;
    if (answer->result == ADMIN_OK) {
        device->holding = HOLDING_DEVICE;
        device->attached_to = device->held_by;
        device_tell_late_attach(m, device, now);
    } else if (answer->result == ADMIN_EXCEPTION) {
        device->holding = HOLDING_NOTHING;
        device->held_by = (QubeName){};
    }
}
