/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Job: the life of one attachment, from the decision to its outcome (DESIGN 6)
 *
 *     JUDGING         the guard rail, for each target by itself
 *        v
 *     CHECKING <----> AWAITING        until qubesd lists the device
 *        v
 *     SELECTING       which of several targets runs
 *        v
 *     AWAITING_PROMPT > ASKING        where the rule or the guard rail says so
 *        v
 *     CREATING        a disposable
 *        v
 *     SURVEYING                       are parts of a USB device attached?
 *        v
 *     TURN > PROBING > ATTACHING > VERIFYING --------------------> DONE
 *        ^       v         v          v
 *        |      STARTING <-'       PAUSING  before another try
 *        |       v                    v
 *     RECHECKING <--------------------'     also after ASKING and a wait for
 *                                           TURN
 *
 * PROBING is for USB only, which goes into a running target and no other.
 *
 *     FINDING > DETACHING <> DETACH_VERIFYING > CLOSING ---------> DONE
 *     LOOKING ---------------------------------------------------> DONE
 *
 * The job does nothing itself: it is told what happened and answers what it
 * wants done next. Its owner makes the calls, keeps the time, shows prompts,
 * shares the start of a target among the jobs that wait for it and gives out
 * turns.
 *
 * The outcome may be known before the job is done: a device that is unplugged
 * while its Attach is under way ends with STATUS_SUPERSEDED at once, and the
 * job goes on (UNDOING, DETACHING) until nothing of it is left attached; a
 * disposable that it has made for nothing is done away with (DISCARDING). A
 * job that is DONE ignores every further input.
 *
 * OFFLINE: qubesd went away in the middle; the job waits for it to come back,
 * and looks by itself now and then.
 */

#include "common/status.h"
#include "dom0/core/admin.h"
#include "dom0/core/approval.h"
#include "dom0/core/rule.h"

/* the job's own time: without the waits for its prompt, its turn and login */
#define JOB_USEC        (600 * USEC_PER_SEC)
#define JOB_APPEAR_USEC (5 * USEC_PER_SEC) /* for qubesd to list the device */
#define JOB_RETRIES_MAX 3U                 /* after 1, 2 and 4 s */
/* how often qubesd is asked once more because its answer may be older than an
 * event */
#define JOB_REREADS_MAX 8U
/* in OFFLINE: try again after this, even if nobody tells that qubesd is back */
#define JOB_OFFLINE_USEC (10 * USEC_PER_SEC)
/* for so long after a detach of a USB port qubesd may list the old state */
#define JOB_PORT_STALE_USEC (3 * USEC_PER_SEC)
#define JOB_RETRY_USEC(n)   (USEC_PER_SEC << (n))

typedef enum JobState {
    JOB_INVALID,
    JOB_QUEUED,    /* an earlier job of the device is not done yet */
    JOB_RESOLVING, /* what dom0's default disposable template is */
    JOB_JUDGING,
    JOB_CHECKING,
    JOB_AWAITING,  /* not listed: qubesd's event will tell of it */
    JOB_SELECTING, /* which of several targets runs */
    JOB_AWAITING_PROMPT,
    JOB_ASKING,
    JOB_CREATING,
    JOB_SURVEYING, /* is a part of the USB device attached? */
    JOB_TURN,      /* a rate is used up, or another USB attach is in work */
    JOB_PROBING,   /* does the target of a USB device run? */
    JOB_ATTACHING,
    JOB_STARTING,
    JOB_DIAGNOSING, /* started, but Attach says it does not run: why? */
    JOB_RECHECKING,
    JOB_VERIFYING,
    JOB_PAUSING, /* before another try */
    JOB_OFFLINE,
    JOB_UNDOING, /* outcome known; the call under way not answered */
    JOB_FINDING, /* who has what is to be detached? */
    JOB_DETACHING,
    JOB_DETACH_VERIFYING,
    JOB_CLOSING,         /* detached: shut down the disposable */
    JOB_LOOKING,         /* is it still attached? */
    JOB_LOOKING_FURTHER, /* it is not: does the target run? */
    JOB_DISCARDING,      /* a disposable that was made for nothing */
    JOB_DONE,
} JobState;

typedef enum JobWish {
    JOB_WISH_NOTHING,  /* keep waiting, until @wake_usec if it is set */
    JOB_WISH_CALL,     /* make the call in @request, tell job_on_answer() */
    JOB_WISH_QUESTION, /* ask @question, tell job_on_verdict() */
    /* show a prompt when it is this job's turn, see job_prompt() */
    JOB_WISH_PROMPT,
    JOB_WISH_START, /* start @target, tell job_on_started() */
    /* @target is being started: if by us, tell job_on_started() when that ends;
     * else tell job_on_start_of_others() */
    JOB_WISH_JOIN,
    JOB_WISH_PART, /* tell job_on_part() the next part to ask about */
    JOB_WISH_TURN, /* tell job_on_turn() whether an attach may be made */
    JOB_WISH_DONE,
} JobWish;

