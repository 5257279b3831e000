/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/trial.h"

/* any time will do, but none */
#define TRIAL_USEC USEC_PER_SEC
/* far more than a job can take */
#define STEPS_MAX 1000U

/* @dispvm is asked about by that name and by its template's */
#define NAMES_MAX 2U

typedef enum TrialState {
    TRIAL_RESOLVING,
    TRIAL_JUDGING,
    TRIAL_SURVEYING,
    TRIAL_LOOKING,
    TRIAL_PLACING,
    TRIAL_DONE,
} TrialState;

/* What the policy daemon has said of one name of a target. */
typedef struct Judgement {
    bool is_asked;
    PolicyAnswer plain;
    PolicyAnswer assuming; /* POLICY_YES if @plain is */
} Judgement;

struct Trial {
    TrialTask task;
    TrialState state;
    AdminRequest request;
    PolicyQuestion question;

    TrialTarget targets[APPROVAL_TARGETS_MAX];
    size_t n_targets;
    Judgement judgements[APPROVAL_TARGETS_MAX][NAMES_MAX];
    size_t index; /* JUDGING: of the target */
    size_t name;  /* JUDGING: of its names */
    bool was_judged;
    PolicyAnswer answer; /* the last one, if @was_judged */

    QubeName default_dispvm; /* "" if there is none, or it is not known */
    AdminAnswer resolved;
    bool qubes_known;
    AdminAnswer listing;

    Job job;
    TrialVerdict verdict;
};

static bool attaches(const Rule *rule)
{
    return rule && rule->action != RULE_DENY;
}

/* dom0 and the source itself are no targets. */
static bool is_never(const Trial *trial, size_t index)
{
    const Target *target = &trial->targets[index].target;

    return target->kind == TARGET_QUBE &&
           (qube_name_equal(&target->name, &trial->task.job.source) ||
            strcmp(target->name.s, "dom0") == 0);
}

/* what is to be found out */

static void finish(Trial *trial);
static void conclude_prompt(Trial *trial, const AdminAnswer *guivm);

static void look(Trial *trial)
{
    trial->state = TRIAL_LOOKING;
    trial->request = (AdminRequest){
        .method = ADMIN_AVAILABLE,
        .class = trial->task.job.class,
        .dest = trial->task.job.source,
        .port = trial->task.job.device,
    };
}

/* A target by the name of that number; false if it has no such name. */
static bool name_target(const Trial *trial,
                        const Target *target,
                        size_t name,
                        Target *ret)
{
    *ret = *target;
    if (name == 0)
        return true;
    if (target->kind != TARGET_DISPVM_DEFAULT ||
        trial->default_dispvm.s[0] == '\0')
        return false;
    *ret = (Target){ .kind = TARGET_DISPVM, .name = trial->default_dispvm };
    return true;
}

/* Whether nobody will answer: then nothing more is asked. */
static bool is_hopeless(PolicyAnswer answer)
{
    return answer == POLICY_UNREACHABLE || answer == POLICY_TIMED_OUT;
}

/* Ask the guard rail what is not known yet. */
static void judge(Trial *trial)
{
    for (; trial->index < trial->n_targets; trial->index++, trial->name = 0) {
        TrialTarget *target = &trial->targets[trial->index];
        Target named;

        if (is_never(trial, trial->index)) {
            target->guard = TRIAL_NEVER;
            continue;
        }
        if (trial->name == NAMES_MAX ||
            !name_target(trial, &target->target, trial->name, &named))
            continue;
        trial->state = TRIAL_JUDGING;
        trial->question = (PolicyQuestion){
            .source = trial->task.job.source,
            .target = named,
            .assume_yes = trial->judgements[trial->index][trial->name].is_asked,
        };
        return;
    }
    trial->state = TRIAL_SURVEYING;
}

static void resolve(Trial *trial)
{
    for (size_t i = 0; i < trial->n_targets; i++) {
        if (trial->targets[i].target.kind != TARGET_DISPVM_DEFAULT)
            continue;
        trial->state = TRIAL_RESOLVING;
        trial->request = (AdminRequest){
            .method = ADMIN_PROPERTY_GET,
            .dest = { "dom0" },
            .property = ADMIN_PROPERTY_DEFAULT_DISPVM,
        };
        return;
    }
    judge(trial);
}

int trial_new(Trial **ret, const TrialTask *task)
{
    Trial *trial = calloc(1, sizeof(*trial));

    if (!trial)
        return -ENOMEM;

    trial->task = *task;
    *ret = trial;
    if (!attaches(task->rule)) {
        trial->verdict = trial_verdict_of_rule(task->rule);
        trial->state = TRIAL_DONE;
        return 0;
    }
    assert(task->job.n_targets <= APPROVAL_TARGETS_MAX);

    trial->n_targets = task->job.n_targets;
    for (size_t i = 0; i < trial->n_targets; i++)
        trial->targets[i].target = task->job.targets[i];
    resolve(trial);
    return 0;
}

Trial *trial_free(Trial *trial)
{
    free(trial);
    return NULL;
}

TrialWish trial_wish(const Trial *trial)
{
    switch (trial->state) {
    case TRIAL_RESOLVING:
    case TRIAL_LOOKING:
    case TRIAL_PLACING:
        return TRIAL_WISH_CALL;
    case TRIAL_JUDGING:
        return TRIAL_WISH_QUESTION;
    case TRIAL_SURVEYING:
        return TRIAL_WISH_QUBES;
    case TRIAL_DONE:
        break;
    }
    return TRIAL_WISH_DONE;
}

const AdminRequest *trial_request(const Trial *trial)
{
    return &trial->request;
}

