/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/manager.h"
#include "dom0/core/source.h"
#include "dom0/core/target-start.h"

#define DECIDED_ANEW "decided anew"

/* A record whose outcome is not known yet. */
typedef struct Waiter {
    struct Waiter *next;
    uint64_t connection;
    int64_t seq;
    Source *source;
    Status status; /* once it is an answer */
} Waiter;

typedef struct WaiterList {
    Waiter *first;
    Waiter **end;
} WaiterList;

typedef enum JobKind {
    JOB_KIND_ATTACH,
    JOB_KIND_DETACH,
    JOB_KIND_LOOK,
} JobKind;

struct ManagedJob {
    ManagedJob *next; /* all jobs, oldest first */
    JobKind kind;
    Job job;
    Device *device; /* NULL once it is only kept for a call under way */
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

static void job_apply(Manager *m, ManagedJob *managed, JobWish wish, Instant now);

static void waiters_init(WaiterList *list)
{
    *list = (WaiterList){ .end = &list->first };
}

static void waiters_push(WaiterList *list, Waiter *waiter)
{
    waiter->next = NULL;
    *list->end = waiter;
    list->end = &waiter->next;
}

static Waiter *waiters_pop(WaiterList *list)
{
    Waiter *waiter = list->first;

    if (!waiter)
        return NULL;
    list->first = waiter->next;
    if (!list->first)
        list->end = &list->first;
    return waiter;
}

static void waiter_free(Waiter *waiter)
{
    waiter->source->n_jobs--;
    free(waiter);
}

/* Forget the waiters of a connection that is gone. */
static void waiters_drop(WaiterList *list, uint64_t connection)
{
    WaiterList kept;
    Waiter *waiter;

    waiters_init(&kept);
    while ((waiter = waiters_pop(list))) {
        if (waiter->connection == connection)
            waiter_free(waiter);
        else
            waiters_push(&kept, waiter);
    }
    waiters_init(list);
    while ((waiter = waiters_pop(&kept)))
        waiters_push(list, waiter);
}

static void waiters_clear(WaiterList *list)
{
    Waiter *waiter;

    while ((waiter = waiters_pop(list)))
        waiter_free(waiter);
}

static void waiters_answer(Manager *m, WaiterList *list, Status status)
{
    Waiter *waiter;

    while ((waiter = waiters_pop(list))) {
        waiter->status = status;
        waiters_push(&m->answers, waiter);
    }
}

int manager_new(Manager **ret, bool unlimited)
{
    _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(*m));
    int r;

    if (!m)
        return -ENOMEM;

    m->unlimited = unlimited;
    m->jobs_end = &m->jobs;
    waiters_init(&m->answers);
    r = history_new(&m->history, HISTORY_CAPACITY);
    if (r < 0)
        return r;
    r = target_starts_new(&m->starts, unlimited);
    if (r < 0)
        return r;
    r = ruleset_new(&m->ruleset);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(m);
    return 0;
}

static void managed_job_free(ManagedJob *managed)
{
    waiters_clear(&managed->attach_waiters);
    waiters_clear(&managed->remove_waiters);
    ruleset_unref(managed->ruleset);
    free(managed);
}

Manager *manager_free(Manager *m)
{
    if (!m)
        return NULL;

    waiters_clear(&m->answers);
    while (m->jobs) {
        ManagedJob *managed = m->jobs;

        m->jobs = managed->next;
        if (managed->device) {
            managed->device->job = NULL;
            managed->device->queued = NULL;
        }
        managed_job_free(managed);
    }
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        source_free(m->sources[i]);
    target_starts_free(m->starts);
    ruleset_unref(m->ruleset);
    history_free(m->history);
    free(m);
    return NULL;
}

void manager_set_rules(Manager *m, Ruleset *ruleset)
{
    ruleset_ref(ruleset);
    ruleset_unref(m->ruleset);
    m->ruleset = ruleset;
}

/* Free the jobs that are done and the sources that nothing is known of. Only
 * here: whoever walks the jobs need not fear that one goes away under it. */
