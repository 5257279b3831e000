/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/manager-internal.h"

static const RateLimit notification_limit = { .interval_usec = 2 * USEC_PER_SEC,
                                              .burst = 5 };
/* a source can fail as often as it likes: what is attached is told all the
 * same, in the half that this leaves */
static const RateLimit failure_limit = { .interval_usec = 4 * USEC_PER_SEC,
                                         .burst = 2 };

/* Whether one more may be told now; then it is counted. */
static bool queue_may_take(NotificationQueue *queue,
                           bool failed,
                           uint64_t now_usec)
{
    return (!failed || rate_take(&queue->failures, &failure_limit, now_usec)) &&
           rate_take(&queue->rate, &notification_limit, now_usec);
}

static void notify(Manager *m, const Notification *notification, Instant now)
{
    NotificationQueue *queue = &m->notifications;

    if (queue->n < NOTIFICATIONS_MAX &&
        (m->unlimited ||
         queue_may_take(queue, notification->failed, now.monotonic_usec)))
        queue->waiting[queue->n++] = *notification;
}

void manager_notify(Manager *m, const ManagedJob *managed, Instant now)
{
    const Job *job = &managed->job;
    bool failed = job->outcome >= STATUS_INTERNAL;
    Notification notification = { .failed = failed,
                                  .source = job->task.source,
                                  .rule = managed->rule->name };

    if ((job->outcome != STATUS_ATTACHED && !failed) ||
        managed->rule->options.quiet)
        return;
    if (device_name_is_plain(job->task.class, &job->task.device))
        notification.device = job->task.device;
    if (job->target.s[0])
        (void) text_format(notification.target, sizeof(notification.target),
                           "%s", job->target.s);
    else
        (void) target_to_string(&managed->rule->targets[0],
                                notification.target);
    notify(m, &notification, now);
}

void manager_notify_late(Manager *m, const Device *device, Instant now)
{
    const Rule *rule = ruleset_find(m->ruleset, device->held_rule.s);
    const Record *record = &device->record;
    Notification notification = { .source = device->source->name,
                                  .rule = device->held_rule };

    if (rule && rule->options.quiet)
        return;
    if (device_name_is_plain(record->class, &record->device))
        notification.device = record->device;
    (void) text_format(notification.target, sizeof(notification.target), "%s",
                       device->held_by.s);
    notify(m, &notification, now);
}

bool manager_next_notification(Manager *m, Notification *ret)
{
    NotificationQueue *queue = &m->notifications;

    if (queue->n == 0)
        return false;

    *ret = queue->waiting[0];
    queue->n--;
    memmove(queue->waiting, queue->waiting + 1,
            queue->n * sizeof(queue->waiting[0]));
    return true;
}
