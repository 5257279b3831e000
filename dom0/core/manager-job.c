/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/device-label.h"
#include "dom0/core/manager-internal.h"

static void waiters_answer(Manager *m, WaiterList *list, Status status)
{
    Waiter *waiter;

    while ((waiter = waiters_pop(list))) {
        waiter->status = status;
        waiters_push(&m->answers, waiter);
    }
}

void manager_record(Manager *m,
                    Device *device,
                    const Rule *rule,
                    const char *target,
                    Status status,
                    const char *detail,
                    uint64_t duration_usec,
                    Instant now)
{
    HistoryEntry entry = {
        .when_usec = now.realtime_usec,
        .duration_usec = duration_usec,
        .source = device->source->name,
        .class = device->record.class,
        .device = device->record.device,
        .status = status,
    };

    if (rule)
        entry.rule = rule->name;
    (void) text_format(entry.target, sizeof(entry.target), "%s", target);
    (void) text_format(entry.detail, sizeof(entry.detail), "%s", detail);
    entry.label = device_label(&device->record.properties);
    history_add(m->history, &entry);
    device->outcome = history_last_serial(m->history);
    device->status = status;
    device->status_usec = now.realtime_usec;
}

/* Whether it ended because its target could not be had yet. */
static bool job_lacked_target(const Job *job)
{
    return job->outcome == STATUS_START_FAILED ||
           (job->outcome == STATUS_ATTACH_FAILED && job->unready);
}

/* It is wanted there all the same once someone else has started the target. One
 * that did not stay up is not started for it again: so no two devices can start
 * a target that always crashes by turns. */
static void device_wait_for_start(Device *device, const ManagedJob *managed)
{
    const Job *job = &managed->job;

    if (!managed->rule || qube_name_equal(&job->target, &job->disposable))
        return; /* a disposable is done away with */
    device->waits_for = job->target;
    if (!job->unready && (job->started || managed->came_up))
        device->stopped = job->target;
}

/* The outcome of a job is known: into the history, and to who asked. */
static void managed_tell(Manager *m, ManagedJob *managed, Instant now)
{
    Job *job = &managed->job;
    Device *device = managed->device;

    managed->told = true;
    if (managed->kind == JOB_KIND_LOOK)
        return; /* nobody waits for it; managed_end() acts on it */
    manager_record(m, device, managed->rule, job->target.s, job->outcome,
                   job->detail, now.monotonic_usec - managed->begun_usec, now);
    waiters_answer(m, &managed->attach_waiters, job->outcome);

    if (managed->kind != JOB_KIND_ATTACH)
        return;
    manager_notify(m, managed, now);
    if (status_is_success(job->outcome))
        device->stopped = (QubeName){};
    device->waits_for = (QubeName){};
    if (job_lacked_target(job))
        device_wait_for_start(device, managed);
    device->waits_for_any = job->outcome == STATUS_WAITING_FOR_TARGET;
    device->waits_for_qubesd =
        job->outcome == STATUS_UNAVAILABLE ||
        (job->outcome == STATUS_TIMEOUT && m->qubesd != QUBESD_CONNECTED);
    device->waits_for_list = job->outcome == STATUS_NO_SUCH_DEVICE;
    device->waits_for_disk =
        managed->presumed && job->outcome == STATUS_ATTACHED_ELSEWHERE;
}

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

/* Mark a job that has ended as dead: manager_settle() frees it once none of its
 * calls is under way. */
static void managed_bury(Manager *m, ManagedJob *managed)
{
    desk_forget(m, managed);
    /* a USB attach that qubesd still works on keeps its turn until it is
     * answered */
    if (managed->port_turn) {
        managed->port_turn = managed->call != 0 || managed->overdue_call != 0;
        m->turns_changed = true;
    }
    managed->device = NULL;
    managed->dead = true;
    managed->wants_call = false;
    managed->wants_question = false;
    m->n_dead++;
}

/* Whether another source has a device of the same name. */
static bool device_has_namesakes(const Manager *m, const Device *device)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        if (m->sources[i] && m->sources[i] != device->source &&
            source_find(m->sources[i], device->record.class,
                        &device->record.device))
            return true;
    return false;
}