static void manager_sweep(Manager *m)
{
    ManagedJob **link = &m->jobs;

    while (m->n_dead > 0 && *link) {
        ManagedJob *managed = *link;

        if (managed->dead && managed->call == 0) {
            *link = managed->next;
            if (m->jobs_end == &managed->next)
                m->jobs_end = link;
            managed_job_free(managed);
            m->n_dead--;
        } else {
            link = &managed->next;
        }
    }

    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        if (m->sources[i] && source_is_idle(m->sources[i]))
            m->sources[i] = source_free(m->sources[i]);
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

static void record_outcome(Manager *m,
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
static void job_tell(Manager *m, ManagedJob *managed, Instant now)
{
    Job *job = &managed->job;
    Device *device = managed->device;

    managed->told = true;
    if (managed->kind == JOB_KIND_LOOK)
        return; /* job_end() sees to it */
    record_outcome(m, device, managed->rule, job->target.s, job->outcome,
                   job->detail, now.monotonic_usec - managed->begun_usec, now);
    waiters_answer(m, &managed->attach_waiters, job->outcome);

    if (managed->kind != JOB_KIND_ATTACH)
        return;
    device->waits_for = (QubeName){};
    device->waits_for_any = job->outcome == STATUS_WAITING_FOR_TARGET;
    device->waits_for_qubesd = job->outcome == STATUS_UNAVAILABLE;
}

/* It is decided otherwise now. */
static void device_stop_waiting(Device *device)
{
    device->waits_for = (QubeName){};
    device->waits_for_any = false;
    device->waits_for_qubesd = false;
}

/* Forget a device of which nothing is left. */
static void device_release(Device *device)
{
    if (!device->plugged && !device->job && !device->queued)
        source_forget(device->source, device);
}

static int job_new(Manager *m,
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

/* It is done; manager_sweep() frees it once no call of its is under way. */
static void job_bury(Manager *m, ManagedJob *managed)
{
    managed->device = NULL;
    managed->dead = true;
    managed->wants_call = false;
    m->n_dead++;
}

static JobTask task_of(const Device *device)
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
static void device_begin(Manager *m, JobKind kind, Device *device, Instant now)
{
    JobTask task = task_of(device);
    ManagedJob *managed;
    JobWish wish;

    /* without memory the device is left as if the call had failed */
    if (job_new(m, &managed, kind, device, NULL, now) < 0)
        return;

    device->job = managed;
    if (kind == JOB_KIND_DETACH)
        wish = job_begin_detach(&managed->job, &task, &device->held_by,
                                now.monotonic_usec);
    else
        wish = job_begin_look(&managed->job, &task, &device->held_by,
                              now.monotonic_usec);
    job_apply(m, managed, wish, now);
}

/* The job that waits for another one of the device is not wanted any more. */
static void device_drop_queued(Manager *m,
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
    job_tell(m, queued, now);
    job_bury(m, queued);
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
        if (!job->attach_sent)
            return;
        break;
    case JOB_KIND_DETACH:
        break;
    case JOB_KIND_LOOK:
        if (job->outcome != STATUS_DETACHED_BY_USER)
            return;
        device->detached_by_user = true;
        device->holding = HOLDING_NOTHING;
        device->attached_to = (QubeName){};
        record_outcome(m, device, NULL, job->target.s, job->outcome, "", 0,
                       now);
        device_drop_queued(m, device, job->outcome, "", now);
        return;
    }

    device->holding = job->holding;
    device->held_by = job->target;
    if (job->holding == HOLDING_DEVICE)
        device->attached_to = job->target;
    else if (qube_name_equal(&device->attached_to, &job->target))
        device->attached_to = (QubeName){};
}

/* A job has come to its end. What follows on it? */
static void job_end(Manager *m, ManagedJob *managed, Instant now)
{
    Device *device = managed->device;

    device_learn(m, device, managed, now);
    waiters_answer(m, &managed->remove_waiters,
                   device->holding == HOLDING_NOTHING ? STATUS_DETACHED
                                                      : STATUS_NOT_ATTACHED);
    device->job = NULL;
    job_bury(m, managed);

    if (device->queued) {
        device->job = TAKE_PTR(device->queued);
        job_apply(m, device->job,
                  job_go(&device->job->job, now.monotonic_usec), now);
    } else {
        device_release(device);
    }
}

static JobWish job_start_target(Manager *m, ManagedJob *managed, Instant now)
{
    Job *job = &managed->job;
    const char *detail;
    Status status = target_starts_want(m->starts, &job->target,
                                       now.monotonic_usec, &detail);

    return status == STATUS_INVALID
               ? JOB_WISH_NOTHING
               : job_on_started(job, status, detail, now.monotonic_usec);
}

static JobWish job_give_turn(Manager *m, ManagedJob *managed, Instant now)
{
    uint64_t when_usec = 0;
    bool granted =
        m->unlimited || source_take_attach(managed->source, managed->device,
                                           now.monotonic_usec, &when_usec);

    return job_on_turn(&managed->job, granted, when_usec, now.monotonic_usec);
}

/* Do what a job wants done. It may be dead afterwards, but it is still there
 * until manager_sweep(). */
static void job_apply(Manager *m, ManagedJob *managed, JobWish wish, Instant now)
{
    for (;;) {
        if (managed->job.outcome != STATUS_INVALID && !managed->told)
            job_tell(m, managed, now);

        switch (wish) {
        case JOB_WISH_NOTHING:
            return;
        case JOB_WISH_CALL:
            managed->wants_call = true;
            return;
        case JOB_WISH_START:
            wish = job_start_target(m, managed, now);
            break;
        case JOB_WISH_TURN:
            wish = job_give_turn(m, managed, now);
            break;
        case JOB_WISH_DONE:
            job_end(m, managed, now);
            return;
        }
    }
}

/* The device of a job is gone or another one, or no rule wants it any more. */
static void job_supersede(Manager *m,
                          ManagedJob *managed,
                          const char *detail,
                          Instant now)
{
    static const AdminAnswer not_sent = { .result = ADMIN_UNREACHABLE };
    Job *job = &managed->job;

    if (managed->wants_call && job->state == JOB_ATTACHING) {
        /* it waits in our own queue: nothing was sent, nothing to undo */
        managed->wants_call = false;
        job->touched = true;
        job_apply(m, managed,
                  job_on_answer(job, &not_sent, now.monotonic_usec), now);
    }
    managed->wants_call = false;
    job_apply(m, managed, job_on_gone(job, detail, now.monotonic_usec), now);
}

/* The device has been unplugged, or is no longer what it was. */
static void device_unplug(Manager *m,
                          Device *device,
                          const char *detail,
                          Instant now)
{
    device->plugged = false;
    device_stop_waiting(device);
    device->detached_by_user = false;

    device_drop_queued(m, device, STATUS_SUPERSEDED, detail, now);
    if (device->job) {
        /* hold the device: its job may end here and now */
        device->plugged = true;
        job_supersede(m, device->job, detail, now);
        device->plugged = false;
    }
    if (!device->job && device->holding != HOLDING_NOTHING)
        device_begin(m, JOB_KIND_DETACH, device, now);
}

/* Whether another part of the same plug is attached or in work. */
static bool device_is_excluded(const Device *device)
{
    for (const Device *other = device->source->devices; other;
         other = other->next) {
        const ManagedJob *managed = other->job;
        bool in_work = managed && managed->kind == JOB_KIND_ATTACH &&
                       !managed->told;
        bool busy = in_work || other->holding != HOLDING_NOTHING ||
                    other->attached_to.s[0] != '\0';

        if (busy && other->plugged && device_excludes(device, other))
            return true;
    }
    return false;
}

static Status device_settle(Manager *m,
                            Device *device,
                            const Rule *rule,
                            Status status,
                            const char *detail,
                            Instant now)
{
    device_stop_waiting(device);
    /* what was in work is not wanted any more */
    device_drop_queued(m, device, STATUS_SUPERSEDED, DECIDED_ANEW, now);
    if (device->job && device->job->kind == JOB_KIND_ATTACH)
        job_supersede(m, device->job, DECIDED_ANEW, now);

    record_outcome(m, device, rule, "", status, detail, 0, now);
    return status;
}

/* Whether a job that is in work, or queued, does what @rule wants; then the
 * record joins it. */
static bool job_joins(ManagedJob *managed, const Rule *rule, Waiter *waiter)
{
    if (!managed || managed->kind != JOB_KIND_ATTACH || managed->told ||
        !rule_equal(managed->rule, rule))
        return false;

    if (waiter)
        waiters_push(&managed->attach_waiters, waiter);
    return true;
}

static Status device_attach(Manager *m,
                            Device *device,
                            const Rule *rule,
                            Waiter *waiter,
                            Instant now)
{
    JobTask task = task_of(device);
    ManagedJob *managed;

    if (job_joins(device->queued, rule, waiter) ||
        (!device->queued && job_joins(device->job, rule, waiter)))
        return STATUS_INVALID;
    device_drop_queued(m, device, STATUS_SUPERSEDED, DECIDED_ANEW, now);
    if (device->job && device->job->kind == JOB_KIND_ATTACH)
        job_supersede(m, device->job, DECIDED_ANEW, now);
    if (device_is_excluded(device))
        return device_settle(m, device, rule, STATUS_ATTACHED_ELSEWHERE,
                             "another part of the same device is attached or "
                             "in work",
                             now);
    if (job_new(m, &managed, JOB_KIND_ATTACH, device, rule, now) < 0)
        return STATUS_INTERNAL;

    task.targets = rule->targets;
    task.n_targets = rule->n_targets;
    task.start = rule->options.start;
    if (device->record.class == DEVICE_CLASS_BLOCK) {
        task.options.read_only = rule->options.read_only;
        task.options.cdrom = rule->options.cdrom;
        (void) text_format(task.options.frontend,
                           sizeof(task.options.frontend), "%s",
                           rule->options.frontend);
    }
    if (waiter)
        waiters_push(&managed->attach_waiters, waiter);

    if (device->job) {
        job_queue(&managed->job, &task, now.monotonic_usec);
        device->queued = managed;
    } else {
        device->job = managed;
        job_apply(m, managed,
                  job_begin(&managed->job, &task, now.monotonic_usec), now);
    }
    return STATUS_INVALID;
}

/*
 * Decide a device that is plugged in, by the rules in force. @waiter (NULL: it
 * is a later outcome) is taken only when the answer is STATUS_INVALID.
 */
static Status device_decide(Manager *m,
                            Device *device,
                            Waiter *waiter,
                            Instant now)
{
    const Rule *rule =
        ruleset_match(m->ruleset, &device->source->name, &device->record);

    if (!rule)
        return device_settle(m, device, NULL, STATUS_NO_RULE, "", now);
    if (rule->action == RULE_DENY)
        return device_settle(m, device, rule, STATUS_DENIED_BY_RULE, "", now);
    if (device->detached_by_user)
        return device_settle(m, device, rule, STATUS_DETACHED_BY_USER, "", now);
    if (rule->action == RULE_ASK)
        return device_settle(m, device, rule, STATUS_UNAVAILABLE,
                             "asking is not supported yet", now);
    if (device->record.class != DEVICE_CLASS_BLOCK)
        return device_settle(m, device, rule, STATUS_UNAVAILABLE,
                             "devices of this class are not supported yet",
                             now);
    if (m->qubesd == QUBESD_UNSUPPORTED) {
        device_settle(m, device, rule, STATUS_UNAVAILABLE,
                      "qubesd is of a release before R4.3", now);
        device->waits_for_qubesd = true;
        return STATUS_UNAVAILABLE;
    }

    return device_attach(m, device, rule, waiter, now);
}

static Source *find_source(const Manager *m, const QubeName *name)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        if (m->sources[i] && qube_name_equal(&m->sources[i]->name, name))
            return m->sources[i];
    return NULL;
}

static Source *source_of(const Manager *m,
                         uint64_t connection,
                         SourceConnection **ret)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        SourceConnection *found =
            m->sources[i] ? source_find_connection(m->sources[i], connection)
                          : NULL;

        if (found) {
            if (ret)
                *ret = found;
            return m->sources[i];
        }
    }
    assert(false);
    return NULL;
}

