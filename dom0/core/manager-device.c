/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "common/text.h"
#include "dom0/core/manager-internal.h"

/* details of what there is no room for */
#define JOBS_FULL "too many jobs of this qube are in work: it is decided later"
#define NO_MEMORY "the daemon has no memory: it is decided later"

bool device_is_waiting(const Device *device)
{
    return device->waits_for.s[0] != '\0' || device->waits_for_any ||
           device->waits_for_qubesd || device->waits_for_disk ||
           device->waits_for_list;
}

void device_stop_waiting(Device *device)
{
    device->waits_for = (QubeName){};
    device->waits_for_any = false;
    device->waits_for_qubesd = false;
    device->waits_for_disk = false;
    device->waits_for_list = false;
    device->waits_for_part = false;
    device->waits_for_pause = false;
    device->waits_for_policy = false;
    device->waits_for_room = false;
}

void device_release(Device *device)
{
    if (!device->plugged && !device->job && !device->queued &&
        device->holding == HOLDING_NOTHING)
        source_forget(device->source, device);
}

void device_unplug(Manager *m, Device *device, const char *detail, Instant now)
{
    Announced *announced;
    /* qubesd's event told of a detach while the device was still plugged in: so
     * the person detached it. A look, or the job that had attached it, was
     * about to find that out. */
    bool taken =
        device->detach_told ||
        (device->job && (device->job->kind == JOB_KIND_LOOK
                             ? !device->job->job.look_further
                             : (device->job->job.taken && !device->job->told) ||
                                   managed_was_taken(device->job)));

    if (taken)
        device_mark_detached(device);
    device->detach_told = false; /* not of the next plug */
    if (device->plugged) {
        device_remember(device, now.monotonic_usec);
        /* what qubesd has announced may be this plug, and out of date; that it
         * was listed since an earlier detach holds */
        announced = source_find_announced(device->source, device->record.class,
                                          &device->record.device);
        if (announced)
            announced->has_identity = false;
    }
    if (device->attached_to.s[0] != '\0' &&
        device->holding == HOLDING_NOTHING) {
        source_expect_detach(device->source, device->record.class,
                             &device->record.device, &device->attached_to,
                             false, now.monotonic_usec);
        device->attached_to = (QubeName){}; /* the next plug is not attached */
    }

    device->plugged = false;
    census_forget(m, device);
    device->told_by = 0;
    device_stop_waiting(device);
    device->detached_by_user = false;
    device->refused_by_user = false;
    device->wanted = false;
    device->stopped = (QubeName){};
    device->met_at = (QubeName){};
    device->suspect = false;
    device->missed_events = false;

    device_drop_queued(m, device, STATUS_SUPERSEDED, detail, now);
    if (device->job) {
        /* its job may end in this call, and would free a device that is not
         * plugged in */
        device->plugged = true;
        managed_supersede(m, device->job, detail, now);
        device->plugged = false;
    }
    if (!device->job &&
        (device->holding != HOLDING_NOTHING || device->close[0].s[0] != '\0'))
        device_begin_detach(m, device, now);
    else if (device->job && device->job->by_person)
        /* unplugged before the person's detach is done */
        device->job->job.task.close =
            device_closes(device, &device->job->job.target);
    if (taken)
        plug_withdraw(m, device, now);
}

void source_unplug(Manager *m, Source *source, const char *detail, Instant now)
{
    for (Device *device = source->devices, *next; device; device = next) {
        next = device->next;
        if (device->plugged)
            device_unplug(m, device, detail, now);
        device_release(device);
    }
    source_clear_memories(source);
    source_clear_announced(source);
}

void plug_withdraw(Manager *m, Device *device, Instant now)
{
    for (Device *part = device->source->devices; part; part = part->next) {
        if (part != device && !device_is_same_usb(part, device))
            continue;
        device_drop_queued(m, part, STATUS_DETACHED_BY_USER, "", now);
        if (part->job && part->job->kind == JOB_KIND_ATTACH &&
            !managed_is_attaching(part->job))
            managed_withdraw(m, part->job, STATUS_DETACHED_BY_USER, "", now);
    }
}

