/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/core/trial-internal.h"

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

/* The qube, or the template of the disposable; NULL if that is not known. */
static const QubeName *name_of(const Trial *trial, const Target *target)
{
    if (target->kind != TARGET_DISPVM_DEFAULT)
        return &target->name;
    return trial->default_dispvm.s[0] ? &trial->default_dispvm : NULL;
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

void trial_on_answer(Trial *trial, const AdminAnswer *answer)
{
    if (trial->state == TRIAL_LOOKING) {
        trial->listing = *answer;
        trial_run_job(trial);
    } else if (trial->state == TRIAL_PLACING) {
        trial->state = TRIAL_DONE;
        trial_conclude_prompt(trial, answer);
    } else if (trial->state == TRIAL_RESOLVING) {
        trial->resolved = *answer;
        if (answer->result != ADMIN_OK ||
            !qube_name_parse(&trial->default_dispvm, answer->value.s,
                             strlen(answer->value.s)))
            trial->default_dispvm = (QubeName){};
        judge(trial);
    }
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
