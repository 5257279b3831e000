/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside of the manager
 *
 *     manager-source   connections and records      (in)
 *     manager-answer   what qubesd answers          (in)
 *     manager-event    its events, what it lists    (in)
 *     manager-attached a qube has a device          (in)
 *     manager-detached it has it no longer          (in)
 *     manager-power    qubes start, stop and resume (in)
 *     manager-qubesd   it is there, or gone         (in)
 *     manager-device   what a device's record means: decide, attach, unplug
 *     manager-job      one job: begin it, do what it wants
 *     manager-end      its outcome, and what follows for its device
 *     manager-turn     may it attach now, and what of an overdue attach
 *     manager-learn    what a job that has ended says of its device
 *     manager-policy   questions to the policy daemon; what waits for it
 *     manager-prompt   whose prompt is next, and getting it ready
 *     manager-window   what the answer in its window is worth
 *     manager-acts     what the person does: pause, resume, retry, detach
 *     manager-state    what is kept over a restart of the daemon
 *     manager-notify   what the person is told       (out)
 *     manager-report   what `status` and lists show  (out)
 *     manager-census   who has what was attached before events were heard
 *     manager-trial    what `explain` needs to know  (out)
 *     manager          time, what is wanted          (out)
 *
 * Words: a *plug* is one plugging in of a device. *Parts* of a USB device are
 * the disks in it and their partitions. A *look* is a job that asks qubesd
 * whether a device still is attached. An *earlier run* is one of the daemon
 * whose state was restored.
 *
 * A job that ends is only marked as dead. It is freed by manager_settle() at
 * the end of the public call, so that a loop over the jobs never meets a freed
 * one.
 */

#include "dom0/core/manager.h"
#include "dom0/core/orphans.h"
#include "dom0/core/rule-hits.h"
#include "dom0/core/source.h"
#include "dom0/core/target-start.h"
#include "dom0/core/waiter.h"

#define WINDOWS_MAX       8U
#define NOTIFICATIONS_MAX 8U
#define STRANGERS_MAX     64U

/* The last event of a device whose source has not called yet: its attach, or
 * its detach from a USB port. */
typedef struct Stranger {
    AdminEvent event;
    uint64_t when_usec;
} Stranger;

typedef enum JobKind {
    JOB_KIND_ATTACH,
    JOB_KIND_DETACH,
    JOB_KIND_LOOK, /* is it still attached? */
} JobKind;

struct ManagedJob {
    ManagedJob *next; /* all jobs, oldest first */
    JobKind kind;
    Job job;
    Device *device; /* NULL once it is dead */
    Source *source;
    Ruleset *ruleset; /* what @rule belongs to */
    const Rule *rule; /* of an attach */
    uint64_t begun_usec;
    bool by_person; /* a detach that the person has asked for */
    /* The person has asked for a detach while the job was in work: so what the
     * job leaves attached, by whomever, is detached behind it. But not what was
     * attached after that. */
    bool detach_behind;
    uint64_t attach_usec; /* when its last Attach, or look at the
                           * target, was wished for; 0: never */
    uint64_t plug;        /* of the device, when the job began */
    uint64_t lineage;     /* the same */
    /* it has its turn for a USB attach: none other into the same target, or of
     * the same device, begins meanwhile */
    bool port_turn;
    bool asks_again; /* for its turn: a record of another part has come */

    /* what qubesd's events have told since the job began */
    bool target_started; /* a target of its rule has started */
    /* job.target has started, and not stopped since; not the disposable that
     * the job has made, which goes with it */
    bool came_up;
    bool appeared; /* its device is listed; told while a call was out */
    /* what excludes the device is a disk without a record, which by its
     * identity may also be a part of another device */
    bool presumed;
    /* job.target has the device; told after Attach was sent */
    bool attached_meanwhile;
    /* job.target no longer has the device; told before the job knew so */
    bool detached_meanwhile;
    /* Somebody has attached that plug of the device, to whatever qube, after
     * Attach was sent (0: nobody, or it is not clear which plug); and this
     * qube, which had it, has it no longer ("": none). If our Attach turns out
     * to have failed, this was the person. */
    uint64_t told_plug;
    QubeName taken_from;
    /* both of that was told, and that the device went off the list before it
     * was detached: nothing is left of our Attach, whatever is answered */
    bool ended_meanwhile;
    /* job.target stopped while Attach or Detach was out: the device is not
     * attached there any more, and that was not the person's detach */
    bool target_stopped;

