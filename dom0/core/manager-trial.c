/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-trial.h"
#include "dom0/core/manager-internal.h"

/* The device, if it is plugged in, and how it is reported; else NULL. */
static const Device *find_device(const Manager *m,
                                 const DeviceRef *ref,
                                 ReportDevice *ret_report)
{
    const Source *source = manager_find_source(m, &ref->source);
    const Device *device =
        source ? source_find(source, ref->class, &ref->device) : NULL;
    DeviceCursor cursor = {};

    if (!device || !device->plugged)
        return NULL;
    /* a cursor right before the device */
    while (m->sources[cursor.source] != source)
        cursor.source++;
    cursor.plug = device->plug - 1;
    return manager_next_device(m, &cursor, ret_report) ? device : NULL;
}

/* As device_attach() in manager-device: whether a device that excludes this one
 * is attached or in work. What is not confirmed counts here: a job would look
 * whether it is there, and what is known is that it is. */
static bool is_excluded(const Device *device)
{
    for (const Device *other = device->source->devices; other;
         other = other->next)
        if (other->plugged && device_is_in_the_way(other) &&
            device_excludes(device, other))
            return true;
    return false;
}

/* What device_decide() would settle without a job, in its order. */
static Status settle(const Manager *m,
                     const Device *device,
                     const char **ret_detail)
{
    *ret_detail = NULL;
    if (m->paused_until_usec != 0)
        return STATUS_PAUSED;
    if (device_is_left_alone(device))
        return STATUS_DETACHED_BY_USER;
    if (device_is_refused(device))
        return STATUS_DENIED_BY_USER;
    if (m->qubesd == QUBESD_UNSUPPORTED) {
        *ret_detail = QUBESD_TOO_OLD;
        return STATUS_UNAVAILABLE;
    }
    if (is_excluded(device)) {
        *ret_detail = PART_IN_THE_WAY;
        return STATUS_ATTACHED_ELSEWHERE;
    }
    return STATUS_INVALID;
}

bool manager_prepare_trial(const Manager *m,
                           const DeviceRef *ref,
                           Instant now,
                           TrialTask *ret,
                           Ruleset **ret_ruleset,
                           ReportDevice *ret_device)
{
    const Device *device = find_device(m, ref, ret_device);

    if (!device)
        return false;

    *ret = (TrialTask){
        .rule = ret_device->rule,
        .is_quiet = device_is_quiet(device, now.monotonic_usec),
    };
    ret->settled = settle(m, device, &ret->settled_detail);
    if (ret->rule)
        ret->job = task_by_rule(m, device, ret->rule);
    *ret_ruleset = ruleset_ref(m->ruleset);
    return true;
}