static int add_source(Manager *m, Source **ret, const QubeName *name)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        int r;

        if (m->sources[i])
            continue;
        r = source_new(&m->sources[i], name);
        if (r < 0)
            return r;
        *ret = m->sources[i];
        return 0;
    }
    return -ENOBUFS;
}

Status manager_connect(Manager *m, const QubeName *name, uint64_t *ret_id)
{
    Source *source = find_source(m, name);
    SourceConnection *connection;
    int r = source ? 0 : add_source(m, &source, name);

    if (r < 0)
        return r == -ENOBUFS ? STATUS_TOO_MANY : STATUS_INTERNAL;
    connection = source_find_connection(source, 0);
    if (!connection)
        return STATUS_TOO_MANY;

    *connection = (SourceConnection){ .id = ++m->last_connection };
    *ret_id = connection->id;
    return STATUS_INVALID;
}

void manager_disconnect(Manager *m, uint64_t id)
{
    SourceConnection *connection;

    (void) source_of(m, id, &connection);
    *connection = (SourceConnection){};
    waiters_drop(&m->answers, id);
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        waiters_drop(&managed->attach_waiters, id);
        waiters_drop(&managed->remove_waiters, id);
    }
    manager_sweep(m);
}

bool manager_take_line(Manager *m,
                       uint64_t connection,
                       Instant now,
                       uint64_t *ret_when_usec)
{
    static const RateLimit limit = { .interval_usec = SOURCE_LINES_USEC,
                                     .burst = SOURCE_LINES_BURST };
    Source *source = source_of(m, connection, NULL);

    if (m->unlimited || rate_take(&source->lines, &limit, now.monotonic_usec))
        return true;
    return rate_peek(&source->lines, &limit, now.monotonic_usec, ret_when_usec);
}

