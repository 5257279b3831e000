/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/job.h"

static JobWish job_done(Job *job)
{
    assert(job->outcome != STATUS_INVALID);

    job->state = JOB_DONE;
    job->wake_usec = UINT64_MAX;
    job->deadline_usec = UINT64_MAX;
    return JOB_WISH_DONE;
}

/* The outcome is known. The first one counts. */
static void job_decide(Job *job, Status outcome, const char *detail)
{
    if (job->outcome != STATUS_INVALID)
        return;

    job->outcome = outcome;
    (void) text_format(job->detail, sizeof(job->detail), "%s", detail);
    /* what is left to do is bounded by the deadlines of its calls */
    job->deadline_usec = UINT64_MAX;
}

static JobWish job_finish(Job *job, Status outcome, const char *detail)
{
    job_decide(job, outcome, detail);
    return job_done(job);
}

static JobWish job_wait(Job *job, JobState state, uint64_t wake_usec)
{
    job->state = state;
    job->wake_usec = wake_usec;
    return JOB_WISH_NOTHING;
}

static JobWish job_retry(Job *job,
                         JobState resume,
                         Status otherwise,
                         const char *detail,
                         uint64_t now_usec)
{
    if (job->n_retries >= JOB_RETRIES_MAX)
        return job_finish(job, otherwise, detail);

    job->resume = resume;
    job->n_retries++;
    return job_wait(job, JOB_PAUSING,
                    now_usec + JOB_RETRY_USEC(job->n_retries - 1));
}

/*
 * qubesd could not be reached. Before it has answered anything that is the
 * outcome; later the job goes on where it was as soon as qubesd is back.
 */
static JobWish job_lose_qubesd(Job *job, JobState resume, const char *detail)
{
    if (!job->touched)
        return job_finish(job, STATUS_UNAVAILABLE, detail);

    job->resume = resume;
    return job_wait(job, JOB_OFFLINE, UINT64_MAX);
}

static JobWish job_call(Job *job, JobState state, AdminMethod method)
{
    AdminRequest *request = &job->request;

    *request = (AdminRequest){ .method = method,
                               .class = job->task.class,
                               .dest = job->target };
    switch (method) {
    case ADMIN_AVAILABLE:
        request->dest = job->task.source;
        request->port = job->task.device;
        break;
    case ADMIN_ATTACH:
        request->options = job->task.options;
        request->pinned = job->pinned;
        if (job->pinned)
            request->identity = job->identity;
        request->backend = job->task.source;
        request->port = job->task.device;
        break;
    case ADMIN_ATTACHED:
    case ADMIN_DETACH:
        request->backend = job->task.source;
        request->port = job->task.device;
        break;
    case ADMIN_CURRENT_STATE:
        break;
    case ADMIN_INVALID:
    case ADMIN_EVENTS:
    case ADMIN_LIST:
    case ADMIN_START:
    case ADMIN_OLD_LIST:
        assert(false);
    }

    job->state = state;
    job->wake_usec = UINT64_MAX;
    return JOB_WISH_CALL;
}

static JobWish job_ask_turn(Job *job, uint64_t now_usec)
{
    if (job->has_turn)
        return job_on_turn(job, true, 0, now_usec);

    job->state = JOB_TURN;
    job->turn_usec = 0;
    job->wake_usec = UINT64_MAX;
    return JOB_WISH_TURN;
}

/* Ask whether the next of several targets runs; the first one is what is
 * taken if none does. */
static JobWish job_select(Job *job, uint64_t now_usec)
{
    const JobTask *task = &job->task;

    if (job->target.s[0] != '\0')
        return job_ask_turn(job, now_usec);
    if (task->n_targets > 1 && job->candidate < task->n_targets) {
        JobWish wish = job_call(job, JOB_SELECTING, ADMIN_CURRENT_STATE);

        job->request.dest = task->targets[job->candidate].name;
        return wish;
    }

    job->target = task->targets[0].name;
    return job_ask_turn(job, now_usec);
}