/* What may be attached because of this job. */
typedef enum Holding {
    HOLDING_NOTHING,
    HOLDING_MAYBE, /* an Attach was sent and what came of it is not known */
    HOLDING_DEVICE,
} Holding;

/* Whether an attach may be made now. */
typedef enum JobTurn {
    JOB_TURN_LATER, /* 0; until it is granted the job's own time stands still */
    JOB_TURN_GRANTED,
    /* what is in the way may never end, as an overdue attach: the job's own
     * time goes on */
    JOB_TURN_SHUT,
} JobTurn;

/* What a job is to do; all of it stays the same over its life. */
typedef struct JobTask {
    QubeName source;
    DeviceClass class;
    DeviceName device;
    char vendor_id[5]; /* of the record; "" if it has none */
    char product_id[5];
    /* of the record of a USB device; none if it does not tell */
    InterfaceCode interfaces[RECORD_INTERFACES_MAX];
    size_t n_interfaces;
    const Target *targets; /* borrowed */
    size_t n_targets;      /* 1..APPROVAL_TARGETS_MAX */
    bool ask;              /* the rule says so */
    AttachOptions options;
    RuleStart start;
    QubeName held_by; /* the target that has it because of us; "" */
    /* @held_by had it for sure, and qubesd did not take the device off its
     * list: if @held_by has it no longer, it has to be found out why */
    bool held_surely;
    QubeName held_template; /* @held_by is a disposable made from it; "" */
    QubeName known_at;      /* the qube that has it, as far as known; "" */
    QubeName past_holder;   /* that had the plug before, see ExpectedDetach */
    bool close;             /* shut down the target once it is detached */
    uint64_t bound_to;      /* what is to be detached, or looked at; see Job */
    /* a target that had it by a rule and was stopped; qubesd may still list a
     * USB device as attached there */
    QubeName stopped;
    bool qubes_only; /* of the targets only named qubes: make no disposable */
    bool connected;  /* qubesd's events are heard: unreachable means busy */
    bool announced;  /* qubesd's event has told @identity */
    DeviceIdentity identity;
    /* the identity under which qubesd listed the device when the person was
     * asked, once she has said yes, or before its target was started: no other
     * one is attached; "" if not known */
    DeviceIdentity known_as;
    /* the last detach of its USB port, before the job began; 0: not lately */
    uint64_t port_detached_usec;
} JobTask;

/* What rule and guard rail together say of one target. */
typedef enum Verdict {
    VERDICT_DENY, /* 0: whatever was not decided is denied */
    VERDICT_IDLE, /* to be asked, but not now: it does not run */
    VERDICT_ASK,
    VERDICT_ALLOW,
} Verdict;

