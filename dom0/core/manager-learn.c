/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

/* A look has ended: does its target still have the device? */
static void device_learn_look(Manager *m,
                              Device *device,
                              const Job *job,
                              Instant now)
{
    bool ours = device->holding != HOLDING_NOTHING &&
                qube_name_equal(&device->held_by, &job->target);
    bool known = !ours || device->holding == HOLDING_DEVICE;

    if (job->outcome == STATUS_ALREADY_ATTACHED) {
        /* a detach event that said otherwise was a spurious one (WIRE 1) */
        device->attached_to = job->target;
        device->attachment_known = true;
        if (ours)
            device->holding = HOLDING_DEVICE;
        return;
    }

    /* it has stopped, or nobody has heard whether it did */
    if (job->outcome == STATUS_TARGET_NOT_RUNNING || !device->attachment_known)
        device_drop_close(device, &job->target);
    if (ours) {
        device->holding = HOLDING_NOTHING;
        device->held_by = (QubeName){};
    }
    if (qube_name_equal(&device->attached_to, &job->target) &&
        !qube_name_equal(&job->seen_at, &job->target))
        device->attached_to = (QubeName){};
    if (!known)
        /* it may never have been attached: then nobody has detached it */
        return;
    if (job->outcome == STATUS_TARGET_NOT_RUNNING) {
        if (!ours)
            return;
        /* to be attached again when the target starts */
        device->waits_for = job->target;
        device_set_stopped(device, &job->target);
        return;
    }
    /* what qubesd took off its list meanwhile was not detached by the person */
    if (job->look_further && device->removed) {
        device->waits_for_list = device_was_found_attached(device);
        return;
    }
    device_on_user_detach(m, device, &job->target, now);
}

/* The job has found out that the target that had the device, job.found_stopped,
 * does not run any more. */
static void device_learn_stopped(Device *device, const Job *job)
{
    device_drop_close(device, &job->found_stopped);
    /* if we did not attach it there, by this job or an earlier one, nothing is
     * lost */
    if (!job->tried && !qube_name_equal(&device->held_by, &job->found_stopped))
        return;

    device->holding = HOLDING_NOTHING;
    device->held_by = (QubeName){};
    if (qube_name_equal(&device->attached_to, &job->found_stopped))
        device->attached_to = (QubeName){};
    if (!status_is_success(job->outcome))
        device->stopped = job->found_stopped;
}

/* The target stopped after our Attach was sent, and that was not answered in
 * time: the device is not attached there, and is to be attached when the target
 * starts. */
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
}

/* The job found out by itself that the person has detached the device: note
 * that as qubesd's event would have it noted. @known: no events were missed
 * since the device was attached. */
static void device_learn_lost(Manager *m,
                              Device *device,
                              const Job *job,
                              bool known,
                              Instant now)
{
    if (job->outcome != STATUS_DETACHED_BY_USER)
        return;

    if (!known)
        device_drop_close(device, &job->target); /* as in device_learn_look() */
    device->holding = HOLDING_NOTHING;
    device->held_by = (QubeName){};
    if (qube_name_equal(&device->attached_to, &job->target))
        device->attached_to = (QubeName){};
    device_mark_detached(device);
    plug_withdraw(m, device, now);
}

/* The disposable that the job has made and left is to be shut down with the
 * device, if its rule says so: but not where only another device is in it. */
static void device_learn_disposable(Device *device, const ManagedJob *managed)
{
    const Job *job = &managed->job;

    if (job_is_in_disposable(job) && managed->rule->options.close &&
        (!job->filled || job->holding == HOLDING_DEVICE))
        close_list_add(device->close, &job->disposable);
}

/* The job attached nothing; it may have seen who has the device. */
static void device_learn_seen(Device *device, const Job *job)
{
    if (job->outcome == STATUS_ALREADY_ATTACHED &&
        device->holding == HOLDING_MAYBE &&
        qube_name_equal(&device->held_by, &job->target)) {
        device->holding = HOLDING_DEVICE;
        device->doubted_usec = 0; /* that is told */
    }
    if (job->seen_at.s[0]) {
        device->attached_to = job->seen_at;
        /* qubesd lists it; but where an Attach has failed that was sent before
         * it went off the list, what was there then has it, and a USB device
         * is listed so for another moment */
        device->removed &=
            job->tried ||
            (device->record.class == DEVICE_CLASS_USB && !device->relisted);
    } else if (job->outcome == STATUS_ALREADY_ATTACHED) {
        device->attached_to = job->target;
    }
}

