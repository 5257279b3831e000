/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside of the manager
 *
 *     manager-source   connections and records      (in)
 *     manager-answer   what qubesd answers          (in)
 *     manager-event    what its events tell         (in)
 *     manager-qubesd   it is there, or gone         (in)
 *     manager-device   what a device's record means: decide, attach, unplug
 *     manager-job      one job: do what it wants, tell, end
 *     manager-turn     may it attach now, and what of an overdue attach
 *     manager-learn    what a job that has ended says of its device
 *     manager-prompt   whose prompt is next, and what its answer is worth
 *     manager-acts     what the person does: pause, resume, retry, detach
 *     manager          time, what is wanted          (out)
 *
 * A job that ends is buried, not freed: manager_settle() frees it at the end
 * of each public call, so whoever walks the jobs need not fear for its next
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
/* attachments of sources that have not called yet */
#define STRANGERS_MAX 64U

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
    bool by_person;       /* a detach that the person has asked for */
    uint64_t attach_usec; /* when its last Attach was wished for; or 0 */
    uint64_t plug;        /* of the device, when the job began */
    uint64_t lineage;
    bool port_turn;          /* no other USB attach into its target now */
    bool target_started;     /* by an event: one of its rule's */
    bool came_up;            /* by an event: the one it is to be attached to */
    bool appeared;           /* by an event, while Available was out */
    bool attached_meanwhile; /* by an event, after Attach was sent */
    bool detached_meanwhile; /* the same, before the job's end */
    bool target_stopped;     /* the same, with all that is attached to it */
    bool outdated;           /* other rules are in force: decide anew */
    bool told;               /* the outcome is in the history */
    bool dead;               /* to be freed once no call is under way */
    bool wants_call;         /* job.request is to be made */
    uint64_t call;           /* under way; 0: none */
    bool unheard;            /* its event may have come when none were heard */
    uint64_t late_call;      /* the same, but it is overdue; 0: none */
    bool ignores_call;       /* its answer is of no interest any more */
    bool wants_question;     /* job.question is to be asked */
    uint64_t question;       /* under way; 0: none */
    WaiterList attach_waiters;
    WaiterList remove_waiters;
};

/*
 * A prompt window. It is there until the agent answers, also when the job that
 * wanted it has ended: then a yes still counts, if plug and rule are the same.
 */
typedef struct Window {
    uint64_t id;         /* 0: this place is free */
    ManagedJob *managed; /* NULL once the job has ended */
    bool lost;           /* an earlier run's: no answer will come */
    uint64_t opened_usec;

    QubeName source;
    DeviceClass class;
    DeviceName device;
    uint64_t plug;
    Ruleset *ruleset; /* what @rule belongs to */
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
    size_t index; /* of the target whose icon is asked for */
    Prompt prompt;
    size_t choices[APPROVAL_TARGETS_MAX];
    AdminRequest request;
    bool wants_call;
    uint64_t call;

    bool no_agent;       /* nobody is logged in */
    uint64_t retry_usec; /* when to try again */
    uint64_t backoff_usec;
    Window windows[WINDOWS_MAX];
} PromptDesk;

typedef struct NotificationQueue {
    Rate rate;
    size_t n;
    Notification waiting[NOTIFICATIONS_MAX]; /* the newest is dropped */
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
    bool turns_changed; /* jobs that wait for theirs ask again */
    TargetStarts *starts;
    Orphans orphans;
    AdminEvent strangers[STRANGERS_MAX]; /* a ring; OTHER: a free place */
    size_t next_stranger;

    WaiterList answers;
    uint64_t closing[MANAGER_SOURCES_MAX * SOURCE_CONNECTIONS_MAX];
    size_t n_closing;

    PromptDesk desk;
    NotificationQueue notifications;
    uint64_t paused_until_usec; /* see manager_paused_until() */

    /* until then qubesd may say of a USB device what was so while its events
     * were not heard (WIRE 1) */
    uint64_t suspect_until_usec;
    bool any_suspect; /* has said so, and it is to be looked at then */

    uint64_t last_connection;
    uint64_t last_call;
    uint64_t last_plug;
};

/* manager */

/* At the end of each public call: see to the prompts, free the jobs that are
 * done and the sources that nothing is known of. */
void manager_settle(Manager *m, Instant now);

/* manager-source */

Source *manager_find_source(const Manager *m, const QubeName *name);
/* -ENOBUFS when there are MANAGER_SOURCES_MAX; -ENOMEM. */
int manager_add_source(Manager *m, Source **ret, const QubeName *name);

/* Nobody reports: ask whether it runs at all, if that is not known. */
void source_probe(const Manager *m, Source *source);

/* manager-qubesd */

/* Look again at what may have been old. */
void suspects_on_time(Manager *m, Instant now);
uint64_t suspects_next_usec(const Manager *m);

/* manager-event */

/* A qube, source or target, does not run any more. */
void manager_on_qube_stopped(Manager *m, const QubeName *name, Instant now);

/* manager-job */

int managed_new(Manager *m,
                ManagedJob **ret,
                JobKind kind,
                Device *device,
                const Rule *rule,
                Instant now);
void managed_free(ManagedJob *managed);

/* A call that was overdue has been answered after all. */
void managed_on_late(Manager *m,
                     ManagedJob *managed,
                     const AdminAnswer *answer,
                     Instant now);
/* Let jobs ask for their turn again, if something has changed. */
void manager_give_turns(Manager *m, Instant now);

/* Do what a job wants done. It may be dead afterwards. */
void managed_apply(Manager *m, ManagedJob *managed, JobWish wish, Instant now);