void manager_hello(Manager *m,
                   uint64_t connection,
                   const BootId *boot_id,
                   Instant now)
{
    Source *source = source_of(m, connection, NULL);

    if (source->boot_id.s[0] != '\0' &&
        !boot_id_equal(&source->boot_id, boot_id)) {
        for (Device *device = source->devices, *next; device; device = next) {
            next = device->next;
            if (device->plugged)
                device_unplug(m, device, "its qube was restarted", now);
            device_release(device);
        }
    }
    source->boot_id = *boot_id;
    manager_sweep(m);
}

/* A place among what waits for an outcome. */
static Waiter *waiter_new(Source *source, uint64_t connection, int64_t seq)
{
    Waiter *waiter;

    if (source->n_jobs >= SOURCE_JOBS_MAX)
        return NULL;
    waiter = malloc(sizeof(*waiter));
    if (!waiter)
        return NULL;

    *waiter = (Waiter){ .connection = connection, .seq = seq, .source = source };
    source->n_jobs++;
    return waiter;
}

static Status event_gone(Manager *m,
                         Source *source,
                         uint64_t connection,
                         int64_t seq,
                         const Record *record,
                         Instant now)
{
    Device *device = source_find(source, record->class, &record->device);
    Waiter *waiter;

    if (!device)
        return STATUS_DETACHED;

    waiter = waiter_new(source, connection, seq);
    if (!waiter)
        return STATUS_TOO_MANY;
    if (device->plugged)
        device_unplug(m, device, "unplugged", now);

    /* a Detach that is under way is what this record waits for */
    if (device->job) {
        waiters_push(&device->job->remove_waiters, waiter);
        return STATUS_INVALID;
    }
    waiter_free(waiter);
    device_release(device);
    return STATUS_DETACHED;
}

