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

/* The outcome of a job is known: into the history, and to who asked. */
static void managed_tell(Manager *m, ManagedJob *managed, Instant now)
{
    Job *job = &managed->job;
    Device *device = managed->device;

    managed->told = true;
    if (managed->kind == JOB_KIND_LOOK)
        return; /* managed_end() sees to it */
    manager_record(m, device, managed->rule, job->target.s, job->outcome,
                   job->detail, now.monotonic_usec - managed->begun_usec, now);
    waiters_answer(m, &managed->attach_waiters, job->outcome);

    if (managed->kind != JOB_KIND_ATTACH)
        return;
    manager_notify(m, managed, now);
    if (status_is_success(job->outcome))
        device->stopped = (QubeName){};
    device->waits_for = (QubeName){};
    device->waits_for_any = job->outcome == STATUS_WAITING_FOR_TARGET;
    device->waits_for_qubesd = job->outcome == STATUS_UNAVAILABLE;
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

/* It is done; manager_settle() frees it once no call of its is under way. */
static void managed_bury(Manager *m, ManagedJob *managed)
{
    desk_forget(m, managed);
    /* an attach that is still in work keeps its turn to the end */
    if (managed->port_turn) {
        managed->port_turn = managed->call != 0 || managed->late_call != 0;
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

JobTask task_of(const Manager *m, const Device *device)
{
    JobTask task = { .source = device->source->name,
                     .class = device->record.class,
                     .device = device->record.device,
                     .namesakes = device_has_namesakes(m, device) };

    if (task.class == DEVICE_CLASS_USB)
        task.port_detached_usec =
            source_port_detached_usec(device->source, &task.device);

    memcpy(task.vendor_id, device->record.properties.vendor_id,
           sizeof(task.vendor_id));
    memcpy(task.product_id, device->record.properties.product_id,
           sizeof(task.product_id));
    return task;
}

void task_set_holder(JobTask *task, const Device *device)
{
    bool held = device->holding != HOLDING_NOTHING;

    task->held_surely = device->holding == HOLDING_DEVICE;
    task->held_by = held ? device->held_by : (QubeName){};
    task->held_template = held ? device->held_template : (QubeName){};
    task->known_at = device->attached_to;
}

void device_set_stopped(Device *device, const QubeName *target)
{
    device->stopped = *target;
    if (device->job && device->job->kind == JOB_KIND_ATTACH)
        job_on_holder_stopped(&device->job->job);
    if (device->queued)
        job_on_holder_stopped(&device->queued->job);
}

void device_begin_detach(Manager *m, Device *device, Instant now)
{
    JobTask task = task_of(m, device);
    /* nothing is left in the disposable that is to be shut down */
    const QubeName target =
        device->held_by.s[0] ? device->held_by : device->close;
    ManagedJob *managed;

    /* without memory the device is left as if the call had failed */
    if (managed_new(m, &managed, JOB_KIND_DETACH, device, NULL, now) < 0)
        return;

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

/* The job that waits for another one of the device is not wanted any more. */
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
    /* what may never have been attached was not detached; and what qubesd took
     * off its list meanwhile was not detached by the person */
    if (!known || (job->look_further && device->removed))
        return;
    if (job->outcome == STATUS_TARGET_NOT_RUNNING) {
        if (!ours)
            return;
        device->waits_for = job->target; /* it comes back with it */
        device_set_stopped(device, &job->target);
        return;
    }
    device_on_user_detach(m, device, &job->target, now);
}

/* The job has found out that the target that had it was stopped. */
static void device_learn_stopped(Device *device, const Job *job)
{
    if (!qube_name_equal(&device->held_by, &job->found_stopped))
        return;

    device->holding = HOLDING_NOTHING;
    device->held_by = (QubeName){};
    if (qube_name_equal(&device->attached_to, &job->found_stopped))
        device->attached_to = (QubeName){};
    if (!status_is_success(job->outcome))
        device->stopped = job->found_stopped;
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
static void device_learn(Manager *m,
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
        if (job->n_attaches == 0 || job->outcome == STATUS_ALREADY_ATTACHED) {
            if (job->outcome == STATUS_ALREADY_ATTACHED &&
                device->holding == HOLDING_MAYBE &&
                qube_name_equal(&device->held_by, &job->target))
                device->holding = HOLDING_DEVICE;
            if (job->seen_at.s[0])
                device->attached_to = job->seen_at;
            else if (job->outcome == STATUS_ALREADY_ATTACHED)
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
    /* the call has no answer, but an event has told that it was done */
    if (managed->kind == JOB_KIND_DETACH && managed->detached_meanwhile)
        device->holding = HOLDING_NOTHING;
    /* an event may have told what the job could not find out */
    if (device->holding == HOLDING_MAYBE && managed->attached_meanwhile)
        device->holding = HOLDING_DEVICE;
    device->held_by =
        device->holding == HOLDING_NOTHING ? (QubeName){} : job->target;
    device->held_template = job_made_from(job);
    if (!managed->by_person)
        device->close = (QubeName){};
    if (job_is_in_disposable(job) && managed->rule->options.close)
        device->close = job->target;
    if (device->holding == HOLDING_DEVICE) {
        if (managed->rule)
            device->held_rule = managed->rule->name;
        device->attached_to = job->target;
    } else if (qube_name_equal(&device->attached_to, &job->target)) {
        device->attached_to = (QubeName){};
    }
}

/*
 * The device went, and our Detach found it detached already: by the person, if
 * qubesd has told of it and not of the device's going. So a USB device that is
 * probed anew because the person has detached it is not attached again.
 */
static void device_learn_missing(Manager *m,
                                 Device *device,
                                 const ManagedJob *managed,
                                 Instant now)
{
    PlugMemory *memory = source_find_memory(managed->source, managed->lineage);

    if (!managed->job.missing || managed->job.task.class != DEVICE_CLASS_USB)
        return;
    if (device->plugged && device->lineage == managed->lineage) {
        if (managed->detached_meanwhile)
            device_on_user_detach(m, device, &managed->job.target, now);
    } else if (memory) {
        memory->detached_by_user |= managed->detached_meanwhile;
        memory->missing_from = managed->job.target;
    }
}

/* A job has come to its end. What follows on it? */
static void managed_end(Manager *m, ManagedJob *managed, Instant now)
{
    Device *device = managed->device;
    bool look = managed->detached_meanwhile;
    const QubeName target = managed->job.target;
    QubeName made = {};
    bool again;

    if (device->queued == managed) {
        /* its time was over before it could begin */
        device->queued = NULL;
        managed_bury(m, managed);
        return;
    }
    assert(device->job == managed);
    if (device->made)
        made = device->held_by;
    device_learn(m, device, managed, now);
    if (made.s[0] && (device->holding == HOLDING_NOTHING ||
                      !qube_name_equal(&device->held_by, &made)))
        (void) orphans_add(&m->orphans, &made);
    device->made = device->made && device->holding == HOLDING_MAYBE;
    if (managed->kind == JOB_KIND_DETACH)
        device_learn_missing(m, device, managed, now);
    if (managed->kind == JOB_KIND_DETACH &&
        device->record.class == DEVICE_CLASS_USB && !managed->job.missing &&
        managed->job.outcome == STATUS_DETACHED)
        source_on_port_detached(managed->source, &device->record.device,
                                now.monotonic_usec);
    waiters_answer(m, &managed->remove_waiters,
                   device->holding == HOLDING_NOTHING ? STATUS_DETACHED
                                                      : STATUS_NOT_ATTACHED);
    device->job = NULL;
    m->turns_changed |= managed->kind == JOB_KIND_LOOK;
    again = managed->kind == JOB_KIND_ATTACH && managed->target_started &&
            managed->job.outcome == STATUS_WAITING_FOR_TARGET;
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

    /* the answer to Attach is older than the start that somebody else wanted */
    if (target_starts_ended(m->starts, &job->target, managed->attach_usec))
        return job_on_started(job, STATUS_ATTACHED, "", now.monotonic_usec);
    status = target_starts_want(m->starts, &job->target, !job->made,
                                now.monotonic_usec, &detail);

    return status == STATUS_INVALID
               ? JOB_WISH_NOTHING
               : job_on_started(job, status, detail, now.monotonic_usec);
}

/* The job whose USB attach into the same target, or of the same device, is in
 * work, or NULL. */
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

/* Whether an earlier run has attached another part of the plug, and it is not
 * known yet whether that is still so. */
static bool device_is_open(const Device *device)
{
    for (const Device *part = device->source->devices; part; part = part->next)
        if (part->plugged && part->told_by == 0 &&
            part->holding != HOLDING_NOTHING && device_excludes(device, part))
            return true;
    return false;
}

static JobWish managed_give_turn(Manager *m, ManagedJob *managed, Instant now)
{
    Job *job = &managed->job;
    bool is_port = job_holds_port_turn(job);
    const ManagedJob *holder = is_port ? port_turn_holder(m, managed) : NULL;
    uint64_t when_usec = UINT64_MAX;
    JobTurn turn = JOB_TURN_GRANTED;

    if (device_is_looked_at(managed->device))
        turn = JOB_TURN_LATER;
    else if (device_is_open(managed->device))
        turn = JOB_TURN_SHUT;
    else if (holder)
        turn = holder->late_call != 0 || holder->dead ? JOB_TURN_SHUT
                                                      : JOB_TURN_LATER;
    else if (!m->unlimited && !job->has_turn &&
             !source_take_attach(managed->source, managed->device,
                                 now.monotonic_usec, &when_usec))
        turn = JOB_TURN_LATER;
    managed->port_turn = is_port && turn == JOB_TURN_GRANTED;
    return job_on_turn(job, turn, when_usec, now.monotonic_usec);
}

/* Another part is attached, or just being: two may have waited for one look. */
static bool part_is_in_the_way(const Device *part)
{
    const ManagedJob *managed = part->job;

    return (device_is_attached(part) && device_is_confirmed(part)) ||
           (managed && managed->kind == JOB_KIND_ATTACH &&
            (managed->port_turn || managed_is_attaching(managed)));
}

/* Each Attach has to pass here: is it still wanted? */
static JobWish managed_ask_leave(Manager *m, ManagedJob *managed, Instant now)
{
    const Device *device = managed->device;

    if (device_is_left_alone(device))
        return job_on_withdrawn(&managed->job, true, STATUS_DETACHED_BY_USER,
                                "");
    for (const Device *part = device->source->devices; part; part = part->next)
        if (part->plugged && part_is_in_the_way(part) &&
            device_excludes(device, part))
            return job_on_withdrawn(&managed->job, true,
                                    STATUS_ATTACHED_ELSEWHERE,
                                    "another part of the same device is "
                                    "attached");
    return managed_give_turn(m, managed, now);
}

void manager_give_turns(Manager *m, Instant now)
{
    while (m->turns_changed) {
        m->turns_changed = false;
        for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
            if (!managed->dead && managed->job.state == JOB_TURN)
                managed_apply(m, managed, JOB_WISH_TURN, now);
    }
}

/* The next part of the same plug of which it is not known whether it is
 * attached. */
static JobWish managed_give_part(ManagedJob *managed, Instant now)
{
    const Record *unknown = NULL;
    bool attached = false;

    for (const Device *part = managed->source->devices; part;
         part = part->next) {
        if (!part->plugged || !device_excludes(managed->device, part))
            continue;
        /* what is still to be looked at is waited for, see device_is_open() */
        attached |= device_is_attached(part) && device_is_confirmed(part);
        if (!part->attachment_known)
            unknown = &part->record;
    }
    if (managed->job.task.class == DEVICE_CLASS_USB)
        attached |=
            source_has_early_of(managed->source, &managed->device->record);
    return job_on_part(&managed->job, unknown, attached, now.monotonic_usec);
}

void managed_on_late(Manager *m,
                     ManagedJob *managed,
                     const AdminAnswer *answer,
                     Instant now)
{
    const JobTask *task = &managed->job.task;
    Device *device = source_find(managed->source, task->class, &task->device);

    managed->port_turn = false;
    m->turns_changed = true;
    /* what was decided meanwhile counts; qubesd's events tell the rest */
    if (!device || device->job || device->plug != managed->plug ||
        device->holding != HOLDING_MAYBE ||
        !qube_name_equal(&device->held_by, &managed->job.target))
        return;
    if (answer->result == ADMIN_OK) {
        device->holding = HOLDING_DEVICE;
        device->attached_to = device->held_by;
        manager_record(m, device, managed->rule, device->held_by.s,
                       STATUS_ATTACHED, "later than its time allowed",
                       now.monotonic_usec - managed->begun_usec, now);
    } else if (answer->result == ADMIN_EXCEPTION) {
        device->holding = HOLDING_NOTHING;
        device->held_by = (QubeName){};
    }
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

/* Do what a job wants done. It may be dead afterwards, but it is still there
 * until manager_sweep(). */
void managed_apply(Manager *m, ManagedJob *managed, JobWish wish, Instant now)
{
    for (;;) {
        if (is_held_up(m, managed, wish))
            wish = job_on_withdrawn(&managed->job, true, STATUS_PAUSED, "");
        if (managed->job.outcome != STATUS_INVALID && !managed->told)
            managed_tell(m, managed, now);
        if (managed->port_turn && !job_holds_port_turn(&managed->job) &&
            managed->call == 0 && managed->late_call == 0) {
            managed->port_turn = false;
            m->turns_changed = true;
        }

        switch (wish) {
        case JOB_WISH_NOTHING:
            return;
        case JOB_WISH_CALL:
            /* a call that has not answered yet was given up */
            managed->ignores_call = managed->call != 0;
            managed->wants_call = true;
            /* what qubesd takes off its list from now on tells of this */
            if (managed->job.request.method == ADMIN_ATTACH) {
                managed->device->removed = false;
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
            else
                return; /* desk_step() sees to it */
            break;
        case JOB_WISH_PART:
            wish = managed_give_part(managed, now);
            break;
        case JOB_WISH_START:
            wish = managed_start_target(m, managed, now);
            break;
        case JOB_WISH_TURN:
            wish = managed_ask_leave(m, managed, now);
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
    /* what waits in our own queue was not sent, and need not be undone */
    bool sent = !managed->wants_call;

    managed_apply(m, managed,
                  job_on_withdrawn(&managed->job, sent, status, detail), now);
}

/* The device of a job is gone or another one, or no rule wants it any more. */
void managed_supersede(Manager *m,
                       ManagedJob *managed,
                       const char *detail,
                       Instant now)
{
    managed_withdraw(m, managed, STATUS_SUPERSEDED, detail, now);
}
