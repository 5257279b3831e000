/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "common/text.h"
#include "dom0/core/job-internal.h"

JobWish job_begin(Job *ret, const JobTask *task, uint64_t now_usec)
{
    assert(task->n_targets > 0 && task->n_targets <= APPROVAL_TARGETS_MAX);

    job_init(ret, task, now_usec);
    return job_judge(ret, now_usec);
}

JobWish job_begin_approved(Job *ret,
                           const JobTask *task,
                           size_t choice,
                           const QubeName *default_dispvm,
                           uint64_t now_usec)
{
    assert(choice < task->n_targets);

    job_init(ret, task, now_usec);
    ret->default_dispvm = *default_dispvm;
    ret->candidate = choice;
    ret->chosen = true;
    ret->choice = choice;
    ret->approved = true;
    ret->task.qubes_only = false; /* the person wants a disposable made */
    return job_judge(ret, now_usec);
}

void job_queue(Job *ret, const JobTask *task, uint64_t now_usec)
{
    job_init(ret, task, now_usec); /* job_go() begins its time anew */
}

JobWish job_go(Job *job, uint64_t now_usec)
{
    JobTask task = job->task;

    if (job->state != JOB_QUEUED)
        return JOB_WISH_NOTHING;

    return job_begin(job, &task, now_usec);
}

JobWish job_on_answer(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    if (answer->result != ADMIN_UNREACHABLE) {
        /* until now it was only tried to reach qubesd */
        if (!job->touched)
            job->n_retries = 0;
        job->touched = true;
    }

    switch (job->state) {
    case JOB_CHECKING:
    case JOB_RECHECKING:
        return job_on_available(job, answer, now_usec);
    case JOB_SELECTING:
        return job_on_selected(job, answer, now_usec);
    case JOB_SURVEYING:
        return job_on_surveyed(job, answer, now_usec);
    case JOB_PROBING:
        return job_on_probed(job, answer, now_usec);
    case JOB_ATTACHING:
        return job_on_attach(job, answer, now_usec);
    case JOB_DIAGNOSING:
        return job_on_diagnosed(job, answer, now_usec);
    case JOB_VERIFYING:
        return job_on_verified(job, answer, now_usec);
    case JOB_UNDOING:
        return job_on_undoable(job, answer);
    case JOB_FINDING:
        return job_on_found(job, answer, now_usec);
    case JOB_DETACHING:
        return job_on_detach(job, answer, now_usec);
    case JOB_DETACH_VERIFYING:
        return job_on_detach_verified(job, answer, now_usec);
    case JOB_LOOKING:
        return job_on_looked(job, answer, now_usec);
    case JOB_LOOKING_FURTHER:
        return job_on_looked_further(job, answer, now_usec);
    case JOB_RESOLVING:
        return job_on_resolved(job, answer, now_usec);
    case JOB_CREATING:
        return job_on_created(job, answer, now_usec);
    case JOB_DISCARDING:
        return job_on_discarded(job, answer, now_usec);
    case JOB_CLOSING:
        return job_on_closed(job, answer, now_usec);
    case JOB_INVALID:
    case JOB_QUEUED:
    case JOB_JUDGING:
    case JOB_AWAITING:
    case JOB_AWAITING_PROMPT:
    case JOB_ASKING:
    case JOB_TURN:
    case JOB_STARTING:
    case JOB_PAUSING:
    case JOB_OFFLINE:
    case JOB_DONE:
        break;
    }
    return JOB_WISH_NOTHING;
}

JobWish job_on_started(Job *job,
                       Status status,
                       const char *detail,
                       uint64_t now_usec)
{
    if (job->state != JOB_STARTING)
        return JOB_WISH_NOTHING;
    if (status == STATUS_UNAVAILABLE)
        return job_lose_qubesd(job, JOB_RECHECKING, detail, now_usec);
    if (!status_is_success(status))
        return job_finish(job, status, detail);

    job->started = true;
    job->appear_usec = now_usec + JOB_APPEAR_USEC;
    return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
}

JobWish job_on_start_unsure(Job *job, const char *detail, uint64_t now_usec)
{
    if (job->state != JOB_STARTING)
        return JOB_WISH_NOTHING;
    return job_retry(job, JOB_RECHECKING, STATUS_START_FAILED, detail,
                     now_usec);
}