static Status event_here(Manager *m,
                         Source *source,
                         uint64_t connection,
                         int64_t seq,
                         const Record *record,
                         Instant now)
{
    Device *device = source_find(source, record->class, &record->device);
    Waiter *waiter = waiter_new(source, connection, seq);
    Status status;
    int r = 0;

    if (!waiter)
        return STATUS_TOO_MANY;
    if (!device)
        r = source_add(source, &device, record);
    if (r < 0) {
        waiter_free(waiter);
        return r == -ENOBUFS ? STATUS_TOO_MANY : STATUS_INTERNAL;
    }

    if (device->plugged && !record_same_plug(&device->record, record))
        device_unplug(m, device, "replaced by another device", now);
    device->record = *record;
    device->plugged = true;
    device->told_by = connection;

    status = device_decide(m, device, waiter, now);
    if (status != STATUS_INVALID)
        waiter_free(waiter);
    return status;
}

Status manager_event(Manager *m,
                     uint64_t connection,
                     int64_t seq,
                     const Record *record,
                     Instant now)
{
    Source *source = source_of(m, connection, NULL);
    Status status;

    if (record->action == RECORD_REMOVE)
        status = event_gone(m, source, connection, seq, record, now);
    else
        status = event_here(m, source, connection, seq, record, now);
    manager_sweep(m);
    return status;
}

