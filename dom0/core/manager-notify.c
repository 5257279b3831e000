/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/manager-internal.h"

static const RateLimit notification_limit = { .interval_usec = 2 * USEC_PER_SEC,
                                              .burst = 5 };

void manager_notify(Manager *m, const ManagedJob *managed, Instant now)
{
    NotificationQueue *queue = &m->notifications;
    const Job *job = &managed->job;
    bool failed = job->outcome >= STATUS_INTERNAL;
    Notification *notification;

    if ((job->outcome != STATUS_ATTACHED && !failed) ||
        managed->rule->options.quiet || queue->n == NOTIFICATIONS_MAX)
        return;
    if (!m->unlimited &&
        !rate_take(&queue->rate, &notification_limit, now.monotonic_usec))
        return;

    notification = &queue->waiting[queue->n++];
    *notification = (Notification){ .failed = failed,
                                    .source = job->task.source,
                                    .rule = managed->rule->name };
    if (device_name_is_plain(job->task.class, &job->task.device))
        notification->device = job->task.device;
    if (job->target.s[0])
        (void) text_format(notification->target, sizeof(notification->target),
                           "%s", job->target.s);
    else
        (void) target_to_string(&managed->rule->targets[0],
                                notification->target);
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