void device_on_user_detach(Manager *m,
                           Device *device,
                           const QubeName *target,
                           Instant now)
{
    device_mark_detached(device);
    /* that it was told anything else does not count any more */
    device->waits_for_part = false;
    device->waits_for_pause = false;
    device->waits_for_policy = false;
    device->waits_for_room = false;
    manager_record(m, device, "", target->s, STATUS_DETACHED_BY_USER, "", 0,
                   now);
    plug_withdraw(m, device, now);
}

void source_recall(Manager *m, Source *source, Instant now)
{
    bool found = true;

    /* once a USB device is found to be the same plug, its parts may be so,
     * too */
    while (found) {
        found = false;
        for (Device *device = source->devices; device; device = device->next) {
            if (!device->plugged || !device_recall(device))
                continue;
            found = true;
            if (device_is_left_alone(device) || device_is_refused(device))
                (void) device_decide(m, device, NULL, now);
        }
    }
}

/* Whether the device's job is about to tell whether the device is attached. */
static bool device_will_tell(const Device *device)
{
    const ManagedJob *managed = device->job;

    return managed &&
           (managed->kind == JOB_KIND_LOOK ||
            ((managed->detached_meanwhile || managed_was_taken(managed)) &&
             managed->overdue_call == 0 && managed_is_attaching(managed)));
}

bool device_is_looked_at(const Device *device)
{
    for (const Device *other = device->source->devices; other;
         other = other->next)
        if (device_will_tell(other) && (device_is_same_usb(device, other) ||
                                        device_excludes(device, other)))
            return true;
    return false;
}

bool device_is_confirmed(const Device *device)
{
    return !device_is_attached(device) ||
           (device->told &&
            !(device->job && device->job->kind == JOB_KIND_LOOK));
}

bool plug_before_is_busy(const Device *device)
{
    const ManagedJob *managed = device->job;

    return managed && managed->lineage != device->lineage &&
           (managed->kind == JOB_KIND_DETACH ||
            (managed->kind == JOB_KIND_ATTACH && managed->told));
}

bool device_is_attached_now(const Device *device)
{
    return device_is_attached(device) && !plug_before_is_busy(device);
}

bool device_is_in_the_way(const Device *device)
{
    const ManagedJob *managed = device->job;

    return device->queued || device_is_attached_now(device) ||
           (managed && managed->kind != JOB_KIND_LOOK &&
            !plug_before_is_busy(device));
}

const ManagedJob *device_follows(const Device *device)
{
    for (const Device *other = device->source->devices; other;
         other = other->next)
        if (device_excludes(device, other) && plug_before_is_busy(other))
            return other->job;
    return NULL;
}

/* Whether a device that excludes this one is attached or in work. */
static bool device_is_excluded(const Device *device)
{
    for (const Device *other = device->source->devices; other;
         other = other->next)
        if (device_is_in_the_way(other) && other->plugged &&
            device_is_confirmed(other) && device_excludes(device, other))
            return true;
    return false;
}

bool rule_is_current(const Manager *m, const Device *device, const Rule *rule)
{
    const Rule *now =
        ruleset_match(m->ruleset, &device->source->name, &device->record);

    return now && rule_equal(now, rule);
}

/* Settle the device with an outcome that needs no job; a job that wants it
 * attached ends. */
static Status device_settle(Manager *m,
                            Device *device,
                            const Rule *rule,
                            Status status,
                            const char *detail,
                            Instant now)
{
    device_stop_waiting(device);
    device_drop_queued(m, device, STATUS_SUPERSEDED, DECIDED_ANEW, now);
    if (device->job && device->job->kind == JOB_KIND_ATTACH)
        managed_supersede(m, device->job, DECIDED_ANEW, now);

    device->waits_for_pause = status == STATUS_PAUSED;
    manager_record(m, device, rule ? rule->name.s : "", "", status, detail, 0,
                   now);
    return status;
}

/* There is no job for the device, but there will be: see manager_give_room().
 */
