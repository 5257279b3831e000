/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "common/text.h"
#include "dom0/core/job-internal.h"

bool job_has_filled_disposable(const Job *job)
{
    const QubeName *disposable = &job->disposable;

    if (job->filled)
        return true;
    switch (job->holding) {
    case HOLDING_DEVICE:
        return qube_name_equal(&job->target, disposable);
    case HOLDING_NOTHING:
        return disposable->s[0] != '\0' &&
               (qube_name_equal(&job->known_at, disposable) ||
                qube_name_equal(&job->seen_at, disposable));
    case HOLDING_MAYBE:
        break;
    }
    return false;
}

JobWish job_done(Job *job)
{
    assert(job->outcome != STATUS_INVALID);

    /* once the device is attached to it, a disposable belongs to the person */
    if (job->made && !job_has_filled_disposable(job)) {
        job->made = false;
        return job_discard(job);
    }
    job->state = JOB_DONE;
    job->wake_usec = UINT64_MAX;
    job->deadline_usec = UINT64_MAX;
    return JOB_WISH_DONE;
}

JobWish job_discard(Job *job)
{
    if (job_has_filled_disposable(job))
        return job_done(job);
    if (!job->disposable_gone)
        return job_call(job, JOB_DISCARDING, ADMIN_KILL);
    if (qube_name_equal(&job->target, &job->disposable))
        job->holding = HOLDING_NOTHING;
    return job_done(job);
}

JobWish job_finish_disposable_gone(Job *job)
{
    char detail[sizeof(job->detail)];

    (void) text_format(detail, sizeof(detail), "%s has stopped", job->target.s);
    return job_finish(job, STATUS_START_FAILED, detail);
}

/* The outcome is known; a later one does not change it. */
void job_decide(Job *job, Status outcome, const char *detail)
{
    if (job->outcome != STATUS_INVALID)
        return;

    job->outcome = outcome;
    (void) text_format(job->detail, sizeof(job->detail), "%s", detail);
    /* what is left to undo has no deadline: it waits for qubesd as long as it
     * takes; and it has all its tries */
    job->deadline_usec = UINT64_MAX;
    job->n_retries = 0;
}

JobWish job_finish(Job *job, Status outcome, const char *detail)
{
    job_decide(job, outcome, detail);
    return job_done(job);
}

JobWish job_wait(Job *job, JobState state, uint64_t wake_usec)
{
    job->state = state;
    job->wake_usec = wake_usec;
    job->waited = true;
    return JOB_WISH_NOTHING;
}

JobWish job_retry(Job *job,
                  JobState resume,
                  Status otherwise,
                  const char *detail,
                  uint64_t now_usec)
{
    if (job->n_retries >= JOB_RETRIES_MAX)
        return job_finish(job, otherwise, detail);

    job->resume = resume;
    job->n_retries++;
    return job_wait(job, JOB_PAUSING,
                    now_usec + JOB_RETRY_USEC(job->n_retries - 1));
}

/*
 * qubesd could not be reached. If it has not answered this job before, the
 * outcome is STATUS_UNAVAILABLE (after more tries, if its events show that it
 * is there). Else the job goes on at @resume once qubesd is back.
 */
JobWish job_lose_qubesd(Job *job,
                        JobState resume,
                        const char *detail,
                        uint64_t now_usec)
{
    if (!job->touched)
        return job->task.connected
                   ? job_retry(job, resume, STATUS_UNAVAILABLE, detail,
                               now_usec)
                   : job_finish(job, STATUS_UNAVAILABLE, detail);

    job->resume = resume;
    return job_wait(job, JOB_OFFLINE, now_usec + JOB_OFFLINE_USEC);
}

JobWish job_call(Job *job, JobState state, AdminMethod method)
{
    AdminRequest *request = &job->request;

    *request = (AdminRequest){ .method = method,
                               .class = job->task.class,
                               .dest = job->target };
    switch (method) {
    case ADMIN_AVAILABLE:
        request->dest = job->task.source;
        request->port = job->task.device;
        break;
    case ADMIN_ATTACH:
        request->options = job->task.options;
        request->pinned = job->pinned;
        if (job->pinned)
            request->identity = job->identity;
        request->backend = job->task.source;
        request->port = job->task.device;
        break;
    case ADMIN_ATTACHED:
    case ADMIN_DETACH:
        request->backend = job->task.source;
        request->port = job->task.device;
        break;
    case ADMIN_KILL:
    case ADMIN_REMOVE:
        /* never job->target: that may be a qube of the person's */
        assert(job->disposable.s[0] != '\0');
        request->dest = job->disposable;
        break;
    case ADMIN_CURRENT_STATE:
    case ADMIN_SHUTDOWN:
    case ADMIN_CREATE_DISPOSABLE:
        break;
    case ADMIN_PROPERTY_GET:
        request->dest = (QubeName){ "dom0" };
        request->property = ADMIN_PROPERTY_DEFAULT_DISPVM;
        break;
    case ADMIN_INVALID:
    case ADMIN_EVENTS:
    case ADMIN_LIST:
    case ADMIN_START:
    case ADMIN_OLD_LIST:
        assert(false);
    }

    job->state = state;
    job->wake_usec = UINT64_MAX;
    job->target_stopped = false;
    job_on_sent(job);
    return JOB_WISH_CALL;
}

JobWish job_start(Job *job)
{
    if (job->disposable_gone && job_is_in_disposable(job))
        return job_finish_disposable_gone(job);
    if (job->task.known_as.s[0] == '\0')
        job->task.known_as = job->identity;
    (void) job_wait(job, JOB_STARTING, UINT64_MAX);
    return JOB_WISH_START;
}

JobWish job_join_start(Job *job)
{
    (void) job_start(job);
    return JOB_WISH_JOIN;
}

void job_on_sent(Job *job)
{
    /* the Available call of SURVEYING is about a part, not about the device */
    if ((job->request.method == ADMIN_AVAILABLE &&
         job->state != JOB_SURVEYING) ||
        job->request.method == ADMIN_ATTACHED)
        job->stale = false;
}

bool job_rereads(Job *job)
{
    if (!job->stale || job->n_rereads >= JOB_REREADS_MAX)
        return false;
    job->n_rereads++;
    return true;
}

bool job_port_is_stale(const Job *job, uint64_t now_usec)
{
    return job->task.class == DEVICE_CLASS_USB &&
           job->port_detached_usec != 0 &&
           now_usec <= job->port_detached_usec + JOB_PORT_STALE_USEC;
}

/* The job's own time stands still until job_unpause(). */
void job_pause(Job *job, uint64_t now_usec)
{
    if (job->paused_usec == 0)
        job->paused_usec = now_usec;
}

void job_unpause(Job *job, uint64_t now_usec)
{
    if (job->paused_usec == 0)
        return;
    job->deadline_usec += now_usec - job->paused_usec;
    job->appear_usec = now_usec + JOB_APPEAR_USEC;
    job->paused_usec = 0;
}

void job_init(Job *ret, const JobTask *task, uint64_t now_usec)
{
    *ret = (Job){
        .task = *task,
        .state = JOB_QUEUED,
        .wake_usec = UINT64_MAX,
        .deadline_usec = now_usec + JOB_USEC,
        .appear_usec = now_usec + JOB_APPEAR_USEC,
        .port_detached_usec = task->port_detached_usec,
        .known_at = task->known_at,
        .past_holder = task->past_holder,
        .bound_to = task->bound_to,
        .held_by = task->held_surely ? task->held_by : (QubeName){},
    };
}
