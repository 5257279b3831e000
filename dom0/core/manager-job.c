/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/manager-internal.h"

static void waiters_answer(Manager *m, WaiterList *list, Status status)
{
    Waiter *waiter;

    while ((waiter = waiters_pop(list))) {
        waiter->status = status;
        waiters_push(&m->answers, waiter);
    }
}

/* What the device says of itself, for the person. */
static void describe(char *ret, size_t size, const Properties *properties)
{
    char text[2 * RECORD_TEXT_MAX + 2] = "";
    const char *vendor = properties->vendor, *model = properties->model;

    (void) text_format(text, sizeof(text), "%s%s%s", vendor,
                       vendor[0] && model[0] ? " " : "", model);
    (void) text_escape(ret, size, text, strlen(text));
}

void manager_record(Manager *m,
                    const Device *device,
                    const Rule *rule,
                    const char *target,
                    Status status,
                    const char *detail,
                    uint64_t duration_usec,
                    Instant now)
{
    HistoryEntry entry = {
        .when_usec = now.realtime_usec,
        .duration_usec = duration_usec,
        .source = device->source->name,
        .class = device->record.class,
        .device = device->record.device,
        .status = status,
    };

    if (rule)
        entry.rule = rule->name;
    (void) text_format(entry.target, sizeof(entry.target), "%s", target);
    (void) text_format(entry.detail, sizeof(entry.detail), "%s", detail);
    describe(entry.label, sizeof(entry.label), &device->record.properties);
    history_add(m->history, &entry);
}

/* The outcome of a job is known: into the history, and to who asked. */
static void managed_tell(Manager *m, ManagedJob *managed, Instant now)
{
    Job *job = &managed->job;
    Device *device = managed->device;

    managed->told = true;
    if (managed->kind == JOB_KIND_LOOK)
        return; /* managed_end() sees to it */
    manager_record(m, device, managed->rule, job->target.s, job->outcome,
                   job->detail, now.monotonic_usec - managed->begun_usec, now);
    waiters_answer(m, &managed->attach_waiters, job->outcome);

    if (managed->kind != JOB_KIND_ATTACH)
        return;
    manager_notify(m, managed, now);
    device->waits_for = (QubeName){};
    device->waits_for_any = job->outcome == STATUS_WAITING_FOR_TARGET;
    device->waits_for_qubesd = job->outcome == STATUS_UNAVAILABLE;
}

int managed_new(Manager *m,
                ManagedJob **ret,
                JobKind kind,
                Device *device,
                const Rule *rule,
                Instant now)
{
    ManagedJob *managed = calloc(1, sizeof(*managed));

    if (!managed)
        return -ENOMEM;

    managed->kind = kind;
    managed->device = device;
    managed->source = device->source;
    managed->source->n_jobs++;
    managed->rule = rule;
    managed->ruleset = ruleset_ref(m->ruleset);
    managed->begun_usec = now.monotonic_usec;
    waiters_init(&managed->attach_waiters);
    waiters_init(&managed->remove_waiters);
    *m->jobs_end = managed;
    m->jobs_end = &managed->next;
    *ret = managed;
    return 0;
}

void managed_free(ManagedJob *managed)
{
    managed->source->n_jobs--;
    waiters_clear(&managed->attach_waiters);
    waiters_clear(&managed->remove_waiters);
    ruleset_unref(managed->ruleset);
    free(managed);
}

/* It is done; manager_settle() frees it once no call of its is under way. */
static void managed_bury(Manager *m, ManagedJob *managed)
{
    desk_forget(m, managed);
    managed->device = NULL;
    managed->dead = true;
    managed->wants_call = false;
    managed->wants_question = false;
    m->n_dead++;
}

JobTask task_of(const Device *device)
{
    JobTask task = { .source = device->source->name,
                     .class = device->record.class,
                     .device = device->record.device };

    memcpy(task.vendor_id, device->record.properties.vendor_id,
           sizeof(task.vendor_id));
    memcpy(task.product_id, device->record.properties.product_id,
           sizeof(task.product_id));
    return task;
}