static Status device_put_off(Manager *m,
                             Device *device,
                             const Rule *rule,
                             Status status,
                             const char *detail,
                             Instant now)
{
    (void) device_settle(m, device, rule, status, detail, now);
    device->waits_for_room = true;
    m->lacks_room = true;
    return status;
}

static Status device_lack_memory(Manager *m,
                                 Device *device,
                                 const Rule *rule,
                                 Instant now)
{
    m->room_usec = now.monotonic_usec + MANAGER_ROOM_USEC;
    return device_put_off(m, device, rule, STATUS_INTERNAL, NO_MEMORY, now);
}

/* Whether the job (NULL: there is none) already does what @rule wants; if so,
 * @waiter waits for its outcome, too. */
static bool managed_joins(ManagedJob *managed, const Rule *rule, Waiter *waiter)
{
    if (!managed || managed->kind != JOB_KIND_ATTACH || managed->told ||
        !rule_equal(managed->rule, rule))
        return false;

    if (waiter)
        waiters_push(&managed->attach_waiters, waiter);
    return true;
}

JobTask task_by_rule(const Manager *m, const Device *device, const Rule *rule)
{
    JobTask task = task_of(m, device);

    task.targets = rule->targets;
    task.n_targets = rule->n_targets;
    task.ask = rule->action == RULE_ASK;
    task.start = rule->options.start;
    task_set_holder(&task, device);
    /* the target that had the device was stopped: do not start one for it
     * again */
    if (device->stopped.s[0] && task.start == RULE_START_TARGET)
        task.start = RULE_WHEN_RUNNING;
    task.qubes_only = device->stopped.s[0] != '\0';
    if (device->record.class == DEVICE_CLASS_BLOCK) {
        task.options.read_only = rule->options.read_only;
        task.options.cdrom = rule->options.cdrom;
        (void) text_format(task.options.frontend, sizeof(task.options.frontend),
                           "%s", rule->options.frontend);
    }
    return task;
}

/* Another part of the device is in the way. */
static Status device_exclude(Manager *m,
                             Device *device,
                             const Rule *rule,
                             Instant now)
{
    (void) device_settle(m, device, rule, STATUS_ATTACHED_ELSEWHERE,
                         PART_IN_THE_WAY, now);
    device->waits_for_part = true;
    return STATUS_ATTACHED_ELSEWHERE;
}

static Status device_attach(Manager *m,
                            Device *device,
                            const Rule *rule,
                            Waiter *waiter,
                            Instant now)
{
    JobTask task = task_by_rule(m, device, rule);
    const Announced *announced;
    ManagedJob *managed;

    if (managed_joins(device->queued, rule, waiter) ||
        (!device->queued && managed_joins(device->job, rule, waiter)))
        return STATUS_INVALID;
    device_drop_queued(m, device, STATUS_SUPERSEDED, DECIDED_ANEW, now);
    if (device->job && device->job->kind == JOB_KIND_ATTACH)
        managed_supersede(m, device->job, DECIDED_ANEW, now);
    if (device_is_excluded(device))
        return device_exclude(m, device, rule, now);
    if (device->source->n_jobs >= SOURCE_JOBS_MAX)
        return device_put_off(m, device, rule, STATUS_TOO_MANY, JOBS_FULL, now);
    if (managed_new(m, &managed, JOB_KIND_ATTACH, device, rule, now) < 0)
        return device_lack_memory(m, device, rule, now);

    announced = source_find_announced(device->source, device->record.class,
                                      &device->record.device);
    /* qubesd's event told the identity, and nothing has happened to the device
     * since: so it need not be asked for */
    if (announced && announced->has_identity && !device->job &&
        !device_is_attached(device)) {
        task.announced = true;
        task.identity = announced->identity;
    }
    if (waiter)
        waiters_push(&managed->attach_waiters, waiter);
    if (device->job) {
        job_queue(&managed->job, &task, now.monotonic_usec);
        device->queued = managed;
    } else {
        device->job = managed;
        managed_apply(m, managed,
                      job_begin(&managed->job, &task, now.monotonic_usec), now);
    }
    return STATUS_INVALID;
}