static void task_set_port(JobTask *task, const Device *device)
{
    if (task->class == DEVICE_CLASS_USB)
        task->port_detached_usec =
            source_port_detached_usec(device->source, &task->device);
}

JobTask task_of(const Manager *m, const Device *device)
{
    JobTask task = { .source = device->source->name,
                     .class = device->record.class,
                     .device = device->record.device,
                     .namesakes = device_has_namesakes(m, device),
                     .connected = m->qubesd == QUBESD_CONNECTED };

    task_set_port(&task, device);
    memcpy(task.vendor_id, device->record.properties.vendor_id,
           sizeof(task.vendor_id));
    memcpy(task.product_id, device->record.properties.product_id,
           sizeof(task.product_id));
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

void device_begin_detach(Manager *m, Device *device, Instant now)
{
    JobTask task = task_of(m, device);
    /* without a holder, only the disposable is left to be shut down */
    const QubeName target =
        device->held_by.s[0] ? device->held_by : device->close;
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
    task.close =
        device->close.s[0] != '\0' && qube_name_equal(&device->close, &target);
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
    const JobTask task = task_of(m, device);
    const QubeName name = *target;
    ManagedJob *managed;

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

void device_drop_queued(Manager *m,
                        Device *device,
                        Status status,
                        const char *detail,
                        Instant now)
{
    ManagedJob *queued = TAKE_PTR(device->queued);

    if (!queued)
        return;
    queued->job.outcome = status;
    (void) text_format(queued->job.detail, sizeof(queued->job.detail), "%s",
                       detail);
    managed_tell(m, queued, now);
    managed_bury(m, queued);
}

bool device_lacks_decision(const Manager *m, const Device *device)
{
    return device->waits_for_qubesd && m->qubesd == QUBESD_CONNECTED &&
           !device_is_attached(device) && !device_is_left_alone(device);
}

/* Note at the device what the end of its job means, and answer who waits for
 * the device to be detached. The device has no job afterwards. */
static void managed_leave_device(Manager *m, ManagedJob *managed, Instant now)
{
    Device *device = managed->device;
    /* of the plug that the job is about: its event is still to come */
    const bool attach_untold =
        device->attach_untold ||
        (managed->kind == JOB_KIND_ATTACH &&
         managed->job.attach_result == ADMIN_OK &&
         !managed->attached_meanwhile && !managed->target_stopped);
    QubeName made = {};
    Holding left;

    if (device->made)
        made = device->held_by;
    device_learn(m, device, managed, now);
    if (made.s[0] && (device->holding == HOLDING_NOTHING ||
                      !qube_name_equal(&device->held_by, &made)))
        (void) orphans_add(&m->orphans, &made);
    device->made = device->made && device->holding == HOLDING_MAYBE;
    if (managed->kind == JOB_KIND_DETACH)
        device_learn_missing(m, device, managed, now);
    if ((managed->job.detached ||
         (attach_untold &&
          (managed->job.missing || managed->job.outcome == STATUS_DETACHED))) &&
        !managed->job.told_detached && !managed->unheard)
        source_expect_detach(managed->source, device->record.class,
                             &device->record.device, &managed->job.target, true,
                             now.monotonic_usec);
    /* what comes after the event of that is none of its echoes */
    if (device->record.class == DEVICE_CLASS_USB &&
        !managed->job.told_detached &&
        (managed->job.detached ||
         (managed->kind == JOB_KIND_DETACH && !managed->job.missing &&
          managed->job.outcome == STATUS_DETACHED)))
        source_on_port_detached(managed->source, &device->record.device,
                                &managed->job.target, now.monotonic_usec);
    /* what others had attached is not ours after a Detach that failed either */
    left = managed->by_person ? managed->job.holding : device->holding;
    waiters_answer(m, &managed->remove_waiters,
                   left == HOLDING_NOTHING ? STATUS_DETACHED
                                           : STATUS_NOT_ATTACHED);
    device->job = NULL;
    if (device->record.class == DEVICE_CLASS_USB &&
        now.monotonic_usec < m->suspect_until_usec &&
        (managed->job.outcome == STATUS_ALREADY_ATTACHED ||
         managed->job.outcome == STATUS_ATTACHED_ELSEWHERE)) {
        device->suspect = true;
        m->any_suspect = true;
    }
}

/* Whether the device has to be decided again after the job has ended. */
static bool managed_calls_for_decision(const Manager *m,
                                       const ManagedJob *managed)
{
    Status outcome = managed->job.outcome;
    bool started = managed->target_started;

    if (managed->outdated)
        return true;
    switch (managed->kind) {
    case JOB_KIND_ATTACH:
        if (outcome == STATUS_SUPERSEDED)
            break;
        /* while no event could be heard the target may have started, too */
        started |= managed->unheard && m->qubesd == QUBESD_CONNECTED;
        return (started && outcome == STATUS_WAITING_FOR_TARGET) ||
               (managed->came_up && job_lacked_target(&managed->job));
    case JOB_KIND_LOOK:
        if ((managed->job.restarted && outcome == STATUS_TARGET_NOT_RUNNING) ||
            (managed->device->waits_for_list && managed->device->relisted))
            return true;
        break;
    case JOB_KIND_DETACH:
        break;
    }
    return device_lacks_decision(m, managed->device);
}

/* Whether events were missed, and no job has seen who has the device since. */
static bool device_has_missed(const Device *device)
{
    return device->missed_events && !device->attachment_known &&
           device->plugged && device_is_attached(device);
}

/* A job has ended: what follows for its device? */
static void managed_end(Manager *m, ManagedJob *managed, Instant now)
{
    Device *device = managed->device;
    /* the event of our own Detach says all there is to say */
    bool look = managed->kind == JOB_KIND_ATTACH && managed->detached_meanwhile;
    const QubeName target = managed->job.target;
    bool again;

    if (device->queued == managed) {
        /* its time was over before the job ahead of it had ended */
        device->queued = NULL;
        managed_bury(m, managed);
        return;
    }
    assert(device->job == managed);
    managed_leave_device(m, managed, now);
    m->turns_changed |= managed->kind != JOB_KIND_ATTACH || look ||
                        managed->lineage != device->lineage;
    again = managed_calls_for_decision(m, managed);
    managed_bury(m, managed);

    if (device->queued) {
        device->job = TAKE_PTR(device->queued);
        task_set_holder(&device->job->job.task, device);
        managed_apply(m, device->job,
                      job_go(&device->job->job, now.monotonic_usec), now);
    } else if (look && device->plugged && !device->detached_by_user &&
               (device->holding == HOLDING_DEVICE ||
                qube_name_equal(&device->attached_to, &target))) {
        device_begin_look(m, device, &target, now);
    } else if (again && device->plugged) {
        device_decide_again(m, device, now);
    }

    if (device->job)
        return;
    if (managed->kind != JOB_KIND_LOOK && device_has_missed(device)) {
        const QubeName holder = device_holder(device);

        device_look_further(m, device, &holder, now);
    } else if (device->suspect && device->plugged) {
        device_look_at_suspect(m, device, now);
    } else {
        device_release(device);
    }
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

void managed_apply(Manager *m, ManagedJob *managed, JobWish wish, Instant now)
{
    for (;;) {
        if (is_held_up(m, managed, wish))
            wish = job_on_withdrawn(&managed->job, true, STATUS_PAUSED, "");
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
            /* its turn may have come before the rules changed */
            if (managed->job.request.method == ADMIN_ATTACH &&
                managed_is_outdated(m, managed)) {
                wish = managed_end_outdated(managed);
                break;
            }
            /* a call of the job that is still under way was given up by it */
            managed->ignores_call = managed->call != 0;
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
                managed->attach_usec = now.monotonic_usec;
            }
            return;
        case JOB_WISH_QUESTION:
            managed->wants_question = true;
            return;
        case JOB_WISH_PROMPT:
            if (managed->device->refused_by_user)
                wish = job_on_refused(&managed->job, STATUS_DENIED_BY_USER, "",
                                      now.monotonic_usec);
            else if (source_is_quiet(managed->source, now.monotonic_usec))
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
