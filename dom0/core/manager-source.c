/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>

#include "common/text.h"
#include "dom0/core/manager-internal.h"

/* details of what is refused */
#define NO_WAITER "too many records of this qube wait for their outcome"
#define NO_DEVICE "too many devices of this qube are known"
#define NO_MEMORY "the daemon has no memory"

Source *manager_find_source(const Manager *m, const QubeName *name)
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

int manager_add_source(Manager *m, Source **ret, const QubeName *name)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        int r;

        if (m->sources[i])
            continue;
        r = source_new(&m->sources[i], name);
        if (r < 0)
            return r;
        for (size_t j = 0; j < STRANGERS_MAX; j++) {
            Stranger *stranger = &m->strangers[j];
            const AdminEvent *event = &stranger->event;

            if (!qube_name_equal(&event->backend, name))
                continue;
            if (event->type == ADMIN_EVENT_ATTACH)
                source_note_early(m->sources[i], event);
            else
                source_on_port_detached(m->sources[i], &event->port,
                                        &event->subject, stranger->when_usec);
            *stranger = (Stranger){};
        }
        *ret = m->sources[i];
        return 0;
    }
    return -ENOBUFS;
}

void source_probe(const Manager *m, Source *source)
{
    source->wants_probe = m->qubesd == QUBESD_CONNECTED && !source->runs &&
                          source->n_devices > 0 &&
                          source_count_connections(source) == 0;
}

void probes_on_time(Manager *m, Instant now)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];

        if (!source || source->probe_usec == 0 ||
            now.monotonic_usec < source->probe_usec)
            continue;
        source->probe_usec = 0;
        source_probe(m, source);
    }
}

uint64_t probes_next_usec(const Manager *m)
{
    uint64_t next_usec = UINT64_MAX;

    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        uint64_t usec = m->sources[i] ? m->sources[i]->probe_usec : 0;

        if (usec != 0 && usec < next_usec)
            next_usec = usec;
    }
    return next_usec;
}

Status manager_connect(Manager *m,
                       const QubeName *name,
                       Instant now,
                       uint64_t *ret_id)
{
    SourceConnection *connection;
    Source *source;
    uint8_t bit;
    int r;

    manager_settle(m, now); /* an idle source makes room */
    source = manager_find_source(m, name);
    r = source ? 0 : manager_add_source(m, &source, name);

    if (r < 0)
        return r == -ENOBUFS ? STATUS_TOO_MANY : STATUS_INTERNAL;
    connection = source_find_connection(source, 0);
    if (!connection)
        return STATUS_TOO_MANY;

    source->wants_probe = false; /* see manager_disconnect() */
    source->probe_usec = 0;
    *connection = (SourceConnection){ .id = ++m->last_connection };
    bit = source_connection_bit(source, connection->id);
    for (Device *device = source->devices; device; device = device->next)
        device->told_by &= (uint8_t) ~bit;
    *ret_id = connection->id;
    return STATUS_INVALID;
}

void manager_disconnect(Manager *m, uint64_t id, Instant now)
{
    SourceConnection *connection;
    Source *source = source_of(m, id, &connection);

    if (connection->synced)
        source_open_memories(source, now.monotonic_usec);
    m->turns_changed |= connection->picturing;
    *connection = (SourceConnection){};
    for (size_t i = m->n_closing; i-- > 0;)
        if (m->closing[i] == id)
            m->closing[i] = m->closing[--m->n_closing];
    source_probe(m, source);
    waiters_drop(&m->answers, id);
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        waiters_drop(&managed->attach_waiters, id);
        waiters_drop(&managed->remove_waiters, id);
    }
    manager_settle(m, now);
}

bool manager_take_line(Manager *m,
                       uint64_t connection,
                       Instant now,
                       uint64_t *ret_when_usec)
{
    Source *source = source_of(m, connection, NULL);

    if (m->unlimited ||
        rate_take(&source->lines, &source_line_limit, now.monotonic_usec))
        return true;
    return rate_peek(&source->lines, &source_line_limit, now.monotonic_usec,
                     ret_when_usec);
}

void manager_hello(Manager *m,
                   uint64_t connection,
                   const BootId *boot_id,
                   Instant now)
{
    Source *source = source_of(m, connection, NULL);

    if (source->boot_id.s[0] != '\0' &&
        !boot_id_equal(&source->boot_id, boot_id))
        source_unplug(m, source, "its qube was restarted", now);
    source->boot_id = *boot_id;
    manager_settle(m, now);
}

/* A USB device was unplugged. The forwarder reports that its parts are gone
 * before it; a part that is still known was reported by hand, too late. */
static void drop_parts(Manager *m, const Device *usb, Instant now)
{
    if (usb->record.class != DEVICE_CLASS_USB)
        return;
    for (Device *part = usb->source->devices, *next; part; part = next) {
        next = part->next;
        if (!part->plugged || !device_is_ancestor(usb, part))
            continue;
        device_unplug(m, part, "its USB device is unplugged", now);
        device_release(part);
    }
}