    /* The person has said yes in the window of an earlier job of the plug,
     * before this one came to its prompt: to @yes_choice of its targets, with
     * what @dispvm meant then. */
    bool approved_early;
    size_t yes_choice;
    QubeName yes_dispvm;
    DeviceIdentity yes_identity; /* that qubesd listed; "" if not known */

    bool outdated; /* its rule is no longer in force: decide the device anew */
    bool told;     /* who waited for the outcome has it, see managed_tell() */
    bool dead;     /* ended; to be freed once nothing of it is under way */

    bool wants_call; /* job.request has to be made */
    uint64_t call;   /* the one under way; 0: none */
    bool unheard;    /* events were not heard all the time since then */
    /* nor since our Attach was answered, of which the job undoes what it did */
    bool undoes_unheard;
    /* a USB Attach that is over its time, and that qubesd still works on; 0:
     * none */
    uint64_t overdue_call;
    bool ignores_call;   /* the answer to @call is of no interest any more */
    bool wants_question; /* job.question has to be asked */
    uint64_t question;   /* the one under way; 0: none */
    WaiterList attach_waiters;
    WaiterList remove_waiters;
};

/*
 * A prompt window. It exists until the policy agent answers, even if the job
 * that wanted it has ended: a late yes still counts as long as plug and rule
 * are the same.
 */
typedef struct Window {
    uint64_t id;         /* 0: this place is free */
    ManagedJob *managed; /* NULL once the job has ended */
    bool lost;           /* opened by an earlier run: no answer will come */
    uint64_t opened_usec;

    QubeName source;
    DeviceClass class;
    DeviceName device;
    uint64_t plug;
    DeviceIdentity identity; /* that qubesd listed; "" if not known */
    Ruleset *ruleset;        /* what @rule belongs to */
    const Rule *rule;
    QubeName default_dispvm;
    size_t choices[APPROVAL_TARGETS_MAX]; /* indexes in the rule's targets */
    size_t n_choices;
} Window;

typedef enum DeskStep {
    DESK_GUIVM,
    DESK_SOURCE_ICON,
    DESK_TARGET_ICON,
    DESK_READY,
} DeskStep;

/* Prepares one prompt at a time and keeps the open windows. */
typedef struct PromptDesk {
    ManagedJob *managed; /* whose prompt is being prepared, or NULL */
    DeskStep step;
    size_t index; /* of the target whose icon is being asked for */
    Prompt prompt;
    size_t choices[APPROVAL_TARGETS_MAX];
    AdminRequest request;
    bool wants_call;
    uint64_t call;

    bool no_agent;       /* no policy agent listens: nobody is logged in */
    uint64_t retry_usec; /* when to try again */
    uint64_t backoff_usec;
    Window windows[WINDOWS_MAX];
} PromptDesk;

/*
 * A device whose job has ended without an answer of the policy daemon is
 * decided again once that answers anything. It is asked by and by, what was not
 * answered of one such device after the other, with growing pauses.
 */
typedef struct PolicyWatch {
    bool any; /* some Device.waits_for_policy may be set */
    bool wants_question;
    uint64_t question; /* of our own, under way; 0: none */
    uint64_t retry_usec;
    uint64_t backoff_usec; /* the next pause */
    uint64_t calm_usec;    /* before that, answers to others decide nothing */
} PolicyWatch;

/*
 * Of a device that was plugged in when events were not heard nobody has told
 * who has it. If no job finds out it is asked for, once, one device after the
 * other; for the report only.
 */
typedef struct Census {
    bool any;
    bool is_changed; /* see whether there are any */
    bool wants_call; /* for @plug */
    uint64_t call;   /* under way; 0: none */
    uint64_t plug;
    bool is_void; /* what will be answered may be out of date */
    Rate rate;
    uint64_t retry_usec;
} Census;

typedef struct NotificationQueue {
    Rate rate;
    Rate failures; /* a part of these */
    size_t n;
    /* when full, further ones are dropped */
    Notification waiting[NOTIFICATIONS_MAX];
} NotificationQueue;

