/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/job-internal.h"

/* A target of the rule, with @dispvm in its full form. */
Target job_target(const Job *job, size_t index)
{
    Target target = job->task.targets[index];

    if (target.kind == TARGET_DISPVM_DEFAULT)
        target = (Target){ .kind = TARGET_DISPVM, .name = job->default_dispvm };
    return target;
}

bool job_is_in_disposable(const Job *job)
{
    return job->made && qube_name_equal(&job->target, &job->disposable);
}

QubeName job_made_from(const Job *job)
{
    return job_is_in_disposable(job) && job->chosen
               ? job_target(job, job->choice).name
               : (QubeName){};
}

/* Whether a device that is attached to @qube is where the rule wants it. */
bool job_wants(const Job *job, size_t index, const QubeName *qube)
{
    const Target target = job_target(job, index);

    if (target.kind == TARGET_QUBE)
        return qube_name_equal(&target.name, qube);
    /* a disposable made by this job or by an earlier one of the device */
    return (job->target.s[0] != '\0' && qube_name_equal(&job->target, qube)) ||
           (job->task.held_template.s[0] != '\0' &&
            qube_name_equal(&job->task.held_by, qube) &&
            qube_name_equal(&job->task.held_template, &target.name));
}

/* Disposables are the only targets left, and none is made in the stead of one
 * that had the device and was shut down. */
JobWish job_finish_holder_stopped(Job *job)
{
    return job_finish(job, STATUS_WAITING_FOR_TARGET,
                      "the qube that had it was shut down");
}

/* The target is chosen, and approved where that is needed: go on to the attach,
 * or make the disposable first. */
JobWish job_take_target(Job *job, uint64_t now_usec)
{
    Target target = job_target(job, job->choice);
    JobWish wish;

    if (target.kind != TARGET_QUBE && job->task.qubes_only)
        return job_finish_holder_stopped(job);
    if (target.kind != TARGET_QUBE && !job->has_turn)
        return job_ask_turn(job);
    if (target.kind != TARGET_QUBE && job->waited)
        return job_judge_again(job, now_usec);
    if (target.kind != TARGET_QUBE) {
        wish = job_call(job, JOB_CREATING, ADMIN_CREATE_DISPOSABLE);
        job->request.dest = target.name;
        return wish;
    }
    job->target = target.name;
    return job_ask_turn(job);
}

bool job_may_choose(const Job *job, size_t index)
{
    return job->verdicts[index] > VERDICT_IDLE;
}

/* The first target from @index on that the guard rail lets through and that is
 * a named qube; n_targets if there is none. */
static size_t job_next_qube(const Job *job, size_t index)
{
    const JobTask *task = &job->task;

    while (index < task->n_targets &&
           (!job_may_choose(job, index) ||
            task->targets[index].kind != TARGET_QUBE))
        index++;
    return index;
}

static size_t job_first_permitted(const Job *job)
{
    size_t index = 0;

    while (!job_may_choose(job, index))
        index++;
    return index;
}

size_t job_count_permitted(const Job *job)
{
    size_t n = 0;

    for (size_t i = 0; i < job->task.n_targets; i++)
        n += job_may_choose(job, i);
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

JobWish job_finish_not_running(Job *job)
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
JobWish job_select(Job *job, uint64_t now_usec)
{
    if (job->chosen && job->target.s[0] != '\0')
        return job_ask_turn(job);

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
        if (job_rereads(job))
            return job_call(job, JOB_CHECKING, ADMIN_AVAILABLE);
        job_pause(job, now_usec);
        (void) job_wait(job, JOB_AWAITING_PROMPT, UINT64_MAX);
        return JOB_WISH_PROMPT;
    }
    return job_take_target(job, now_usec);
}

JobWish job_on_created(Job *job, const AdminAnswer *answer, uint64_t now_usec)
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
    job->disposable = answer->qube;
    job->made = true;
    return job_start(job);
}

JobWish job_on_selected(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    bool runs;

    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, JOB_RECHECKING, STATUS_QUBESD_REFUSED,
                         answer->detail, now_usec);
    case ADMIN_EXCEPTION:
        /* a qube that does not exist does not run either */
        if (answer->error == ADMIN_ERROR_NO_SUCH_QUBE)
            break;
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_GARBAGE:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_OK:
        break;
    }
    runs = answer->result == ADMIN_OK && answer->power == POWER_RUNNING;
    if (!job->task.ask && runs) {
        job->chosen = true;
        job->choice = job->candidate;
    } else if (job->task.ask && !runs) {
        job->verdicts[job->candidate] = VERDICT_IDLE;
    }
    job->candidate++;
    return job_select(job, now_usec);
}

size_t job_prompt(const Job *job,
                  Target ret_targets[APPROVAL_TARGETS_MAX],
                  size_t ret_choices[APPROVAL_TARGETS_MAX],
                  size_t *ret_preselected)
{
    size_t n = 0;

    for (size_t i = 0; i < job->task.n_targets; i++) {
        if (!job_may_choose(job, i))
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

    /* By the next try, what is known of the device would be out of date. That
     * nobody is logged in may last as long as the device is plugged in: however
     * often it is tried, the job has all of its time after that. */
    job_unpause(job, now_usec);
    job->deadline_usec = now_usec + JOB_USEC;
    job->n_retries = 0;
    job->n_rereads = 0;
    /* what runs by then is asked anew, too */
    job->chosen = false;
    job->candidate = 0;
    for (size_t i = 0; i < job->task.n_targets; i++)
        if (job->verdicts[i] == VERDICT_IDLE)
            job->verdicts[i] = VERDICT_ASK;
    return job_call(job, JOB_CHECKING, ADMIN_AVAILABLE);
}

JobWish job_on_prompt_offline(Job *job, const char *detail, uint64_t now_usec)
{
    if (job->state != JOB_AWAITING_PROMPT)
        return JOB_WISH_NOTHING;

    job_unpause(job, now_usec);
    return job_lose_qubesd(job, JOB_CHECKING, detail, now_usec);
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
    job->task.qubes_only = false; /* the person wants a disposable made */
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