/* The device of a job is gone or another one, or no rule wants it any more. */
void managed_supersede(Manager *m,
                       ManagedJob *managed,
                       const char *detail,
                       Instant now);
/* The same, with another outcome. */
void managed_withdraw(Manager *m,
                      ManagedJob *managed,
                      Status status,
                      const char *detail,
                      Instant now);

JobTask task_of(const Manager *m, const Device *device);
/* What @rule wants done with the device. */
JobTask task_by_rule(const Manager *m, const Device *device, const Rule *rule);
/* Who has the device, as is known now. */
void task_set_holder(JobTask *task, const Device *device);

/* The person has approved the target of index @choice after the job that had
 * asked was over: attach now. */
void device_attach_approved(Manager *m,
                            Device *device,
                            const Rule *rule,
                            size_t choice,
                            const QubeName *default_dispvm,
                            Instant now);

/* @target, which had the device because of us, was stopped. */
void device_set_stopped(Device *device, const QubeName *target);

/* Detach what we had attached. */
void device_begin_detach(Manager *m, Device *device, Instant now);
/* Look whether it still is attached to @target. */
void device_begin_look(Manager *m,
                       Device *device,
                       const QubeName *target,
                       Instant now);

/* The same when nobody has told of anything: if it is not, does @target run? */
void device_look_further(Manager *m,
                         Device *device,
                         const QubeName *target,
                         Instant now);

/* The same if who has it was read too soon; nothing is in work. */
void device_look_at_suspect(Manager *m, Device *device, Instant now);

/* Whether the job's Attach was sent and what came of it is to be seen. */
bool managed_is_attaching(const ManagedJob *managed);

/* The job that waits for another one of the device is not wanted any more. */
void device_drop_queued(Manager *m,
                        Device *device,
                        Status status,
                        const char *detail,
                        Instant now);

/* An outcome, into the history. @rule may be NULL. */
void manager_record(Manager *m,
                    Device *device,
                    const Rule *rule,
                    const char *target,
                    Status status,
                    const char *detail,
                    uint64_t duration_usec,
                    Instant now);

/* manager-turn */

/* Each Attach has to pass here: is it still wanted, and is it its turn? */
JobWish managed_ask_leave(Manager *m, ManagedJob *managed, Instant now);
/* The next part of the same plug that a job has to look at. */
JobWish managed_give_part(ManagedJob *managed, Instant now);

/* manager-learn */

void device_learn(Manager *m,
                  Device *device,
                  const ManagedJob *managed,
                  Instant now);
/* The same of a detach: was it detached already, and by whom? */
void device_learn_missing(Manager *m,
                          Device *device,
                          const ManagedJob *managed,
                          Instant now);

/* manager-prompt */

/* Begin to prepare the next prompt, if there may be one now. */
void desk_step(Manager *m, Instant now);
/* Whether @call was the desk's; it has been answered then. */
bool desk_on_answer(Manager *m,
                    uint64_t call,
                    const AdminAnswer *answer,
                    Instant now);
bool desk_next_call(Manager *m, uint64_t call, AdminRequest *ret_request);
/* The job is over: neither desk nor windows may know it any more. */
void desk_forget(Manager *m, const ManagedJob *managed);
/* When something is to be done that nobody tells of; UINT64_MAX: never. */
uint64_t desk_next_usec(const Manager *m);
/* Whether the person may still say no to @source in a window. */
bool desk_has_window_of(const Manager *m, const QubeName *source);
void desk_clear(Manager *m);

/* manager-notify */

/* Tell the person of the outcome, if that is to be done. */
void manager_notify(Manager *m, const ManagedJob *managed, Instant now);

/* manager-acts */

/* The device of the source that was plugged in next after plug number @plug, or
 * NULL. */
Device *next_plug(const Source *source, uint64_t plug);

/* End the pause when its time is over. */
void pause_on_time(Manager *m, Instant now);

/* manager-device */

/* It is decided otherwise now. */
void device_stop_waiting(Device *device);

/*
 * Decide a device that is plugged in, by the rules in force. @waiter (NULL: it
 * is a later outcome) is taken only when the answer is STATUS_INVALID.
 */
Status device_decide(Manager *m, Device *device, Waiter *waiter, Instant now);

/* Decide again what has no answer to wait for. */
void device_decide_again(Manager *m, Device *device, Instant now);

/* The device has been unplugged, or is no longer what it was; it may yet turn
 * out to be the same plug when it comes back. */
void device_unplug(Manager *m, Device *device, const char *detail, Instant now);
/* Nothing that its source has is plugged in any more, for good. */
void source_unplug(Manager *m, Source *source, const char *detail, Instant now);

/* The person has detached it: leave it alone. */
void device_on_user_detach(Manager *m,
                           Device *device,
                           const QubeName *target,
                           Instant now);

/* Whether it is being looked at if the person has detached a part of the same
 * USB device, then it is to be left alone, or if one that excludes it is
 * attached. */
bool device_is_looked_at(const Device *device);

/* Whether what is held was seen, or told of, in this run, and is not being
 * looked at. */
bool device_is_confirmed(const Device *device);

/* Attached, and not only the plug before it, that is just being detached. */
bool device_is_attached_now(const Device *device);

/* Whether what was in the place of another part before is being detached. */
bool device_follows_detach(const Device *device);

/* Nothing of the same USB device is attached any more, but for what is being
 * attached right now. */
void plug_withdraw(Manager *m, Device *device, Instant now);

/* Something has shown which plugs are the same: decide again what is. */
void source_recall(Manager *m, Source *source, Instant now);

/* Forget a device of which nothing is left. */
void device_release(Device *device);