struct Manager {
    bool unlimited;
    QubesdState qubesd;
    Ruleset *ruleset;
    RuleHits hits;
    History *history;

    Source *sources[MANAGER_SOURCES_MAX];
    ManagedJob *jobs;
    ManagedJob **jobs_end;
    size_t n_dead;
    bool turns_changed; /* jobs that wait for their turn have to ask again */
    bool asks_again;    /* some of them have, see ManagedJob */
    TargetStarts *starts;
    Orphans orphans;
    Stranger strangers[STRANGERS_MAX]; /* a ring; backend "": a free place */
    size_t next_stranger;

    WaiterList answers;
    uint64_t closing[MANAGER_SOURCES_MAX * SOURCE_CONNECTIONS_MAX];
    size_t n_closing;

    PolicyAnswer policy;  /* the last one */
    uint64_t policy_usec; /* CLOCK_REALTIME of that; 0: none yet */
    PolicyWatch watch;
    Census census;
    PromptDesk desk;
    NotificationQueue notifications;
    Refusals refusals;          /* for the report */
    uint64_t paused_until_usec; /* see manager_paused_until() */

    /* Until then qubesd's list may show a USB device as attached where it was
     * before qubesd's events were missed (WIRE 1). */
    uint64_t suspect_until_usec;
    bool any_suspect; /* some Device.suspect is set */

    bool lacks_room;    /* some Device.waits_for_room is set */
    uint64_t room_usec; /* without memory: not before that time; 0 */

    uint64_t last_connection;
    uint64_t last_call;
    uint64_t last_plug;
};

/* manager */

/* At the end of each public call: give out turns, see to the prompts, free jobs
 * that have ended and sources of which nothing is known, and let others have
 * the room. */
void manager_settle(Manager *m, Instant now);

/* manager-source */

Source *manager_find_source(const Manager *m, const QubeName *name);
/* -ENOBUFS when there are MANAGER_SOURCES_MAX; -ENOMEM. */
int manager_add_source(Manager *m, Source **ret, const QubeName *name);

/* See Source.wants_probe: ask whether the qube still runs, if nobody is
 * connected and that is not known. */
void source_probe(const Manager *m, Source *source);
/* Ask again the sources of which that is due; when the next one is. */
void probes_on_time(Manager *m, Instant now);
uint64_t probes_next_usec(const Manager *m);
/* Those that live are to be closed. */
void source_close_connections(Manager *m, const Source *source);

/* manager-qubesd */

/* Look again at each Device.suspect once what qubesd says can be relied on. */
void suspects_on_time(Manager *m, Instant now);
uint64_t suspects_next_usec(const Manager *m);

/* manager-event */

/* An attach or a detach of a device whose source has not called yet: keep what
 * is attached until it calls, and when a USB port was detached. */
void manager_note_stranger(Manager *m, const AdminEvent *event, Instant now);
/*
 * A USB device counts as attached for another second after its detach. If
 * qubesd reads the source's list meanwhile, its events tell of an attach that
 * never was, and then, sooner or later, of the end of that.
 */
bool event_is_echo(const Source *source, const AdminEvent *event, Instant now);

/* manager-attached */

void manager_on_attached(Manager *m, const AdminEvent *event, Instant now);

/* manager-detached */

/* Whether the device is attached to @qube, as far as is known, or may be. */
bool device_may_be_at(const Device *device, const QubeName *qube);
/* Whether the device's last outcome says that a qube has it, but qubesd may
 * have meant the plug before. */
bool device_was_found_attached(const Device *device);
void manager_on_detached(Manager *m, const AdminEvent *event, Instant now);

/* manager-power */

/* @from_off: the qube was started. Else it went on from a pause or a
 * suspension, which does not detach anything from it. */
void manager_on_qube_started(Manager *m,
                             const QubeName *name,
                             bool from_off,
                             Instant now);
/* A qube has stopped: a source's devices are gone with it, and what was
 * attached to a target no longer is. */
void manager_on_qube_stopped(Manager *m, const QubeName *name, Instant now);
/* The source resumes from a suspension. All its devices go and come again
 * because of that: they are the same plugs. */
void manager_on_source_resumed(Manager *m, const QubeName *name, Instant now);

/* manager-job */

int managed_new(Manager *m,
                ManagedJob **ret,
                JobKind kind,
                Device *device,
                const Rule *rule,
                Instant now);
