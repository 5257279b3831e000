/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/job-internal.h"

#define BY_OTHERS "attached by a person or by Qubes itself"

/* qubesd lists another device under this name: the one before, as long as
 * qubesd has not heard of the change (WIRE 5). Its event tells when it has. */
static JobWish job_await_change(Job *job, uint64_t now_usec)
{
    job->other_listed = true;
    if (now_usec >= job->appear_usec)
        return job_finish_unlisted(job, now_usec);
    if (job->state != JOB_AWAITING)
        job->resume = job->state;
    return job_wait(job, JOB_AWAITING, job->appear_usec);
}

/* Whether qubesd may list @holder only because it has not heard yet that the
 * plug before went, or that its target stopped. */
static bool is_of_the_past(const Job *job,
                           const QubeName *holder,
                           uint64_t now_usec)
{
    if (job_port_is_stale(job, now_usec) ||
        qube_name_equal(&job->past_holder, holder))
        return true;
    /* for another moment a USB device counts as attached to a target that
     * stopped */
    return job->task.class == DEVICE_CLASS_USB &&
           qube_name_equal(&job->task.stopped, holder) &&
           !qube_name_equal(&job->known_at, holder);
}

/* Whether what qubesd lists is not what the record tells of: of other ids, or a
 * USB device of other interfaces, by which rules go as well. An identity that
 * cannot be read was made so, and is of another, too. */
static bool contradicts_record(const JobTask *task,
                               const DeviceListing *listing)
{
    if (!listing->has_identity)
        return task->vendor_id[0] != '\0' || task->n_interfaces > 0;
    return identity_contradicts(&listing->identity, task->vendor_id,
                                task->product_id) ||
           (task->n_interfaces > 0 &&
            identity_contradicts_interfaces(
                &listing->identity, task->interfaces, task->n_interfaces));
}

/* Whether it is not what was listed when the person was asked, or before its
 * target was started. The ids of a disk's parent may be unknown meanwhile
 * (WIRE 1); what is known in whole of a USB device does not change. */
static bool contradicts_known(const JobTask *task, const DeviceListing *listing)
{
    if (task->known_as.s[0] == '\0')
        return false;
    if (!listing->has_identity)
        return true;
    if (task->class == DEVICE_CLASS_USB && identity_is_whole(&task->known_as))
        return !identity_equal(&listing->identity, &task->known_as);
    return identity_is_of_another(&listing->identity, &task->known_as);
}

static void forget_listing(Job *job)
{
    job->seen_at = (QubeName){};
    job->seen = false;
    job->surveyed = false;
    job->unlisted = false;
    job->other_listed = false;
}

/* The device is there: who has it? */
static JobWish job_on_holder(Job *job,
                             const DeviceListing *listing,
                             uint64_t now_usec)
{
    const JobTask *task = &job->task;
    const bool readable = listing->attachment != ATTACHMENT_UNKNOWN;
    QubeName holder = listing->attached_to;
    bool ours;
    char detail[sizeof(job->detail)];

    /* a line that cannot be read does not tell who has it: go by what events
     * told */
    if (!readable)
        holder = job->known_at;
    if (holder.s[0] != '\0' && is_of_the_past(job, &holder, now_usec) &&
        job->n_retries < JOB_RETRIES_MAX)
        return job_retry(job, JOB_RECHECKING, STATUS_ATTACHED_ELSEWHERE,
                         "another qube has it", now_usec);
    job->seen = readable && !job->stale;
    if (holder.s[0] != '\0') {
        job->seen_at = holder;
        for (size_t i = 0; i < task->n_targets; i++) {
            if (!job_wants(job, i, &holder))
                continue;
            /* by our Attach, unless that is known to have failed */
            ours = job->holding != HOLDING_NOTHING &&
                   qube_name_equal(&job->target, &holder);
            job->target = holder;
            if (ours)
                job->holding = HOLDING_DEVICE;
            return job_finish(
                job, ours ? STATUS_ATTACHED : STATUS_ALREADY_ATTACHED,
                ours || qube_name_equal(&task->held_by, &holder) ? ""
                                                                 : BY_OTHERS);
        }
        (void) text_format(detail, sizeof(detail), "%s has it, %s", holder.s,
                           qube_name_equal(&task->held_by, &holder)
                               ? "by another rule"
                               : BY_OTHERS);
        return job_finish(job, STATUS_ATTACHED_ELSEWHERE, detail);
    }
    if (job->held_by.s[0] != '\0' && !job->tried &&
        listing->attachment == ATTACHMENT_NONE) {
        job->lost = true;
        job->target = job->held_by;
        return job_call(job, JOB_LOOKING_FURTHER, ADMIN_CURRENT_STATE);
    }
    job->identity = listing->identity;
    job->pinned = identity_is_safe(&job->identity);
    return job_select(job, now_usec);
}

