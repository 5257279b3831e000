/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

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

static HistoryEntry entry_of(const Source *source,
                             const Record *record,
                             Status status,
                             const char *detail,
                             Instant now)
{
    HistoryEntry entry = {
        .when_usec = now.realtime_usec,
        .source = source->name,
        .class = record->class,
        .device = record->device,
        .label = device_label(&record->properties),
        .status = status,
    };

    (void) text_format(entry.detail, sizeof(entry.detail), "%s", detail);
    return entry;
}

void manager_record(Manager *m,
                    Device *device,
                    const char *rule,
                    const char *target,
                    Status status,
                    const char *detail,
                    uint64_t duration_usec,
                    Instant now)
{
    HistoryEntry entry =
        entry_of(device->source, &device->record, status, detail, now);

    entry.duration_usec = duration_usec;
    (void) text_format(entry.rule.s, sizeof(entry.rule.s), "%s", rule);
    (void) text_format(entry.target, sizeof(entry.target), "%s", target);
    history_add(m->history, &entry);
    device->outcome = history_last_serial(m->history);
    device->status = status;
    device->status_usec = now.realtime_usec;
}

Status manager_refuse(Manager *m,
                      const Source *source,
                      const Record *record,
                      Status status,
                      const char *detail,
                      Instant now)
{
    const HistoryEntry entry = entry_of(source, record, status, detail, now);

    history_add(m->history, &entry);
    return status;
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

/* What is told as the target: where policy let none through, the only one; none
 * where the device was detached before we came to do so. */
static const char *target_told(const Job *job, char ret[TARGET_STRING_MAX + 1])
{
    if (job->outcome == STATUS_DENIED_BY_POLICY && job->task.n_targets == 1)
        return target_to_string(&job->task.targets[0], ret);
    if (job->outcome == STATUS_DETACHED && job->missing)
        return "";
    return job->target.s;
}

void managed_tell(Manager *m, ManagedJob *managed, Instant now)
{
    Job *job = &managed->job;
    Device *device = managed->device;
    char target[TARGET_STRING_MAX + 1];

    managed->told = true;
    if (managed->kind == JOB_KIND_LOOK)
        return; /* nobody waits for it; managed_end() acts on it */
    manager_record(m, device, managed->rule ? managed->rule->name.s : "",
                   target_told(job, target), job->outcome, job->detail,
                   now.monotonic_usec - managed->begun_usec, now);
    waiters_answer(m, &managed->attach_waiters, job->outcome);

    if (managed->kind != JOB_KIND_ATTACH)
        return;
    manager_notify(m, managed, now);
    if (status_is_success(job->outcome))
        device->stopped = (QubeName){};
    if (job->outcome == STATUS_ALREADY_ATTACHED) {
        device->met_rule = managed->rule->name;
        device->met_at = job->target;
    }
    device->waits_for = (QubeName){};
    if (job_lacked_target(job))
        device_wait_for_start(device, managed);
    device->waits_for_any = job->outcome == STATUS_WAITING_FOR_TARGET;
    device->waits_for_qubesd =
        job->outcome == STATUS_UNAVAILABLE ||
        (job->outcome == STATUS_TIMEOUT && m->qubesd != QUBESD_CONNECTED);
    device->waits_for_list = job->outcome == STATUS_NO_SUCH_DEVICE;
    device->waits_for_part &= job->outcome == STATUS_ATTACHED_ELSEWHERE;
    device->waits_for_pause = job->outcome == STATUS_PAUSED;
    device->waits_for_room = false; /* it had a job */
    device->waits_for_policy = false;
    if (job->unjudged)
        policy_await(m, device, &job->unanswered, now);
    device->waits_for_disk =
        managed->presumed && job->outcome == STATUS_ATTACHED_ELSEWHERE;
}

void device_tell_late_attach(Manager *m, Device *device, Instant now)
{
    const ManagedJob *job = device->queued ? device->queued : device->job;
    const uint64_t begun_usec = device->doubted_usec;
    bool timed_out = device->status == STATUS_TIMEOUT;

    if (begun_usec == 0 || device->holding != HOLDING_DEVICE)
        return;
    device->doubted_usec = 0;
    /* else that is about to tell what has become of it */
    if (!device->plugged || (job && job->kind != JOB_KIND_LOOK))
        return;
    device_stop_waiting(device);
    device->stopped = (QubeName){};
    manager_record(m, device, device->held_rule.s, device->held_by.s,
                   STATUS_ATTACHED,
                   timed_out ? "later than its time allowed" : "known only now",
                   now.monotonic_usec - begun_usec, now);
    manager_notify_late(m, device, now);
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
    m->census.is_changed = true; /* it does not ask what a job finds out */
    managed->wants_call = false;
    managed->wants_question = false;
    m->n_dead++;
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

/* Answer the records that wait, but not the person. */
static void waiters_answer_records(Manager *m, WaiterList *list, Status status)
{
    WaiterList persons;
    Waiter *waiter;

    waiters_init(&persons);
    while ((waiter = waiters_pop(list))) {
        waiter->status = status;
        waiters_push(waiter->source ? &m->answers : &persons, waiter);
    }
    while ((waiter = waiters_pop(&persons)))
        waiters_push(list, waiter);
}

/* Whether the job leaves attached what the person wants detached. */
static bool managed_leaves_detach(const ManagedJob *managed)
{
    const Device *device = managed->device;

    return managed->detach_behind && device->plugged &&
           device->holding == HOLDING_NOTHING &&
           (device->attached_to.s[0] != '\0' || !device->attachment_known);
}

/* The job in the way of that has ended: who waited for it waits for this. */
static void device_detach_behind(Manager *m,
                                 Device *device,
                                 WaiterList *persons,
                                 Instant now)
{
    const Status status = person_begin_detach(m, device, now);
    Waiter *waiter;

    if (status != STATUS_INVALID)
        waiters_answer(m, persons, status);
    while ((waiter = waiters_pop(persons)))
        waiters_push(&device->job->remove_waiters, waiter);
}

/* Whether the job has shut down the disposable with its device. */
static bool managed_has_closed(const ManagedJob *managed,
                               const QubeName *disposable)
{
    const Job *job = &managed->job;

    return managed->kind == JOB_KIND_DETACH && job->task.close &&
           job->holding == HOLDING_NOTHING &&
           qube_name_equal(&job->target, disposable);
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
    Status left;

    device_learn(m, device, managed, now);
    if (device->made.s[0] != '\0' &&
        !managed_has_closed(managed, &device->made) &&
        (device->holding == HOLDING_NOTHING ||
         !qube_name_equal(&device->held_by, &device->made)) &&
        !qube_name_equal(&device->attached_to, &device->made))
        (void) orphans_add(&m->orphans, &device->made);
    if (device->holding != HOLDING_MAYBE ||
        !qube_name_equal(&device->held_by, &device->made))
        device->made = (QubeName){};
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
    left = (managed->by_person ? managed->job.holding : device->holding) ==
                   HOLDING_NOTHING
               ? STATUS_DETACHED
               : STATUS_NOT_ATTACHED;
    if (managed_leaves_detach(managed))
        waiters_answer_records(m, &managed->remove_waiters, left);
    else
        waiters_answer(m, &managed->remove_waiters, left);
    device->job = NULL;
    /* else a look tells whether it still is */
    if (!managed->detached_meanwhile)
        device_tell_late_attach(m, device, now);
    if (device->record.class == DEVICE_CLASS_USB &&
        now.monotonic_usec < m->suspect_until_usec &&
        device_holder(device).s[0] != '\0' &&
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

    if (managed->outdated || managed->job.policy_changed)
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

/* Whether it may still be attached without a new record: what it waits for may
 * come, a yes be given in its window; and what is replaced, or left alone, is
 * no reason to attach another part. */
static bool device_is_still_wanted(const Device *device, Status outcome)
{
    return outcome == STATUS_SUPERSEDED || outcome == STATUS_APPROVAL_TIMEOUT ||
           outcome == STATUS_DETACHED_BY_USER || device_is_attached(device) ||
           device_is_waiting(device) || device->waits_for_pause ||
           device->waits_for_policy || device->waits_for_room;
}

void device_make_way(Manager *m, const Device *device, Status outcome)
{
    if (device_is_still_wanted(device, outcome))
        return;
    for (Device *part = device->source->devices; part; part = part->next) {
        if (!part->waits_for_part || !device_excludes(device, part) ||
            device_is_left_alone(part))
            continue;
        part->waits_for_part = false;
        part->waits_for_room = true;
        m->lacks_room = true;
    }
}

/* Whether it is gone, and what is left of it are disposables to shut down: but
 * not if the next plug, of which no record has come, was attached to one. */
static bool device_has_to_close(const Device *device)
{
    return !device->plugged && device->holding == HOLDING_NOTHING &&
           device->close[0].s[0] != '\0' &&
           !device_closes(device, &device->attached_to);
}

/* The same if @managed was of that plug, and the next one has come: but not if
 * the person has attached that to one of them. */
static bool managed_leaves_more_to_close(const ManagedJob *managed,
                                         const Device *device)
{
    return managed->plug != device->plug &&
           device->holding == HOLDING_NOTHING &&
           device->close[0].s[0] != '\0' &&
           !device_closes(device, &managed->job.target) &&
           !device_closes(device, &device->attached_to);
}

/* The job's Attach came to nothing, and the person has taken the device away
 * meanwhile, or the next plug of it. */
static bool managed_leaves_taken(const ManagedJob *managed)
{
    const Device *device = managed->device;

    return managed->kind == JOB_KIND_ATTACH && managed_was_taken(managed) &&
           device->holding == HOLDING_NOTHING &&
           device->attached_to.s[0] == '\0' && !device_is_left_alone(device);
}

void managed_end(Manager *m, ManagedJob *managed, Instant now)
{
    Device *device = managed->device;
    /* the event of our own Detach says all there is to say */
    bool look = managed->kind == JOB_KIND_ATTACH && managed->detached_meanwhile;
    const QubeName target = managed->job.target;
    bool again, more, taken, behind;

    if (device->queued == managed) {
        /* its time was over before the job ahead of it had ended */
        device->queued = NULL;
        managed_bury(m, managed);
        return;
    }
    assert(device->job == managed);
    managed_leave_device(m, managed, now);
    m->turns_changed |= managed->kind != JOB_KIND_ATTACH || look ||
                        managed->plug != device->plug;
    again = managed_calls_for_decision(m, managed);
    more = managed_leaves_more_to_close(managed, device);
    taken = managed_leaves_taken(managed);
    behind = managed_leaves_detach(managed);
    m->turns_changed |= taken;
    managed_bury(m, managed);

    if (behind) {
        device_detach_behind(m, device, &managed->remove_waiters, now);
        if (device->job)
            return;
    }
    if (taken) {
        device_drop_queued(m, device, STATUS_SUPERSEDED, DETACHED_MEANWHILE,
                           now);
        device->waits_for_qubesd = true; /* it may tell of the plug before */
        device_begin_look(m, device, &managed->taken_from, now);
        if (device->job)
            return;
    }
    if (more) {
        device->held_before = true;
        device_begin_detach(m, device, now);
        if (device->job)
            return;
        device->held_before = false; /* without memory */
    }
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
    } else if (device_has_to_close(device)) {
        device_begin_detach(m, device, now);
    } else {
        /* what was decided again may be wanted no more */
        if (managed->kind == JOB_KIND_ATTACH)
            device_make_way(m, device,
                            again ? device->status : managed->job.outcome);
        device_release(device);
    }
}