void managed_free(ManagedJob *managed);

/* The overdue Attach of a job that has ended, or has given up on it, was
 * answered after all. */
void managed_end_overdue(Manager *m,
                         ManagedJob *managed,
                         const AdminAnswer *answer,
                         Instant now);
/* Let jobs in JOB_TURN ask again, if Manager.turns_changed: those that wait for
 * no time. */
void manager_give_turns(Manager *m, Instant now);
/* Let those ask again that may have waited for a record of @device. */
void manager_give_turn_to_parts(Manager *m, const Device *device);

/* Do what a job wants done, until it waits for something or has ended. It may
 * be dead afterwards, but it is not freed before manager_settle(). */
void managed_apply(Manager *m, ManagedJob *managed, JobWish wish, Instant now);

/* Whether what the job wishes for is to attach: to make or start the target for
 * that, too. It is done only by the rules that are in force then. */
bool managed_acts(const ManagedJob *managed, JobWish wish);

/* End a job with STATUS_SUPERSEDED: its device is gone or another one, or no
 * rule wants it any more. What it may have attached is detached first. */
void managed_supersede(Manager *m,
                       ManagedJob *managed,
                       const char *detail,
                       Instant now);
/* The same, with the outcome @status. */
void managed_withdraw(Manager *m,
                      ManagedJob *managed,
                      Status status,
                      const char *detail,
                      Instant now);

JobTask task_of(const Manager *m, const Device *device);
/* What @rule wants done with the device. */
JobTask task_by_rule(const Manager *m, const Device *device, const Rule *rule);
/* Put into the task what is known now of who has the device. */
void task_set_holder(JobTask *task, const Device *device);

/* The person has approved the target of index @choice, but the job that asked
 * has ended: begin one that attaches there, or say why not. */
void device_attach_approved(Manager *m,
                            Device *device,
                            const Rule *rule,
                            const Window *window,
                            size_t choice,
                            Instant now);

/* @target, which had the device because of us, was stopped: the device does not
 * start it again. */
void device_set_stopped(Device *device, const QubeName *target);

/* Begin to detach the device from the target that has it because of us, or to
 * shut down the disposable that it was in. */
void device_begin_detach(Manager *m, Device *device, Instant now);
/* qubesd's event says that @target has the device no longer: begin to look
 * whether that is so. */
void device_begin_look(Manager *m,
                       Device *device,
                       const QubeName *target,
                       Instant now);

/* The qube that has the device, by us or by others, as far as is known. */
QubeName device_holder(const Device *device);

/* Begin to look whether @target still has the device, although no event says
 * otherwise; if it has not, also whether @target runs. */
void device_look_further(Manager *m,
                         Device *device,
                         const QubeName *target,
                         Instant now);

/* The same for a device whose @suspect is set, unless it has a job or
 * Manager.any_suspect puts the look off. */
void device_look_at_suspect(Manager *m, Device *device, Instant now);

/* Whether the job's Attach was sent, and has not failed as far as is known. */
bool managed_is_attaching(const ManagedJob *managed);

/* Whether the person has taken the device away while the job's Attach was out,
 * unless that has gone well. */
bool managed_was_taken(const ManagedJob *managed);

/* manager-end */

/* The outcome of a job is known: into the history, and to who asked. */
void managed_tell(Manager *m, ManagedJob *managed, Instant now);
/* A job has ended: what follows for its device? It is dead afterwards. */
void managed_end(Manager *m, ManagedJob *managed, Instant now);

/* A look after qubesd came back has found that the device is not attached, or
 * it has been detached now, or its holder has stopped. Whether a record that
 * came while qubesd was away (see waits_for_qubesd) has still to be decided. */
bool device_lacks_decision(const Manager *m, const Device *device);

/* The device's job has ended, or a window that it had left open was answered.
 * If nothing is attached and there is no more to come, those that the device
 * was in the way of are decided again. */
void device_make_way(Manager *m, const Device *device, Status outcome);

/* End the job that waits for the device's other job, if there is one. */
void device_drop_queued(Manager *m,
                        Device *device,
                        Status status,
                        const char *detail,
                        Instant now);

/* If the device is known now as attached by an Attach that was told as failed,
 * tell that it has gone well after all. */