/* Find out under which identity qubesd lists the device. If its event has told,
 * it need not be asked now; after a prompt it is asked in any case. */
JobWish job_check(Job *job, uint64_t now_usec)
{
    DeviceListing listing = { .listed = true,
                              .has_identity = true,
                              .identity = job->task.identity,
                              .attachment = ATTACHMENT_NONE };

    if (!job->task.announced || job->known_at.s[0] != '\0')
        return job_call(job, JOB_CHECKING, ADMIN_AVAILABLE);

    job->state = JOB_CHECKING;
    job->announced = true;
    return job_on_listing(job, &listing, now_usec);
}

/* What to do with a device that qubesd lists. */
JobWish job_on_listing(Job *job,
                       const DeviceListing *listing,
                       uint64_t now_usec)
{
    forget_listing(job);
    if (contradicts_record(&job->task, listing) ||
        contradicts_known(&job->task, listing))
        return job_await_change(job, now_usec);
    return job_on_holder(job, listing, now_usec);
}

/* A disk that is not listed may be gone from the list because of a partition
 * of it that is attached. */
JobWish job_finish_unlisted(Job *job, uint64_t now_usec)
{
    if (job->other_listed)
        return job_finish(job, STATUS_SUPERSEDED,
                          "qubesd lists another device under this name");
    /* attached though a part of it is as well, it is on no list; where it is
     * has been told, or looked up on the target */
    if (job->known_at.s[0] != '\0') {
        forget_listing(job);
        return job_on_holder(
            job,
            &(DeviceListing){ .listed = true,
                              .attachment = ATTACHMENT_UNKNOWN },
            now_usec);
    }
    job->unlisted = true;
    job->state = JOB_SURVEYING;
    job->wake_usec = UINT64_MAX;
    return JOB_WISH_PART;
}

JobWish job_on_available(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, job->state, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, job->state, STATUS_QUBESD_REFUSED, answer->detail,
                         now_usec);
    case ADMIN_GARBAGE:
    case ADMIN_EXCEPTION:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_OK:
        break;
    }

    if (answer->old_release)
        return job_finish(job, STATUS_UNAVAILABLE, answer->detail);
    if (job_rereads(job))
        return job_call(job, job->state, ADMIN_AVAILABLE);
    job->announced = false;
    if (answer->listing.listed)
        return job_on_listing(job, &answer->listing, now_usec);
    job->other_listed = false;
    if (now_usec >= job->appear_usec)
        return job_finish_unlisted(job, now_usec);

    job->resume = job->state;
    return job_wait(job, JOB_AWAITING, job->appear_usec);
}

JobWish job_attach(Job *job)
{
    if (job_rereads(job))
        return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
    if (job->disposable_gone && job_is_in_disposable(job))
        return job_finish_disposable_gone(job);

    /* what was tried again before has used up none of the Attach's tries */
    if (!job->tried)
        job->n_retries = 0;
    job->tried = true;
    job->unready = false;
    job->taken = false;
    job->told_detached = false;
    job->port_left = false;
    job->holding = HOLDING_MAYBE;
    job->bound_to = job->pinned ? identity_hash(&job->identity) : 0;
    return job_call(job, JOB_ATTACHING, ADMIN_ATTACH);
}

static JobWish job_on_not_running(Job *job)
{
    if (job->started)
        return job_call(job, JOB_DIAGNOSING, ADMIN_CURRENT_STATE);

    /* the rule's option is about qubes: a disposable of our making is always
     * started */
    if (!job->made && job->task.start != RULE_START_TARGET)
        return job_finish_not_running(job);

    return job_start(job);
}

/* A USB attach into a target that is paused would never end (WIRE 1), and one
 * that has no agent yet fails. */
JobWish job_on_probed(Job *job, const AdminAnswer *answer, uint64_t now_usec)
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

    if (answer->power == POWER_RUNNING)
        return job->surveyed ? job_attach(job) : job_ask_turn(job);
    if (answer->power == POWER_TRANSIENT)
        return job_join_start(job);
    return job->started ? job_on_diagnosed(job, answer, now_usec)
                        : job_on_not_running(job);
}