void manager_synced(Manager *m, uint64_t id, Instant now)
{
    SourceConnection *connection;
    Source *source = source_of(m, id, &connection);

    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++) {
        SourceConnection *other = &source->connections[i];

        if (other != connection && other->id != 0 && other->synced &&
            m->n_closing < ARRAY_SIZE(m->closing)) {
            other->synced = false;
            m->closing[m->n_closing++] = other->id;
        }
    }
    connection->synced = true;

    for (Device *device = source->devices, *next; device; device = next) {
        next = device->next;
        if (device->plugged && device->told_by != id)
            device_unplug(m, device, "no longer plugged in", now);
        device_release(device);
    }
    manager_sweep(m);
}

/* The start of a target has ended: tell every job that waits for it. */
static void on_started(Manager *m,
                       const QubeName *target,
                       const AdminAnswer *answer,
                       Instant now)
{
    Status status = target_start_outcome(answer);

    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        Job *job = &managed->job;

        if (!managed->dead && job->state == JOB_STARTING &&
            qube_name_equal(&job->target, target))
            job_apply(m, managed,
                      job_on_started(job, status, answer->detail,
                                     now.monotonic_usec),
                      now);
    }
}

void manager_on_answer(Manager *m,
                       uint64_t call,
                       const AdminAnswer *answer,
                       Instant now)
{
    QubeName target;

    if (target_starts_on_answer(m->starts, call, &target)) {
        on_started(m, &target, answer, now);
        manager_sweep(m);
        return;
    }

    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        if (managed->call != call)
            continue;
        managed->call = 0;
        managed->source->n_calls--;
        if (!managed->dead)
            job_apply(m, managed,
                      job_on_answer(&managed->job, answer, now.monotonic_usec),
                      now);
        break;
    }
    manager_sweep(m);
}

/* Decide again what has no answer to wait for. */
static void decide_again(Manager *m, Device *device, Instant now)
{
    device_stop_waiting(device);
    if (device->plugged && !device->job)
        (void) device_decide(m, device, NULL, now);
}

static Device *find_device(const Manager *m,
                           const QubeName *source_name,
                           DeviceClass class,
                           const DeviceName *name)
{
    Source *source = find_source(m, source_name);

    return source ? source_find(source, class, name) : NULL;
}

static void on_device_added(Manager *m, const AdminEvent *event, Instant now)
{
    Device *device = find_device(m, &event->subject, event->class, &event->port);
    ManagedJob *managed = device ? device->job : NULL;

    if (!device)
        return;
    device->removed = false;
    if (managed)
        job_apply(m, managed,
                  job_on_appeared(&managed->job,
                                  event->has_identity ? &event->identity : NULL,
                                  now.monotonic_usec),
                  now);
}