/* A forwarder may have called since, and have told that the device is there:
 * then what the one before had still to say, that it is gone or another one is
 * there, is older. */
static void note_crossing(Source *source,
                          const Device *device,
                          uint64_t connection)
{
    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++)
        source->connections[i].crossed |=
            source->connections[i].picturing &&
            source->connections[i].id > connection &&
            (device->told_by & 1U << i) != 0;
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

    if (!device) {
        /* what events told of it does not concern the next device of its
         * name */
        (void) source_take_early(source, record->class, &record->device);
        return STATUS_DETACHED;
    }
    note_crossing(source, device, connection);
    drop_parts(m, device, now);
    device_unplug(m, device, "unplugged", now);
    if (!device->job && device->holding != HOLDING_NOTHING)
        return manager_refuse(m, source, record, STATUS_INTERNAL, NO_MEMORY,
                              now);
    if (!device->job) {
        /* qubesd's detach event came before this record: nothing is left to
         * detach */
        if (device->held_by.s[0])
            manager_record(m, device, "", device->held_by.s, STATUS_DETACHED,
                           "", 0, now);
        device_release(device);
        return STATUS_DETACHED;
    }

    /* a Detach that is under way is what this record waits for */
    waiter = waiter_new(source, connection, seq);
    if (!waiter)
        return manager_refuse(m, source, record, STATUS_TOO_MANY, NO_WAITER,
                              now);
    waiters_push(&device->job->remove_waiters, waiter);
    return STATUS_INVALID;
}

/* A part has come: a job that attaches its whole USB device has to find out
 * whether the part is attached. */
static void tell_new_part(const Device *part)
{
    const Device *usb = device_usb(part);

    if (usb && usb != part && usb->job && usb->job->kind == JOB_KIND_ATTACH)
        job_on_new_part(&usb->job->job);
}

/*
 * A USB device has come. Parts that hung on another one at its port are gone
 * with that: if it has @replaced another, or if the parts are known from an
 * earlier run only.
 */
static void drop_old_parts(Manager *m,
                           const Device *usb,
                           bool replaced,
                           Instant now)
{
    if (usb->record.class != DEVICE_CLASS_USB)
        return;
    for (Device *part = usb->source->devices, *next; part; part = next) {
        next = part->next;
        if (part == usb || (part->told && !replaced) || !part->plugged ||
            !device_is_same_usb(usb, part) ||
            record_same_place(&usb->record, &part->record))
            continue;
        device_unplug(m, part, "its USB device is another one", now);
        device_release(part);
    }
}

/* It is known now whose part the disk @part is, which is attached. */
static void on_disk_known(Manager *m, const Device *part, Instant now)
{
    for (Device *device = part->source->devices, *next; device; device = next) {
        next = device->next;
        if (device->waits_for_disk && !device_excludes(device, part))
            device_decide_again(m, device, now);
    }
}

/* The device begins a new plug; @replaced: in place of another one. -ENOMEM. */
static int device_plug_in(Manager *m,
                          Device *device,
                          bool replaced,
                          Instant now)
{
    QubeName early;
    const uint64_t plug = m->last_plug + 1;
    int r = device_arrive(device, plug, plug, now.monotonic_usec);

    if (r < 0)
        return r;
    m->last_plug++;
    device->outcome = 0; /* the last one was of another plug */
    /* what comes while events are heard has been attached by nobody unheard */
    device->counted = device->record.action != RECORD_PRESENT;
    (void) device_recall(device);
    drop_old_parts(m, device, replaced, now);
    tell_new_part(device);
    early = source_take_early(device->source, device->record.class,
                              &device->record.device);
    if (early.s[0]) {
        device->attached_to = early;
        device->attachment_known = true;
        device->removed = false; /* as in device_on_attached() */
        device->added_attached = false;
        on_disk_known(m, device, now);
    }
    return 0;
}

/* An earlier run was told that the device was detached: look whether that is
 * so. If what had it has stopped since, that is believed. */
static void device_check_told_detach(Manager *m, Device *device, Instant now)
{
    const QubeName target = device->attached_to;

    device->detach_told = false;
    device->attached_to = (QubeName){}; /* as in device_on_detached() */
    if (target.s[0] != '\0')
        device_begin_look(m, device, &target, now);
    else
        device_mark_detached(device);
}

/* Whether the device is known from an earlier run: that it was probed anew
 * since (another diskseq) does not make it another plug. */
static bool is_restored(const Device *device, const Record *record)
{
    return device->plugged && !device->told &&
           (device_usb_name(device).s[0] != '\0'
                ? record_same_place(&device->record, record)
                : record_same_plug(&device->record, record));
}

/* The device of a record that nobody can be told the outcome of is there all
 * the same: the picture is not without it. */