static void job_init(Job *ret, const JobTask *task, uint64_t now_usec)
{
    *ret = (Job){
        .task = *task,
        .state = JOB_QUEUED,
        .wake_usec = UINT64_MAX,
        .deadline_usec = now_usec + JOB_USEC,
        .appear_usec = now_usec + JOB_APPEAR_USEC,
    };
}

static bool job_can_target(const Job *job)
{
    for (size_t i = 0; i < job->task.n_targets; i++)
        if (job->task.targets[i].kind != TARGET_QUBE)
            return false;
    return true;
}

JobWish job_begin(Job *ret, const JobTask *task, uint64_t now_usec)
{
    assert(task->n_targets > 0);

    job_init(ret, task, now_usec);

    if (!job_can_target(ret))
        return job_finish(ret, STATUS_UNAVAILABLE,
                          "disposable targets are not supported yet");
    return job_call(ret, JOB_CHECKING, ADMIN_AVAILABLE);
}

void job_queue(Job *ret, const JobTask *task, uint64_t now_usec)
{
    job_init(ret, task, now_usec);
}

JobWish job_go(Job *job, uint64_t now_usec)
{
    JobTask task = job->task;

    if (job->state != JOB_QUEUED)
        return JOB_WISH_NOTHING;

    return job_begin(job, &task, now_usec);
}

JobWish job_begin_detach(Job *ret,
                         const JobTask *task,
                         const QubeName *target,
                         uint64_t now_usec)
{
    job_init(ret, task, now_usec);
    ret->target = *target;
    ret->holding = HOLDING_MAYBE;
    /* there is nobody to be told "unavailable" who could do better */
    ret->touched = true;
    return job_call(ret, JOB_DETACHING, ADMIN_DETACH);
}

JobWish job_begin_look(Job *ret,
                       const JobTask *task,
                       const QubeName *target,
                       uint64_t now_usec)
{
    job_init(ret, task, now_usec);
    ret->target = *target;
    return job_call(ret, JOB_LOOKING, ADMIN_ATTACHED);
}

static JobWish job_on_looked(Job *job, const AdminAnswer *answer)
{
    if (answer->result != ADMIN_OK)
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    return job_finish(job,
                      answer->listing.listed ? STATUS_ALREADY_ATTACHED
                                             : STATUS_DETACHED_BY_USER,
                      "");
}

/* What to do with a device that qubesd lists. */
static JobWish job_on_listing(Job *job,
                              const DeviceListing *listing,
                              uint64_t now_usec)
{
    const JobTask *task = &job->task;

    if (listing->attachment == ATTACHMENT_QUBE) {
        for (size_t i = 0; i < task->n_targets; i++) {
            if (!qube_name_equal(&task->targets[i].name, &listing->attached_to))
                continue;
            job->target = listing->attached_to;
            if (job->attach_sent)
                job->holding = HOLDING_DEVICE;
            return job_finish(job,
                              job->attach_sent ? STATUS_ATTACHED
                                               : STATUS_ALREADY_ATTACHED,
                              "");
        }
        return job_finish(job, STATUS_ATTACHED_ELSEWHERE,
                          "another qube has it");
    }
    if (listing->has_identity &&
        identity_contradicts(&listing->identity, task->vendor_id,
                             task->product_id))
        return job_finish(job, STATUS_SUPERSEDED,
                          "qubesd lists another device under this name");

    job->pinned = listing->has_identity;
    if (job->pinned)
        job->identity = listing->identity;
    return job_select(job, now_usec);
}

static JobWish job_on_available(Job *job,
                                const AdminAnswer *answer,
                                uint64_t now_usec)
{
    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, job->state, answer->detail);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, job->state, STATUS_QUBESD_REFUSED, answer->detail,
                         now_usec);
    case ADMIN_GARBAGE:
    case ADMIN_EXCEPTION:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_OK:
        break;
    }

    if (answer->old_release)
        return job_finish(job, STATUS_UNAVAILABLE, answer->detail);
    job->announced = false;
    if (answer->listing.listed)
        return job_on_listing(job, &answer->listing, now_usec);
    if (now_usec >= job->appear_usec)
        return job_finish(job, STATUS_NO_SUCH_DEVICE, "");

    job->resume = job->state;
    return job_wait(job, JOB_AWAITING, job->appear_usec);
}

