/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/job.h"

static JobWish job_call(Job *job, JobState state, AdminMethod method);

static JobWish job_done(Job *job)
{
    assert(job->outcome != STATUS_INVALID);

    /* once the device is attached a disposable is the person's */
    if (job->made && job->holding != HOLDING_DEVICE) {
        job->made = false;
        return job_call(job, JOB_DISCARDING, ADMIN_KILL);
    }
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
    /* to undo what was begun takes as long as qubesd is away */
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
static JobWish job_lose_qubesd(Job *job,
                               JobState resume,
                               const char *detail,
                               uint64_t now_usec)
{
    if (!job->touched)
        return job_finish(job, STATUS_UNAVAILABLE, detail);

    job->resume = resume;
    return job_wait(job, JOB_OFFLINE, now_usec + JOB_OFFLINE_USEC);
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
    case ADMIN_KILL:
    case ADMIN_SHUTDOWN:
    case ADMIN_REMOVE:
    case ADMIN_CREATE_DISPOSABLE:
        break;
    case ADMIN_PROPERTY_GET:
        request->dest = (QubeName){ "dom0" };
        request->property = ADMIN_PROPERTY_DEFAULT_DISPVM;
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

/* What it waits for from now on is not its own time. */
static void job_pause(Job *job, uint64_t now_usec)
{
    if (job->paused_usec == 0)
        job->paused_usec = now_usec;
}

static void job_unpause(Job *job, uint64_t now_usec)
{
    if (job->paused_usec == 0)
        return;
    job->deadline_usec += now_usec - job->paused_usec;
    job->appear_usec = now_usec + JOB_APPEAR_USEC;
    job->paused_usec = 0;
}

static JobWish job_ask_turn(Job *job, uint64_t now_usec)
{
    job->state = JOB_TURN;
    job->wake_usec = UINT64_MAX;
    return job->has_turn ? job_on_turn(job, true, 0, now_usec) : JOB_WISH_TURN;
}

/* A target of the rule, with @dispvm in its full form. */
static Target job_target(const Job *job, size_t index)
{
    Target target = job->task.targets[index];

    if (target.kind == TARGET_DISPVM_DEFAULT)
        target = (Target){ .kind = TARGET_DISPVM, .name = job->default_dispvm };
    return target;
}

/* The target is chosen, and approved where that is needed. */
static JobWish job_take_target(Job *job, uint64_t now_usec)
{
    Target target = job_target(job, job->choice);
    JobWish wish;

    if (target.kind != TARGET_QUBE && !job->has_turn)
        return job_ask_turn(job, now_usec);
    if (target.kind != TARGET_QUBE) {
        wish = job_call(job, JOB_CREATING, ADMIN_CREATE_DISPOSABLE);
        job->request.dest = target.name;
        return wish;
    }
    job->target = target.name;
    return job_ask_turn(job, now_usec);
}

/* Of the targets that are let through the first one that is a qube, from
 * @index on; n_targets if there is none. */
static size_t job_next_qube(const Job *job, size_t index)
{
    const JobTask *task = &job->task;

    while (index < task->n_targets &&
           (job->verdicts[index] == VERDICT_DENY ||
            task->targets[index].kind != TARGET_QUBE))
        index++;
    return index;
}

static size_t job_first_permitted(const Job *job)
{
    size_t index = 0;

    while (job->verdicts[index] == VERDICT_DENY)
        index++;
    return index;
}

static size_t job_count_permitted(const Job *job)
{
    size_t n = 0;

    for (size_t i = 0; i < job->task.n_targets; i++)
        n += job->verdicts[i] != VERDICT_DENY;
    return n;
}

/* Whether it has to be known which targets run before one is chosen: for
 * `allow` to take the first that does, for `ask` not to offer one that would
 * not be started anyway. */
static bool job_needs_states(const Job *job)
{
    if (job->task.ask)
        return job->task.start != RULE_START_TARGET;
    return job_count_permitted(job) > 1;
}

static JobWish job_finish_not_running(Job *job)
{
    return job_finish(job,
                      job->task.start == RULE_IF_RUNNING
                          ? STATUS_TARGET_NOT_RUNNING
                          : STATUS_WAITING_FOR_TARGET,
                      "");
}

/*
 * Choose: for `allow` the first target that runs, else the first; for `ask`
 * the person does.
 */
static JobWish job_select(Job *job, uint64_t now_usec)
{
    if (job->target.s[0] != '\0')
        return job_ask_turn(job, now_usec);

    if (!job->chosen && job_needs_states(job)) {
        job->candidate = job_next_qube(job, job->candidate);
        if (job->candidate < job->task.n_targets) {
            JobWish wish = job_call(job, JOB_SELECTING, ADMIN_CURRENT_STATE);

            job->request.dest = job->task.targets[job->candidate].name;
            return wish;
        }
        if (job_count_permitted(job) == 0)
            return job_finish_not_running(job);
    }
    if (!job->chosen) {
        job->chosen = true;
        job->choice = job_first_permitted(job);
    }
    if (job->verdicts[job->choice] == VERDICT_ASK && !job->approved) {
        job_pause(job, now_usec);
        (void) job_wait(job, JOB_AWAITING_PROMPT, UINT64_MAX);
        return JOB_WISH_PROMPT;
    }
    return job_take_target(job, now_usec);
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

/* No target is let through. */
static JobWish job_finish_denied(Job *job)
{
    switch (job->no_answer) {
    case POLICY_UNREACHABLE:
        return job_finish(job, STATUS_UNAVAILABLE,
                          "the policy daemon cannot be reached");
    case POLICY_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT,
                          "the policy daemon did not answer in time");
    case POLICY_SILENT:
        return job_finish(job, STATUS_DENIED_BY_POLICY,
                          "the policy daemon gave no answer");
    case POLICY_NO:
    case POLICY_YES:
        break;
    }
    return job_finish(job, STATUS_DENIED_BY_POLICY, "");
}

static JobWish job_question(Job *job, bool assume_yes)
{
    Target target = job->task.targets[job->candidate];

    if (job->second_name)
        target = job_target(job, job->candidate);
    job->question = (PolicyQuestion){ .source = job->task.source,
                                      .target = target,
                                      .assume_yes = assume_yes };
    job->state = JOB_JUDGING;
    job->wake_usec = UINT64_MAX;
    return JOB_WISH_QUESTION;
}

/* Ask the guard rail about the next target, or go on when all are judged. */
static JobWish job_judge(Job *job)
{
    const JobTask *task = &job->task;

    for (; job->candidate < task->n_targets; job->candidate++) {
        const Target *target = &task->targets[job->candidate];

        /* dom0 and the source itself are no targets, whatever policy says */
        if (target->kind == TARGET_QUBE &&
            (qube_name_equal(&target->name, &task->source) ||
             strcmp(target->name.s, "dom0") == 0))
            continue;
        if (target->kind == TARGET_DISPVM_DEFAULT &&
            job->default_dispvm.s[0] == '\0')
            return job_call(job, JOB_RESOLVING, ADMIN_PROPERTY_GET);
        /* with `ask` it makes no difference whether policy asks, too */
        return job_question(job, task->ask);
    }

    if (job_count_permitted(job) == 0)
        return job_finish_denied(job);
    job->candidate = 0;
    return job_call(job, JOB_CHECKING, ADMIN_AVAILABLE);
}

JobWish job_begin(Job *ret, const JobTask *task, uint64_t now_usec)
{
    assert(task->n_targets > 0 && task->n_targets <= APPROVAL_TARGETS_MAX);

    job_init(ret, task, now_usec);
    return job_judge(ret);
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
    ret->verdicts[choice] = VERDICT_ASK;
    ret->chosen = true;
    ret->choice = choice;
    ret->approved = true;
    return job_call(ret, JOB_RECHECKING, ADMIN_AVAILABLE);
}

/* What is known of the target's verdict now; of @dispvm both names count. */
static JobWish job_on_judged(Job *job, Verdict verdict)
{
    const Target *target = &job->task.targets[job->candidate];

    if (target->kind == TARGET_DISPVM_DEFAULT && !job->second_name &&
        verdict != VERDICT_DENY) {
        job->first_verdict = verdict;
        job->second_name = true;
        return job_question(job, job->task.ask);
    }
    if (job->second_name && job->first_verdict < verdict)
        verdict = job->first_verdict;

    job->second_name = false;
    job->verdicts[job->candidate++] = (uint8_t) verdict;
    return job_judge(job);
}

JobWish job_on_verdict(Job *job, PolicyAnswer answer, uint64_t now_usec)
{
    (void) now_usec;

    if (job->state != JOB_JUDGING)
        return JOB_WISH_NOTHING;

    switch (answer) {
    case POLICY_YES:
        return job_on_judged(job, job->question.assume_yes ? VERDICT_ASK
                                                           : VERDICT_ALLOW);
    case POLICY_NO:
        /* "ask" is told from "deny" by a second question */
        if (!job->question.assume_yes)
            return job_question(job, true);
        break;
    case POLICY_SILENT:
    case POLICY_UNREACHABLE:
    case POLICY_TIMED_OUT:
        job->no_answer = answer;
        break;
    }
    return job_on_judged(job, VERDICT_DENY);
}

static JobWish job_on_resolved(Job *job,
                               const AdminAnswer *answer,
                               uint64_t now_usec)
{
    if (answer->result == ADMIN_UNREACHABLE)
        return job_lose_qubesd(job, JOB_RESOLVING, answer->detail, now_usec);
    if (answer->result == ADMIN_OK &&
        qube_name_parse(&job->default_dispvm, answer->value.s,
                        strlen(answer->value.s)))
        return job_judge(job);

    (void) text_format(job->detail, sizeof(job->detail), "%s",
                       "dom0 has no default disposable template");
    job->candidate++;
    return job_judge(job);
}

static JobWish job_on_created(Job *job,
                              const AdminAnswer *answer,
                              uint64_t now_usec)
{
    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
    case ADMIN_EXCEPTION:
        return job_finish(job, STATUS_START_FAILED, answer->detail);
    case ADMIN_GARBAGE:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_OK:
        break;
    }

    job->target = answer->qube;
    job->made = true;
    job->state = JOB_STARTING;
    job->wake_usec = UINT64_MAX;
    return JOB_WISH_START;
}

size_t job_prompt(const Job *job,
                  Target ret_targets[APPROVAL_TARGETS_MAX],
                  size_t ret_choices[APPROVAL_TARGETS_MAX],
                  size_t *ret_preselected)
{
    size_t n = 0;

    for (size_t i = 0; i < job->task.n_targets; i++) {
        if (job->verdicts[i] == VERDICT_DENY)
            continue;
        if (i == job->choice)
            *ret_preselected = n;
        ret_targets[n] = job_target(job, i);
        ret_choices[n++] = i;
    }
    return n;
}

JobWish job_on_prompt_open(Job *job, uint64_t until_usec, uint64_t now_usec)
{
    (void) now_usec;

    return job->state == JOB_AWAITING_PROMPT
               ? job_wait(job, JOB_ASKING, until_usec)
               : JOB_WISH_NOTHING;
}

JobWish job_on_prompt_lost(Job *job, uint64_t now_usec)
{
    if (job->state != JOB_ASKING)
        return JOB_WISH_NOTHING;

    /* what was known of the device is old when it is asked for again */
    job_unpause(job, now_usec);
    return job_call(job, JOB_CHECKING, ADMIN_AVAILABLE);
}

JobWish job_on_approved(Job *job, size_t choice, uint64_t now_usec)
{
    if (job->state != JOB_ASKING)
        return JOB_WISH_NOTHING;
    /* the window may be that of an earlier job, which was judged otherwise */
    if (choice >= job->task.n_targets || job->verdicts[choice] == VERDICT_DENY)
        return job_finish(job, STATUS_DENIED_BY_POLICY, "");

    job_unpause(job, now_usec);
    job->choice = choice;
    job->approved = true;
    return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
}

JobWish job_on_refused(Job *job,
                       Status status,
                       const char *detail,
                       uint64_t now_usec)
{
    (void) now_usec;

    return job->state == JOB_ASKING || job->state == JOB_AWAITING_PROMPT
               ? job_finish(job, status, detail)
               : JOB_WISH_NOTHING;
}

void job_queue(Job *ret, const JobTask *task, uint64_t now_usec)
{
    job_init(ret, task, now_usec);
    /* its time begins when it may begin */
    ret->deadline_usec = UINT64_MAX;
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
    ret->touched = true;
    return job_call(ret, JOB_LOOKING, ADMIN_ATTACHED);
}

static JobWish job_on_looked(Job *job,
                             const AdminAnswer *answer,
                             uint64_t now_usec)
{
    switch (answer->result) {
    case ADMIN_OK:
        break;
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_LOOKING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
    case ADMIN_EMPTY:
    case ADMIN_GARBAGE:
    case ADMIN_EXCEPTION:
        /* what cannot be known is taken for what the event says */
        return job_retry(job, JOB_LOOKING, STATUS_DETACHED_BY_USER,
                         answer->detail, now_usec);
    }
    return job_finish(job,
                      answer->listing.listed ? STATUS_ALREADY_ATTACHED
                                             : STATUS_DETACHED_BY_USER,
                      "");
}

/* Whether a device that is attached to @qube is where the rule wants it. */
static bool job_wants(const Job *job, size_t index, const QubeName *qube)
{
    const Target *target = &job->task.targets[index];

    if (target->kind == TARGET_QUBE)
        return qube_name_equal(&target->name, qube);
    return qube_name_equal(&job->task.held_by, qube) ||
           (job->target.s[0] != '\0' && qube_name_equal(&job->target, qube));
}

/* What to do with a device that qubesd lists. */
static JobWish job_on_listing(Job *job,
                              const DeviceListing *listing,
                              uint64_t now_usec)
{
    const JobTask *task = &job->task;

    job->seen_at = (QubeName){};
    if (listing->attachment == ATTACHMENT_QUBE) {
        job->seen_at = listing->attached_to;
        for (size_t i = 0; i < task->n_targets; i++) {
            if (!job_wants(job, i, &listing->attached_to))
                continue;
            job->target = listing->attached_to;
            if (job->n_attaches > 0)
                job->holding = HOLDING_DEVICE;
            return job_finish(job,
                              job->n_attaches > 0 ? STATUS_ATTACHED
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
        return job_lose_qubesd(job, job->state, answer->detail, now_usec);
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
    bool runs;

    if (answer->result == ADMIN_UNREACHABLE)
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail, now_usec);
    /* a candidate that cannot be asked is one that does not run */
    runs = answer->result == ADMIN_OK && answer->power == POWER_RUNNING;
    if (!job->task.ask && runs) {
        job->chosen = true;
        job->choice = job->candidate;
    } else if (job->task.ask && !runs) {
        job->verdicts[job->candidate] = VERDICT_DENY;
    }
    job->candidate++;
    return job_select(job, now_usec);
}

static JobWish job_on_not_running(Job *job)
{
    if (job->started)
        return job_call(job, JOB_DIAGNOSING, ADMIN_CURRENT_STATE);

    /* a disposable is there to be started */
    if (!job->made && job->task.start != RULE_START_TARGET)
        return job_finish_not_running(job);

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
    case ADMIN_ERROR_NOT_STARTED:
    case ADMIN_ERROR_OTHER:
        break;
    }
    return job_call(job, JOB_VERIFYING, ADMIN_ATTACHED);
}

static JobWish job_on_attach(Job *job,
                             const AdminAnswer *answer,
                             uint64_t now_usec)
{
    job->attach_result = answer->result;
    job->attach_error = answer->error;
    job->has_turn = false;

    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        job->holding = HOLDING_NOTHING;
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail, now_usec);
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
        return job_lose_qubesd(job, JOB_VERIFYING, answer->detail, now_usec);
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
    if (already && job->n_attaches == 1) {
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
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail, now_usec);
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

/* Whether something may be attached because of us, by the answer to Attach. */
static bool job_may_hold(const Job *job, const AdminAnswer *answer)
{
    if (answer->result == ADMIN_UNREACHABLE)
        return job->n_attaches > 1;
    if (answer->result != ADMIN_EXCEPTION)
        return true;

    switch (answer->error) {
    case ADMIN_ERROR_NOT_RUNNING:
    case ADMIN_ERROR_NO_SUCH_QUBE:
    case ADMIN_ERROR_VALUE:
    case ADMIN_ERROR_PERMISSION:
    case ADMIN_ERROR_USB_PROXY:
        return false;
    case ADMIN_ERROR_ALREADY_ATTACHED:
    case ADMIN_ERROR_PROTOCOL:
        /* it may be an earlier Attach of ours that took effect */
        return job->n_attaches > 1;
    case ADMIN_ERROR_NOT_ATTACHED:
    case ADMIN_ERROR_NOT_STARTED:
    case ADMIN_ERROR_OTHER:
        break;
    }
    return true;
}

/* The Attach, or the look at it, has answered; the job had ended before. */
static JobWish job_on_undoable(Job *job, const AdminAnswer *answer)
{
    if (job->resume == JOB_CREATING) {
        job->made = answer->result == ADMIN_OK;
        job->target = answer->qube;
        return job_done(job);
    }
    if (job->resume == JOB_ATTACHING && !job_may_hold(job, answer)) {
        job->holding = HOLDING_NOTHING;
        return job_done(job);
    }
    return job_call(job, JOB_DETACHING, ADMIN_DETACH);
}

static JobWish job_on_detached(Job *job)
{
    job->holding = HOLDING_NOTHING;
    job_decide(job, STATUS_DETACHED, "");
    return job->task.close ? job_call(job, JOB_CLOSING, ADMIN_SHUTDOWN)
                           : job_done(job);
}

/* A disposable that never ran cannot be killed, only removed (WIRE 1). */
static JobWish job_on_discarded(Job *job,
                                const AdminAnswer *answer,
                                uint64_t now_usec)
{
    if (answer->result == ADMIN_UNREACHABLE)
        return job_lose_qubesd(job, JOB_DISCARDING, answer->detail, now_usec);
    if (answer->result == ADMIN_OK)
        job->holding = HOLDING_NOTHING;
    if (answer->result == ADMIN_EXCEPTION &&
        answer->error == ADMIN_ERROR_NOT_STARTED &&
        job->request.method == ADMIN_KILL)
        return job_call(job, JOB_DISCARDING, ADMIN_REMOVE);
    /* qubesd may have gone down in the middle, or its start was under way */
    if (answer->result == ADMIN_EMPTY || (answer->result == ADMIN_EXCEPTION &&
                                          answer->error == ADMIN_ERROR_OTHER))
        return job_retry(job, JOB_DISCARDING, job->outcome, "", now_usec);
    return job_done(job);
}

static JobWish job_on_detach(Job *job,
                             const AdminAnswer *answer,
                             uint64_t now_usec)
{
    switch (answer->result) {
    case ADMIN_OK:
        return job_on_detached(job);
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_DETACHING, answer->detail, now_usec);
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
        return job_lose_qubesd(job, JOB_DETACHING, answer->detail, now_usec);
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
        return job_on_attach(job, answer, now_usec);
    case JOB_DIAGNOSING:
        return job_on_diagnosed(job, answer, now_usec);
    case JOB_VERIFYING:
        return job_on_verified(job, answer, now_usec);
    case JOB_UNDOING:
        return job_on_undoable(job, answer);
    case JOB_DETACHING:
        return job_on_detach(job, answer, now_usec);
    case JOB_DETACH_VERIFYING:
        return job_on_detach_verified(job, answer, now_usec);
    case JOB_LOOKING:
        return job_on_looked(job, answer, now_usec);
    case JOB_RESOLVING:
        return job_on_resolved(job, answer, now_usec);
    case JOB_CREATING:
        return job_on_created(job, answer, now_usec);
    case JOB_DISCARDING:
        return job_on_discarded(job, answer, now_usec);
    case JOB_CLOSING:
        return job_done(job);
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
    return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
}

JobWish job_on_turn(Job *job,
                    bool granted,
                    uint64_t when_usec,
                    uint64_t now_usec)
{
    if (job->state != JOB_TURN)
        return JOB_WISH_NOTHING;
    if (!granted) {
        job_pause(job, now_usec);
        return job_wait(job, JOB_TURN, when_usec);
    }
    if (job->paused_usec > 0) {
        /* what was known of the device is old now */
        job_unpause(job, now_usec);
        job->has_turn = true;
        return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
    }
    /* it is spent on the disposable that is made for the attach */
    if (job->target.s[0] == '\0') {
        job->has_turn = true;
        return job_take_target(job, now_usec);
    }

    job->n_attaches++;
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
    case JOB_LOOKING:
        return job_call(job, state, ADMIN_ATTACHED);
    case JOB_DETACHING:
        return job_call(job, state, ADMIN_DETACH);
    case JOB_RESOLVING:
        return job_call(job, state, ADMIN_PROPERTY_GET);
    case JOB_DISCARDING:
        return job_call(job, state, ADMIN_KILL);
    case JOB_INVALID:
    case JOB_QUEUED:
    case JOB_JUDGING:
    case JOB_AWAITING:
    case JOB_SELECTING:
    case JOB_AWAITING_PROMPT:
    case JOB_ASKING:
    case JOB_CREATING:
    case JOB_CLOSING:
    case JOB_TURN:
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
        job_decide(job, STATUS_TIMEOUT, "the job's time is over");
        /* what is being made has to be done away with once it is there */
        if (job->state != JOB_CREATING)
            return job_done(job);
        job->resume = job->state;
        return job_wait(job, JOB_UNDOING, UINT64_MAX);
    }
    if (now_usec < job->wake_usec)
        return JOB_WISH_NOTHING;

    job->wake_usec = UINT64_MAX;
    if (job->state == JOB_AWAITING)
        return job_finish(job, STATUS_NO_SUCH_DEVICE, "");
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
    if (job->state != JOB_AWAITING_PROMPT)
        return JOB_WISH_NOTHING;

    job_unpause(job, now_usec);
    job->resume = JOB_CHECKING;
    return job_wait(job, JOB_AWAITING, job->appear_usec);
}

JobWish job_on_qubesd(Job *job, uint64_t now_usec)
{
    /* that the device is not listed any more may have been missed */
    if (job->state == JOB_AWAITING_PROMPT)
        (void) job_on_unlisted(job, now_usec);
    if (job->state != JOB_OFFLINE && job->state != JOB_AWAITING)
        return JOB_WISH_NOTHING;

    job->appear_usec = now_usec + JOB_APPEAR_USEC;
    return job_resume(job, job->resume);
}

JobWish job_on_gone(Job *job, bool sent, const char *detail, uint64_t now_usec)
{
    (void) now_usec;

    switch (job->state) {
    case JOB_ATTACHING:
    case JOB_VERIFYING:
    case JOB_CREATING:
        if (!sent) {
            if (job->state == JOB_ATTACHING && job->n_attaches == 1)
                job->holding = HOLDING_NOTHING;
            break;
        }
        job->resume = job->state;
        job_decide(job, STATUS_SUPERSEDED, detail);
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
        if (job->resume == JOB_DETACHING || job->resume == JOB_DISCARDING)
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
        [JOB_CLOSING] = "closing-disposable",
        [JOB_LOOKING] = "looking",
        [JOB_DISCARDING] = "discarding-disposable",
        [JOB_DONE] = "done",
    };

    return names[state];
}