static void on_attached(Manager *m, const AdminEvent *event)
{
    Device *device = find_device(m, &event->backend, event->class, &event->port);

    if (!device)
        return;
    device->attached_to = event->subject;
    if (device->holding == HOLDING_MAYBE &&
        qube_name_equal(&device->held_by, &event->subject))
        device->holding = HOLDING_DEVICE;
}

static void on_removed(Manager *m, const AdminEvent *event)
{
    Device *device = find_device(m, &event->subject, event->class, &event->port);

    if (!device)
        return;
    device->removed = true;
    for (Device *part = device->source->devices; part; part = part->next)
        if (device_is_ancestor(device, part))
            part->removed = true;
}

static void on_detached(Manager *m, const AdminEvent *event, Instant now)
{
    Device *device = find_device(m, &event->backend, event->class, &event->port);
    ManagedJob *managed = device ? device->job : NULL;

    if (!device || !qube_name_equal(&device->attached_to, &event->subject))
        return;

    device->attached_to = (QubeName){};
    if (device->holding == HOLDING_NOTHING || !device->plugged)
        return;
    if (device->removed) {
        device->holding = HOLDING_NOTHING;
        return;
    }
    /* a job that has not tried to attach yet must not undo what the person
     * may have done */
    if (managed && managed->kind == JOB_KIND_ATTACH &&
        !managed->job.attach_sent)
        job_supersede(m, managed, "it was detached meanwhile", now);
    if (!device->job)
        device_begin(m, JOB_KIND_LOOK, device, now);
}

/* Whether the device waits for this target to start. */
static bool waits_for(const Manager *m,
                      const Device *device,
                      const QubeName *target)
{
    const Rule *rule;

    if (qube_name_equal(&device->waits_for, target))
        return true;
    if (!device->waits_for_any)
        return false;

    rule = ruleset_match(m->ruleset, &device->source->name, &device->record);
    for (size_t i = 0; rule && i < rule->n_targets; i++)
        if (rule->targets[i].kind == TARGET_QUBE &&
            qube_name_equal(&rule->targets[i].name, target))
            return true;
    return false;
}

static void on_domain_started(Manager *m, const QubeName *name, Instant now)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];

        for (Device *device = source ? source->devices : NULL, *next; device;
             device = next) {
            next = device->next;
            if (waits_for(m, device, name))
                decide_again(m, device, now);
        }
    }
}

static void on_domain_stopped(Manager *m, const QubeName *name, Instant now)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];

        for (Device *device = source ? source->devices : NULL, *next; device;
             device = next) {
            bool is_source = qube_name_equal(&source->name, name);

            next = device->next;
            if (device->holding != HOLDING_NOTHING &&
                (is_source || qube_name_equal(&device->held_by, name))) {
                device->holding = HOLDING_NOTHING;
                device->waits_for = device->held_by;
            }
            if (is_source || qube_name_equal(&device->attached_to, name))
                device->attached_to = (QubeName){};
            if (is_source && device->plugged) {
                device_unplug(m, device, "its qube was shut down", now);
                device_release(device);
            }
        }
    }
}

void manager_on_admin_event(Manager *m, const AdminEvent *event, Instant now)
{
    switch (event->type) {
    case ADMIN_EVENT_DEVICE_ADDED:
        on_device_added(m, event, now);
        break;
    case ADMIN_EVENT_DEVICE_REMOVED:
        on_removed(m, event);
        break;
    case ADMIN_EVENT_ATTACH:
        on_attached(m, event);
        break;
    case ADMIN_EVENT_DETACH:
        on_detached(m, event, now);
        break;
    case ADMIN_EVENT_DOMAIN_START:
        on_domain_started(m, &event->subject, now);
        break;
    case ADMIN_EVENT_DOMAIN_SHUTDOWN:
        on_domain_stopped(m, &event->subject, now);
        break;
    case ADMIN_EVENT_OTHER:
    case ADMIN_EVENT_ESTABLISHED:
    case ADMIN_EVENT_LIST_CHANGE:
        break;
    }
    manager_sweep(m);
}

void manager_on_time(Manager *m, Instant now)
{
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (!managed->dead && job_next_usec(&managed->job) <= now.monotonic_usec)
            job_apply(m, managed,
                      job_on_time(&managed->job, now.monotonic_usec), now);
    manager_sweep(m);
}