static JobWish job_on_selected(Job *job,
                               const AdminAnswer *answer,
                               uint64_t now_usec)
{
    if (answer->result == ADMIN_UNREACHABLE)
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail);
    if (answer->result == ADMIN_OK && answer->power == POWER_RUNNING)
        job->target = job->task.targets[job->candidate].name;
    /* a candidate that cannot be asked is one that does not run */
    job->candidate++;
    return job_select(job, now_usec);
}

static JobWish job_on_not_running(Job *job)
{
    if (job->started)
        return job_call(job, JOB_DIAGNOSING, ADMIN_CURRENT_STATE);

    switch (job->task.start) {
    case RULE_IF_RUNNING:
        return job_finish(job, STATUS_TARGET_NOT_RUNNING, "");
    case RULE_WHEN_RUNNING:
        return job_finish(job, STATUS_WAITING_FOR_TARGET, "");
    case RULE_START_TARGET:
        break;
    }

    job->state = JOB_STARTING;
    job->wake_usec = UINT64_MAX;
    return JOB_WISH_START;
}

static JobWish job_on_attach_exception(Job *job, const AdminAnswer *answer)
{
    switch (answer->error) {
    case ADMIN_ERROR_NOT_RUNNING:
        job->holding = HOLDING_NOTHING;
        return job_on_not_running(job);
    case ADMIN_ERROR_NO_SUCH_QUBE:
    case ADMIN_ERROR_VALUE:
    case ADMIN_ERROR_PERMISSION:
        job->holding = HOLDING_NOTHING;
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_ERROR_USB_PROXY:
        job->holding = HOLDING_NOTHING;
        return job_finish(job, STATUS_ATTACH_FAILED, answer->detail);
    case ADMIN_ERROR_PROTOCOL:
        /* an unknown device: its identity may just have changed */
        if (!job->reread) {
            job->reread = true;
            return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
        }
        break;
    case ADMIN_ERROR_ALREADY_ATTACHED:
    case ADMIN_ERROR_NOT_ATTACHED:
    case ADMIN_ERROR_OTHER:
        break;
    }
    return job_call(job, JOB_VERIFYING, ADMIN_ATTACHED);
}

static JobWish job_on_attach(Job *job, const AdminAnswer *answer)
{
    job->attach_result = answer->result;
    job->attach_error = answer->error;
    job->has_turn = false;

    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        job->holding = HOLDING_NOTHING;
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EXCEPTION:
        (void) text_format(job->detail, sizeof(job->detail), "%s",
                           answer->detail);
        return job_on_attach_exception(job, answer);
    case ADMIN_EMPTY:
    case ADMIN_GARBAGE:
        (void) text_format(job->detail, sizeof(job->detail), "%s",
                           answer->detail);
        break;
    case ADMIN_OK:
        if (!job->pinned)
            break;
        job->holding = HOLDING_DEVICE;
        return job_finish(job, STATUS_ATTACHED, "");
    }
    return job_call(job, JOB_VERIFYING, ADMIN_ATTACHED);
}

/* Asked to look, qubesd does not list it on the target: what Attach had
 * answered says what to make of that. */
static JobWish job_on_missing(Job *job, uint64_t now_usec)
{
    char detail[sizeof(job->detail)];

    memcpy(detail, job->detail, sizeof(detail));
    job->holding = HOLDING_NOTHING;

    switch (job->attach_result) {
    case ADMIN_GARBAGE:
        return job_finish(job, STATUS_QUBESD_REFUSED, detail);
    case ADMIN_EXCEPTION:
        if (job->attach_error == ADMIN_ERROR_ALREADY_ATTACHED)
            return job_finish(job, STATUS_ATTACHED_ELSEWHERE, detail);
        if (job->attach_error == ADMIN_ERROR_PROTOCOL ||
            job->task.class == DEVICE_CLASS_USB)
            break;
        return job_finish(job, STATUS_QUBESD_REFUSED, detail);
    case ADMIN_EMPTY:
        /* the identity that the event told may be a thing of the past */
        if (job->announced && !job->reread) {
            job->reread = true;
            return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
        }
        break;
    case ADMIN_OK:
    case ADMIN_UNREACHABLE:
    case ADMIN_TIMED_OUT:
        break;
    }
    return job_retry(job, JOB_RECHECKING, STATUS_ATTACH_FAILED, detail,
                     now_usec);
}

