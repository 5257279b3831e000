/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Job: the life of one attachment, from the decision to its outcome (DESIGN 6)
 *
 *                          .---------------- PAUSING <---------------.
 *                          v                                         |
 *     CHECKING ----> (SELECTING) --> TURN --> ATTACHING --> VERIFYING+--> DONE
 *        ^ |                          |  ^     |     ^                      ^
 *        | v                          v  |     v     |                      |
 *     AWAITING          RECHECKING <--'  |  STARTING |                      |
 *                          | ^ '---------'     |     |                      |
 *                          | '-----------------'     |                      |
 *                          '--> DIAGNOSING ----------'                      |
 *                                                                           |
 *     DETACHING <--> DETACH_VERIFYING --------------------------------------|
 *     LOOKING --------------------------------------------------------------'
 *
 * The job does nothing itself: it is told what happened and answers what it
 * wants done next. Its owner makes the calls, keeps the time, shares the start
 * of a target among the jobs that wait for it and gives out turns.
 *
 * The outcome may be known before the job is done: a device that is unplugged
 * while its Attach is under way ends with STATUS_SUPERSEDED at once, and the
 * job goes on (UNDOING, DETACHING) until nothing of it is left attached. A job
 * that is DONE ignores every further input.
 *
 * OFFLINE: qubesd went away in the middle; the job waits for it to come back.
 */

#include "common/status.h"
#include "dom0/core/admin.h"
#include "dom0/core/rule.h"

#define JOB_USEC          (600 * USEC_PER_SEC) /* without its turn */
#define JOB_APPEAR_USEC   (5 * USEC_PER_SEC)   /* until qubesd lists it */
#define JOB_RETRIES_MAX   3U                   /* after 1, 2 and 4 s */
#define JOB_RETRY_USEC(n) (USEC_PER_SEC << (n))

typedef enum JobState {
    JOB_INVALID,
    JOB_QUEUED, /* an earlier job of the device is not done yet */
    JOB_CHECKING,
    JOB_AWAITING,  /* not listed: qubesd's event tells when it is */
    JOB_SELECTING, /* which of several targets runs */
    JOB_TURN,      /* a rate is used up */
    JOB_ATTACHING,
    JOB_STARTING,
    JOB_DIAGNOSING, /* started, but said not to run: why? */
    JOB_RECHECKING,
    JOB_VERIFYING,
    JOB_PAUSING, /* before another try */
    JOB_OFFLINE,
    JOB_UNDOING, /* ended; the Attach under way has not answered yet */
    JOB_DETACHING,
    JOB_DETACH_VERIFYING,
    JOB_LOOKING, /* is it still attached? */
    JOB_DONE,
} JobState;

typedef enum JobWish {
    JOB_WISH_NOTHING, /* keep waiting, until @wake_usec if it is set */
    JOB_WISH_CALL,    /* make the call in @request, tell job_on_answer() */
    JOB_WISH_START,   /* start @target, tell job_on_started() */
    JOB_WISH_TURN,    /* tell job_on_turn() whether an attach may be made */
    JOB_WISH_DONE,
} JobWish;

/* What may be attached because of this job. */
typedef enum Holding {
    HOLDING_NOTHING,
    HOLDING_MAYBE, /* an Attach was sent and what came of it is not known */
    HOLDING_DEVICE,
} Holding;

/* What a job is to do; all of it stays the same over its life. */
typedef struct JobTask {
    QubeName source;
    DeviceClass class;
    DeviceName device;
    char vendor_id[5]; /* of the record; "" if not told */
    char product_id[5];
    const Target *targets; /* borrowed; at least one */
    size_t n_targets;
    AttachOptions options;
    RuleStart start;
} JobTask;

typedef struct Job {
    JobTask task;
    JobState state;

    Status outcome;                    /* STATUS_INVALID until it is known */
    char detail[ADMIN_DETAIL_MAX + 1]; /* escaped */
    Holding holding;
    QubeName target; /* "" until one was chosen */

    AdminRequest request;
    uint64_t wake_usec;     /* when to call job_on_time(); UINT64_MAX: never */
    uint64_t deadline_usec; /* of the whole job */

    /* the rest is the job's own business */
    JobState resume; /* what OFFLINE and PAUSING go back to */
    DeviceIdentity identity;
    bool pinned;
    bool touched; /* qubesd has answered something */
    bool started;
    bool announced; /* the identity is from an event, not read by us */
    bool reread;    /* it was read once more after a refusal */
    bool has_turn;
    bool attach_sent;
    AdminResult attach_result;
    AdminError attach_error;
    size_t candidate; /* SELECTING */
    unsigned int n_retries;
    uint64_t appear_usec; /* end of the wait for qubesd to list it */
    uint64_t turn_usec;   /* since when it waits for its turn */
} Job;

/* Begin to attach. */
JobWish job_begin(Job *ret, const JobTask *task, uint64_t now_usec);

/* The same, but wait for job_go(), because of an earlier job. */
void job_queue(Job *ret, const JobTask *task, uint64_t now_usec);
JobWish job_go(Job *job, uint64_t now_usec);

/* Begin to detach from @target what was attached to it. */
JobWish job_begin_detach(Job *ret,
                         const JobTask *task,
                         const QubeName *target,
                         uint64_t now_usec);

/*
 * Begin to look whether it is still attached to @target: the outcome is
 * STATUS_ALREADY_ATTACHED if so, STATUS_DETACHED_BY_USER if not.
 */
JobWish job_begin_look(Job *ret,
                       const JobTask *task,
                       const QubeName *target,
                       uint64_t now_usec);

JobWish job_on_answer(Job *job, const AdminAnswer *answer, uint64_t now_usec);

/* The start of the target has ended; @detail is for a failure. */
JobWish job_on_started(Job *job,
                       Status status,
                       const char *detail,
                       uint64_t now_usec);

/* Granted, or to be asked for again at @when_usec. */
JobWish job_on_turn(Job *job,
                    bool granted,
                    uint64_t when_usec,
                    uint64_t now_usec);

/* @wake_usec or @deadline_usec has come. */
JobWish job_on_time(Job *job, uint64_t now_usec);

/* qubesd's event says that the device is listed now, and as what, if that is
 * fit to be sent; else @identity is NULL. */
JobWish job_on_appeared(Job *job,
                        const DeviceIdentity *identity,
                        uint64_t now_usec);

/* qubesd is there again. */
JobWish job_on_qubesd(Job *job, uint64_t now_usec);

/* The device is gone, or another one, or the job is no longer wanted. */
JobWish job_on_gone(Job *job, const char *detail, uint64_t now_usec);

/* The earliest time at which job_on_time() is due; UINT64_MAX: never. */
uint64_t job_next_usec(const Job *job);

/* As "checking"; for status. */
const char *job_state_to_string(JobState state);
