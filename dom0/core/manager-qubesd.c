/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/manager-internal.h"

/* Events may be missed from now on, or were: a disposable that has the device
 * is found again by that, or not; of any other nobody will know whether its
 * name still is its own. What is being done away with goes on. */
static void device_doubt_close(Device *device)
{
    const QubeName holder = device_holder(device);
    bool kept = device_closes(device, &holder);

    if (!device->plugged || device->held_before)
        return;
    memset(device->close, 0, sizeof(device->close));
    if (kept)
        device->close[0] = holder;
}

/* qubesd's events were missed: find out what has become of the device. */
static void device_look_anew(Manager *m, Device *device, Instant now)
{
    const QubeName target = device_holder(device);

    /* events come in order: the list changed for the plug before */
    if (device->attach_untold)
        device->removed = false;
    device->attachment_known = false;
    census_forget(m, device);
    device->attach_untold = false;
    device->lingers_at = (QubeName){};
    device->missed_events = device->job != NULL;
    if (device->job)
        return;

    /* a device that an earlier run knew may be another plug by now: wait for
     * its record */
    if (!device->told && device->plugged)
        return;
    if (device->plugged && target.s[0] != '\0')
        device_look_further(m, device, &target, now);
    else if (device->holding != HOLDING_NOTHING)
        device_begin_detach(m, device, now);
    else if (device_is_waiting(device) || device->stopped.s[0])
        device_decide_again(m, device, now);
}

uint64_t suspects_next_usec(const Manager *m)
{
    return m->any_suspect ? m->suspect_until_usec : UINT64_MAX;
}

void suspects_on_time(Manager *m, Instant now)
{
    if (!m->any_suspect || now.monotonic_usec < m->suspect_until_usec)
        return;

    m->any_suspect = false;
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        for (Device *device = m->sources[i] ? m->sources[i]->devices : NULL,
                    *next;
             device; device = next) {
            next = device->next;
            device_look_at_suspect(m, device, now);
        }
}

static void managed_miss_events(ManagedJob *managed)
{
    managed->unheard |= managed->call != 0;
    managed->undoes_unheard |=
        managed->kind == JOB_KIND_DETACH ||
        (managed->kind == JOB_KIND_ATTACH && managed->told &&
         managed->job.state != JOB_UNDOING);
    managed->came_up = false; /* it may have stopped, unheard */
    job_on_changed(&managed->job);
    /* as in device_look_anew() */
    if (!managed->dead && managed->kind == JOB_KIND_ATTACH &&
        managed_is_attaching(managed) && !managed->attached_meanwhile)
        managed->device->removed = false;
}

void manager_set_qubesd(Manager *m, QubesdState state, Instant now)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        if (m->sources[i])
            source_clear_announced(m->sources[i]);
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        managed_miss_events(managed);
    memset(m->strangers, 0, sizeof(m->strangers));
    m->qubesd = state;
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        if (m->sources[i])
            m->sources[i]->runs = false;
    m->any_suspect = false;
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        for (Device *device = m->sources[i] ? m->sources[i]->devices : NULL;
             device; device = device->next)
            device_doubt_close(device);
    if (state != QUBESD_CONNECTED)
        return;

    m->suspect_until_usec = now.monotonic_usec + JOB_PORT_STALE_USEC;
    orphans_on_qubesd(&m->orphans);
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        if (managed->dead)
            continue;
        /* one of several may have been asked for before it started */
        managed->target_started |=
            managed->kind == JOB_KIND_ATTACH && managed->rule->n_targets > 1;
        managed_apply(m, managed,
                      job_on_qubesd(&managed->job, now.monotonic_usec), now);
    }
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];

        if (source) {
            source->probe_call = 0; /* it may have stopped since, unheard */
            source_probe(m, source);
            source_clear_early(source);
            source_clear_expected(source);
        }
        for (Device *device = source ? source->devices : NULL, *next; device;
             device = next) {
            next = device->next;
            device_look_anew(m, device, now);
        }
    }
    manager_settle(m, now);
}