typedef struct Job {
    JobTask task;
    JobState state;

    Status outcome;                    /* STATUS_INVALID until it is known */
    char detail[ADMIN_DETAIL_MAX + 1]; /* escaped */
    Holding holding;
    QubeName target;  /* "" until one was chosen */
    QubeName seen_at; /* the qube that has it by qubesd's list; "" */
    /* qubesd's list has told that it is there, or that nobody has it, and
     * nothing has happened to it since */
    bool seen;
    /* as in the task, but kept up to date by the job's owner */
    QubeName known_at;
    QubeName held_by; /* also "" if it is known why it has it no longer */
    QubeName past_holder;

    AdminRequest request;
    PolicyQuestion question;
    uint64_t wake_usec;     /* when to call job_on_time(); UINT64_MAX: never */
    uint64_t deadline_usec; /* of the whole job */

    /* the target that had the device, and was found not to run; "" */
    QubeName found_stopped;
    bool taken;          /* events told of the attach, then of a detach */
    bool lost;           /* @target has it no longer, and no event told why */
    bool target_stopped; /* since the call that is under way was made */
    bool port_left;      /* the USB port was detached since Attach was sent */
    bool restarted;      /* LOOKING: its target has started meanwhile */
    bool look_further;   /* see job_begin_look() */
    bool look_first;     /* DETACH_VERIFYING comes before Detach */
    /* identity_hash() of what was attached to @target because of us; 0: it was
     * bound to nothing, or that is not known */
    uint64_t bound_to;
    bool missing; /* our Detach came when @target had it no longer */
    /* a Detach of ours was not clearly answered: it may have been done */
    bool detach_unsure;
    bool detached;      /* our Detach has gone well */
    bool told_detached; /* see job_on_told_detached() */
    /* its turn was granted and counted, and no Attach has used it up */
    bool has_turn;
    /* when the USB port was last detached, by whomever; 0: not known */
    uint64_t port_detached_usec;

    /* the rest is the job's own business */
    JobState resume; /* what OFFLINE and PAUSING go back to */
    DeviceIdentity identity;
    bool pinned;
    bool touched; /* qubesd has answered something */
    bool started;
    bool announced;         /* the identity is from an event, not read by us */
    bool reread;            /* the identity was read again after a refusal */
    bool surveyed;          /* no part of it is attached, as far as is known */
    bool other_listed;      /* AWAITING: qubesd lists another under its name */
    bool unlisted;          /* SURVEYING: the device itself was not listed */
    bool stale;             /* something happened since qubesd was asked */
    unsigned int n_rereads; /* see JOB_REREADS_MAX */
    bool tried;             /* an Attach was wished for */
    AdminResult attach_result;
    AdminError attach_error;
    QubeName default_dispvm; /* template; "" if not known */
    bool default_dispvm_missing;
    uint8_t verdicts[APPROVAL_TARGETS_MAX]; /* Verdict */
    bool second_name;      /* JUDGING: @dispvm:TEMPLATE of @dispvm */
    Verdict first_verdict; /* JUDGING: of @dispvm itself */
    bool waited; /* since the guard rail was asked: it may say otherwise now */
    bool rejudges; /* JUDGING: once more, and the chosen target only */
    /* it would have to be asked for what was not to be asked: the device has
     * to be decided anew */
    bool policy_changed;
    PolicyAnswer no_answer;    /* why policy gave none; POLICY_NO if it did */
    PolicyQuestion unanswered; /* to which it gave none */
    bool unjudged;             /* that is why the job has ended */
    size_t candidate;          /* JUDGING, SELECTING */
    bool chosen;
    size_t choice; /* index of the target */
    bool approved; /* by the person */
    bool unready;  /* its last try found the target Transient */
    /* @disposable was made by this job, and still is its own */
    bool made;
    QubeName disposable; /* only this is ever killed or removed */
    bool filled;         /* somebody has attached another device to it */
    /* it has stopped, and so removed itself: its name may be another's now */
    bool disposable_gone;
    unsigned int n_retries;
    uint64_t appear_usec; /* end of the wait for qubesd to list it */
    uint64_t paused_usec; /* since when its own time stands still; 0 */
} Job;

/* Begin to attach. */
JobWish job_begin(Job *ret, const JobTask *task, uint64_t now_usec);

/*
 * Begin to attach to the target of index @choice, which the person has approved
 * after the job that asked had ended; @default_dispvm is what @dispvm meant
 * then. The guard rail is asked again, as its verdict may be another one by
 * now.
 */
JobWish job_begin_approved(Job *ret,
                           const JobTask *task,
                           size_t choice,
                           const QubeName *default_dispvm,
                           uint64_t now_usec);

/* As job_begin(), but wait for job_go(): an earlier job of the device has to
 * end first. */
void job_queue(Job *ret, const JobTask *task, uint64_t now_usec);
JobWish job_go(Job *job, uint64_t now_usec);

/* Begin to detach from @target what was attached to it; if that is "", from
 * whatever qube has it. */
JobWish job_begin_detach(Job *ret,
                         const JobTask *task,
                         const QubeName *target,
                         uint64_t now_usec);

/*
 * Begin to look whether the device is still attached to @target: the outcome is
 * STATUS_ALREADY_ATTACHED if so, STATUS_DETACHED_BY_USER if not. If no event
 * has told of a detach, set @look_further: then the outcome is
 * STATUS_TARGET_NOT_RUNNING if it is not attached, but @target does not run
 * either.
 */
JobWish job_begin_look(Job *ret,
                       const JobTask *task,
                       const QubeName *target,
                       uint64_t now_usec);

JobWish job_on_answer(Job *job, const AdminAnswer *answer, uint64_t now_usec);

JobWish job_on_verdict(Job *job, PolicyAnswer answer, uint64_t now_usec);

/*
 * What the person may choose from, of a job that wants a prompt: the targets
 * that the guard rail lets through. Answers their number; @ret_choices are
 * their indexes in the task.
 */
size_t job_prompt(const Job *job,
                  Target ret_targets[APPROVAL_TARGETS_MAX],
                  size_t ret_choices[APPROVAL_TARGETS_MAX],
                  size_t *ret_preselected);
/* The window is open; the person has until @until_usec. */
JobWish job_on_prompt_open(Job *job, uint64_t until_usec, uint64_t now_usec);
/* The window could not be opened, as no policy agent listens: the job will wish
 * for it again. */