void manager_set_qubesd(Manager *m, QubesdState state, Instant now)
{
    m->qubesd = state;
    if (state != QUBESD_CONNECTED)
        return;

    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (!managed->dead)
            job_apply(m, managed,
                      job_on_qubesd(&managed->job, now.monotonic_usec), now);
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];

        for (Device *device = source ? source->devices : NULL, *next; device;
             device = next) {
            next = device->next;
            if (device->waits_for_qubesd)
                decide_again(m, device, now);
        }
    }
    manager_sweep(m);
}

bool manager_next_call(Manager *m, uint64_t *ret_call, AdminRequest *ret_request)
{
    if (target_starts_next_call(m->starts, m->last_call + 1, ret_request)) {
        *ret_call = ++m->last_call;
        return true;
    }

    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        if (!managed->wants_call ||
            managed->source->n_calls >= SOURCE_CALLS_MAX)
            continue;
        managed->wants_call = false;
        managed->call = ++m->last_call;
        managed->source->n_calls++;
        *ret_call = managed->call;
        *ret_request = managed->job.request;
        return true;
    }
    return false;
}

bool manager_next_answer(Manager *m,
                         uint64_t *ret_connection,
                         int64_t *ret_seq,
                         Status *ret_status)
{
    Waiter *waiter = waiters_pop(&m->answers);

    if (!waiter)
        return false;

    *ret_connection = waiter->connection;
    *ret_seq = waiter->seq;
    *ret_status = waiter->status;
    waiter_free(waiter);
    return true;
}

bool manager_next_close(Manager *m, uint64_t *ret_connection)
{
    if (m->n_closing == 0)
        return false;

    *ret_connection = m->closing[--m->n_closing];
    return true;
}

uint64_t manager_next_usec(const Manager *m)
{
    uint64_t next_usec = UINT64_MAX;

    for (const ManagedJob *managed = m->jobs; managed;
         managed = managed->next) {
        uint64_t usec =
            managed->dead ? UINT64_MAX : job_next_usec(&managed->job);

        next_usec = usec < next_usec ? usec : next_usec;
    }
    return next_usec;
}

const History *manager_history(const Manager *m)
{
    return m->history;
}

static void report_jobs(const Manager *m, Report *report, Instant now)
{
    for (const ManagedJob *managed = m->jobs; managed;
         managed = managed->next) {
        ReportJob *job = &report->jobs[report->n_jobs_shown];

        if (managed->dead)
            continue;
        report->n_jobs++;
        if (report->n_jobs_shown == REPORT_JOBS_MAX)
            continue;

        *job = (ReportJob){
            .source = managed->source->name,
            .class = managed->job.task.class,
            .device = managed->job.task.device,
            .state = job_state_to_string(managed->job.state),
            .age_usec = now.monotonic_usec - managed->begun_usec,
        };
        if (managed->rule)
            job->rule = managed->rule->name;
        (void) text_format(job->target, sizeof(job->target), "%s",
                           managed->job.target.s);
        report->n_jobs_shown++;
    }
}

void manager_report(const Manager *m, Report *report, Instant now)
{
    size_t n_outcomes = history_count(m->history);
    size_t n_shown =
        n_outcomes < REPORT_OUTCOMES_MAX ? n_outcomes : REPORT_OUTCOMES_MAX;

    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        const Source *source = m->sources[i];

        if (!source)
            continue;
        report->sources[report->n_sources++] = (ReportSource){
            .name = source->name,
            .n_connections = source_count_connections(source),
            .has_picture = source_has_picture(source),
            .n_devices = source->n_devices,
            .n_jobs = source->n_jobs,
        };
    }
    report_jobs(m, report, now);

    for (size_t i = 0; i < n_shown; i++)
        report->outcomes[i] =
            history_get(m->history, n_outcomes - n_shown + i);
    report->n_outcomes = n_shown;
    report->n_outcomes_total = history_last_serial(m->history);
}
