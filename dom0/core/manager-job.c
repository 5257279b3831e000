/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "dom0/core/manager-internal.h"

int managed_new(Manager *m,
                ManagedJob **ret,
                JobKind kind,
                Device *device,
                const Rule *rule,
                Instant now)
{
    ManagedJob *managed = calloc(1, sizeof(*managed));

    if (!managed)
        return -ENOMEM;

    managed->kind = kind;
    managed->device = device;
    managed->source = device->source;
    managed->source->n_jobs++;
    managed->rule = rule;
    managed->ruleset = ruleset_ref(m->ruleset);
    managed->begun_usec = now.monotonic_usec;
    managed->plug = device->plug;
    managed->lineage = device->lineage;
    waiters_init(&managed->attach_waiters);
    waiters_init(&managed->remove_waiters);
    *m->jobs_end = managed;
    m->jobs_end = &managed->next;
    *ret = managed;
    return 0;
}

void managed_free(ManagedJob *managed)
{
    managed->source->n_jobs--;
    waiters_clear(&managed->attach_waiters);
    waiters_clear(&managed->remove_waiters);
    ruleset_unref(managed->ruleset);
    free(managed);
}

static void task_set_port(JobTask *task, const Device *device)
{
    if (task->class == DEVICE_CLASS_USB)
        task->port_detached_usec =
            source_port_detached_usec(device->source, &task->device);
}

/* What qubesd's identity of the device has to agree with. */
static void task_set_identity(JobTask *task, const Properties *properties)
{
    memcpy(task->vendor_id, properties->vendor_id, sizeof(task->vendor_id));
    memcpy(task->product_id, properties->product_id, sizeof(task->product_id));
    if (task->class != DEVICE_CLASS_USB)
        return;
    task->n_interfaces = properties->n_interfaces;
    memcpy(task->interfaces, properties->interfaces,
           task->n_interfaces * sizeof(task->interfaces[0]));
}

JobTask task_of(const Manager *m, const Device *device)
{
    JobTask task = { .source = device->source->name,
                     .class = device->record.class,
                     .device = device->record.device,
                     .connected = m->qubesd == QUBESD_CONNECTED };

    task_set_port(&task, device);
    task_set_identity(&task, &device->record.properties);
    return task;
}

void task_set_holder(JobTask *task, const Device *device)
{
    bool held = device->holding != HOLDING_NOTHING;

    /* if qubesd took it off its list, it is no surprise that nobody has it */
    task->held_surely = device->holding == HOLDING_DEVICE && !device->removed;
    task->held_by = held ? device->held_by : (QubeName){};
    task->held_template = held ? device->held_template : (QubeName){};
    /* what an earlier run may have attached is not known to be there */
    task->known_at =
        device->holding != HOLDING_MAYBE || device->attachment_known
            ? device->attached_to
            : (QubeName){};
    task->past_holder = source_past_holder(device->source, device->record.class,
                                           &device->record.device);
    task->stopped = device->stopped;
    task_set_port(task, device);
}

void device_set_stopped(Device *device, const QubeName *target)
{
    device->stopped = *target;
    if (device->job && device->job->kind == JOB_KIND_ATTACH)
        job_on_holder_stopped(&device->job->job, target);
    if (device->queued)
        job_on_holder_stopped(&device->queued->job, target);
}

/* What a job of ours is to find at @target: nothing is known of what others
 * attached there. */
static uint64_t device_bound_at(const Device *device, const QubeName *target)
{
    return device->holding != HOLDING_NOTHING &&
                   qube_name_equal(&device->held_by, target)
               ? device->bound_to
               : 0;
}

void device_begin_detach(Manager *m, Device *device, Instant now)
{
    JobTask task = task_of(m, device);
    /* without a holder, only disposables are left to be shut down */
    const QubeName target =
        device->held_by.s[0] ? device->held_by : device->close[0];
    ManagedJob *managed;

    /* without memory: as if the Detach had failed */
    if (managed_new(m, &managed, JOB_KIND_DETACH, device, NULL, now) < 0)
        return;

    if (device->held_before) {
        /* of the plug before, of which this run knows no more */
        managed->plug = 0;
        managed->lineage = 0;
    }
    device->held_before = false;
    task.close = device_closes(device, &target);
    task.bound_to = device_bound_at(device, &target);
    device->job = managed;
    managed_apply(
        m, managed,
        job_begin_detach(&managed->job, &task, &target, now.monotonic_usec),
        now);
}

void device_begin_look(Manager *m,
                       Device *device,
                       const QubeName *target,
                       Instant now)
{
    JobTask task = task_of(m, device);
    const QubeName name = *target;
    ManagedJob *managed;

    task.bound_to = device_bound_at(device, target);

    if (managed_new(m, &managed, JOB_KIND_LOOK, device, NULL, now) < 0)
        return;

    device->detach_told = false;
    device->job = managed;
    managed_apply(
        m, managed,
        job_begin_look(&managed->job, &task, &name, now.monotonic_usec), now);
}

void device_look_further(Manager *m,
                         Device *device,
                         const QubeName *target,
                         Instant now)
{
    device_begin_look(m, device, target, now);
    if (device->job)
        device->job->job.look_further = true;
}

QubeName device_holder(const Device *device)
{
    return device->holding != HOLDING_NOTHING ? device->held_by
                                              : device->attached_to;
}

void device_look_at_suspect(Manager *m, Device *device, Instant now)
{
    const QubeName target = device_holder(device);

    if (!device->suspect || device->job || m->any_suspect)
        return;
    device->suspect = false;
    if (device->plugged && target.s[0] != '\0')
        device_look_further(m, device, &target, now);
}

