/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

/* so many at once, then one a second */
static const RateLimit limit = { .interval_usec = USEC_PER_SEC,
                                 .burst = MANAGER_CENSUS_BURST };

/* Whether a job finds out who has the device. */
static bool is_looked_up(const Device *device)
{
    const Device *usb = device_usb(device);

    return device->job ||
           (usb && usb->job && usb->job->job.state == JOB_SURVEYING);
}

/* Whether it is to be asked who has the device. */
static bool is_unseen(const Device *device)
{
    return device->plugged && device->told && !device->counted &&
           !device->attachment_known && !device_is_attached(device) &&
           !is_looked_up(device);
}

static Device *source_next_unseen(const Source *source)
{
    Device *next = NULL;

    for (Device *device = source->devices; device; device = device->next)
        if ((!next || device->plug < next->plug) && is_unseen(device))
            next = device;
    return next;
}

/* Of the source that was asked about the longest ago: so none keeps others
 * waiting by the number of its devices. */
static Device *next_unseen(const Manager *m)
{
    Device *next = NULL;

    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        const Source *source = m->sources[i];
        Device *device =
            source && (!next || source->census < next->source->census)
                ? source_next_unseen(source)
                : NULL;

        if (device)
            next = device;
    }
    return next;
}

static Device *find_plug(const Manager *m, uint64_t plug)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        for (Device *device = m->sources[i] ? m->sources[i]->devices : NULL;
             device; device = device->next)
            if (device->plugged && device->plug == plug)
                return device;
    return NULL;
}

/* Something was told of the device: see whether it is still to be asked for,
 * and what is being asked may be out of date when it is answered. */
static void census_change(Manager *m, Device *device)
{
    device->found_at = (QubeName){};
    m->census.is_changed = true;
    m->census.is_void |= m->census.plug == device->plug;
}

void census_step(Manager *m, Instant now)
{
    Census *census = &m->census;
    Device *device = census->wants_call ? find_plug(m, census->plug) : NULL;

    if (device && is_unseen(device))
        return;
    census->wants_call = false;
    if (census->is_changed)
        census->any = next_unseen(m) != NULL;
    census->is_changed = false;
    /* what is read before that may be out of date, see Device.suspect */
    if (census->retry_usec < m->suspect_until_usec)
        census->retry_usec = m->suspect_until_usec;
    if (!census->any || census->call != 0 || m->qubesd != QUBESD_CONNECTED ||
        now.monotonic_usec < census->retry_usec ||
        !rate_peek(&census->rate, &limit, now.monotonic_usec,
                   &census->retry_usec))
        return;

    device = next_unseen(m);
    census->any = device != NULL;
    if (!device)
        return;
    census->wants_call = rate_take(&census->rate, &limit, now.monotonic_usec);
    census->plug = device->plug;
}

bool census_next_call(Manager *m, uint64_t call, AdminRequest *ret_request)
{
    Census *census = &m->census;
    Device *device = census->wants_call ? find_plug(m, census->plug) : NULL;

    census->wants_call = false;
    if (!device)
        return false;

    census->call = call;
    census->is_void = m->qubesd != QUBESD_CONNECTED;
    device->source->census = call;
    *ret_request = (AdminRequest){ .method = ADMIN_AVAILABLE,
                                   .class = device->record.class,
                                   .dest = device->source->name,
                                   .port = device->record.device };
    return true;
}

/* Note who has the device, by qubesd's list. */
static void device_count(Device *device,
                         const DeviceListing *listing,
                         Instant now)
{
    device->counted = true;
    device->found_at = (QubeName){};
    /* a moment after its detach a USB device is still listed as attached */
    if (listing->listed && listing->attachment == ATTACHMENT_QUBE &&
        !(device->record.class == DEVICE_CLASS_USB &&
          source_port_is_stale(device->source, &device->record.device,
                               &listing->attached_to, now.monotonic_usec)))
        device->found_at = listing->attached_to;
}

bool census_on_answer(Manager *m,
                      uint64_t call,
                      const AdminAnswer *answer,
                      Instant now)
{
    Census *census = &m->census;
    Device *device;

    if (census->call == 0 || census->call != call)
        return false;

    census->call = 0;
    census->is_changed = true;
    device = find_plug(m, census->plug);
    if (!device || census->is_void)
        return true; /* it is another one, or is asked about once more */
    switch (answer->result) {
    case ADMIN_OK:
        device_count(device, &answer->listing, now);
        break;
    case ADMIN_UNREACHABLE:
    case ADMIN_TIMED_OUT:
        census->retry_usec = now.monotonic_usec + JOB_OFFLINE_USEC;
        break;
    case ADMIN_EMPTY:
    case ADMIN_EXCEPTION:
    case ADMIN_GARBAGE:
        device->counted = true; /* nobody will tell */
        break;
    }
    return true;
}

void census_on_event(Manager *m, const AdminEvent *event)
{
    bool is_of_qube =
        event->type == ADMIN_EVENT_ATTACH || event->type == ADMIN_EVENT_DETACH;
    const Source *source =
        manager_find_source(m, is_of_qube ? &event->backend : &event->subject);
    Device *device =
        source ? source_find(source, event->class, &event->port) : NULL;

    if (device)
        census_change(m, device);
}

void census_on_qube_stopped(Manager *m, const QubeName *name)
{
    m->census.is_void = true;
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        for (Device *device = m->sources[i] ? m->sources[i]->devices : NULL;
             device; device = device->next)
            if (qube_name_equal(&device->found_at, name))
                device->found_at = (QubeName){};
}

void census_forget(Manager *m, Device *device)
{
    device->counted = false;
    census_change(m, device);
}

uint64_t census_next_usec(const Manager *m)
{
    const Census *census = &m->census;

    return census->any && census->call == 0 && !census->wants_call &&
                   m->qubesd == QUBESD_CONNECTED
               ? census->retry_usec
               : UINT64_MAX;
}
