/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/job-internal.h"

JobWish job_ask_turn(Job *job)
{
    /* qubesd looks at the USB device only: to attach it takes the disks in it
     * away from whoever has them */
    if (job->task.class == DEVICE_CLASS_USB && !job->surveyed) {
        job->state = JOB_SURVEYING;
        job->wake_usec = UINT64_MAX;
        return JOB_WISH_PART;
    }
    job->state = JOB_TURN;
    job->wake_usec = UINT64_MAX;
    return JOB_WISH_TURN;
}

JobWish job_on_part(Job *job,
                    const Record *part,
                    bool attached,
                    uint64_t now_usec)
{
    JobWish wish;

    (void) now_usec;

    if (job->state != JOB_SURVEYING)
        return JOB_WISH_NOTHING;
    if (attached)
        return job_finish(job, STATUS_ATTACHED_ELSEWHERE,
                          "a part of the device is attached");
    if (part) {
        wish = job_call(job, JOB_SURVEYING, ADMIN_AVAILABLE);
        job->request.class = part->class;
        job->request.port = part->device;
        return wish;
    }
    if (job->unlisted)
        return job_rereads(job) ? job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE)
                                : job_finish(job, STATUS_NO_SUCH_DEVICE, "");
    job->surveyed = true;
    return job_ask_turn(job);
}

JobWish job_on_surveyed(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, JOB_RECHECKING, STATUS_QUBESD_REFUSED,
                         answer->detail, now_usec);
    case ADMIN_GARBAGE:
    case ADMIN_EXCEPTION:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_OK:
        break;
    }
    /* a device can choose what makes its line unreadable */
    if (answer->listing.listed &&
        answer->listing.attachment == ATTACHMENT_UNKNOWN)
        return job_finish(job, STATUS_ATTACHED_ELSEWHERE,
                          "it cannot be told whether a part of it is attached");
    return JOB_WISH_PART;
}

/* The turn is granted: what is it for? */
JobWish job_take_turn(Job *job, uint64_t now_usec)
{
    /* a person may have tightened the policy meanwhile */
    if (job->waited)
        return job_judge_again(job, now_usec);
    /* without a target, the turn is for a disposable to attach to: make that */
    if (job->target.s[0] == '\0')
        return job_take_target(job, now_usec);
    if (job->task.class == DEVICE_CLASS_USB)
        return job_call(job, JOB_PROBING, ADMIN_CURRENT_STATE);
    return job_attach(job);
}
