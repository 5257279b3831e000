/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

static Device *find_device(const Manager *m,
                           const QubeName *source_name,
                           DeviceClass class,
                           const DeviceName *name)
{
    Source *source = manager_find_source(m, source_name);

    return source ? source_find(source, class, name) : NULL;
}

static bool is_of_stranger(const Stranger *stranger,
                           const QubeName *source,
                           const AdminEvent *event)
{
    return stranger->event.class == event->class &&
           qube_name_equal(&stranger->event.backend, source) &&
           device_name_equal(&stranger->event.port, &event->port);
}

/* What is listed there is another plug. */
static void forget_stranger(Manager *m,
                            const QubeName *source,
                            const AdminEvent *event)
{
    for (size_t i = 0; i < STRANGERS_MAX; i++)
        if (is_of_stranger(&m->strangers[i], source, event))
            m->strangers[i] = (Stranger){};
}

static void on_device_added(Manager *m, const AdminEvent *event, Instant now)
{
    Source *source = manager_find_source(m, &event->subject);
    Device *device =
        source ? source_find(source, event->class, &event->port) : NULL;
    ManagedJob *managed = device ? device->job : NULL;

    if (source)
        source_announce(source, event);
    if (source && event->class == DEVICE_CLASS_USB)
        source_on_port_listed(source, &event->port);
    if (!source)
        forget_stranger(m, &event->subject, event);
    else if (!device)
        /* what has it was told of another plug, of which no record came */
        (void) source_take_early(source, event->class, &event->port);
    if (device) {
        /* what is told before our last Attach is of the plug before */
        device->added_attached =
            device_is_attached(device) && !device->attach_untold;
        device->relisted = device->removed;
    }
    if (device && device->waits_for_list)
        device_decide_again(m, device, now);
    if (managed && device->removed)
        job_on_changed(&managed->job);
    if (managed && managed->call != 0)
        /* told before the answer to the job's call came */
        managed->appeared = true;
    if (managed)
        managed_apply(
            m, managed,
            job_on_appeared(&managed->job,
                            event->has_identity ? &event->identity : NULL,
                            now.monotonic_usec),
            now);
}

/* The device is off the list: if a target has it no longer, that is why. */
static void device_set_removed(Device *device)
{
    device->removed = true;
    if (!device->job)
        return;
    device->job->job.held_by = (QubeName){};
    if (managed_is_attaching(device->job))
        device->job->job.known_at = (QubeName){};
}

static void on_removed(Manager *m, const AdminEvent *event, Instant now)
{
    Source *source = manager_find_source(m, &event->subject);
    Device *device =
        find_device(m, &event->subject, event->class, &event->port);

    if (!source)
        forget_stranger(m, &event->subject, event);
    if (source) {
        source_on_removed(source, event->class, &event->port);
        source_unannounce(source, event->class, &event->port);
        /* a device that comes under this name is another plug */
        (void) source_take_early(source, event->class, &event->port);
    }
    if (!device)
        return;
    device_set_removed(device);
    device->relisted = false;
    if (device->job) {
        if (device->job->kind == JOB_KIND_ATTACH)
            job_on_changed(&device->job->job);
        managed_apply(m, device->job,
                      job_on_unlisted(&device->job->job, now.monotonic_usec),
                      now);
    }
    /* a disk also goes off the list because one of its partitions is attached:
     * that says nothing of the partition */
    if (event->class != DEVICE_CLASS_USB)
        return;
    for (Device *part = device->source->devices; part; part = part->next)
        if (device_is_ancestor(device, part))
            device_set_removed(part);
}

void manager_note_stranger(Manager *m, const AdminEvent *event, Instant now)
{
    for (size_t i = 0; i < STRANGERS_MAX; i++) {
        const Stranger *stranger = &m->strangers[i];

        /* see event_is_echo() */
        if (stranger->event.type == ADMIN_EVENT_DETACH &&
            event->type == ADMIN_EVENT_ATTACH &&
            is_of_stranger(stranger, &event->backend, event) &&
            qube_name_equal(&stranger->event.subject, &event->subject) &&
            now.monotonic_usec <= stranger->when_usec + JOB_PORT_STALE_USEC)
            return;
    }
    forget_stranger(m, &event->backend, event);
    if (event->type != ADMIN_EVENT_ATTACH && event->class != DEVICE_CLASS_USB)
        return;
    m->strangers[m->next_stranger++] =
        (Stranger){ .event = *event, .when_usec = now.monotonic_usec };
    m->next_stranger %= STRANGERS_MAX;
}

bool event_is_echo(const Source *source, const AdminEvent *event, Instant now)
{
    return event->class == DEVICE_CLASS_USB &&
           source_port_is_stale(source, &event->port, &event->subject,
                                now.monotonic_usec);
}

void manager_on_admin_event(Manager *m, const AdminEvent *event, Instant now)
{
    census_on_event(m, event);
    switch (event->type) {
    case ADMIN_EVENT_DEVICE_ADDED:
        on_device_added(m, event, now);
        break;
    case ADMIN_EVENT_DEVICE_REMOVED:
        on_removed(m, event, now);
        break;
    case ADMIN_EVENT_ATTACH:
        manager_on_attached(m, event, now);
        break;
    case ADMIN_EVENT_DETACH:
        manager_on_detached(m, event, now);
        break;
    case ADMIN_EVENT_DOMAIN_START:
        manager_on_qube_started(m, &event->subject, true, now);
        break;
    case ADMIN_EVENT_DOMAIN_SHUTDOWN:
        manager_on_qube_stopped(m, &event->subject, now);
        break;
    case ADMIN_EVENT_DOMAIN_RESUMED:
        manager_on_source_resumed(m, &event->subject, now);
        manager_on_qube_started(m, &event->subject, false, now);
        break;
    case ADMIN_EVENT_DOMAIN_UNPAUSED:
        manager_on_qube_started(m, &event->subject, false, now);
        break;
    case ADMIN_EVENT_OTHER:
    case ADMIN_EVENT_ESTABLISHED:
    case ADMIN_EVENT_LIST_CHANGE:
        break;
    }
    manager_settle(m, now);
}
