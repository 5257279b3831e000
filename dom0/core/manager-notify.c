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

void manager_notify(Manager *m, const ManagedJob *managed, Instant now)
{
    NotificationQueue *queue = &m->notifications;
    const Job *job = &managed->job;
    bool failed = job->outcome >= STATUS_INTERNAL;
    Notification *notification;

    if ((job->outcome != STATUS_ATTACHED && !failed) ||
        managed->rule->options.quiet || queue->n == NOTIFICATIONS_MAX)
        return;
    if (!m->unlimited && !queue_may_take(queue, failed, now.monotonic_usec))
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