static JobWish job_on_verified(Job *job,
                               const AdminAnswer *answer,
                               uint64_t now_usec)
{
    const DeviceListing *listing = &answer->listing;
    bool already = job->attach_result == ADMIN_EXCEPTION &&
                   job->attach_error == ADMIN_ERROR_ALREADY_ATTACHED;

    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_VERIFYING, answer->detail);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, JOB_VERIFYING, STATUS_QUBESD_REFUSED,
                         answer->detail, now_usec);
    case ADMIN_GARBAGE:
    case ADMIN_EXCEPTION:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_OK:
        break;
    }

    if (!listing->listed)
        return job_on_missing(job, now_usec);
    if (!job->pinned && listing->has_identity &&
        identity_contradicts(&listing->identity, job->task.vendor_id,
                             job->task.product_id)) {
        job_decide(job, STATUS_ATTACH_FAILED,
                   "another device was attached under this name");
        return job_call(job, JOB_DETACHING, ADMIN_DETACH);
    }
    /* on a later try it is our own earlier Attach that took effect */
    if (already && job->n_retries == 0) {
        job->holding = HOLDING_NOTHING;
        return job_finish(job, STATUS_ALREADY_ATTACHED, "");
    }
    job->holding = HOLDING_DEVICE;
    return job_finish(job, STATUS_ATTACHED,
                      job->pinned ? "" : "not bound to the device's identity");
}

static JobWish job_on_diagnosed(Job *job,
                                const AdminAnswer *answer,
                                uint64_t now_usec)
{
    char detail[sizeof(job->detail)];

    if (answer->result == ADMIN_UNREACHABLE)
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail);
    if (answer->result != ADMIN_OK)
        return job_finish(job, STATUS_START_FAILED, answer->detail);

    (void) text_format(detail, sizeof(detail), "%s is %s", job->target.s,
                       power_state_to_string(answer->power));
    switch (answer->power) {
    case POWER_TRANSIENT:
    case POWER_RUNNING:
        return job_retry(job, JOB_RECHECKING, STATUS_START_FAILED, detail,
                         now_usec);
    case POWER_HALTING:
    case POWER_DYING:
        job->started = false; /* it can be started once it is down */
        return job_retry(job, JOB_RECHECKING, STATUS_START_FAILED, detail,
                         now_usec);
    case POWER_UNKNOWN:
    case POWER_HALTED:
    case POWER_PAUSED:
    case POWER_SUSPENDED:
    case POWER_CRASHED:
        break;
    }
    return job_finish(job, STATUS_START_FAILED, detail);
}

/* The Attach, or the look at it, has answered; the job had ended before. */
static JobWish job_on_undoable(Job *job, const AdminAnswer *answer)
{
    if (job->resume == JOB_ATTACHING) {
        bool refused = answer->result == ADMIN_EXCEPTION &&
                       answer->error != ADMIN_ERROR_OTHER;

        if (refused || answer->result == ADMIN_UNREACHABLE) {
            job->holding = HOLDING_NOTHING;
            return job_done(job);
        }
    }
    return job_call(job, JOB_DETACHING, ADMIN_DETACH);
}

static JobWish job_on_detached(Job *job)
{
    job->holding = HOLDING_NOTHING;
    return job_finish(job, STATUS_DETACHED, "");
}

static JobWish job_on_detach(Job *job, const AdminAnswer *answer)
{
    switch (answer->result) {
    case ADMIN_OK:
        return job_on_detached(job);
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_DETACHING, answer->detail);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EXCEPTION:
        if (answer->error == ADMIN_ERROR_NOT_ATTACHED ||
            answer->error == ADMIN_ERROR_NOT_RUNNING ||
            answer->error == ADMIN_ERROR_NO_SUCH_QUBE)
            return job_on_detached(job);
        break;
    case ADMIN_EMPTY:
    case ADMIN_GARBAGE:
        break;
    }
    return job_call(job, JOB_DETACH_VERIFYING, ADMIN_ATTACHED);
}

