/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/job-internal.h"

JobWish job_on_detached(Job *job)
{
    job->holding = HOLDING_NOTHING;
    /* else what has been told since is somebody else's doing */
    if (!job->told_detached && qube_name_equal(&job->known_at, &job->target))
        job->known_at = (QubeName){};
    job_decide(job, STATUS_DETACHED, "");
    return job->task.close ? job_call(job, JOB_CLOSING, ADMIN_SHUTDOWN)
                           : job_done(job);
}

JobWish job_on_closed(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    if (answer->result == ADMIN_UNREACHABLE)
        return job_lose_qubesd(job, JOB_CLOSING, answer->detail, now_usec);
    /* qubesd may have gone down in the middle */
    if (answer->result == ADMIN_EMPTY)
        return job_retry(job, JOB_CLOSING, job->outcome, "", now_usec);
    return job_done(job);
}

/* Whether the device that is listed on the target is surely not the one to
 * which our Attach was bound. An attach may change the identity (WIRE 1), but
 * not to that of another device. */
static bool is_of_another(const Job *job, const DeviceListing *listing)
{
    const uint64_t hash =
        listing->has_identity ? identity_hash(&listing->identity) : 0;

    return job->bound_to != 0 && hash != 0 && job->bound_to != hash;
}

/* The target had the device no longer when we came to detach it. */
static JobWish job_on_found_detached(Job *job)
{
    job->missing = !job->detach_unsure;
    return job_on_detached(job);
}

/* qubesd's Detach looks at the name only, and takes the first it finds of that,
 * whatever qube it is of. So look first what is attached there: nobody else
 * knows all that the person may have attached. */
JobWish job_detach(Job *job)
{
    if (job->told_detached)
        return job_on_found_detached(job);
    job->look_first = true;
    return job_call(job, JOB_DETACH_VERIFYING, ADMIN_ATTACHED);
}

JobWish job_on_found(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    const DeviceListing *listing = &answer->listing;

    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_FINDING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, JOB_FINDING, STATUS_QUBESD_REFUSED,
                         answer->detail, now_usec);
    case ADMIN_GARBAGE:
    case ADMIN_EXCEPTION:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_OK:
        break;
    }

    if (job_rereads(job))
        return job_call(job, JOB_FINDING, ADMIN_AVAILABLE);
    if (!listing->listed || listing->attachment == ATTACHMENT_NONE)
        return job_on_found_detached(job);
    if (listing->attachment == ATTACHMENT_UNKNOWN)
        return job_finish(job, STATUS_QUBESD_REFUSED,
                          "it cannot be told which qube has it");
    job->target = listing->attached_to;
    return job_detach(job);
}

JobWish job_begin_detach(Job *ret,
                         const JobTask *task,
                         const QubeName *target,
                         uint64_t now_usec)
{
    job_init(ret, task, now_usec);
    ret->target = *target;
    ret->holding = HOLDING_MAYBE;
    /* wait for a qubesd that cannot be reached: nobody else would do this
     * later */
    ret->touched = true;
    if (target->s[0] == '\0')
        return job_call(ret, JOB_FINDING, ADMIN_AVAILABLE);
    return job_detach(ret);
}

JobWish job_begin_look(Job *ret,
                       const JobTask *task,
                       const QubeName *target,
                       uint64_t now_usec)
{
    job_init(ret, task, now_usec);
    ret->target = *target;
    /* wait for qubesd as long as it takes, as above */
    ret->touched = true;
    ret->deadline_usec = UINT64_MAX;
    return job_call(ret, JOB_LOOKING, ADMIN_ATTACHED);
}

/* qubesd did not answer the look, or not what was asked: try again. If it never
 * tells, the detach event is believed; without one (@look_further) nothing has
 * changed. */
static JobWish job_look_again(Job *job,
                              const AdminAnswer *answer,
                              uint64_t now_usec)
{
    if (answer->result == ADMIN_UNREACHABLE ||
        answer->result == ADMIN_TIMED_OUT)
        return job_lose_qubesd(job, job->state, answer->detail, now_usec);
    return job_retry(job, job->state,
                     job->look_further ? STATUS_ALREADY_ATTACHED
                                       : STATUS_DETACHED_BY_USER,
                     answer->detail, now_usec);
}

