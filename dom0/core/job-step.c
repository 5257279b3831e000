/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "common/text.h"
#include "dom0/core/job-internal.h"

JobWish job_done(Job *job)
{
    assert(job->outcome != STATUS_INVALID);

    /* once the device is attached a disposable is the person's */
    if (job->made &&
        !(job->holding == HOLDING_DEVICE && job_is_in_disposable(job))) {
        job->made = false;
        return job_call(job, JOB_DISCARDING, ADMIN_KILL);
    }
    job->state = JOB_DONE;
    job->wake_usec = UINT64_MAX;
    job->deadline_usec = UINT64_MAX;
    return JOB_WISH_DONE;
}

/* The outcome is known. The first one counts. */
void job_decide(Job *job, Status outcome, const char *detail)
{
    if (job->outcome != STATUS_INVALID)
        return;

    job->outcome = outcome;
    (void) text_format(job->detail, sizeof(job->detail), "%s", detail);
    /* to undo what was begun takes as long as qubesd is away */
    job->deadline_usec = UINT64_MAX;
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
 * qubesd could not be reached. Before it has answered anything that is the
 * outcome, after more tries if it is there; later the job goes on where it was
 * as soon as qubesd is back.
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
        /* whatever became of the target: it may be the person's qube */
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
    job_on_sent(job);
    return JOB_WISH_CALL;
}

void job_on_sent(Job *job)
{
    /* a part is looked at in SURVEYING: that tells nothing of the device */
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

/* What it waits for from now on is not its own time. */
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
        .held_by = task->held_surely ? task->held_by : (QubeName){},
    };
}