JobWish job_on_start_of_others(Job *job, uint64_t now_usec)
{
    char detail[sizeof(job->detail)];

    if (job->state != JOB_STARTING)
        return JOB_WISH_NOTHING;

    job->unready = true;
    (void) text_format(detail, sizeof(detail), "%s is %s", job->target.s,
                       power_state_to_string(POWER_TRANSIENT));
    return job_retry(job, JOB_RECHECKING, STATUS_ATTACH_FAILED, detail,
                     now_usec);
}

JobWish job_on_turn(Job *job,
                    JobTurn turn,
                    uint64_t when_usec,
                    uint64_t now_usec)
{
    if (job->state != JOB_TURN)
        return JOB_WISH_NOTHING;

    switch (turn) {
    case JOB_TURN_LATER:
        job_pause(job, now_usec);
        job->stale = true;
        return job_wait(job, JOB_TURN, when_usec);
    case JOB_TURN_SHUT:
        job_unpause(job, now_usec);
        job->stale = true;
        return job_wait(job, JOB_TURN, when_usec);
    case JOB_TURN_GRANTED:
        break;
    }

    job->has_turn = true;
    if (!job->stale)
        return job_take_turn(job, now_usec);
    job_unpause(job, now_usec);
    return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
}

bool job_holds_port_turn(const Job *job)
{
    if (job->task.class != DEVICE_CLASS_USB || job->target.s[0] == '\0')
        return false;

    switch (job->state) {
    case JOB_TURN:
    case JOB_PROBING:
    case JOB_ATTACHING:
        return true;
    case JOB_RECHECKING:
        return job->has_turn;
    case JOB_JUDGING:
        return job->rejudges;
    case JOB_UNDOING:
        return job->resume == JOB_ATTACHING;
    case JOB_INVALID:
    case JOB_QUEUED:
    case JOB_RESOLVING:
    case JOB_CHECKING:
    case JOB_AWAITING:
    case JOB_SELECTING:
    case JOB_AWAITING_PROMPT:
    case JOB_ASKING:
    case JOB_CREATING:
    case JOB_SURVEYING:
    case JOB_STARTING:
    case JOB_DIAGNOSING:
    case JOB_VERIFYING:
    case JOB_PAUSING:
    case JOB_OFFLINE:
    case JOB_FINDING:
    case JOB_DETACHING:
    case JOB_DETACH_VERIFYING:
    case JOB_CLOSING:
    case JOB_LOOKING:
    case JOB_LOOKING_FURTHER:
    case JOB_DISCARDING:
    case JOB_DONE:
        break;
    }
    return false;
}

void job_on_new_part(Job *job)
{
    job->surveyed = false;
}

void job_on_holder_stopped(Job *job, const QubeName *target)
{
    job->task.stopped = *target;
    if (job->task.start == RULE_START_TARGET)
        job->task.start = RULE_WHEN_RUNNING;
    job->task.qubes_only = true;
    job->held_by = (QubeName){};
    job->known_at = (QubeName){};
    job->task.held_by = (QubeName){};
    job->task.known_at = (QubeName){};
}

void job_on_changed(Job *job)
{
    job->stale = true;
    job->seen = false;
    job->task.announced = false;
}

void job_on_target_stopped(Job *job)
{
    job->target_stopped = true;
    job->stale = true;
    job->task.close = false; /* by that name there may be another one now */
}

void job_on_disposable_stopped(Job *job)
{
    job->disposable_gone = true;
}

void job_on_disposable_filled(Job *job)
{
    job->filled = true;
}

void job_on_target_started(Job *job)
{
    job->restarted = true;
    job->stale = true;
}

void job_on_told_detached(Job *job, bool sent)
{
    job->told_detached = true;
    if (sent || job->request.method != ADMIN_DETACH)
        return;
    job->look_first = true;
    (void) job_call(job, JOB_DETACH_VERIFYING, ADMIN_ATTACHED);
}

void job_on_port_detached(Job *job, uint64_t now_usec)
{
    job->port_detached_usec = now_usec;
    job->port_left = true;
}