static JobWish job_on_detach_verified(Job *job,
                                      const AdminAnswer *answer,
                                      uint64_t now_usec)
{
    switch (answer->result) {
    case ADMIN_OK:
        if (!answer->listing.listed)
            return job_on_detached(job);
        return job_retry(job, JOB_DETACHING, STATUS_ATTACH_FAILED,
                         "it could not be detached", now_usec);
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_DETACHING, answer->detail);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, JOB_DETACHING, STATUS_QUBESD_REFUSED,
                         answer->detail, now_usec);
    case ADMIN_EXCEPTION:
        if (answer->error == ADMIN_ERROR_NO_SUCH_QUBE)
            return job_on_detached(job);
        break;
    case ADMIN_GARBAGE:
        break;
    }
    return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
}

JobWish job_on_answer(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    if (answer->result != ADMIN_UNREACHABLE)
        job->touched = true;

    switch (job->state) {
    case JOB_CHECKING:
    case JOB_RECHECKING:
        return job_on_available(job, answer, now_usec);
    case JOB_SELECTING:
        return job_on_selected(job, answer, now_usec);
    case JOB_ATTACHING:
        return job_on_attach(job, answer);
    case JOB_DIAGNOSING:
        return job_on_diagnosed(job, answer, now_usec);
    case JOB_VERIFYING:
        return job_on_verified(job, answer, now_usec);
    case JOB_UNDOING:
        return job_on_undoable(job, answer);
    case JOB_DETACHING:
        return job_on_detach(job, answer);
    case JOB_DETACH_VERIFYING:
        return job_on_detach_verified(job, answer, now_usec);
    case JOB_LOOKING:
        return job_on_looked(job, answer);
    case JOB_INVALID:
    case JOB_QUEUED:
    case JOB_AWAITING:
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
    (void) now_usec;

    if (job->state != JOB_STARTING)
        return JOB_WISH_NOTHING;
    if (status == STATUS_UNAVAILABLE)
        return job_lose_qubesd(job, JOB_RECHECKING, detail);
    if (!status_is_success(status))
        return job_finish(job, status, detail);

    job->started = true;
    return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
}

JobWish job_on_turn(Job *job,
                    bool granted,
                    uint64_t when_usec,
                    uint64_t now_usec)
{
    if (job->state == JOB_TURN && !granted) {
        if (job->turn_usec == 0)
            job->turn_usec = now_usec;
        return job_wait(job, JOB_TURN, when_usec);
    }
    if (job->state == JOB_TURN && job->turn_usec > 0) {
        /* the wait does not use up the job's time, but what was known of
         * the device is old now */
        job->deadline_usec += now_usec - job->turn_usec;
        job->appear_usec = now_usec + JOB_APPEAR_USEC;
        job->has_turn = true;
        return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
    }

    job->attach_sent = true;
    job->holding = HOLDING_MAYBE;
    return job_call(job, JOB_ATTACHING, ADMIN_ATTACH);
}

static JobWish job_resume(Job *job, JobState state)
{
    switch (state) {
    case JOB_CHECKING:
    case JOB_RECHECKING:
        return job_call(job, state, ADMIN_AVAILABLE);
    case JOB_VERIFYING:
    case JOB_DETACH_VERIFYING:
        return job_call(job, state, ADMIN_ATTACHED);
    case JOB_DETACHING:
        return job_call(job, state, ADMIN_DETACH);
    case JOB_INVALID:
    case JOB_QUEUED:
    case JOB_AWAITING:
    case JOB_SELECTING:
    case JOB_TURN:
    case JOB_ATTACHING:
    case JOB_STARTING:
    case JOB_DIAGNOSING:
    case JOB_PAUSING:
    case JOB_OFFLINE:
    case JOB_UNDOING:
    case JOB_LOOKING:
    case JOB_DONE:
        break;
    }
    assert(false);
    return JOB_WISH_NOTHING;
}

JobWish job_on_time(Job *job, uint64_t now_usec)
{
    /* a turn's wait is not counted: its deadline moves when it ends */
    if (job->state != JOB_TURN && now_usec >= job->deadline_usec)
        return job_finish(job, STATUS_TIMEOUT, "the job's time is over");
    if (now_usec < job->wake_usec)
        return JOB_WISH_NOTHING;

    job->wake_usec = UINT64_MAX;
    if (job->state == JOB_AWAITING)
        return job_finish(job, STATUS_NO_SUCH_DEVICE, "");
    if (job->state == JOB_PAUSING)
        return job_resume(job, job->resume);
    if (job->state == JOB_TURN)
        return JOB_WISH_TURN;
    return JOB_WISH_NOTHING;
}

JobWish job_on_appeared(Job *job,
                        const DeviceIdentity *identity,
                        uint64_t now_usec)
{
    DeviceListing listing = { .listed = true, .attachment = ATTACHMENT_NONE };

    if (job->state != JOB_AWAITING)
        return JOB_WISH_NOTHING;
    if (!identity)
        return job_resume(job, job->resume);

    job->announced = true;
    listing.has_identity = true;
    listing.identity = *identity;
    return job_on_listing(job, &listing, now_usec);
}

JobWish job_on_qubesd(Job *job, uint64_t now_usec)
{
    if (job->state != JOB_OFFLINE && job->state != JOB_AWAITING)
        return JOB_WISH_NOTHING;

    job->appear_usec = now_usec + JOB_APPEAR_USEC;
    return job_resume(job, job->resume);
}

JobWish job_on_gone(Job *job, const char *detail, uint64_t now_usec)
{
    (void) now_usec;

    switch (job->state) {
    case JOB_ATTACHING:
    case JOB_VERIFYING:
        job->resume = job->state;
        job_decide(job, STATUS_SUPERSEDED, detail);
        (void) job_wait(job, JOB_UNDOING, UINT64_MAX);
        return JOB_WISH_NOTHING;
    case JOB_UNDOING:
    case JOB_DETACHING:
    case JOB_DETACH_VERIFYING:
    case JOB_DONE:
        return JOB_WISH_NOTHING;
    case JOB_PAUSING:
    case JOB_OFFLINE:
        if (job->resume == JOB_DETACHING)
            return JOB_WISH_NOTHING;
        break;
    case JOB_INVALID:
    case JOB_QUEUED:
    case JOB_CHECKING:
    case JOB_AWAITING:
    case JOB_SELECTING:
    case JOB_TURN:
    case JOB_STARTING:
    case JOB_DIAGNOSING:
    case JOB_RECHECKING:
    case JOB_LOOKING:
        break;
    }

    job_decide(job, STATUS_SUPERSEDED, detail);
    if (job->holding == HOLDING_NOTHING)
        return job_done(job);
    return job_call(job, JOB_DETACHING, ADMIN_DETACH);
}

uint64_t job_next_usec(const Job *job)
{
    uint64_t deadline_usec =
        job->state == JOB_TURN ? UINT64_MAX : job->deadline_usec;

    return job->wake_usec < deadline_usec ? job->wake_usec : deadline_usec;
}

const char *job_state_to_string(JobState state)
{
    static const char *const names[] = {
        [JOB_INVALID] = "invalid",
        [JOB_QUEUED] = "queued",
        [JOB_CHECKING] = "checking",
        [JOB_AWAITING] = "awaiting-device",
        [JOB_SELECTING] = "selecting-target",
        [JOB_TURN] = "awaiting-turn",
        [JOB_ATTACHING] = "attaching",
        [JOB_STARTING] = "starting-target",
        [JOB_DIAGNOSING] = "diagnosing",
        [JOB_RECHECKING] = "rechecking",
        [JOB_VERIFYING] = "verifying",
        [JOB_PAUSING] = "pausing",
        [JOB_OFFLINE] = "awaiting-qubesd",
        [JOB_UNDOING] = "undoing",
        [JOB_DETACHING] = "detaching",
        [JOB_DETACH_VERIFYING] = "verifying-detach",
        [JOB_LOOKING] = "looking",
        [JOB_DONE] = "done",
    };

    return names[state];
}