static JobWish managed_start_target(Manager *m,
                                    ManagedJob *managed,
                                    Instant now)
{
    Job *job = &managed->job;
    const char *detail;
    Status status;

    /* The Attach that found the target not running is older than a start that
     * another job has wanted: that start counts for this job. */
    if (target_starts_ended(m->starts, &job->target, managed->attach_usec))
        return job_on_started(job, STATUS_ATTACHED, "", now.monotonic_usec);
    status = target_starts_want(m->starts, &job->target, !job->made,
                                now.monotonic_usec, &detail);

    return status == STATUS_INVALID
               ? JOB_WISH_NOTHING
               : job_on_started(job, status, detail, now.monotonic_usec);
}

/* Nothing more is begun while attaching is paused. */
static bool is_held_up(const Manager *m,
                       const ManagedJob *managed,
                       JobWish wish)
{
    return m->paused_until_usec != 0 && managed->kind == JOB_KIND_ATTACH &&
           (wish == JOB_WISH_PROMPT || wish == JOB_WISH_START ||
            wish == JOB_WISH_TURN);
}

bool managed_was_taken(const ManagedJob *managed)
{
    return managed->taken_from.s[0] != '\0' && managed->device->plugged &&
           managed->told_plug == managed->device->plug;
}

/* Whether it must not go on: its Attach has failed. What it verifies may be
 * there all the same. */
static bool managed_is_taken(const ManagedJob *managed)
{
    const Job *job = &managed->job;

    return managed_was_taken(managed) && job->outcome == STATUS_INVALID &&
           job->holding == HOLDING_NOTHING && job->state != JOB_VERIFYING;
}

bool managed_acts(const ManagedJob *managed, JobWish wish)
{
    const AdminMethod method = managed->job.request.method;

    if (managed->kind != JOB_KIND_ATTACH)
        return false;
    return wish == JOB_WISH_START ||
           (wish == JOB_WISH_CALL &&
            (method == ADMIN_ATTACH || method == ADMIN_CREATE_DISPOSABLE));
}

void managed_apply(Manager *m, ManagedJob *managed, JobWish wish, Instant now)
{
    for (;;) {
        if (managed_is_taken(managed))
            wish = job_on_withdrawn(&managed->job, true, STATUS_SUPERSEDED,
                                    DETACHED_MEANWHILE);
        else if (is_held_up(m, managed, wish))
            wish = job_on_withdrawn(&managed->job, true, STATUS_PAUSED, "");
        /* its turn may have come before the rules changed */
        else if (managed_acts(managed, wish) && managed_is_outdated(m, managed))
            wish = managed_end_outdated(managed);
        if (managed->job.outcome != STATUS_INVALID && !managed->told)
            managed_tell(m, managed, now);
        if (managed->port_turn && !job_holds_port_turn(&managed->job) &&
            managed->call == 0 && managed->overdue_call == 0) {
            managed->port_turn = false;
            m->turns_changed = true;
        }

        switch (wish) {
        case JOB_WISH_NOTHING:
            return;
        case JOB_WISH_CALL:
            /* a call of the job that is still under way was given up by it */
            managed->ignores_call = managed->call != 0;
            /* finds out whether the target runs, as an Attach does */
            if (managed->job.state == JOB_PROBING)
                managed->attach_usec = now.monotonic_usec;
            managed->wants_call = true;
            /* from now on, the device's removal from qubesd's list and events
             * of its attach concern this Attach; but the detach of what had
             * been attached before it was removed is still to be told */
            if (managed->job.request.method == ADMIN_ATTACH) {
                if (!device_is_attached(managed->device)) {
                    managed->device->removed = false;
                    managed->device->added_attached = false;
                }
                managed->attached_meanwhile = false;
                /* see device_will_tell() */
                m->turns_changed |= managed->detached_meanwhile;
                managed->detached_meanwhile = false;
                managed->told_plug = 0;
                managed->taken_from = (QubeName){};
                managed->ended_meanwhile = false;
                managed->attach_usec = now.monotonic_usec;
            }
            return;
        case JOB_WISH_QUESTION:
            managed->wants_question = true;
            return;
        case JOB_WISH_PROMPT:
            if (device_is_refused(managed->device))
                wish = job_on_refused(&managed->job, STATUS_DENIED_BY_USER, "",
                                      now.monotonic_usec);
            else if (device_is_quiet(managed->device, now.monotonic_usec))
                wish = job_on_refused(&managed->job, STATUS_QUIET, "",
                                      now.monotonic_usec);
            else if (!managed_take_early_yes(managed, &wish, now))
                return; /* desk_step() sees to it */
            break;
        case JOB_WISH_PART:
            wish = managed_give_part(managed, now);
            break;
        case JOB_WISH_START:
            wish = managed_start_target(m, managed, now);
            break;
        case JOB_WISH_JOIN:
            wish =
                target_starts_go_on(m->starts, &managed->job.target)
                    ? JOB_WISH_NOTHING
                    : job_on_start_of_others(&managed->job, now.monotonic_usec);
            break;
        case JOB_WISH_TURN:
            wish = managed_check_turn(m, managed, now);
            break;
        case JOB_WISH_DONE:
            managed_end(m, managed, now);
            return;
        }
    }
}

void managed_withdraw(Manager *m,
                      ManagedJob *managed,
                      Status status,
                      const char *detail,
                      Instant now)
{
    /* a call that manager_next_call() has not given out was not sent, and need
     * not be undone */
    bool sent = !managed->wants_call;

    managed_apply(m, managed,
                  job_on_withdrawn(&managed->job, sent, status, detail), now);
}

void managed_supersede(Manager *m,
                       ManagedJob *managed,
                       const char *detail,
                       Instant now)
{
    managed_withdraw(m, managed, STATUS_SUPERSEDED, detail, now);
}