static JobWish job_resume(Job *job, JobState state)
{
    switch (state) {
    case JOB_CHECKING:
    case JOB_RECHECKING:
    case JOB_FINDING:
        return job_call(job, state, ADMIN_AVAILABLE);
    case JOB_VERIFYING:
    case JOB_DETACH_VERIFYING:
    case JOB_LOOKING:
        return job_call(job, state, ADMIN_ATTACHED);
    case JOB_LOOKING_FURTHER:
        /* since the last try an event may have told */
        return job->target_stopped ? job_on_lost_by_stop(job)
                                   : job_call(job, state, ADMIN_CURRENT_STATE);
    case JOB_DETACHING:
        return job_detach(job);
    case JOB_RESOLVING:
        return job_call(job, state, ADMIN_PROPERTY_GET);
    case JOB_CLOSING:
        return job->task.close ? job_call(job, state, ADMIN_SHUTDOWN)
                               : job_done(job);
    case JOB_DISCARDING:
        return job_discard(job);
    case JOB_INVALID:
    case JOB_QUEUED:
    case JOB_JUDGING:
    case JOB_AWAITING:
    case JOB_SELECTING:
    case JOB_AWAITING_PROMPT:
    case JOB_ASKING:
    case JOB_CREATING:
    case JOB_SURVEYING:
    case JOB_TURN:
    case JOB_PROBING:
    case JOB_ATTACHING:
    case JOB_STARTING:
    case JOB_DIAGNOSING:
    case JOB_PAUSING:
    case JOB_OFFLINE:
    case JOB_UNDOING:
    case JOB_DONE:
        break;
    }
    assert(false);
    return JOB_WISH_NOTHING;
}

JobWish job_on_time(Job *job, uint64_t now_usec)
{
    if (job->paused_usec == 0 && now_usec >= job->deadline_usec) {
        job_decide(job, STATUS_TIMEOUT,
                   job->state == JOB_QUEUED
                       ? "an earlier call for this device has not ended"
                       : "the job's time is over");
        /* a disposable that is being made has to be removed once it is there */
        if (job->state != JOB_CREATING)
            return job_done(job);
        job->resume = job->state;
        return job_wait(job, JOB_UNDOING, UINT64_MAX);
    }
    if (now_usec < job->wake_usec)
        return JOB_WISH_NOTHING;

    job->wake_usec = UINT64_MAX;
    if (job->state == JOB_AWAITING)
        /* the event may have been missed */
        return job_rereads(job) ? job_resume(job, job->resume)
                                : job_finish_unlisted(job, now_usec);
    /* as in job_on_qubesd() */
    if (job->state == JOB_OFFLINE)
        job->appear_usec = now_usec + JOB_APPEAR_USEC;
    if (job->state == JOB_PAUSING || job->state == JOB_OFFLINE)
        return job_resume(job, job->resume);
    if (job->state == JOB_TURN)
        return JOB_WISH_TURN;
    if (job->state == JOB_ASKING)
        return job_finish(job, STATUS_APPROVAL_TIMEOUT, "");
    return JOB_WISH_NOTHING;
}

JobWish job_on_appeared(Job *job,
                        const DeviceIdentity *identity,
                        uint64_t now_usec)
{
    DeviceListing listing = { .listed = true, .attachment = ATTACHMENT_NONE };

    /* the answer that said otherwise is older */
    if (job->state == JOB_SURVEYING && job->unlisted)
        job->stale = true;
    if (job->state != JOB_AWAITING)
        return JOB_WISH_NOTHING;
    if (!identity)
        return job_resume(job, job->resume);

    job->announced = true;
    listing.has_identity = true;
    listing.identity = *identity;
    return job_on_listing(job, &listing, now_usec);
}

JobWish job_on_unlisted(Job *job, uint64_t now_usec)
{
    JobState state = job->state == JOB_PAUSING ? job->resume : job->state;

    /* this is why its target has it no longer: it went */
    if (job->lost && state == JOB_LOOKING_FURTHER) {
        job->lost = false;
        job->target = (QubeName){}; /* nobody may have approved that one */
        job->known_at = (QubeName){};
        return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
    }
    if (job->state != JOB_AWAITING_PROMPT)
        return JOB_WISH_NOTHING;

    job_unpause(job, now_usec);
    job->stale = false; /* the event is the newest that is known */
    job->resume = JOB_CHECKING;
    return job_wait(job, JOB_AWAITING, job->appear_usec);
}

JobWish job_on_told_attached(Job *job, uint64_t now_usec)
{
    job_on_changed(job);
    if (job->state != JOB_AWAITING_PROMPT)
        return JOB_WISH_NOTHING;

    job_unpause(job, now_usec);
    return job_call(job, JOB_CHECKING, ADMIN_AVAILABLE);
}

