/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside of the job machine; see job.h for the whole of it
 *
 * Each function answers what the job wants next, like those of job.h.
 */

#include "dom0/core/job.h"

/* job-step: what every part of the machine is made of */

JobWish job_done(Job *job);
void job_decide(Job *job, Status outcome, const char *detail);
JobWish job_finish(Job *job, Status outcome, const char *detail);
JobWish job_wait(Job *job, JobState state, uint64_t wake_usec);
JobWish job_retry(Job *job,
                  JobState resume,
                  Status otherwise,
                  const char *detail,
                  uint64_t now_usec);
JobWish job_lose_qubesd(Job *job,
                        JobState resume,
                        const char *detail,
                        uint64_t now_usec);
JobWish job_call(Job *job, JobState state, AdminMethod method);
/* Do away with the disposable that was made for nothing. */
JobWish job_discard(Job *job);
/* The disposable that is the target has stopped. */
JobWish job_finish_disposable_gone(Job *job);
/* Start the target, for the device that is listed now. */
JobWish job_start(Job *job);
/* The target is being started: wait for that. */
JobWish job_join_start(Job *job);
/* Whether something happened since qubesd was asked, so that its answer does
 * not count and it has to be asked once more; false after JOB_REREADS_MAX
 * times. */
bool job_rereads(Job *job);
/* The USB port was detached so recently that qubesd may list the old state. */
bool job_port_is_stale(const Job *job, uint64_t now_usec);
void job_pause(Job *job, uint64_t now_usec);
void job_unpause(Job *job, uint64_t now_usec);
void job_init(Job *ret, const JobTask *task, uint64_t now_usec);

/* job-judge: the guard rail */

JobWish job_judge(Job *job, uint64_t now_usec);
/* Ask the guard rail once more, about the target that was chosen. */
JobWish job_judge_again(Job *job, uint64_t now_usec);
JobWish job_on_resolved(Job *job, const AdminAnswer *answer, uint64_t now_usec);

/* job-choose: the target, and the person who chooses it */

/* A target of the rule, with @dispvm in its full form. */
Target job_target(const Job *job, size_t index);
bool job_may_choose(const Job *job, size_t index);
size_t job_count_permitted(const Job *job);
bool job_wants(const Job *job, size_t index, const QubeName *qube);
JobWish job_take_target(Job *job, uint64_t now_usec);
JobWish job_finish_not_running(Job *job);
JobWish job_finish_holder_stopped(Job *job);
JobWish job_select(Job *job, uint64_t now_usec);
JobWish job_on_created(Job *job, const AdminAnswer *answer, uint64_t now_usec);
JobWish job_on_selected(Job *job, const AdminAnswer *answer, uint64_t now_usec);

/* job-turn: the turn of the port, and what of the device is attached before */

JobWish job_ask_turn(Job *job);
JobWish job_take_turn(Job *job, uint64_t now_usec);
JobWish job_on_surveyed(Job *job, const AdminAnswer *answer, uint64_t now_usec);

/* job-attach: from the device's listing to the verified attach */

JobWish job_check(Job *job, uint64_t now_usec);
JobWish job_on_listing(Job *job,
                       const DeviceListing *listing,
                       uint64_t now_usec);
JobWish job_finish_unlisted(Job *job, uint64_t now_usec);
JobWish job_on_available(Job *job,
                         const AdminAnswer *answer,
                         uint64_t now_usec);
JobWish job_attach(Job *job);
JobWish job_on_probed(Job *job, const AdminAnswer *answer, uint64_t now_usec);
JobWish job_on_attach(Job *job, const AdminAnswer *answer, uint64_t now_usec);
JobWish job_on_verified(Job *job, const AdminAnswer *answer, uint64_t now_usec);
JobWish job_on_diagnosed(Job *job,
                         const AdminAnswer *answer,
                         uint64_t now_usec);

/* job-detach: detach, undo, look, and do away with disposables */

JobWish job_on_looked(Job *job, const AdminAnswer *answer, uint64_t now_usec);
JobWish job_on_looked_further(Job *job,
                              const AdminAnswer *answer,
                              uint64_t now_usec);
/* The look's target has lost the device because it was stopped. */
JobWish job_on_lost_by_stop(Job *job);
/* Whether something may be attached because of us, by the answer to Attach. */
bool job_may_hold(const Job *job, const AdminAnswer *answer);
JobWish job_on_undoable(Job *job, const AdminAnswer *answer);
JobWish job_on_discarded(Job *job,
                         const AdminAnswer *answer,
                         uint64_t now_usec);
JobWish job_on_found(Job *job, const AdminAnswer *answer, uint64_t now_usec);
JobWish job_on_closed(Job *job, const AdminAnswer *answer, uint64_t now_usec);
JobWish job_detach(Job *job);
/* It is not attached to the target any more. */
JobWish job_on_detached(Job *job);
JobWish job_on_detach(Job *job, const AdminAnswer *answer, uint64_t now_usec);
JobWish job_on_detach_verified(Job *job,
                               const AdminAnswer *answer,
                               uint64_t now_usec);
