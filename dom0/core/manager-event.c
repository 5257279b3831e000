/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

static Device *find_device(const Manager *m,
                           const QubeName *source_name,
                           DeviceClass class,
                           const DeviceName *name)
{
    Source *source = manager_find_source(m, source_name);

    return source ? source_find(source, class, name) : NULL;
}

static bool is_of_stranger(const Stranger *stranger,
                           const QubeName *source,
                           const AdminEvent *event)
{
    return stranger->event.class == event->class &&
           qube_name_equal(&stranger->event.backend, source) &&
           device_name_equal(&stranger->event.port, &event->port);
}

/* What is listed there is another plug. */
static void forget_stranger(Manager *m,
                            const QubeName *source,
                            const AdminEvent *event)
{
    for (size_t i = 0; i < STRANGERS_MAX; i++)
        if (is_of_stranger(&m->strangers[i], source, event))
            m->strangers[i] = (Stranger){};
}

/* An attach or a detach of a device whose source has not called yet: keep what
 * is attached until it calls, and when a USB port was detached. */
static void on_stranger(Manager *m, const AdminEvent *event, Instant now)
{
    for (size_t i = 0; i < STRANGERS_MAX; i++) {
        const Stranger *stranger = &m->strangers[i];

        /* see is_echo() */
        if (stranger->event.type == ADMIN_EVENT_DETACH &&
            event->type == ADMIN_EVENT_ATTACH &&
            is_of_stranger(stranger, &event->backend, event) &&
            qube_name_equal(&stranger->event.subject, &event->subject) &&
            now.monotonic_usec <= stranger->when_usec + JOB_PORT_STALE_USEC)
            return;
    }
    forget_stranger(m, &event->backend, event);
    if (event->type != ADMIN_EVENT_ATTACH && event->class != DEVICE_CLASS_USB)
        return;
    m->strangers[m->next_stranger++] =
        (Stranger){ .event = *event, .when_usec = now.monotonic_usec };
    m->next_stranger %= STRANGERS_MAX;
}

static void on_device_added(Manager *m, const AdminEvent *event, Instant now)
{
    Source *source = manager_find_source(m, &event->subject);
    Device *device =
        source ? source_find(source, event->class, &event->port) : NULL;
    ManagedJob *managed = device ? device->job : NULL;

    if (source)
        source_announce(source, event);
    if (source && event->class == DEVICE_CLASS_USB)
        source_on_port_listed(source, &event->port);
    if (!source)
        forget_stranger(m, &event->subject, event);
    else if (!device)
        /* what has it was told of another plug, of which no record came */
        (void) source_take_early(source, event->class, &event->port);
    if (device) {
        /* what is told before our last Attach is of the plug before */
        device->added_attached =
            device_is_attached(device) && !device->attach_untold;
        device->relisted = device->removed;
    }
    if (device && device->waits_for_list)
        device_decide_again(m, device, now);
    if (managed && device->removed)
        job_on_changed(&managed->job);
    if (managed && managed->call != 0)
        /* told before the answer to the job's call came */
        managed->appeared = true;
    if (managed)
        managed_apply(
            m, managed,
            job_on_appeared(&managed->job,
                            event->has_identity ? &event->identity : NULL,
                            now.monotonic_usec),
            now);
}

/*
 * A USB device counts as attached for another second after its detach. If
 * qubesd reads the source's list meanwhile, its events tell of an attach that
 * never was, and then, sooner or later, of the end of that.
 */
static bool is_echo(const Source *source, const AdminEvent *event, Instant now)
{
    return event->class == DEVICE_CLASS_USB &&
           source_port_is_stale(source, &event->port, &event->subject,
                                now.monotonic_usec);
}

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
     * event as well; but see is_echo(). */
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