static void note_untold(Device *device,
                        uint64_t connection,
                        const Record *record)
{
    if (device->plugged && (is_restored(device, record) ||
                            record_same_plug(&device->record, record)))
        device->told_by |= source_connection_bit(device->source, connection);
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
    bool replaced, restored;
    Status status;
    int r = 0;

    if (!waiter) {
        if (device)
            note_untold(device, connection, record);
        return manager_refuse(m, source, record, STATUS_TOO_MANY, NO_WAITER,
                              now);
    }
    if (!device)
        r = source_add(source, &device, record);
    if (r < 0) {
        waiter_free(waiter);
        return r == -ENOBUFS ? manager_refuse(m, source, record,
                                              STATUS_TOO_MANY, NO_DEVICE, now)
                             : manager_refuse(m, source, record,
                                              STATUS_INTERNAL, NO_MEMORY, now);
    }

    restored = is_restored(device, record);
    replaced = device->plugged && !restored &&
               !record_same_plug(&device->record, record);
    if (replaced)
        note_crossing(source, device, connection);
    /* also if it is not plugged in: what it has left attached has to go */
    if (!device->plugged || replaced)
        device_unplug(m, device, "replaced by another device", now);
    device->record = *record;
    m->census.is_changed |= !device->told;
    device->told = true;
    device->told_by |= source_connection_bit(source, connection);
    if (!device->plugged && device_plug_in(m, device, replaced, now) < 0) {
        waiter_free(waiter);
        device_release(device);
        return manager_refuse(m, source, record, STATUS_INTERNAL, NO_MEMORY,
                              now);
    }

    /* its USB device was not known when it was taken away */
    if (restored && device->detached_by_user)
        device_mark_detached(device);

    manager_give_turn_to_parts(m, device);
    if (restored && !device->job && device->detach_told)
        device_check_told_detach(m, device, now);
    else if (restored && !device->job && device->held_before)
        device_begin_detach(m, device, now);
    else if (restored && !device->job && device->holding != HOLDING_NOTHING)
        device_look_further(m, device, &device->held_by, now);

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
    SourceConnection *from;
    Source *source = source_of(m, connection, &from);
    Status status;

    if (record->action == RECORD_PRESENT && !from->synced)
        from->picturing = true;
    if (record->action == RECORD_REMOVE)
        status = event_gone(m, source, connection, seq, record, now);
    else
        status = event_here(m, source, connection, seq, record, now);
    manager_settle(m, now);
    return status;
}

/*
 * The source was shut down. A connection that lives is one of its next boot: it
 * was read before qubesd's event of the shutdown, so that its picture was
 * dropped with the rest. Its forwarder calls again, with the whole picture.
 */
void source_close_connections(Manager *m, const Source *source)
{
    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++)
        if (source->connections[i].id != 0 &&
            m->n_closing < ARRAY_SIZE(m->closing))
            m->closing[m->n_closing++] = source->connections[i].id;
}

void manager_synced(Manager *m, uint64_t id, Instant now)
{
    SourceConnection *connection;
    Source *source = source_of(m, id, &connection);
    uint8_t bit = source_connection_bit(source, id);
    bool outdated = false;

    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++) {
        SourceConnection *other = &source->connections[i];

        /* of a forwarder that was started since */
        if (other->id > id) {
            outdated |= other->synced;
            continue;
        }
        other->picturing = false; /* a newer picture is complete */
        if (other != connection && other->id != 0 && other->synced &&
            m->n_closing < ARRAY_SIZE(m->closing)) {
            other->synced = false;
            m->closing[m->n_closing++] = other->id;
        }
    }
    connection->synced = true;
    refusals_clear(&m->refusals, &source->name);
    m->turns_changed = true;
    source_close_memories(source);
    /* if its forwarder lives, that calls again, with another one */
    if ((outdated || connection->crossed) &&
        m->n_closing < ARRAY_SIZE(m->closing))
        m->closing[m->n_closing++] = id;

    for (Device *device = source->devices, *next; device; device = next) {
        next = device->next;
        if (outdated)
            continue; /* it says nothing of what is there by now */
        if (!device->plugged || (device->told_by & bit) == 0) {
            note_crossing(source, device, id);
            device_unplug(m, device, "no longer plugged in", now);
        }
        device_release(device);
    }
    manager_settle(m, now);
}

void manager_refused(Manager *m,
                     uint64_t id,
                     Status status,
                     const char *agent,
                     Instant now)
{
    const Source *source = source_of(m, id, NULL);
    Refusal refusal = { .source = source->name,
                        .status = status,
                        .when_usec = now.realtime_usec };

    /* what is sent by hand tells nothing of a forwarder that works */
    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++)
        if (source->connections[i].id != id && source->connections[i].synced)
            return;
    (void) text_format(refusal.agent, sizeof(refusal.agent), "%s", agent);
    refusals_note(&m->refusals, &refusal);
}

void manager_input_ended(Manager *m, uint64_t id, Instant now)
{
    SourceConnection *connection;
    const Source *source = source_of(m, id, &connection);

    refusals_clear(&m->refusals, &source->name);
    m->turns_changed |= connection->picturing;
    connection->picturing = false;
    manager_settle(m, now);
}