/* Detach what we had attached, or look whether it still is. */
void device_begin(Manager *m, JobKind kind, Device *device, Instant now)
{
    JobTask task = task_of(device);
    /* nothing is left in the disposable that is to be shut down */
    QubeName target = device->held_by.s[0] ? device->held_by : device->close;
    ManagedJob *managed;
    JobWish wish;

    /* without memory the device is left as if the call had failed */
    if (managed_new(m, &managed, kind, device, NULL, now) < 0)
        return;

    task.close = kind == JOB_KIND_DETACH && device->close.s[0] != '\0' &&
                 qube_name_equal(&device->close, &target);
    device->job = managed;
    if (kind == JOB_KIND_DETACH)
        wish =
            job_begin_detach(&managed->job, &task, &target, now.monotonic_usec);
    else
        wish =
            job_begin_look(&managed->job, &task, &target, now.monotonic_usec);
    managed_apply(m, managed, wish, now);
}

/* The job that waits for another one of the device is not wanted any more. */
void device_drop_queued(Manager *m,
                        Device *device,
                        Status status,
                        const char *detail,
                        Instant now)
{
    ManagedJob *queued = TAKE_PTR(device->queued);

    if (!queued)
        return;
    queued->job.outcome = status;
    (void) text_format(queued->job.detail, sizeof(queued->job.detail), "%s",
                       detail);
    managed_tell(m, queued, now);
    managed_bury(m, queued);
}

/* What a job that has ended leaves behind. */
static void device_learn(Manager *m,
                         Device *device,
                         const ManagedJob *managed,
                         Instant now)
{
    const Job *job = &managed->job;

    switch (managed->kind) {
    case JOB_KIND_ATTACH:
        if (job->n_attaches == 0 || job->outcome == STATUS_ALREADY_ATTACHED) {
            if (job->seen_at.s[0])
                device->attached_to = job->seen_at;
            else if (job->outcome == STATUS_ALREADY_ATTACHED)
                device->attached_to = job->target;
            return;
        }
        break;
    case JOB_KIND_DETACH:
        /* what was not ours does not become so because that failed */
        if (managed->by_person && device->holding == HOLDING_NOTHING &&
            job->holding != HOLDING_NOTHING)
            return;
        break;
    case JOB_KIND_LOOK:
        if (job->outcome == STATUS_SUPERSEDED)
            return;
        if (job->outcome == STATUS_ALREADY_ATTACHED) {
            device->attached_to = job->target; /* a spurious event */
            return;
        }
        device->holding = HOLDING_NOTHING;
        device->held_by = (QubeName){};
        device->attached_to = (QubeName){};
        if (job->outcome == STATUS_TARGET_NOT_RUNNING) {
            device->waits_for = job->target; /* it comes back with it */
            return;
        }
        device->detached_by_user = true;
        manager_record(m, device, NULL, job->target.s, STATUS_DETACHED_BY_USER,
                       "", 0, now);
        device_drop_queued(m, device, STATUS_DETACHED_BY_USER, "", now);
        return;
    }

    device->holding = job->holding;
    device->held_by =
        job->holding == HOLDING_NOTHING ? (QubeName){} : job->target;
    if (!managed->by_person)
        device->close = (QubeName){};
    if (job->made && managed->rule->options.close)
        device->close = job->target;
    if (job->holding == HOLDING_DEVICE) {
        device->attached_to = job->target;
        device->removed = false;
    } else if (qube_name_equal(&device->attached_to, &job->target)) {
        device->attached_to = (QubeName){};
    }
}

