/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

/*
 * A USB port was detached, by whomever: a device that comes back there is the
 * same plug. Where our Detach of a device that went found that the target had
 * it no longer (PlugMemory.missing_from), this is the event of that earlier
 * detach: it was the person's, unless qubesd had taken the device off its list.
 */
static void on_port_detached(Manager *m, const AdminEvent *event, Instant now)
{
    Source *source = manager_find_source(m, &event->backend);
    Device *device;

    if (!source)
        return;
    source_on_port_detached(source, &event->port, &event->subject,
                            now.monotonic_usec);
    device = source_find(source, event->class, &event->port);
    if (device && device->job)
        job_on_port_detached(&device->job->job, now.monotonic_usec);
    for (PlugMemory *memory = source->memories; memory; memory = memory->next)
        if (device_name_equal(&memory->usb, &event->port) && !memory->removed &&
            qube_name_equal(&memory->missing_from, &event->subject))
            memory->detached_by_user = true;
    source_recall(m, source, now);
}

/* Whether the job's Attach is not answered yet. */
static bool managed_attach_is_out(const ManagedJob *managed)
{
    return managed->call != 0 && !managed->wants_call &&
           managed->job.request.method == ADMIN_ATTACH;
}

/* An event: @target, known to have the device, has it no longer. @echo: perhaps
 * it never had. */
static void device_on_detached(Manager *m,
                               Device *device,
                               const QubeName *target,
                               bool echo,
                               Instant now)
{
    ManagedJob *managed = device->job;
    const bool told = qube_name_equal(&device->attached_to, target);

    /* An attached device stays on qubesd's list. This one was put on it anew,
     * so it had been off the list, and that event was missed, or forgotten for
     * a list that could not be read. */
    device->removed |= device->added_attached;
    device->relisted |= device->added_attached;
    device->added_attached = false;
    device->attached_to = (QubeName){};
    device->attachment_known = true;
    device->suspect = false;
    if (managed && managed->kind == JOB_KIND_ATTACH) {
        managed->job.known_at = (QubeName){};
        if (device->removed)
            managed->job.held_by = (QubeName){};
    }
    /* The event comes before the answer to the job's call, or before a look has
     * ended: note it for then. */
    if (managed && !device->removed &&
        qube_name_equal(&managed->job.target, target)) {
        managed->detached_meanwhile = managed->kind != JOB_KIND_LOOK;
        managed->job.taken |= managed->attached_meanwhile && !echo;
        /* of an echo: the event of our own Attach is still to come */
        managed->attached_meanwhile = managed->attached_meanwhile && !echo;
        managed->job.look_further = false; /* the event tells what happened */
        managed->job.restarted = false;    /* nor was it a stop before that */
    }
    if (managed && managed->kind == JOB_KIND_ATTACH && told && !echo &&
        !device->removed && managed_is_attaching(managed) &&
        (managed_attach_is_out(managed) ||
         !qube_name_equal(&managed->job.target, target)))
        managed->taken_from = *target;
    if (managed && device->removed && !echo &&
        qube_name_equal(&managed->job.target, target))
        managed->ended_meanwhile |= managed->attached_meanwhile;
    if (!device->plugged)
        return;
    if (device->removed) {
        device->waits_for_list = device_was_found_attached(device);
        /* what an earlier run had attached is looked at with its record: that
         * its target was stopped may have been missed; and what is told before
         * our Attach is of the plug before, or of none */
        if (device->told && !device->attach_untold)
            device->holding = HOLDING_NOTHING;
        if (managed && managed->kind == JOB_KIND_LOOK &&
            managed->job.look_further)
            managed_supersede(m, managed, "it is not offered any more", now);
        if (device->waits_for_list && device->relisted)
            device_decide_again(m, device, now);
        return;
    }
    if (echo && device->holding == HOLDING_NOTHING)
        return;
    /* a job that has not sent an Attach must not undo what the person may have
     * done */
    if (managed && managed->kind == JOB_KIND_ATTACH &&
        managed->job.holding == HOLDING_NOTHING) {
        managed_supersede(m, managed, DETACHED_MEANWHILE, now);
        device->waits_for_qubesd = true; /* it may tell of the plug before */
    }
    if (!device->job)
        device_begin_look(m, device, target, now);
}

bool device_may_be_at(const Device *device, const QubeName *qube)
{
    return qube_name_equal(&device->attached_to, qube) ||
           (device->holding != HOLDING_NOTHING &&
            qube_name_equal(&device->held_by, qube));
}

bool device_was_found_attached(const Device *device)
{
    return device->outcome != 0 &&
           (device->status == STATUS_ALREADY_ATTACHED ||
            device->status == STATUS_ATTACHED_ELSEWHERE ||
            (device->status == STATUS_ATTACHED && !device->bound));
}

void manager_on_detached(Manager *m, const AdminEvent *event, Instant now)
{
    Source *source = manager_find_source(m, &event->backend);
    Device *device =
        source ? source_find(source, event->class, &event->port) : NULL;
    bool echo = source && event_is_echo(source, event, now);
    bool relisted =
        source && source_find_announced(source, event->class, &event->port);
    ManagedJob *managed;

    if (!source)
        manager_note_stranger(m, event, now);
    if (source) {
        (void) source_take_early(source, event->class, &event->port);
        source_unannounce(source, event->class, &event->port);
    }
    if (event->class == DEVICE_CLASS_USB)
        on_port_detached(m, event, now);
    if (event->class == DEVICE_CLASS_USB && relisted)
        source_on_port_listed(source, &event->port);
    if (source && source_take_expected(source, event->class, &event->port,
                                       &event->subject, now.monotonic_usec))
        return;
    if (source)
        source_forget_past_holder(source, event->class, &event->port);
    managed = device ? device->job : NULL;
    if (managed) {
        job_on_changed(&managed->job);
        managed->job.past_holder = (QubeName){};
        if (qube_name_equal(&managed->job.known_at, &event->subject))
            managed->job.known_at = (QubeName){};
    }
    if (managed && qube_name_equal(&managed->job.target, &event->subject) &&
        (managed->kind == JOB_KIND_DETACH || managed->attached_meanwhile))
        job_on_told_detached(&managed->job, !managed->wants_call);
    if (device && device_may_be_at(device, &event->subject))
        device_on_detached(m, device, &event->subject, echo, now);
    else if (device)
        device->added_attached = false; /* this is what was still to be told */
}