static void on_attached(Manager *m, const AdminEvent *event, Instant now)
{
    const QubeName *target = &event->subject;
    Source *source = manager_find_source(m, &event->backend);
    Device *device =
        source ? source_find(source, event->class, &event->port) : NULL;
    bool echo, attaching;

    keep_filled(m, device, event);
    if (!source)
        on_stranger(m, event, now);
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
    if (source && !device && !is_echo(source, event, now))
        source_note_early(source, event);
    if (!device || qube_name_equal(&device->lingers_at, &event->subject))
        return;
    /* what our Attach has done is over once its end was told */
    attaching = device->job && device->job->kind == JOB_KIND_ATTACH &&
                managed_is_attaching(device->job) &&
                !device->job->job.told_detached;
    echo = is_echo(source, event, now) && device_is_told_free(device);
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
        !is_echo(source, event, now))
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

/* The device is off the list: if a target has it no longer, that is why. */
static void device_set_removed(Device *device)
{
    device->removed = true;
    if (!device->job)
        return;
    device->job->job.held_by = (QubeName){};
    if (managed_is_attaching(device->job))
        device->job->job.known_at = (QubeName){};
}

static void on_removed(Manager *m, const AdminEvent *event, Instant now)
{
    Source *source = manager_find_source(m, &event->subject);
    Device *device =
        find_device(m, &event->subject, event->class, &event->port);

    if (!source)
        forget_stranger(m, &event->subject, event);
    if (source) {
        source_on_removed(source, event->class, &event->port);
        source_unannounce(source, event->class, &event->port);
        /* a device that comes under this name is another plug */
        (void) source_take_early(source, event->class, &event->port);
    }
    if (!device)
        return;
    device_set_removed(device);
    device->relisted = false;
    if (device->job) {
        if (device->job->kind == JOB_KIND_ATTACH)
            job_on_changed(&device->job->job);
        managed_apply(m, device->job,
                      job_on_unlisted(&device->job->job, now.monotonic_usec),
                      now);
    }
    /* a disk also goes off the list because one of its partitions is attached:
     * that says nothing of the partition */
    if (event->class != DEVICE_CLASS_USB)
        return;
    for (Device *part = device->source->devices; part; part = part->next)
        if (device_is_ancestor(device, part))
            device_set_removed(part);
}

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

static void on_detached(Manager *m, const AdminEvent *event, Instant now)
{
    Source *source = manager_find_source(m, &event->backend);
    Device *device =
        source ? source_find(source, event->class, &event->port) : NULL;
    bool echo = source && is_echo(source, event, now);
    bool relisted =
        source && source_find_announced(source, event->class, &event->port);
    ManagedJob *managed;

    if (!source)
        on_stranger(m, event, now);
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

void manager_on_admin_event(Manager *m, const AdminEvent *event, Instant now)
{
    census_on_event(m, event);
    switch (event->type) {
    case ADMIN_EVENT_DEVICE_ADDED:
        on_device_added(m, event, now);
        break;
    case ADMIN_EVENT_DEVICE_REMOVED:
        on_removed(m, event, now);
        break;
    case ADMIN_EVENT_ATTACH:
        on_attached(m, event, now);
        break;
    case ADMIN_EVENT_DETACH:
        on_detached(m, event, now);
        break;
    case ADMIN_EVENT_DOMAIN_START:
        manager_on_qube_started(m, &event->subject, true, now);
        break;
    case ADMIN_EVENT_DOMAIN_SHUTDOWN:
        manager_on_qube_stopped(m, &event->subject, now);
        break;
    case ADMIN_EVENT_DOMAIN_RESUMED:
        manager_on_source_resumed(m, &event->subject, now);
        manager_on_qube_started(m, &event->subject, false, now);
        break;
    case ADMIN_EVENT_DOMAIN_UNPAUSED:
        manager_on_qube_started(m, &event->subject, false, now);
        break;
    case ADMIN_EVENT_OTHER:
    case ADMIN_EVENT_ESTABLISHED:
    case ADMIN_EVENT_LIST_CHANGE:
        break;
    }
    manager_settle(m, now);
}