JobWish job_on_qubesd(Job *job, uint64_t now_usec)
{
    if (job->state == JOB_DONE)
        return JOB_WISH_NOTHING;
    /* a call that could not be made is tried again from now on */
    job->task.connected = true;
    /* the event that the device is listed no longer may have been missed */
    if (job->state == JOB_AWAITING_PROMPT)
        (void) job_on_unlisted(job, now_usec);
    if (job->state != JOB_OFFLINE && job->state != JOB_AWAITING)
        return JOB_WISH_NOTHING;

    job->appear_usec = now_usec + JOB_APPEAR_USEC;
    return job_resume(job, job->resume);
}

JobWish job_on_withdrawn(Job *job, bool sent, Status status, const char *detail)
{
    switch (job->state) {
    case JOB_ATTACHING:
    case JOB_VERIFYING:
    case JOB_CREATING:
        if (!sent && job->state == JOB_ATTACHING)
            job->holding = HOLDING_NOTHING;
        /* nor is anything to undo of an Attach that has failed for sure */
        if (!sent ||
            (job->state == JOB_VERIFYING && job->holding == HOLDING_NOTHING))
            break;
        job->resume = job->state;
        job_decide(job, status, detail);
        (void) job_wait(job, JOB_UNDOING, UINT64_MAX);
        return JOB_WISH_NOTHING;
    case JOB_UNDOING:
    case JOB_DETACHING:
    case JOB_DETACH_VERIFYING:
    case JOB_CLOSING:
    case JOB_DISCARDING:
    case JOB_DONE:
        return JOB_WISH_NOTHING;
    case JOB_PAUSING:
    case JOB_OFFLINE:
        if (job->resume == JOB_DETACHING || job->resume == JOB_CLOSING ||
            job->resume == JOB_DISCARDING)
            return JOB_WISH_NOTHING;
        break;
    case JOB_INVALID:
    case JOB_QUEUED:
    case JOB_RESOLVING:
    case JOB_JUDGING:
    case JOB_AWAITING_PROMPT:
    case JOB_ASKING:
    case JOB_CHECKING:
    case JOB_AWAITING:
    case JOB_SELECTING:
    case JOB_SURVEYING:
    case JOB_TURN:
    case JOB_PROBING:
    case JOB_STARTING:
    case JOB_DIAGNOSING:
    case JOB_RECHECKING:
    case JOB_FINDING:
    case JOB_LOOKING:
    case JOB_LOOKING_FURTHER:
        break;
    }

    job_decide(job, status, detail);
    if (job->holding == HOLDING_NOTHING || job->target.s[0] == '\0')
        return job_done(job);
    return job_detach(job);
}

uint64_t job_next_usec(const Job *job)
{
    uint64_t deadline_usec =
        job->paused_usec > 0 ? UINT64_MAX : job->deadline_usec;

    return job->wake_usec < deadline_usec ? job->wake_usec : deadline_usec;
}

const char *job_state_to_string(JobState state)
{
    static const char *const names[] = {
        [JOB_INVALID] = "invalid",
        [JOB_QUEUED] = "queued",
        [JOB_RESOLVING] = "resolving-target",
        [JOB_JUDGING] = "asking-policy",
        [JOB_CHECKING] = "checking",
        [JOB_AWAITING] = "awaiting-device",
        [JOB_SELECTING] = "selecting-target",
        [JOB_AWAITING_PROMPT] = "awaiting-prompt",
        [JOB_ASKING] = "asking",
        [JOB_CREATING] = "creating-disposable",
        [JOB_SURVEYING] = "checking-parts",
        [JOB_TURN] = "awaiting-turn",
        [JOB_PROBING] = "checking-target",
        [JOB_ATTACHING] = "attaching",
        [JOB_STARTING] = "starting-target",
        [JOB_DIAGNOSING] = "diagnosing",
        [JOB_RECHECKING] = "rechecking",
        [JOB_VERIFYING] = "verifying",
        [JOB_PAUSING] = "pausing",
        [JOB_OFFLINE] = "awaiting-qubesd",
        [JOB_UNDOING] = "undoing",
        [JOB_FINDING] = "finding-holder",
        [JOB_DETACHING] = "detaching",
        [JOB_DETACH_VERIFYING] = "verifying-detach",
        [JOB_CLOSING] = "closing-disposable",
        [JOB_LOOKING] = "looking",
        [JOB_LOOKING_FURTHER] = "looking",
        [JOB_DISCARDING] = "discarding-disposable",
        [JOB_DONE] = "done",
    };

    return names[state];
}