JobWish job_on_prompt_lost(Job *job, uint64_t now_usec);
/* qubesd could not be asked for what the prompt needs. */
JobWish job_on_prompt_offline(Job *job, const char *detail, uint64_t now_usec);
/* The person has chosen the target of index @choice in the task. */
JobWish job_on_approved(Job *job, size_t choice, uint64_t now_usec);
/* There will be no approval; @status says why. */
JobWish job_on_refused(Job *job,
                       Status status,
                       const char *detail,
                       uint64_t now_usec);

/* The start of the target has ended; @detail is for a failure. */
JobWish job_on_started(Job *job,
                       Status status,
                       const char *detail,
                       uint64_t now_usec);

/* The same, but qubesd's answer was empty: it may have started or not. */
JobWish job_on_start_unsure(Job *job, const char *detail, uint64_t now_usec);

/* The start that goes on is none of ours: the job tries again by and by. */
JobWish job_on_start_of_others(Job *job, uint64_t now_usec);

/* If the turn is not granted, the job asks again at @when_usec, or when its
 * owner calls again. */
JobWish job_on_turn(Job *job,
                    JobTurn turn,
                    uint64_t when_usec,
                    uint64_t now_usec);

/* Whether the job has a USB attach to make, or has made one that qubesd has not
 * answered: while its turn is granted, no other job's USB attach into the same
 * target gets one. */
bool job_holds_port_turn(const Job *job);

/* @part is a part of which it is not known whether it is attached; NULL: there
 * is none. @attached: one of the parts is attached. */
JobWish job_on_part(Job *job,
                    const Record *part,
                    bool attached,
                    uint64_t now_usec);

/* There is one more part of the USB device: before an Attach it has to be known
 * whether that is attached. */
void job_on_new_part(Job *job);

/* The target that had the device by a rule was stopped: the job starts no
 * target and makes no disposable in its stead. */
void job_on_holder_stopped(Job *job, const QubeName *target);

/* The call that the job has wished for is made now. */
void job_on_sent(Job *job);

/* Something has happened to the device, or may have: what qubesd has answered
 * of it, and the answer to a call that is under way, may be out of date. */
void job_on_changed(Job *job);

/* The job's target has stopped: what had been attached there is not any more,
 * and that was not the person. */
void job_on_target_stopped(Job *job);

/* The disposable that the job has made has stopped. */
void job_on_disposable_stopped(Job *job);

/* Somebody has attached another device to the disposable that the job has made:
 * it is hers. */
void job_on_disposable_filled(Job *job);

/* The target of a look has started: if it has not got the device, that is
 * because it had stopped. */
void job_on_target_started(Job *job);

/* qubesd's event says that the job's target has the device no longer. If
 * something is attached there from now on, it is not ours to detach: of a
 * Detach that was wished for and not @sent, a look is made. */
void job_on_told_detached(Job *job, bool sent);

/* The USB port of the job's device was detached, by whomever. */
void job_on_port_detached(Job *job, uint64_t now_usec);

/* @wake_usec or @deadline_usec has come. */
JobWish job_on_time(Job *job, uint64_t now_usec);

/* qubesd's event says that it lists the device now, with @identity; NULL if
 * that is not known or not safe to send. */
JobWish job_on_appeared(Job *job,
                        const DeviceIdentity *identity,
                        uint64_t now_usec);

/* qubesd's event says that it lists the device no longer: a job that waits for
 * its prompt waits for the device to be listed again first. */
JobWish job_on_unlisted(Job *job, uint64_t now_usec);

/* qubesd's event says that a qube has the device: a job that waits for its
 * prompt asks qubesd whether that is so. */
JobWish job_on_told_attached(Job *job, uint64_t now_usec);

/* qubesd can be reached again: go on with what waited for it. */
JobWish job_on_qubesd(Job *job, uint64_t now_usec);

/* The device is gone, or another one, or the job is no longer wanted. @sent
 * says whether the call that the job has wished for last was made. */
JobWish job_on_withdrawn(Job *job,
                         bool sent,
                         Status status,
                         const char *detail);

/* Whether the job's target is the disposable that it has made. */
bool job_is_in_disposable(const Job *job);
/* Whether the device is in the disposable that the job has made, whoever
 * attached it there, or another one is; not if it may be there by an Attach
 * that is not known to have gone well. */
bool job_has_filled_disposable(const Job *job);
/* The template of that disposable; "" if it is not so. */
QubeName job_made_from(const Job *job);

/* The earliest time at which job_on_time() is due; UINT64_MAX: never. */
uint64_t job_next_usec(const Job *job);

/* As "checking"; for status. */
const char *job_state_to_string(JobState state);
