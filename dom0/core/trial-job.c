/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "common/text.h"
#include "dom0/core/trial-internal.h"

/* any time will do, but none */
#define TRIAL_USEC USEC_PER_SEC
/* far more than a job can take */
#define STEPS_MAX 1000U

static const TrialTarget *find_target(const Trial *trial, const QubeName *name)
{
    for (size_t i = 0; i < trial->n_targets; i++)
        if (trial->targets[i].target.kind == TARGET_QUBE &&
            qube_name_equal(&trial->targets[i].target.name, name))
            return &trial->targets[i];
    return NULL;
}

static AdminAnswer fail_call(AdminResult result,
                             AdminError error,
                             const char *detail)
{
    AdminAnswer answer = { .result = result, .error = error };

    (void) text_format(answer.detail, sizeof(answer.detail), "%s", detail);
    return answer;
}

static AdminAnswer answer_for_target(const Trial *trial,
                                     const AdminRequest *request)
{
    const TrialTarget *target = find_target(trial, &request->dest);

    if (!trial->qubes_known || !target)
        return fail_call(ADMIN_UNREACHABLE, ADMIN_ERROR_OTHER,
                         "qubesd does not tell which qubes there are");
    if (!target->exists)
        return fail_call(ADMIN_EXCEPTION, ADMIN_ERROR_NO_SUCH_QUBE,
                         "there is no such qube");
    if (request->method == ADMIN_CURRENT_STATE)
        return (AdminAnswer){ .result = ADMIN_OK, .power = target->power };
    /* an attach that would not be made now */
    return fail_call(ADMIN_EXCEPTION, ADMIN_ERROR_NOT_RUNNING,
                     "the qube does not run");
}

/* Whether an Attach into the target would be made. */
static bool takes_now(const Trial *trial, const QubeName *name)
{
    const TrialTarget *target = find_target(trial, name);

    return target && target->exists &&
           (target->power == POWER_RUNNING || target->power == POWER_TRANSIENT);
}

static bool is_halted(const Trial *trial, const QubeName *name)
{
    const TrialTarget *target = find_target(trial, name);

    return target && target->exists && target->power == POWER_HALTED;
}

static void conclude(Trial *trial, Status status, const char *detail)
{
    trial->verdict.status = status;
    (void) text_format(trial->verdict.detail, sizeof(trial->verdict.detail),
                       "%s", detail);
}

static void conclude_attached(Trial *trial)
{
    trial->verdict.target = trial->task.job.targets[trial->job.choice];
    conclude(trial, STATUS_ATTACHED, "");
}

/* The call that the job wants; false if it is one that does something. */
static bool answer_call(Trial *trial, JobWish *wish)
{
    const AdminRequest *request = &trial->job.request;
    AdminAnswer answer;

    switch (request->method) {
    case ADMIN_PROPERTY_GET:
        answer = trial->resolved;
        break;
    case ADMIN_AVAILABLE:
        answer = trial->listing;
        break;
    case ADMIN_CURRENT_STATE:
        answer = answer_for_target(trial, request);
        break;
    case ADMIN_ATTACH:
        if (takes_now(trial, &request->dest))
            return false;
        answer = answer_for_target(trial, request);
        break;
    case ADMIN_INVALID:
    case ADMIN_EVENTS:
    case ADMIN_LIST:
    case ADMIN_START:
    case ADMIN_ATTACHED:
    case ADMIN_DETACH:
    case ADMIN_KILL:
    case ADMIN_SHUTDOWN:
    case ADMIN_REMOVE:
    case ADMIN_CREATE_DISPOSABLE:
    case ADMIN_OLD_LIST:
        return false;
    }
    *wish = job_on_answer(&trial->job, &answer, TRIAL_USEC);
    return true;
}

static PolicyAnswer answer_question(const Trial *trial)
{
    const PolicyQuestion *question = &trial->job.question;
    size_t name = trial->job.second_name ? 1 : 0;
    const Judgement *judgement = &trial->judgements[trial->job.candidate][name];

    return question->assume_yes ? judgement->assuming : judgement->plain;
}

/* The job comes to its prompt. */
static void place_prompt(Trial *trial)
{
    if (trial->task.is_quiet) {
        conclude(trial, STATUS_QUIET, "");
        return;
    }
    trial->state = TRIAL_PLACING;
    trial->request = (AdminRequest){
        .method = ADMIN_PROPERTY_GET,
        .dest = trial->task.job.source,
        .property = ADMIN_PROPERTY_GUIVM,
    };
}

/* One step; false once the verdict is there. */
static bool step(Trial *trial, JobWish *wish)
{
    Job *job = &trial->job;

    switch (*wish) {
    case JOB_WISH_CALL:
        if (answer_call(trial, wish))
            return true;
        conclude_attached(trial);
        return false;
    case JOB_WISH_QUESTION:
        *wish = job_on_verdict(job, answer_question(trial), TRIAL_USEC);
        return true;
    case JOB_WISH_PART:
        /* what is known to be attached has been settled */
        *wish = job_on_part(job, NULL, false, TRIAL_USEC);
        return true;
    case JOB_WISH_TURN:
        *wish = job_on_turn(job, JOB_TURN_GRANTED, TRIAL_USEC, TRIAL_USEC);
        return true;
    case JOB_WISH_START:
        if (is_halted(trial, &job->target)) {
            trial->verdict.starts = true;
            conclude_attached(trial);
            return false;
        }
        /* qubesd would answer a start, and nothing would come of it */
        *wish = job_on_started(job, STATUS_ATTACHED, "", TRIAL_USEC);
        return true;
    case JOB_WISH_JOIN:
        *wish = job_on_start_of_others(job, TRIAL_USEC);
        return true;
    case JOB_WISH_PROMPT:
        place_prompt(trial);
        return false;
    case JOB_WISH_NOTHING:
        if (job->state == JOB_AWAITING || job->state == JOB_PAUSING) {
            /* nothing that it waits for comes, another try finds the same */
            *wish = job_on_time(job, job->wake_usec);
            return true;
        }
        conclude(trial, STATUS_UNAVAILABLE, job->detail);
        return false;
    case JOB_WISH_DONE:
        break;
    }
    conclude(trial, job->outcome, job->detail);
    return false;
}

void trial_run_job(Trial *trial)
{
    JobWish wish;
    size_t n = 0;

    trial->state = TRIAL_DONE;
    if (trial->task.settled != STATUS_INVALID) {
        conclude(trial, trial->task.settled,
                 trial->task.settled_detail ? trial->task.settled_detail : "");
        return;
    }
    wish = job_begin(&trial->job, &trial->task.job, TRIAL_USEC);
    while (step(trial, &wish)) {
        n++;
        assert(n < STEPS_MAX);
    }
}

void trial_conclude_prompt(Trial *trial, const AdminAnswer *guivm)
{
    Target choices[APPROVAL_TARGETS_MAX];
    size_t indexes[APPROVAL_TARGETS_MAX], preselected = 0, n;
    char detail[ADMIN_DETAIL_MAX + 1];

    if (!approval_can_ask(&trial->task.job.source, guivm, detail)) {
        conclude(trial, STATUS_UNAVAILABLE, detail);
        return;
    }
    trial->verdict.asks = true;
    n = job_prompt(&trial->job, choices, indexes, &preselected);
    if (n == 1) {
        trial->verdict.target = trial->task.job.targets[indexes[0]];
        /* what would not be started was left out */
        trial->verdict.starts = choices[0].kind == TARGET_QUBE &&
                                is_halted(trial, &choices[0].name);
    }
    conclude(trial, STATUS_ATTACHED, "");
}
