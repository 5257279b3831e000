/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

static bool rule_targets(const Rule *rule, const QubeName *name)
{
    for (size_t i = 0; i < rule->n_targets; i++)
        if (rule->targets[i].kind == TARGET_QUBE &&
            qube_name_equal(&rule->targets[i].name, name))
            return true;
    return false;
}

/* Whether the device waits for this target to start. */
static bool waits_for(const Manager *m,
                      const Device *device,
                      const QubeName *target)
{
    const Rule *rule;

    if (qube_name_equal(&device->waits_for, target))
        return true;
    /* what has been decided since; but what a person had attached there does
     * not come back by itself */
    if (qube_name_equal(&device->stopped, target) &&
        !status_is_success(device->status))
        return true;
    if (!device->waits_for_any)
        return false;

    rule = ruleset_match(m->ruleset, &device->source->name, &device->record);
    return rule && rule_targets(rule, target);
}

/* The target of a look has stopped. If an event had told of a detach before,
 * that was the person; else the device was detached because of the stop. */
static void on_looked_at_stopped(Manager *m,
                                 Device *device,
                                 const QubeName *target,
                                 Instant now)
{
    bool by_event = !device->job->job.look_further;
    /* as in device_learn_look(): it may never have been attached */
    bool known = device->holding != HOLDING_MAYBE ||
                 !qube_name_equal(&device->held_by, target);

    managed_supersede(m, device->job, "its target has stopped", now);
    if (!by_event)
        return;
    device->holding = HOLDING_NOTHING;
    device->held_by = (QubeName){};
    if (known)
        device_on_user_detach(m, device, target, now);
}

/* The target of a look that is to be made once the record comes, because an
 * earlier run was told of a detach, has stopped: as above. */
static void on_told_detached_stopped(Device *device)
{
    device->detach_told = device->holding != HOLDING_MAYBE;
    device->holding = HOLDING_NOTHING;
    device->held_by = (QubeName){};
    device->attached_to = (QubeName){};
}

/* A target starts that has the device, as far as we know from before events
 * were missed: so it had stopped meanwhile, and the device is not attached
 * there. */
static void on_holder_started(Manager *m,
                              Device *device,
                              const QubeName *name,
                              Instant now)
{
    const QubeName holder = device->holding == HOLDING_NOTHING
                                ? device->attached_to
                                : device->held_by;

    /* Or somebody attached the device while the target was starting: a look
     * that is under way tells. */
    if (device->job && device->job->kind == JOB_KIND_LOOK &&
        device->job->job.look_further &&
        qube_name_equal(&device->job->job.target, name)) {
        device_drop_close(device, name);
        job_on_target_started(&device->job->job);
        return;
    }
    if (device->attachment_known || !qube_name_equal(&holder, name))
        return;
    device_drop_close(device, name);
    if (device->detach_told) {
        on_told_detached_stopped(device);
        return;
    }

    if (device->job && device->job->kind == JOB_KIND_LOOK) {
        on_looked_at_stopped(m, device, name, now);
        return;
    }
    if (device->holding == HOLDING_NOTHING) {
        device->attached_to = (QubeName){};
        return;
    }
    device->holding = HOLDING_NOTHING;
    device->held_by = (QubeName){};
    device->attached_to = (QubeName){};
    if (device->plugged)
        device_set_stopped(device, name);
}

void manager_on_qube_started(Manager *m,
                             const QubeName *name,
                             bool from_off,
                             Instant now)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];

        if (source && from_off && qube_name_equal(&source->name, name)) {
            source->runs = true;
            source->probe_call = 0; /* its answer may be older than the start */
        }
        for (Device *device = source ? source->devices : NULL, *next; device;
             device = next) {
            next = device->next;
            if (qube_name_equal(&device->lingers_at, name))
                device->lingers_at = (QubeName){};
            if (from_off)
                on_holder_started(m, device, name, now);
            if (device->job &&
                qube_name_equal(&device->job->job.target, name) &&
                !qube_name_equal(&device->job->job.disposable, name))
                device->job->came_up = true;
            if (device->job && device->job->kind == JOB_KIND_ATTACH)
                device->job->target_started |=
                    rule_targets(device->job->rule, name);
            else if (waits_for(m, device, name) && device->job)
                device->waits_for_qubesd = true; /* which is being asked */
            else if (waits_for(m, device, name))
                device_decide_again(m, device, now);
        }
    }
}

/*
 * The target stops while our Attach into it, or our Detach from it, is out. If
 * an event had told before that the device is attached there, and none that it
 * was detached again, no record of the device starts the target again.
 */
static void on_target_stopped(ManagedJob *managed)
{
    /* a detach that an event told of before the stop was the person's */
    managed->target_stopped = !managed->detached_meanwhile;
    if (managed->kind == JOB_KIND_DETACH)
        return;
    if (managed->attached_meanwhile && !managed->job.told_detached)
        device_set_stopped(managed->device, &managed->job.target);
    managed->attached_meanwhile = false;
    managed->detached_meanwhile = false;
}

/* What is being detached is not wanted at its target again, unless the person
 * has asked for that since; nor was a disposable stopped by a person that our
 * own job shuts down. */
static bool device_is_wanted_back(const Device *device)
{
    const ManagedJob *managed = device->job;

    if (!device->plugged || !managed || managed->kind != JOB_KIND_DETACH)
        return device->plugged;
    return device->queued && managed->plug == device->plug &&
           !managed->job.told_detached;
}