void device_tell_late_attach(Manager *m, Device *device, Instant now);

/* Put an outcome into the history. @rule, its name, and @target may be "". */
void manager_record(Manager *m,
                    Device *device,
                    const char *rule,
                    const char *target,
                    Status status,
                    const char *detail,
                    uint64_t duration_usec,
                    Instant now);
/* The same for a record that was not taken, which is answered @status: what is
 * known of its device stays as it is. */
Status manager_refuse(Manager *m,
                      const Source *source,
                      const Record *record,
                      Status status,
                      const char *detail,
                      Instant now);

/* manager-census */

void census_step(Manager *m, Instant now);
bool census_next_call(Manager *m, uint64_t call, AdminRequest *ret_request);
bool census_on_answer(Manager *m,
                      uint64_t call,
                      const AdminAnswer *answer,
                      Instant now);
/* qubesd's event of a device: what was found does not hold any more. */
void census_on_event(Manager *m, const AdminEvent *event);
void census_on_qube_stopped(Manager *m, const QubeName *name);
/* Who has the device is not known any more. */
void census_forget(Manager *m, Device *device);
uint64_t census_next_usec(const Manager *m);

/* manager-turn */

/* Whether its rule is not in force any more; it ends so before an Attach is
 * sent, and its device is decided anew. */
bool managed_is_outdated(const Manager *m, const ManagedJob *managed);
JobWish managed_end_outdated(ManagedJob *managed);
/* Asked before each Attach: is it still wanted, and is it the job's turn? */
JobWish managed_check_turn(Manager *m, ManagedJob *managed, Instant now);
/* Tell the job the next part of its USB device that has to be looked at. */
JobWish managed_give_part(ManagedJob *managed, Instant now);

/* manager-learn */

/* Note what the job that has ended tells of its device: who has it, whether the
 * person detached it, what it waits for. */
void device_learn(Manager *m,
                  Device *device,
                  const ManagedJob *managed,
                  Instant now);
/* The same for a job of JOB_KIND_DETACH that found the device detached already:
 * was that the person? */
void device_learn_missing(Manager *m,
                          Device *device,
                          const ManagedJob *managed,
                          Instant now);

/* manager-policy */

/* The device's job has ended, as this question was not answered. */
void policy_await(Manager *m,
                  Device *device,
                  const PolicyQuestion *question,
                  Instant now);
void policy_on_time(Manager *m, Instant now);
uint64_t policy_next_usec(const Manager *m);

/* manager-prompt */

/* Begin to prepare the next prompt, if there may be one now. */
void desk_step(Manager *m, Instant now);
/* Whether @call was one of the desk's; then its answer was taken. */
bool desk_on_answer(Manager *m,
                    uint64_t call,
                    const AdminAnswer *answer,
                    Instant now);
bool desk_next_call(Manager *m, uint64_t call, AdminRequest *ret_request);
/* The job has ended: desk and windows must not point to it any more. */
void desk_forget(Manager *m, const ManagedJob *managed);
/* Nobody is logged in: the job (NULL: it has ended) goes on waiting, without
 * using up its time. */
void desk_on_no_agent(Manager *m, ManagedJob *managed, Instant now);
/* When the next prompt may be due without any further event; UINT64_MAX:
 * never. */
uint64_t desk_next_usec(const Manager *m);
/* Whether the person may still say no to @source in a window. */
bool desk_has_window_of(const Manager *m, const QubeName *source);
void desk_clear(Manager *m);
/* The job's rule is not in force any more: end it, and decide the device
 * anew. */
void managed_refuse_outdated(Manager *m, ManagedJob *managed, Instant now);

/* manager-window */

/* The window @id, or with 0 a free place for one; NULL if there is none. */
Window *desk_find_window(PromptDesk *desk, uint64_t id);
void window_free(Window *window);
/* The person has approved the job, which has still to come to its prompt, in
 * the window of an earlier one: to @choice of its targets. */
void managed_note_yes(ManagedJob *managed, const Window *window, size_t choice);
/* Whether she has, and the job wishes for its prompt. If so, it goes on with
 * *@ret. */
bool managed_take_early_yes(ManagedJob *managed, JobWish *ret, Instant now);

/* manager-notify */

/* Queue a notification of the job's outcome, if its rule and the rate allow
 * one. */
