/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

/* What has been seen of a device that was attached, as far as we knew. */
static void device_learn_look(Manager *m,
                              Device *device,
                              const Job *job,
                              Instant now)
{
    bool ours = device->holding != HOLDING_NOTHING &&
                qube_name_equal(&device->held_by, &job->target);
    bool known = !ours || device->holding == HOLDING_DEVICE;

    if (job->outcome == STATUS_ALREADY_ATTACHED) {
        device->attached_to = job->target; /* a spurious event */
        device->attachment_known = true;
        if (ours)
            device->holding = HOLDING_DEVICE;
        return;
    }

    if (ours) {
        device->holding = HOLDING_NOTHING;
        device->held_by = (QubeName){};
    }
    if (qube_name_equal(&device->attached_to, &job->target))
        device->attached_to = (QubeName){};
    if (!known)
        return; /* what may never have been attached was not detached */
    if (job->outcome == STATUS_TARGET_NOT_RUNNING) {
        if (!ours)
            return;
        device->waits_for = job->target; /* it comes back with it */
        device_set_stopped(device, &job->target);
        return;
    }
    /* what qubesd took off its list meanwhile was not detached by the person */
    if (job->look_further && device->removed)
        return;
    device_on_user_detach(m, device, &job->target, now);
}

/* The job has found out that the target that had it was stopped. */
static void device_learn_stopped(Device *device, const Job *job)
{
    /* it had it by this very job, or by an earlier one */
    if (!job->tried && !qube_name_equal(&device->held_by, &job->found_stopped))
        return;

    device->holding = HOLDING_NOTHING;
    device->held_by = (QubeName){};
    if (qube_name_equal(&device->attached_to, &job->found_stopped))
        device->attached_to = (QubeName){};
    if (!status_is_success(job->outcome))
        device->stopped = job->found_stopped;
}

/* Its target has stopped since it was attached there: it comes back with it. */
static void device_learn_lost_target(Device *device, const Job *job)
{
    device->holding = HOLDING_NOTHING;
    device->held_by = (QubeName){};
    if (qube_name_equal(&device->attached_to, &job->target))
        device->attached_to = (QubeName){};
    if (!device->plugged || job->outcome == STATUS_SUPERSEDED)
        return;
    device->waits_for = job->target;
    device->stopped = job->target;
    device->late_at = job->target;
}

/* A record was quicker than the event that tells of its end. */
static void device_learn_lost(Manager *m,
                              Device *device,
                              const Job *job,
                              Instant now)
{
    if (job->outcome != STATUS_DETACHED_BY_USER)
        return;

    device->holding = HOLDING_NOTHING;
    device->held_by = (QubeName){};
    if (qube_name_equal(&device->attached_to, &job->target))
        device->attached_to = (QubeName){};
    device_mark_detached(device);
    plug_withdraw(m, device, now);
}

/* What a job that has ended leaves behind. */
void device_learn(Manager *m,
                  Device *device,
                  const ManagedJob *managed,
                  Instant now)
{
    const Job *job = &managed->job;

    switch (managed->kind) {
    case JOB_KIND_ATTACH:
        device->attachment_known |= job->touched;
        if (job->found_stopped.s[0] != '\0')
            device_learn_stopped(device, job);
        if (job->lost) {
            device_learn_lost(m, device, job, now);
            return;
        }
        if (!job->tried || job->outcome == STATUS_ALREADY_ATTACHED) {
            if (job->outcome == STATUS_ALREADY_ATTACHED &&
                device->holding == HOLDING_MAYBE &&
                qube_name_equal(&device->held_by, &job->target))
                device->holding = HOLDING_DEVICE;
            if (job->seen_at.s[0]) {
                device->attached_to = job->seen_at;
                device->removed = false; /* it is listed */
            } else if (job->outcome == STATUS_ALREADY_ATTACHED)
                device->attached_to = job->target;
            return;
        }
        break;
    case JOB_KIND_DETACH:
        /* what was not ours does not become so because that failed */
        if (managed->by_person && device->holding == HOLDING_NOTHING &&
            job->holding != HOLDING_NOTHING)
            return;
        break;
    case JOB_KIND_LOOK:
        if (job->outcome != STATUS_SUPERSEDED)
            device_learn_look(m, device, job, now);
        return;
    }

    device->holding = job->holding;
    device->bound = managed->kind == JOB_KIND_ATTACH && job->pinned;
    /* what was sent before its target stopped has not outlived that */
    if (managed->kind == JOB_KIND_ATTACH && managed->target_stopped &&
        !managed->attached_meanwhile && job->holding != HOLDING_NOTHING) {
        device_learn_lost_target(device, job);
        return;
    }
    /* the call has no answer, but an event has told that it was done */
    if (managed->kind == JOB_KIND_DETACH && managed->detached_meanwhile)
        device->holding = HOLDING_NOTHING;
    /* an event may have told what the job could not find out */
    if (device->holding == HOLDING_MAYBE && managed->attached_meanwhile)
        device->holding = HOLDING_DEVICE;
    device->held_by = job->target;
    if (device->holding == HOLDING_NOTHING)
        device->held_by = (QubeName){};
    device->held_template = job_made_from(job);
    if (!managed->by_person)
        device->close = (QubeName){};
    if (job_is_in_disposable(job) && managed->rule->options.close)
        device->close = job->target;
    if (device->holding == HOLDING_DEVICE) {
        if (managed->rule)
            device->held_rule = managed->rule->name;
        device->attached_to = job->target;
    } else if ((device->holding == HOLDING_NOTHING ||
                device->plug != managed->plug) &&
               qube_name_equal(&device->attached_to, &job->target)) {
        device->attached_to = (QubeName){};
    }
}

/*
 * The device went, and our Detach found it detached already: by the person, if
 * qubesd has told of it and not of the device's going. So a USB device that is
 * probed anew because the person has detached it is not attached again.
 */
void device_learn_missing(Manager *m,
                          Device *device,
                          const ManagedJob *managed,
                          Instant now)
{
    PlugMemory *memory = source_find_memory(managed->source, managed->lineage);

    if (!managed->job.missing || managed->target_stopped ||
        managed->job.task.class != DEVICE_CLASS_USB)
        return;
    if (device->plugged && device->lineage == managed->lineage) {
        if (managed->detached_meanwhile)
            device_on_user_detach(m, device, &managed->job.target, now);
    } else if (memory) {
        memory->detached_by_user |= managed->detached_meanwhile;
        memory->missing_from = managed->job.target;
    }
}
