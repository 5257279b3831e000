/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

/* Whether qubesd still works on an Attach of the device, of a job that has
 * given up on it. */
static bool attach_goes_on(const Manager *m, const Device *device)
{
    for (const ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (managed->overdue_call != 0 && managed->source == device->source &&
            managed->job.task.class == device->record.class &&
            device_name_equal(&managed->job.task.device,
                              &device->record.device))
            return true;
    return false;
}

/* Whether what an event tells to be attached now, to the target from which the
 * device's job is about to detach it, was attached by somebody else after what
 * the job is to undo. */
static bool is_not_what_is_undone(const Manager *m, const Device *device)
{
    const ManagedJob *managed = device->job;
    /* the event of our own Attach, which came to an end */
    bool missed = managed->undoes_unheard && !attach_goes_on(m, device);

    if (managed->call != 0 && managed->job.state == JOB_DETACHING)
        return false;
    switch (managed->kind) {
    case JOB_KIND_DETACH:
        /* what is attached for sure has been told, or was missed */
        return device->removed || device->holding == HOLDING_DEVICE || missed;
    case JOB_KIND_ATTACH:
        return missed;
    case JOB_KIND_LOOK:
        break;
    }
    return false;
}

/* Whether what somebody attaches now, while the device has no job, had been
 * detached before. */
static bool device_was_detached(const Manager *m,
                                const Device *device,
                                Instant now)
{
    /* of an Attach that may have failed, the event may still come */
    if (device->told)
        return (device->removed && !device->attachment_known) ||
               (device->added_attached && device->holding == HOLDING_DEVICE);
    if (device->removed || device->added_attached)
        return true;
    /* An earlier run of the daemon had the answer to its Attach, and so its
     * event as well; but see event_is_echo(). */
    return device->holding == HOLDING_DEVICE &&
           (device->record.class != DEVICE_CLASS_USB ||
            now.monotonic_usec >= m->suspect_until_usec);
}

/* The same while the job's Attach is out. Which plug that is is clear as long
 * as there is one only, or if qubesd has listed the next one since. */
static void managed_on_told_attached(Manager *m,
                                     ManagedJob *managed,
                                     const Device *device,
                                     bool echo)
{
    bool clear =
        managed->plug == device->plug || (device->removed && device->relisted);

    managed->told_plug = clear && !echo ? device->plug : 0;
    /* see device_will_tell() */
    m->turns_changed |= managed->taken_from.s[0] != '\0';
    managed->taken_from = (QubeName){};
}

/* An event: @target has the device. @echo: or it may never have had it, and
 * our own Attach, which is under way, tells which. */
static void device_on_attached(Manager *m,
                               Device *device,
                               const QubeName *target,
                               bool echo,
                               Instant now)
{
    ManagedJob *managed = device->job;
    /* told after a stop of the target: then it was done after that */
    bool again =
        device->attach_untold && qube_name_equal(&device->stopped, target);
    bool ours = again || (device->attach_untold &&
                          qube_name_equal(&device->held_by, target));
    bool look;

    /* The device was off qubesd's list, or an event told of its detach and a
     * look at that is under way: so somebody has attached it anew, and what we
     * had attached is no more. But if this is the event of our own Attach, what
     * was told before it was of the plug before. */
    look =
        managed && managed->kind == JOB_KIND_LOOK && !managed->job.look_further;
    if (look && ours)
        managed->job.look_further = true;
    else if (ours && (!managed || managed->kind == JOB_KIND_ATTACH)) {
        device->holding = HOLDING_DEVICE;
        device->held_by = *target;
    } else if (look || (!managed && device_was_detached(m, device, now))) {
        device->holding = HOLDING_NOTHING;
        device->held_by = (QubeName){};
    }
    /* nor does a detach that was told before tell of our Detach */
    if (ours && managed && managed->kind == JOB_KIND_DETACH) {
        managed->job.told_detached = false;
        managed->detached_meanwhile = false;
    }
    /* the same before our Detach is made */
    if (!ours && managed && qube_name_equal(&managed->job.target, target) &&
        is_not_what_is_undone(m, device))
        job_on_told_detached(&managed->job, !managed->wants_call);
    /* what the next plug has been attached to is not shut down with the last */
    if (managed && managed->kind == JOB_KIND_DETACH &&
        managed->job.told_detached &&
        qube_name_equal(&managed->job.target, target))
        managed->job.task.close = false;
    /* told of what was listed so before, it may be an echo; and how what is
     * ours has come from there to another qube was missed */
    if (managed && managed->kind == JOB_KIND_ATTACH &&
        managed_is_attaching(managed))
        managed_on_told_attached(m, managed, device, echo);
    device->suspect &= device->holding != HOLDING_NOTHING ||
                       qube_name_equal(&device->attached_to, target);
    if (managed)
        managed->detach_behind = false;
    device->attached_to = *target;
    device->attachment_known = true;
    device->attach_untold = false;
    device->removed = false;
    device->added_attached = false;
    if (device->holding == HOLDING_MAYBE &&
        qube_name_equal(&device->held_by, target))
        device->holding = HOLDING_DEVICE;
    device_tell_late_attach(m, device, now);
    if (device->job && device->job->kind == JOB_KIND_ATTACH) {
        if (!echo)
            device->job->job.known_at = *target;
        device->job->job.past_holder = (QubeName){};
        device->job->attached_meanwhile |=
            managed_is_attaching(device->job) &&
            qube_name_equal(&device->job->job.target, target);
    }
}

/* Whether nothing of ours is attached, as far as events have told. */
static bool device_is_told_free(const Device *device)
{
    const ManagedJob *managed = device->job;

    return device->holding == HOLDING_NOTHING ||
           (managed && managed->kind == JOB_KIND_DETACH &&
            managed->job.told_detached);
}

/* A disposable that a job has made, of this run or an earlier one, is none to
 * do away with once somebody has attached another device to it, as the stick
 * that its disk is a part of. */
static void keep_filled(Manager *m,
                        const Device *device,
                        const AdminEvent *event)
{
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (!managed->dead && managed->device != device &&
            qube_name_equal(&managed->job.disposable, &event->subject))
            job_on_disposable_filled(&managed->job);
    orphans_forget(&m->orphans, &event->subject);
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        if (m->sources[i])
            source_on_filled(m->sources[i], device, &event->subject);
}

void manager_on_attached(Manager *m, const AdminEvent *event, Instant now)
{
    const QubeName *target = &event->subject;
    Source *source = manager_find_source(m, &event->backend);
    Device *device =
        source ? source_find(source, event->class, &event->port) : NULL;
    bool echo, attaching;

    keep_filled(m, device, event);
    if (!source)
        manager_note_stranger(m, event, now);
    /* an attach may change the device's identity (WIRE 1) */
    if (source)
        source_unannounce(source, event->class, &event->port);
    /* Events come in order. One that comes before the event of our Detach from
     * the same target is about the attachment that this Detach has ended. */
    if (source && source_expects_detach(source, event->class, &event->port,
                                        &event->subject, now.monotonic_usec))
        return;
    if (source)
        source_forget_past_holder(source, event->class, &event->port);
    /* what is only kept until its Detach is done went before */
    if (device && !device->plugged && !device_may_be_at(device, target) &&
        !(device->job && qube_name_equal(&device->job->job.target, target)))
        device = NULL;
    if (source && !device && !event_is_echo(source, event, now))
        source_note_early(source, event);
    if (!device || qube_name_equal(&device->lingers_at, &event->subject))
        return;
    /* what our Attach has done is over once its end was told */
    attaching = device->job && device->job->kind == JOB_KIND_ATTACH &&
                managed_is_attaching(device->job) &&
                !device->job->job.told_detached;
    echo = event_is_echo(source, event, now) && device_is_told_free(device);
    if (echo && !attaching) {
        device->attached_to = (QubeName){};
        device->attachment_known = false;
        if (device->job)
            job_on_changed(&device->job->job);
        return;
    }
    device_on_attached(m, device, &event->subject, echo && attaching, now);
    /* attached there anew: what a look finds is not due to the detach before */
    if (device->job && device->job->kind == JOB_KIND_LOOK &&
        qube_name_equal(&device->job->job.target, target) &&
        !event_is_echo(source, event, now))
        device->job->job.look_further = true;
    if (device->job)
        managed_apply(
            m, device->job,
            job_on_told_attached(&device->job->job, now.monotonic_usec), now);
    /* jobs for devices that exclude it must not attach those now */
    for (Device *part = source->devices; part; part = part->next)
        if (part->job && part->job->kind == JOB_KIND_ATTACH &&
            device_excludes(device, part) && !managed_is_attaching(part->job))
            managed_withdraw(m, part->job, STATUS_ATTACHED_ELSEWHERE,
                             "another part of the same device was attached "
                             "meanwhile",
                             now);
}