static JobWish job_on_attach_exception(Job *job,
                                       const AdminAnswer *answer,
                                       uint64_t now_usec)
{
    char detail[sizeof(job->detail)];

    switch (answer->error) {
    case ADMIN_ERROR_NOT_RUNNING:
        job->has_turn = true; /* that was no attempt: keep it */
        return job_on_not_running(job);
    case ADMIN_ERROR_NO_SUCH_QUBE:
    case ADMIN_ERROR_VALUE:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_ERROR_PERMISSION:
        (void) text_format(detail, sizeof(detail),
                           "qubesd does not permit it; the denied devices of "
                           "%s may name it: %s",
                           job->target.s, answer->detail);
        return job_finish(job, STATUS_QUBESD_REFUSED, detail);
    case ADMIN_ERROR_USB_PROXY:
        (void) text_format(detail, sizeof(detail),
                           "%s cannot take USB devices: qubes-usb-proxy is "
                           "not installed there",
                           job->target.s);
        return job_finish(job, STATUS_ATTACH_FAILED, detail);
    case ADMIN_ERROR_PROTOCOL:
        /* an unknown device: its identity may just have changed */
        if (!job->reread) {
            job->reread = true;
            job->has_turn = true; /* that was no attempt: keep it */
            return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
        }
        break;
    case ADMIN_ERROR_ALREADY_ATTACHED:
        /* qubesd may count the attachment that was just detached */
        if (job_port_is_stale(job, now_usec))
            return job_retry(job, JOB_RECHECKING, STATUS_ATTACH_FAILED,
                             answer->detail, now_usec);
        break;
    case ADMIN_ERROR_NOT_ATTACHED:
    case ADMIN_ERROR_NOT_STARTED:
    case ADMIN_ERROR_OTHER:
        break;
    }
    return job_call(job, JOB_VERIFYING, ADMIN_ATTACHED);
}

JobWish job_on_attach(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    job->attach_result = answer->result;
    job->attach_error = answer->error;
    job->has_turn = false;
    if (!job_may_hold(job, answer))
        job->holding = HOLDING_NOTHING;

    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EXCEPTION:
        (void) text_format(job->detail, sizeof(job->detail), "%s",
                           answer->detail);
        return job_on_attach_exception(job, answer, now_usec);
    case ADMIN_EMPTY:
    case ADMIN_GARBAGE:
        (void) text_format(job->detail, sizeof(job->detail), "%s",
                           answer->detail);
        break;
    case ADMIN_OK:
        /* before its target stopped, or after? */
        if (!job->pinned || job->target_stopped)
            break;
        job->holding = HOLDING_DEVICE;
        return job_finish(job, STATUS_ATTACHED, "");
    }
    return job_call(job, JOB_VERIFYING, ADMIN_ATTACHED);
}

/* In VERIFYING qubesd does not list the device on the target. What Attach has
 * answered says what to make of that. */
static JobWish job_on_missing(Job *job, uint64_t now_usec)
{
    char detail[sizeof(job->detail)];

    memcpy(detail, job->detail, sizeof(detail));
    job->holding = HOLDING_NOTHING;
    /* events have told that it is attached there: the person may have detached
     * it since */
    if (job->taken || qube_name_equal(&job->known_at, &job->target)) {
        job->lost = true;
        job->detail[0] = '\0';
        return job->taken
                   ? job_finish(job, STATUS_DETACHED_BY_USER, "")
                   : job_call(job, JOB_LOOKING_FURTHER, ADMIN_CURRENT_STATE);
    }

    switch (job->attach_result) {
    case ADMIN_GARBAGE:
        return job_finish(job, STATUS_QUBESD_REFUSED, detail);
    case ADMIN_EXCEPTION:
        /* for a moment after its detach a USB port counts as attached; if a
         * qube really has it, RECHECKING finds that listed */
        if (job->attach_error == ADMIN_ERROR_ALREADY_ATTACHED)
            return job->task.class == DEVICE_CLASS_USB
                       ? job_retry(job, JOB_RECHECKING,
                                   STATUS_ATTACHED_ELSEWHERE, detail, now_usec)
                       : job_finish(job, STATUS_ATTACHED_ELSEWHERE, detail);
        if (job->attach_error == ADMIN_ERROR_PROTOCOL ||
            job->task.class == DEVICE_CLASS_USB)
            break;
        return job_finish(job, STATUS_QUBESD_REFUSED, detail);
    case ADMIN_EMPTY:
        /* the identity that the event told may be out of date */
        if (job->announced && !job->reread) {
            job->reread = true;
            return job_call(job, JOB_RECHECKING, ADMIN_AVAILABLE);
        }
        /* R4.3's answer is empty, too, when the target's denied devices name
         * the device */
        (void) text_format(detail, sizeof(detail),
                           "qubesd gave no answer: the hypervisor failed, or "
                           "the denied devices of %s name it",
                           job->target.s);
        break;
    case ADMIN_OK:
    case ADMIN_UNREACHABLE:
    case ADMIN_TIMED_OUT:
        break;
    }
    return job_retry(job, JOB_RECHECKING, STATUS_ATTACH_FAILED, detail,
                     now_usec);
}