void manager_notify(Manager *m, const ManagedJob *managed, Instant now);
/* The same of device_tell_late_attach(). */
void manager_notify_late(Manager *m, const Device *device, Instant now);

/* manager-acts */

/* The device with the lowest plug number above @plug, of those plugged in; NULL
 * if there is none. */
Device *next_plug(const Source *source, uint64_t plug);

/* Begin to detach a device that has no job from the qube that has it, as the
 * person has asked for. STATUS_INVALID (0) if a job has begun, else the
 * outcome.
 */
Status person_begin_detach(Manager *m, Device *device, Instant now);

void pause_on_time(Manager *m, Instant now);

/* manager-device */

/* Whether the device is to be decided again when something happens that may
 * have been missed. */
bool device_is_waiting(const Device *device);
/* Wait no more for a target, qubesd or its list, or the end of a pause: the
 * device is decided anew. */
void device_stop_waiting(Device *device);

/* The detail of a job that ends because its rule is no longer in force. */
#define RULES_CHANGED "the rules have changed meanwhile"
/* or its device is decided anew */
#define DECIDED_ANEW "decided anew"
/* or the person may have taken the device away */
#define DETACHED_MEANWHILE "it was detached meanwhile"
/* The details of what device_decide() settles without a job. */
#define PART_IN_THE_WAY "another part of the same device is attached or in work"
#define QUBESD_TOO_OLD  "qubesd is of a release before R4.3"
/* Whether the rule that a job was decided by is still the one in force. */
bool rule_is_current(const Manager *m, const Device *device, const Rule *rule);

/*
 * Decide a device that is plugged in, by the rules in force. Answers the
 * outcome, or STATUS_INVALID (0) if a job works on it: only then is @waiter
 * taken over. @waiter is NULL if no record waits for the outcome.
 */
Status device_decide(Manager *m, Device *device, Waiter *waiter, Instant now);

/* Decide the device again although there is no new record of it; nothing if it
 * has a job. */
void device_decide_again(Manager *m, Device *device, Instant now);

/* Decide what waits for room, as far as there is some, in the order in which it
 * came. Whether anything was decided. */
bool manager_give_room(Manager *m, Instant now);
/* When that is due without any further event; UINT64_MAX: never. */
uint64_t room_next_usec(const Manager *m);

/* The device was unplugged, or is another one now. What is kept of it may still
 * count if the same plug comes back, see PlugMemory. */
void device_unplug(Manager *m, Device *device, const char *detail, Instant now);
/* The source qube was stopped or restarted: all its devices are gone, and none
 * that comes is the same plug. */
void source_unplug(Manager *m, Source *source, const char *detail, Instant now);

/* The person has detached the device from @target: note that, and leave it
 * alone. */
void device_on_user_detach(Manager *m,
                           Device *device,
                           const QubeName *target,
                           Instant now);

/*
 * Whether a look is under way whose result matters for the device: one at a
 * part of the same USB device (if the person detached that, all of it is left
 * alone), or at a device that excludes it (if that is attached, this one must
 * not be).
 */
bool device_is_looked_at(const Device *device);

/* Whether an attachment that is known can be relied on: a record of this run
 * has told of the device, and no look at it is under way. */
bool device_is_confirmed(const Device *device);

/* Whether the device's job is of the plug before, and about to end: a Detach,
 * or an Attach that was still under way when that plug went. */
bool plug_before_is_busy(const Device *device);

/* Whether the device is attached, not counting the plug before it that is just
 * being detached. */
bool device_is_attached_now(const Device *device);

/* Whether the device is attached or in work, not counting a look at it, nor the
 * plug before it that is just being detached. */
bool device_is_in_the_way(const Device *device);

/* The job of a device that excludes it, if that is of the plug before and about
 * to end (it may take the device along until then), or NULL. */
const ManagedJob *device_follows(const Device *device);

/* The person detached the device: end the attach jobs of the whole USB device,
 * but for those that have sent their Attach. */
void plug_withdraw(Manager *m, Device *device, Instant now);

/* An event may show that devices are the same plugs as some that went: take
 * over what the person said of those. */
void source_recall(Manager *m, Source *source, Instant now);

/* Free the device if it is not plugged in, not held and has no job. */
void device_release(Device *device);