const PolicyQuestion *trial_question(const Trial *trial)
{
    return &trial->question;
}

static TrialGuard guard_of(const Judgement *judgement)
{
    if (judgement->plain == POLICY_YES)
        return TRIAL_ALLOW;
    switch (judgement->assuming) {
    case POLICY_YES:
        return TRIAL_ASK;
    case POLICY_NO:
        return TRIAL_DENY;
    case POLICY_SILENT:
        return TRIAL_SILENT;
    case POLICY_UNREACHABLE:
        return TRIAL_UNREACHABLE;
    case POLICY_TIMED_OUT:
        return TRIAL_TIMED_OUT;
    }
    return TRIAL_DENY;
}

/* The stricter counts: the order is that of TrialGuard but for what is no
 * answer, which is a no. */
static TrialGuard stricter(TrialGuard a, TrialGuard b)
{
    if (a != TRIAL_ALLOW && a != TRIAL_ASK)
        return a;
    return b == TRIAL_ALLOW ? a : b;
}

/* What is not known yet has this answer, which is none. */
static void give_up(Trial *trial, PolicyAnswer answer)
{
    for (size_t i = trial->index; i < trial->n_targets; i++) {
        for (size_t n = 0; n < NAMES_MAX; n++)
            trial->judgements[i][n] = (Judgement){ true, answer, answer };
        trial->targets[i].guard = is_never(trial, i)
                                      ? TRIAL_NEVER
                                      : guard_of(&trial->judgements[i][0]);
    }
    trial->index = trial->n_targets;
    judge(trial);
}

void trial_on_policy(Trial *trial, PolicyAnswer answer)
{
    Judgement *judgement = &trial->judgements[trial->index][trial->name];
    TrialTarget *target = &trial->targets[trial->index];

    if (trial->state != TRIAL_JUDGING)
        return;

    trial->was_judged = true;
    trial->answer = answer;
    if (is_hopeless(answer)) {
        give_up(trial, answer);
        return;
    }
    if (!judgement->is_asked) {
        judgement->is_asked = true;
        judgement->plain = judgement->assuming = answer;
        /* "ask" is told from "deny" by a second question */
        if (answer == POLICY_NO) {
            judge(trial);
            return;
        }
    } else {
        judgement->assuming = answer;
    }
    target->guard = trial->name == 0
                        ? guard_of(judgement)
                        : stricter(target->guard, guard_of(judgement));
    trial->name++;
    judge(trial);
}

void trial_on_answer(Trial *trial, const AdminAnswer *answer)
{
    if (trial->state == TRIAL_LOOKING) {
        trial->listing = *answer;
        finish(trial);
    } else if (trial->state == TRIAL_PLACING) {
        trial->state = TRIAL_DONE;
        conclude_prompt(trial, answer);
    } else if (trial->state == TRIAL_RESOLVING) {
        trial->resolved = *answer;
        if (answer->result != ADMIN_OK ||
            !qube_name_parse(&trial->default_dispvm, answer->value.s,
                             strlen(answer->value.s)))
            trial->default_dispvm = (QubeName){};
        judge(trial);
    }
}

/* The qube, or the template of the disposable; NULL if that is not known. */
static const QubeName *name_of(const Trial *trial, const Target *target)
{
    if (target->kind != TARGET_DISPVM_DEFAULT)
        return &target->name;
    return trial->default_dispvm.s[0] ? &trial->default_dispvm : NULL;
}

void trial_on_qubes(Trial *trial, const QubeList *qubes)
{
    if (trial->state != TRIAL_SURVEYING)
        return;

    trial->qubes_known = qubes != NULL;
    for (size_t i = 0; qubes && i < trial->n_targets; i++) {
        TrialTarget *target = &trial->targets[i];
        const QubeName *name = name_of(trial, &target->target);
        const QubeInfo *qube = name ? qube_list_find(qubes, name) : NULL;

        target->is_known = true;
        target->exists = qube != NULL;
        if (qube && target->target.kind == TARGET_QUBE)
            target->power = qube->power;
    }
    look(trial);
}

/* the job, run on what was found out */

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

/* The person would be asked, if that can be. */
static void conclude_prompt(Trial *trial, const AdminAnswer *guivm)
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

static void finish(Trial *trial)
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

const TrialTarget *trial_targets(const Trial *trial, size_t *ret_n)
{
    *ret_n = trial->n_targets;
    return trial->targets;
}

const TrialVerdict *trial_verdict(const Trial *trial)
{
    return &trial->verdict;
}

const PolicyAnswer *trial_policy(const Trial *trial)
{
    return trial->was_judged ? &trial->answer : NULL;
}

TrialVerdict trial_verdict_of_rule(const Rule *rule)
{
    TrialVerdict verdict = { .status = STATUS_NO_RULE };

    if (!rule)
        return verdict;
    if (rule->action == RULE_DENY) {
        verdict.status = STATUS_DENIED_BY_RULE;
        return verdict;
    }
    verdict.status = STATUS_ATTACHED;
    verdict.asks = rule->action == RULE_ASK;
    if (rule->n_targets == 1)
        verdict.target = rule->targets[0];
    return verdict;
}

const char *trial_guard_to_string(TrialGuard guard)
{
    switch (guard) {
    case TRIAL_UNASKED:
        return "unasked";
    case TRIAL_NEVER:
        return "never";
    case TRIAL_DENY:
        return "deny";
    case TRIAL_ASK:
        return "ask";
    case TRIAL_ALLOW:
        return "allow";
    case TRIAL_SILENT:
        return "silent";
    case TRIAL_UNREACHABLE:
        return "unreachable";
    case TRIAL_TIMED_OUT:
        return "timeout";
    }
    return NULL;
}