static bool target_exists(const AdminAnswer *answer)
{
    return answer->result != ADMIN_EXCEPTION ||
           answer->error != ADMIN_ERROR_NO_SUCH_QUBE;
}

JobWish job_on_looked(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    bool listed;

    if (target_exists(answer) && answer->result != ADMIN_OK)
        return job_look_again(job, answer, now_usec);
    if (job_rereads(job))
        return job_call(job, JOB_LOOKING, ADMIN_ATTACHED);
    listed = answer->listing.listed && !is_of_another(job, &answer->listing);
    if (answer->listing.listed && !listed)
        job->seen_at = job->target; /* another one is there */
    if (listed && job_port_is_stale(job, now_usec))
        return job_retry(job, JOB_LOOKING, STATUS_ALREADY_ATTACHED, "",
                         now_usec);
    if (listed)
        return job_finish(job, STATUS_ALREADY_ATTACHED, "");
    if (job->restarted)
        return job_finish(job, STATUS_TARGET_NOT_RUNNING, "");
    if (job->look_further)
        return job_call(job, JOB_LOOKING_FURTHER, ADMIN_CURRENT_STATE);
    return job_finish(job, STATUS_DETACHED_BY_USER, "");
}

JobWish job_on_lost_by_stop(Job *job)
{
    if (!job->lost)
        return job_finish(job, STATUS_TARGET_NOT_RUNNING, "");
    job->lost = false;
    job->found_stopped = job->target;
    job->target = (QubeName){};
    job_on_holder_stopped(job, &job->found_stopped);
    return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
}

JobWish job_on_looked_further(Job *job,
                              const AdminAnswer *answer,
                              uint64_t now_usec)
{
    bool exists = target_exists(answer);

    if (exists && answer->result != ADMIN_OK)
        return job_look_again(job, answer, now_usec);
    /* Attached was answered before the target started, or before something that
     * an event has told of: ask again. */
    if (job->restarted || (!job->lost && job_rereads(job)))
        return job_call(job, JOB_LOOKING, ADMIN_ATTACHED);
    if (exists && !job->target_stopped &&
        (answer->power == POWER_RUNNING || answer->power == POWER_PAUSED))
        return job_finish(job, STATUS_DETACHED_BY_USER, "");
    /* in any other state, or if an event has told so meanwhile, the target has
     * lost the device by its own stop */
    return job_on_lost_by_stop(job);
}

bool job_may_hold(const Job *job, const AdminAnswer *answer)
{
    if (answer->result == ADMIN_UNREACHABLE)
        return false;
    if (answer->result != ADMIN_EXCEPTION)
        return true;

    switch (answer->error) {
    case ADMIN_ERROR_NOT_RUNNING:
    case ADMIN_ERROR_NO_SUCH_QUBE:
    case ADMIN_ERROR_VALUE:
    case ADMIN_ERROR_PERMISSION:
    case ADMIN_ERROR_USB_PROXY:
    case ADMIN_ERROR_ALREADY_ATTACHED:
    case ADMIN_ERROR_PROTOCOL:
        return false;
    case ADMIN_ERROR_NOT_ATTACHED:
    case ADMIN_ERROR_NOT_STARTED:
    case ADMIN_ERROR_OTHER:
        break;
    }
    /* a USB attach that failed did nothing */
    return job->task.class != DEVICE_CLASS_USB;
}

/* The call of a job in UNDOING was answered: Attach, Attached or
 * CreateDisposable. */
JobWish job_on_undoable(Job *job, const AdminAnswer *answer)
{
    if (job->resume == JOB_CREATING) {
        job->made = answer->result == ADMIN_OK;
        job->target = answer->qube;
        job->disposable = answer->qube;
        return job_done(job);
    }
    if (job->resume == JOB_ATTACHING && !job_may_hold(job, answer))
        job->holding = HOLDING_NOTHING;
    /* an Attach into our disposable that is still under way ends with that */
    if (job->holding == HOLDING_NOTHING ||
        (answer->pending && job_is_in_disposable(job)))
        return job_done(job);
    return job_detach(job);
}

