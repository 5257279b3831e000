/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/job-internal.h"

/* Whether it is no target, whatever policy says. */
static bool job_is_never(const Job *job, const Target *target)
{
    return target->kind == TARGET_QUBE &&
           (qube_name_equal(&target->name, &job->task.source) ||
            strcmp(target->name.s, "dom0") == 0);
}

/* How many of the targets may be asked about. */
static size_t job_count_askable(const Job *job, bool qubes_only)
{
    size_t n = 0;

    for (size_t i = 0; i < job->task.n_targets; i++) {
        const Target *target = &job->task.targets[i];

        n += !job_is_never(job, target) &&
             (target->kind == TARGET_QUBE || !qubes_only);
    }
    return n;
}

/* No target is let through. */
static JobWish job_finish_denied(Job *job)
{
    char detail[sizeof(job->detail)];

    if (job_count_askable(job, false) == 0) {
        (void) text_format(detail, sizeof(detail),
                           "%s has the device itself: name another qube behind "
                           "'to'",
                           job->task.source.s);
        return job_finish(job, STATUS_DENIED_BY_POLICY, detail);
    }
    if (job_count_askable(job, job->task.qubes_only) == 0)
        return job_finish_holder_stopped(job);
    job->unjudged = job->no_answer != POLICY_NO;
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
    if (job->default_dispvm_missing)
        return job_finish(job, STATUS_START_FAILED,
                          "dom0 has no default disposable template");
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

/* The guard rail was asked once more: does it still say the same? */
static JobWish job_on_judged_again(Job *job)
{
    job->rejudges = false;
    switch ((Verdict) job->verdicts[job->choice]) {
    case VERDICT_DENY:
    case VERDICT_IDLE:
        return job_finish_denied(job);
    case VERDICT_ASK:
        if (job->approved)
            break;
        job->policy_changed = true;
        return job_finish(job, STATUS_SUPERSEDED,
                          "the policy has changed meanwhile");
    case VERDICT_ALLOW:
        break;
    }
    /* another part may have had its turn meanwhile */
    return job_ask_turn(job);
}

/* Ask the guard rail about the next target, or go on when all are judged. */
JobWish job_judge(Job *job, uint64_t now_usec)
{
    const JobTask *task = &job->task;
    /* a late approval is for one target: no other needs to be judged */
    size_t end =
        job->approved || job->rejudges ? job->choice + 1 : task->n_targets;

    for (; job->candidate < end; job->candidate++) {
        const Target *target = &task->targets[job->candidate];

        if (job_is_never(job, target))
            continue;
        if (target->kind != TARGET_QUBE && task->qubes_only)
            continue;
        if (target->kind == TARGET_DISPVM_DEFAULT &&
            job->default_dispvm.s[0] == '\0')
            return job_call(job, JOB_RESOLVING, ADMIN_PROPERTY_GET);
        /* with `ask` it makes no difference whether policy asks, too */
        return job_question(job, task->ask || job->approved);
    }

    if (job->rejudges)
        return job_on_judged_again(job);
    if (job_count_permitted(job) == 0)
        return job_finish_denied(job);
    if (job->approved)
        return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
    job->candidate = 0;
    return job_check(job, now_usec);
}

/* The verdict on the target is known. @dispvm is judged under both of its names
 * (it also is @dispvm:TEMPLATE), and the stricter verdict counts. */
static JobWish job_on_judged(Job *job, Verdict verdict, uint64_t now_usec)
{
    const Target *target = &job->task.targets[job->candidate];

    if (target->kind == TARGET_DISPVM_DEFAULT && !job->second_name &&
        verdict != VERDICT_DENY) {
        job->first_verdict = verdict;
        job->second_name = true;
        return job_question(job, job->task.ask || job->approved);
    }
    if (job->second_name && job->first_verdict < verdict)
        verdict = job->first_verdict;

    job->second_name = false;
    job->verdicts[job->candidate++] = (uint8_t) verdict;
    return job_judge(job, now_usec);
}

JobWish job_on_verdict(Job *job, PolicyAnswer answer, uint64_t now_usec)
{
    (void) now_usec;

    if (job->state != JOB_JUDGING)
        return JOB_WISH_NOTHING;

    switch (answer) {
    case POLICY_YES:
        return job_on_judged(
            job, job->question.assume_yes ? VERDICT_ASK : VERDICT_ALLOW,
            now_usec);
    case POLICY_NO:
        /* "ask" is told from "deny" by a second question */
        if (!job->question.assume_yes)
            return job_question(job, true);
        break;
    case POLICY_SILENT:
    case POLICY_UNREACHABLE:
    case POLICY_TIMED_OUT:
        job->no_answer = answer;
        job->unanswered = job->question;
        break;
    }
    return job_on_judged(job, VERDICT_DENY, now_usec);
}

JobWish job_on_resolved(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_RESOLVING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, JOB_RESOLVING, STATUS_QUBESD_REFUSED,
                         answer->detail, now_usec);
    case ADMIN_GARBAGE:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_EXCEPTION: /* no such property */
    case ADMIN_OK:
        break;
    }
    if (answer->result == ADMIN_OK &&
        qube_name_parse(&job->default_dispvm, answer->value.s,
                        strlen(answer->value.s)))
        return job_judge(job, now_usec);

    job->default_dispvm_missing = true;
    job->candidate++;
    return job_judge(job, now_usec);
}

/* Ask the guard rail once more, about the target that was chosen. */
JobWish job_judge_again(Job *job, uint64_t now_usec)
{
    job->waited = false;
    job->rejudges = true;
    job->no_answer = POLICY_NO;
    job->default_dispvm_missing = false;
    job->candidate = job->choice;
    return job_judge(job, now_usec);
}