JobWish job_on_verified(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    const DeviceListing *listing = &answer->listing;
    /* it has failed, or may have, and no event has told of it */
    const bool doubtful = job->attach_result != ADMIN_OK &&
                          !qube_name_equal(&job->known_at, &job->target);

    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return job_lose_qubesd(job, JOB_VERIFYING, answer->detail, now_usec);
    case ADMIN_TIMED_OUT:
        return job_finish(job, STATUS_TIMEOUT, answer->detail);
    case ADMIN_EMPTY:
        return job_retry(job, JOB_VERIFYING, STATUS_QUBESD_REFUSED,
                         answer->detail, now_usec);
    case ADMIN_GARBAGE:
    case ADMIN_EXCEPTION:
        return job_finish(job, STATUS_QUBESD_REFUSED, answer->detail);
    case ADMIN_OK:
        break;
    }

    if (job_rereads(job))
        return job_call(job, JOB_VERIFYING, ADMIN_ATTACHED);
    if (!listing->listed)
        return job_on_missing(job, now_usec);
    if (!job->pinned &&
        (contradicts_record(&job->task, listing) ||
         identity_is_of_another(&listing->identity, &job->identity))) {
        job_decide(job, STATUS_ATTACH_FAILED,
                   "another device was attached under this name");
        return job_detach(job);
    }
    /* what its target's stop has ended is listed for another moment; so is what
     * was detached before our Attach */
    if ((job->port_left || doubtful) && job_port_is_stale(job, now_usec) &&
        job->n_retries < JOB_RETRIES_MAX)
        return job_retry(job, JOB_VERIFYING, STATUS_ATTACH_FAILED, "",
                         now_usec);
    /* our Attach has failed, or may have: qubesd may still list the plug
     * before */
    if (job->attach_result != ADMIN_OK &&
        qube_name_equal(&job->past_holder, &job->target) &&
        job->n_retries < JOB_RETRIES_MAX)
        return job_retry(job, JOB_RECHECKING, STATUS_ALREADY_ATTACHED,
                         BY_OTHERS, now_usec);
    job->seen = !job->stale;
    job->seen_at = job->target;
    /* it has failed, so somebody else attached the device there */
    if (job->holding == HOLDING_NOTHING)
        return job_finish(job, STATUS_ALREADY_ATTACHED, BY_OTHERS);
    job->holding = HOLDING_DEVICE;
    return job_finish(job, STATUS_ATTACHED,
                      job->pinned ? "" : "not bound to the device's identity");
}

JobWish job_on_diagnosed(Job *job, const AdminAnswer *answer, uint64_t now_usec)
{
    char detail[sizeof(job->detail)];

    if (answer->result == ADMIN_UNREACHABLE)
        return job_lose_qubesd(job, JOB_RECHECKING, answer->detail, now_usec);
    if (answer->result != ADMIN_OK)
        return job_finish(job, STATUS_START_FAILED, answer->detail);

    (void) text_format(detail, sizeof(detail), "%s is %s", job->target.s,
                       power_state_to_string(answer->power));
    switch (answer->power) {
    case POWER_TRANSIENT:
    case POWER_RUNNING:
        return job_retry(job, JOB_RECHECKING, STATUS_START_FAILED, detail,
                         now_usec);
    case POWER_HALTING:
    case POWER_DYING:
        job->started = false; /* it can be started once it is down */
        return job_retry(job, JOB_RECHECKING, STATUS_START_FAILED, detail,
                         now_usec);
    case POWER_UNKNOWN:
    case POWER_HALTED:
    case POWER_PAUSED:
    case POWER_SUSPENDED:
    case POWER_CRASHED:
        break;
    }
    return job_finish(job, STATUS_START_FAILED, detail);
}