/* The job has attached or detached the device, or may have. */
static void device_learn_holding(Device *device, const ManagedJob *managed)
{
    const Job *job = &managed->job;

    device->holding = job->holding;
    device->doubted_usec =
        managed->kind == JOB_KIND_ATTACH && job->outcome >= STATUS_INTERNAL
            ? managed->begun_usec
            : 0;
    device->bound = managed->kind == JOB_KIND_ATTACH && job->pinned;
    if (!managed->by_person) /* that job takes whatever is there */
        device->bound_to = job->bound_to;
    device->attach_untold = managed->kind == JOB_KIND_ATTACH &&
                            job->holding == HOLDING_DEVICE &&
                            !managed->attached_meanwhile && !managed->unheard;
    /* an attach into a target that has stopped since does not hold */
    if (managed->kind == JOB_KIND_ATTACH && job->target_stopped &&
        !managed->attached_meanwhile && job->holding != HOLDING_NOTHING) {
        device_learn_lost_target(device, job);
        return;
    }
    /* whatever the call answered, an event told that the device was detached */
    if (managed->kind == JOB_KIND_DETACH &&
        (managed->detached_meanwhile || managed->target_stopped))
        device->holding = HOLDING_NOTHING;
    /* an event told of the attach, which the job could not see for itself */
    if (device->holding == HOLDING_MAYBE && managed->attached_meanwhile)
        device->holding = HOLDING_DEVICE;
    device->held_by = job->target;
    if (device->holding == HOLDING_NOTHING)
        device->held_by = (QubeName){};
    if (managed->ended_meanwhile)
        device->holding = HOLDING_NOTHING;
    device->held_template = job_made_from(job);
    /* after a Detach that failed it is still to be shut down */
    if (managed->kind == JOB_KIND_DETACH && job->task.close &&
        job->holding == HOLDING_NOTHING)
        device_drop_close(device, &job->target);
    device_learn_disposable(device, managed);
    if (device->holding != HOLDING_NOTHING && managed->rule)
        device->held_rule = managed->rule->name;
    /* else another one is, see job_on_detach_verified() */
    if (device->holding == HOLDING_DEVICE ||
        qube_name_equal(&job->seen_at, &job->target)) {
        device->attached_to = job->target;
    } else if (!job->told_detached && /* what came then is told as well */
               (device->holding == HOLDING_NOTHING ||
                device->plug != managed->plug) &&
               qube_name_equal(&device->attached_to, &job->target)) {
        device->attached_to = (QubeName){};
    }
}

/* Whether the job knows who has its device. If events were missed, only the
 * list tells; and where it has gone from where it was, a look has to find out
 * why, see device_has_missed(). */
static bool managed_has_seen(const ManagedJob *managed)
{
    const Device *device = managed->device;
    const Job *job = &managed->job;

    if (!device->missed_events)
        return job->seen || job->holding != HOLDING_NOTHING;
    return job->seen &&
           (job->seen_at.s[0] != '\0' || device->attached_to.s[0] == '\0');
}

void device_learn(Manager *m,
                  Device *device,
                  const ManagedJob *managed,
                  Instant now)
{
    const Job *job = &managed->job;
    const bool known = device->attachment_known;

    switch (managed->kind) {
    case JOB_KIND_ATTACH:
        device->attachment_known |= managed_has_seen(managed);
        if (job->found_stopped.s[0] != '\0')
            device_learn_stopped(device, job);
        if (job->lost) {
            device_learn_lost(m, device, job, known, now);
            return;
        }
        if (!job->tried || job->outcome == STATUS_ALREADY_ATTACHED) {
            device_learn_seen(device, job);
            device_learn_disposable(device, managed);
            return;
        }
        break;
    case JOB_KIND_DETACH:
        /* what somebody else attached does not become ours because our Detach
         * of it, for the person, failed */
        if (managed->by_person && device->holding == HOLDING_NOTHING &&
            job->holding != HOLDING_NOTHING)
            return;
        break;
    case JOB_KIND_LOOK:
        if (job->outcome != STATUS_SUPERSEDED)
            device_learn_look(m, device, job, now);
        return;
    }

    device_learn_holding(device, managed);
}

/*
 * Our Detach found that the target had the USB device no longer. If qubesd's
 * event told of a detach, or does so later (see on_port_detached()), and the
 * device was not taken off qubesd's list, the person detached it. Such a detach
 * makes the kernel probe the device anew, and what comes then must not be
 * attached again.
 */
void device_learn_missing(Manager *m,
                          Device *device,
                          const ManagedJob *managed,
                          Instant now)
{
    PlugMemory *memory = source_find_memory(managed->source, managed->lineage);

    if (!managed->job.missing || managed->target_stopped)
        return;
    if (device->plugged && device->lineage == managed->lineage) {
        if (managed->detached_meanwhile)
            device_on_user_detach(m, device, &managed->job.target, now);
    } else if (memory && memory->class == DEVICE_CLASS_USB) {
        memory->detached_by_user |= managed->detached_meanwhile;
        memory->missing_from = managed->job.target;
    }
}
