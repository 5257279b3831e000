/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside of the manager
 *
 *     manager-source   connections and records      (in)
 *     manager-qubesd   answers and events of qubesd (in)
 *     manager-device   what a device's record means: decide, attach, unplug
 *     manager-job      one job: do what it wants, tell, end
 *     manager          time, what is wanted          (out)
 *
 * A job that ends is buried, not freed: manager_sweep() frees it at the end of
 * each public call, so whoever walks the jobs need not fear for its next one.
 */

#include "dom0/core/manager.h"
#include "dom0/core/source.h"
#include "dom0/core/target-start.h"
#include "dom0/core/waiter.h"

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
    bool told;       /* the outcome is in the history */
    bool dead;       /* to be freed once no call is under way */
    bool wants_call; /* job.request is to be made */
    uint64_t call;   /* under way; 0: none */
    WaiterList attach_waiters;
    WaiterList remove_waiters;
};

struct Manager {
    bool unlimited;
    QubesdState qubesd;
    Ruleset *ruleset;
    History *history;

    Source *sources[MANAGER_SOURCES_MAX];
    ManagedJob *jobs;
    ManagedJob **jobs_end;
    size_t n_dead;
    TargetStarts *starts;

    WaiterList answers;
    uint64_t closing[MANAGER_SOURCES_MAX * SOURCE_CONNECTIONS_MAX];
    size_t n_closing;

    uint64_t last_connection;
    uint64_t last_call;
};

/* manager */

/* Free the jobs that are done and the sources that nothing is known of. */
void manager_sweep(Manager *m);

/* manager-source */

Source *manager_find_source(const Manager *m, const QubeName *name);

/* manager-job */

int managed_new(Manager *m,
                ManagedJob **ret,
                JobKind kind,
                Device *device,
                const Rule *rule,
                Instant now);
void managed_free(ManagedJob *managed);

/* Do what a job wants done. It may be dead afterwards. */
void managed_apply(Manager *m, ManagedJob *managed, JobWish wish, Instant now);

/* The device of a job is gone or another one, or no rule wants it any more. */
void managed_supersede(Manager *m,
                       ManagedJob *managed,
                       const char *detail,
                       Instant now);

JobTask task_of(const Device *device);

/* Detach what we had attached, or look whether it still is. */
void device_begin(Manager *m, JobKind kind, Device *device, Instant now);

/* The job that waits for another one of the device is not wanted any more. */
void device_drop_queued(Manager *m,
                        Device *device,
                        Status status,
                        const char *detail,
                        Instant now);

/* An outcome, into the history. @rule may be NULL. */
void manager_record(Manager *m,
                    const Device *device,
                    const Rule *rule,
                    const char *target,
                    Status status,
                    const char *detail,
                    uint64_t duration_usec,
                    Instant now);

/* manager-device */

/*
 * Decide a device that is plugged in, by the rules in force. @waiter (NULL: it
 * is a later outcome) is taken only when the answer is STATUS_INVALID.
 */
Status device_decide(Manager *m, Device *device, Waiter *waiter, Instant now);

/* Decide again what has no answer to wait for. */
void device_decide_again(Manager *m, Device *device, Instant now);

/* The device has been unplugged, or is no longer what it was. */
void device_unplug(Manager *m, Device *device, const char *detail, Instant now);

/* Forget a device of which nothing is left. */
void device_release(Device *device);
