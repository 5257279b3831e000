/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Trial: what would come of a device, without doing anything
 *
 * For who wants a decision explained. The guard rail is asked about each target
 * of the rule, qubesd about the qubes and the device; then a job is run on the
 * answers, up to where it would do something: ask the person, start a qube,
 * attach. So what is told is what a job does.
 *
 *     RESOLVING   what dom0's default disposable template is, if that matters
 *        v
 *     JUDGING     the guard rail, for each target
 *        v
 *     SURVEYING   which qubes there are
 *        v
 *     LOOKING     whether qubesd lists the device, and who has it
 *        v
 *     PLACING     where a prompt would be shown, if the job comes to one
 *        v
 *     DONE        the job has been run
 *
 * Like a job it does nothing itself: it is asked what it wants to know, and
 * told. Nothing is tried twice: who asks again gets another trial.
 */

#include "dom0/core/job.h"
#include "dom0/core/qube-list.h"

/* What the guard rail says of a target. */
typedef enum TrialGuard {
    TRIAL_UNASKED, /* 0 */
    TRIAL_NEVER,   /* dom0 and the source are no targets, whatever it says */
    TRIAL_DENY,
    TRIAL_ASK,
    TRIAL_ALLOW,
    TRIAL_SILENT,      /* no answer, or none that makes sense: no */
    TRIAL_UNREACHABLE, /* nobody is there: no */
    TRIAL_TIMED_OUT,   /* no */
} TrialGuard;

typedef struct TrialTarget {
    Target target; /* as the rule has it */
    TrialGuard guard;
    bool is_known; /* whether there is such a qube, or template */
    bool exists;
    PowerState power; /* of the qube */
} TrialTarget;

typedef struct TrialVerdict {
    Status status; /* what would come of it, if the person agrees */
    bool asks;     /* the person, before */
    bool starts;   /* the target, before */
    Target target; /* TARGET_INVALID: none, or there is a choice */
    char detail[ADMIN_DETAIL_MAX + 1];
} TrialVerdict;

/* What is to be tried, with all that may stand in the way of a job. */
typedef struct TrialTask {
    const Rule *rule; /* that takes the device, or NULL; it must live as long */
    JobTask job;      /* of a rule that attaches */
    /* decided before there is a job: STATUS_PAUSED, STATUS_DENIED_BY_USER and
     * the like; else STATUS_INVALID */
    Status settled;
    const char *settled_detail; /* NULL: none */
    bool is_quiet;              /* prompts of the source are silenced */
} TrialTask;

typedef enum TrialWish {
    TRIAL_WISH_DONE,
    TRIAL_WISH_CALL,     /* see trial_request(), tell trial_on_answer() */
    TRIAL_WISH_QUESTION, /* see trial_question(), tell trial_on_policy() */
    TRIAL_WISH_QUBES,    /* which there are, tell trial_on_qubes() */
} TrialWish;

typedef struct Trial Trial;

int trial_new(Trial **ret, const TrialTask *task);
Trial *trial_free(Trial *trial);

/* The same until it has been told. */
TrialWish trial_wish(const Trial *trial);
const AdminRequest *trial_request(const Trial *trial);
const PolicyQuestion *trial_question(const Trial *trial);
void trial_on_answer(Trial *trial, const AdminAnswer *answer);
void trial_on_policy(Trial *trial, PolicyAnswer answer);
/* NULL: it could not be found out. It is not needed afterwards. */
void trial_on_qubes(Trial *trial, const QubeList *qubes);

/* What was found, when it is done; targets in the order of the rule. */
const TrialTarget *trial_targets(const Trial *trial, size_t *ret_n);
const TrialVerdict *trial_verdict(const Trial *trial);
/* The policy daemon's last answer; NULL if it was not asked. */
const PolicyAnswer *trial_policy(const Trial *trial);

/* What rules alone say, which is all that can be said without asking. */
TrialVerdict trial_verdict_of_rule(const Rule *rule);

const char *trial_guard_to_string(TrialGuard guard);

DEFINE_CLEANUP(Trial *, trial_free)