/* A job has come to its end. What follows on it? */
static void managed_end(Manager *m, ManagedJob *managed, Instant now)
{
    Device *device = managed->device;
    bool look = managed->detached_meanwhile;

    assert(device->job == managed);
    device_learn(m, device, managed, now);
    waiters_answer(m, &managed->remove_waiters,
                   device->holding == HOLDING_NOTHING ? STATUS_DETACHED
                                                      : STATUS_NOT_ATTACHED);
    device->job = NULL;
    managed_bury(m, managed);

    if (device->queued) {
        device->job = TAKE_PTR(device->queued);
        managed_apply(m, device->job,
                      job_go(&device->job->job, now.monotonic_usec), now);
    } else if (look && device->plugged && device->holding == HOLDING_DEVICE) {
        device_begin(m, JOB_KIND_LOOK, device, now);
    } else {
        device_release(device);
    }
}

static JobWish managed_start_target(Manager *m,
                                    ManagedJob *managed,
                                    Instant now)
{
    Job *job = &managed->job;
    const char *detail;
    Status status = target_starts_want(m->starts, &job->target, !job->made,
                                       now.monotonic_usec, &detail);

    return status == STATUS_INVALID
               ? JOB_WISH_NOTHING
               : job_on_started(job, status, detail, now.monotonic_usec);
}

static JobWish managed_give_turn(Manager *m, ManagedJob *managed, Instant now)
{
    uint64_t when_usec = 0;
    bool granted =
        m->unlimited || source_take_attach(managed->source, managed->device,
                                           now.monotonic_usec, &when_usec);

    return job_on_turn(&managed->job, granted, when_usec, now.monotonic_usec);
}

/* Nothing more is begun while attaching is paused. */
static bool is_held_up(const Manager *m,
                       const ManagedJob *managed,
                       JobWish wish)
{
    return m->paused_until_usec != 0 && managed->kind == JOB_KIND_ATTACH &&
           (wish == JOB_WISH_PROMPT || wish == JOB_WISH_START ||
            wish == JOB_WISH_TURN);
}

/* Do what a job wants done. It may be dead afterwards, but it is still there
 * until manager_sweep(). */
void managed_apply(Manager *m, ManagedJob *managed, JobWish wish, Instant now)
{
    for (;;) {
        if (is_held_up(m, managed, wish))
            wish = job_on_withdrawn(&managed->job, true, STATUS_PAUSED, "");
        if (managed->job.outcome != STATUS_INVALID && !managed->told)
            managed_tell(m, managed, now);

        switch (wish) {
        case JOB_WISH_NOTHING:
            return;
        case JOB_WISH_CALL:
            /* a call that has not answered yet was given up */
            managed->ignores_call = managed->call != 0;
            managed->wants_call = true;
            return;
        case JOB_WISH_QUESTION:
            managed->wants_question = true;
            return;
        case JOB_WISH_PROMPT:
            if (managed->device->refused_by_user)
                wish = job_on_refused(&managed->job, STATUS_DENIED_BY_USER, "",
                                      now.monotonic_usec);
            else if (source_is_quiet(managed->source, now.monotonic_usec))
                wish = job_on_refused(&managed->job, STATUS_QUIET, "",
                                      now.monotonic_usec);
            else
                return; /* desk_step() sees to it */
            break;
        case JOB_WISH_START:
            wish = managed_start_target(m, managed, now);
            break;
        case JOB_WISH_TURN:
            wish = managed_give_turn(m, managed, now);
            break;
        case JOB_WISH_DONE:
            managed_end(m, managed, now);
            return;
        }
    }
}

void managed_withdraw(Manager *m,
                      ManagedJob *managed,
                      Status status,
                      const char *detail,
                      Instant now)
{
    /* what waits in our own queue was not sent, and need not be undone */
    bool sent = !managed->wants_call;

    managed_apply(m, managed,
                  job_on_withdrawn(&managed->job, sent, status, detail), now);
}

/* The device of a job is gone or another one, or no rule wants it any more. */
void managed_supersede(Manager *m,
                       ManagedJob *managed,
                       const char *detail,
                       Instant now)
{
    managed_withdraw(m, managed, STATUS_SUPERSEDED, detail, now);
}