void device_attach_approved(Manager *m,
                            Device *device,
                            const Rule *rule,
                            const Window *window,
                            size_t choice,
                            Instant now)
{
    JobTask task = task_by_rule(m, device, rule);
    ManagedJob *managed;

    task.known_as = window->identity;
    if (m->paused_until_usec != 0) {
        (void) device_settle(m, device, rule, STATUS_PAUSED, "", now);
        return;
    }
    if (device_is_excluded(device)) {
        (void) device_exclude(m, device, rule, now);
        return;
    }
    /* one that has another job has its yes when it comes to its prompt */
    if (device->job) {
        if (device_attach(m, device, rule, NULL, now) == STATUS_INVALID)
            managed_note_yes(device->queued ? device->queued : device->job,
                             window, choice);
        return;
    }
    if (managed_new(m, &managed, JOB_KIND_ATTACH, device, rule, now) < 0) {
        (void) device_lack_memory(m, device, rule, now);
        return;
    }

    device->job = managed;
    managed_apply(m, managed,
                  job_begin_approved(&managed->job, &task, choice,
                                     &window->default_dispvm,
                                     now.monotonic_usec),
                  now);
}

Status device_decide(Manager *m, Device *device, Waiter *waiter, Instant now)
{
    const Rule *rule =
        ruleset_match(m->ruleset, &device->source->name, &device->record);

    rule_hits_add(&m->hits, rule);
    if (!rule)
        return device_settle(m, device, NULL, STATUS_NO_RULE, "", now);
    if (rule->action == RULE_DENY)
        return device_settle(m, device, rule, STATUS_DENIED_BY_RULE, "", now);
    if (m->paused_until_usec != 0 && managed_joins(device->job, rule, waiter))
        return STATUS_INVALID; /* a job that is already attaching goes on */
    if (m->paused_until_usec != 0)
        return device_settle(m, device, rule, STATUS_PAUSED, "", now);
    if (device_is_left_alone(device))
        return device_settle(m, device, rule, STATUS_DETACHED_BY_USER, "", now);
    if (device_is_refused(device))
        return device_settle(m, device, rule, STATUS_DENIED_BY_USER, "", now);
    if (m->qubesd == QUBESD_UNSUPPORTED) {
        device_settle(m, device, rule, STATUS_UNAVAILABLE, QUBESD_TOO_OLD, now);
        device->waits_for_qubesd = true;
        return STATUS_UNAVAILABLE;
    }

    return device_attach(m, device, rule, waiter, now);
}

void device_decide_again(Manager *m, Device *device, Instant now)
{
    /* one that an earlier run knew waits for its record: it may be another plug
     * by now */
    if (!device->plugged || !device->told || device->job)
        return;
    device_stop_waiting(device);
    (void) device_decide(m, device, NULL, now);
}

/* Of those that wait for room the one that came first; NULL if there is none.
 * @ret_any: whether any waits, also with another job in work. */
static Device *source_next_without_room(const Source *source, bool *ret_any)
{
    Device *next = NULL;

    for (Device *device = source->devices; device; device = device->next) {
        *ret_any |= device->waits_for_room;
        if (device->waits_for_room && device->told && !device->job &&
            (!next || device->plug < next->plug))
            next = device;
    }
    return next;
}

bool manager_give_room(Manager *m, Instant now)
{
    bool any = false, given = false;

    if (!m->lacks_room || now.monotonic_usec < m->room_usec)
        return false;

    m->room_usec = 0;
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];
        Device *device;

        while (source && m->room_usec == 0 &&
               (device = source_next_without_room(source, &any)) &&
               source->n_jobs < SOURCE_JOBS_MAX) {
            device_decide_again(m, device, now);
            given = true;
        }
    }
    m->lacks_room = any;
    return given;
}

uint64_t room_next_usec(const Manager *m)
{
    return m->lacks_room && m->room_usec > 0 ? m->room_usec : UINT64_MAX;
}