/* A disposable that never ran cannot be killed, only removed (WIRE 1). */
JobWish job_on_discarded(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    if (answer->result == ADMIN_UNREACHABLE)
        return job_lose_qubesd(job, JOB_DISCARDING, answer->detail, now_usec);
    if (answer->result == ADMIN_OK ||
        (answer->result == ADMIN_EXCEPTION &&
         answer->error == ADMIN_ERROR_NO_SUCH_QUBE)) {
        if (qube_name_equal(&job->target, &job->disposable))
            job->holding = HOLDING_NOTHING;
    }
    if (answer->result == ADMIN_EXCEPTION &&
        answer->error == ADMIN_ERROR_NOT_STARTED &&
        job->request.method == ADMIN_KILL && !job->disposable_gone)
        return job_call(job, JOB_DISCARDING, ADMIN_REMOVE);
    /* qubesd may have gone down in the middle, or the disposable was being
     * started */
    if (answer->result == ADMIN_EMPTY || (answer->result == ADMIN_EXCEPTION &&
                                          answer->error == ADMIN_ERROR_OTHER))
        return job_retry(job, JOB_DISCARDING, job->outcome, "", now_usec);
    return job_done(job);
}

JobWish job_on_detach(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    switch (answer->result) {
    case ADMIN_OK:
        job->detached = true;
        return job_on_detached(job);
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_DETACHING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        return job->told_detached
                   ? job_on_detached(job)
                   : job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EXCEPTION:
        job->missing =
            answer->error == ADMIN_ERROR_NOT_ATTACHED && !job->detach_unsure;
        if (answer->error == ADMIN_ERROR_NOT_ATTACHED ||
            answer->error == ADMIN_ERROR_NOT_RUNNING ||
            answer->error == ADMIN_ERROR_NO_SUCH_QUBE)
            return job_on_detached(job);
        break;
    case ADMIN_EMPTY:
    case ADMIN_GARBAGE:
        job->detach_unsure = true;
        break;
    }
    job->look_first = false;
    return job_call(job, JOB_DETACH_VERIFYING, ADMIN_ATTACHED);
}

JobWish job_on_detach_verified(Job *job,
                               const AdminAnswer *answer,
                               uint64_t now_usec)
{
    const bool other = answer->result == ADMIN_OK && answer->listing.listed &&
                       is_of_another(job, &answer->listing);

    if (other) {
        /* a disposable with that in it is not shut down, nor done away with */
        job->task.close = false;
        job->seen_at = job->target;
    }
    /* an event has told, whatever comes instead of an answer */
    if (other || job->told_detached ||
        (answer->result == ADMIN_OK && !answer->listing.listed))
        return job->look_first ? job_on_found_detached(job)
                               : job_on_detached(job);

    switch (answer->result) {
    case ADMIN_OK:
        /* Detach might take the namesake: wait, as qubesd itself detaches what
         * was unplugged */
        if (answer->listing.namesake)
            return job_retry(job, JOB_DETACHING, STATUS_ATTACH_FAILED,
                             "another qube's device of this name is attached "
                             "there as well: detach it by hand",
                             now_usec);
        if (job->look_first)
            return job_call(job, JOB_DETACHING, ADMIN_DETACH);
        return job_retry(job, JOB_DETACHING, STATUS_ATTACH_FAILED,
                         "it could not be detached", now_usec);
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_DETACHING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        /* nothing was begun yet */
        return job->look_first
                   ? job_retry(job, JOB_DETACHING, STATUS_TIMEOUT,
                               answer->detail, now_usec)
                   : job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, JOB_DETACHING, STATUS_QUBESD_REFUSED,
                         answer->detail, now_usec);
    case ADMIN_EXCEPTION:
        if (answer->error == ADMIN_ERROR_NO_SUCH_QUBE)
            return job_on_detached(job);
        break;
    case ADMIN_GARBAGE:
        break;
    }
    return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
}
