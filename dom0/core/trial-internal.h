/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside of the trial; see trial.h for the whole of it
 *
 *     trial      what is to be found out, and what was
 *     trial-job  the job, run on that
 */

#include "dom0/core/trial.h"

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

/* trial-job */

/* All is found out: run the job. The trial is done then, unless the job comes
 * to its prompt: where that would be shown is asked first. */
void trial_run_job(Trial *trial);
/* The person would be asked, if that can be. */
void trial_conclude_prompt(Trial *trial, const AdminAnswer *guivm);