static bool device_is_wanted_at(const Manager *m,
                                const Device *device,
                                const QubeName *target)
{
    const Rule *rule =
        ruleset_match(m->ruleset, &device->source->name, &device->record);

    return device->plugged && rule && rule_targets(rule, target);
}

/* An earlier run had attached the device, which this one was told had left
 * qubesd's list and @target: it was not the stop of @target that took it. */
static bool device_had_left(const Device *device, const QubeName *target)
{
    return !device->told && device->removed && device->attachment_known &&
           !qube_name_equal(&device->attached_to, target);
}

static void device_on_qube_stopped(Manager *m,
                                   Device *device,
                                   const QubeName *name,
                                   Instant now)
{
    bool is_source = qube_name_equal(&device->source->name, name);
    bool looked = device->job && device->job->kind == JOB_KIND_LOOK;

    device_drop_close(device, name);
    if (device->job && qube_name_equal(&device->job->job.disposable, name))
        job_on_disposable_stopped(&device->job->job);
    /* the answer to a call under way may say that it is still attached */
    if (device->job &&
        (device->job->call != 0 || device_may_be_at(device, name)))
        job_on_changed(&device->job->job);
    if (device->record.class == DEVICE_CLASS_USB &&
        device_may_be_at(device, name))
        device->lingers_at = *name;
    if (device->detach_told && qube_name_equal(&device->attached_to, name))
        on_told_detached_stopped(device);
    if (device->job && device->job->kind == JOB_KIND_LOOK &&
        qube_name_equal(&device->job->job.target, name))
        on_looked_at_stopped(m, device, name, now);
    if (device->job && qube_name_equal(&device->job->job.target, name)) {
        device->job->came_up = false;
        job_on_target_stopped(&device->job->job);
        if (managed_is_attaching(device->job))
            on_target_stopped(device->job);
    }
    if (device->holding != HOLDING_NOTHING &&
        (is_source || qube_name_equal(&device->held_by, name))) {
        device->holding = HOLDING_NOTHING;
        if (device->made.s[0] != '\0' && !qube_name_equal(&device->made, name))
            (void) orphans_add(&m->orphans, &device->made);
        device->made = (QubeName){};
        if (device_is_wanted_back(device) && !device_had_left(device, name)) {
            device->waits_for = device->held_by;
            device_set_stopped(device, name);
        }
        device->held_by = (QubeName){};
    } else if (qube_name_equal(&device->attached_to, name) &&
               device_is_wanted_at(m, device, name)) {
        /* what a person had attached there, and its new probe */
        device_set_stopped(device, name);
    }
    if (is_source || qube_name_equal(&device->attached_to, name))
        device->attached_to = (QubeName){};
    if (device->job && qube_name_equal(&device->job->job.known_at, name))
        device->job->job.known_at = (QubeName){};
    if (looked && !is_source && device_lacks_decision(m, device))
        device_decide_again(m, device, now);
}

/* What was attached to the qube is not any more. As after every detach of a USB
 * port, qubesd may list the old state for another moment. */
static void strangers_on_qube_stopped(Manager *m,
                                      const QubeName *name,
                                      Instant now)
{
    for (size_t i = 0; i < STRANGERS_MAX; i++) {
        Stranger *stranger = &m->strangers[i];
        AdminEvent *event = &stranger->event;
        bool was_attached = qube_name_equal(&event->subject, name) &&
                            event->type == ADMIN_EVENT_ATTACH;

        if (was_attached && event->class == DEVICE_CLASS_USB) {
            event->type = ADMIN_EVENT_DETACH;
            stranger->when_usec = now.monotonic_usec;
        } else if (was_attached || qube_name_equal(&event->backend, name)) {
            *stranger = (Stranger){};
        }
    }
}

/* What a survey is about to be told of a part may be older than the stop. */
static void surveys_ask_again(Manager *m, Instant now)
{
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (!managed->dead && managed->job.state == JOB_SURVEYING)
            managed_apply(m, managed, JOB_WISH_PART, now);
}

void manager_on_qube_stopped(Manager *m, const QubeName *name, Instant now)
{
    strangers_on_qube_stopped(m, name, now);
    orphans_forget(&m->orphans, name);
    census_on_qube_stopped(m, name);
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];

        for (Device *device = source ? source->devices : NULL, *next; device;
             device = next) {
            next = device->next;
            device_on_qube_stopped(m, device, name, now);
        }
        for (PlugMemory *memory = source ? source->memories : NULL; memory;
             memory = memory->next)
            if (qube_name_equal(&memory->missing_from, name))
                memory->missing_from = (QubeName){};
        if (source)
            source_free_early(source, name, now.monotonic_usec);
        if (!source || !qube_name_equal(&source->name, name))
            continue;
        source->runs = false;
        source->probe_call = 0; /* its answer may be older than the stop */
        source_unplug(m, source, "its qube was shut down", now);
        source_close_connections(m, source);
    }
    surveys_ask_again(m, now);
}

void manager_on_source_resumed(Manager *m, const QubeName *name, Instant now)
{
    Source *source = manager_find_source(m, name);

    if (!source)
        return;
    source->resumed_usec = now.monotonic_usec;
    source_recall(m, source, now);
}
