/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/manager-internal.h"

/* The start of a target has ended: tell every job that waits for it. */
static void on_started(Manager *m,
                       const QubeName *target,
                       const AdminAnswer *answer,
                       Instant now)
{
    Status status = target_start_outcome(answer);

    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        Job *job = &managed->job;

        if (!managed->dead && job->state == JOB_STARTING &&
            qube_name_equal(&job->target, target))
            managed_apply(m, managed,
                          answer->result == ADMIN_EMPTY
                              ? job_on_start_unsure(job, answer->detail,
                                                    now.monotonic_usec)
                              : job_on_started(job, status, answer->detail,
                                               now.monotonic_usec),
                          now);
    }
}

/* The part that the job has asked about, if that still has to be known: under
 * its name there may be a part of another device by now. */
static Device *surveyed_part(const ManagedJob *managed)
{
    const AdminRequest *request = &managed->job.request;
    Device *part = source_find(managed->source, request->class, &request->port);

    return part && part->plugged && !part->attachment_known &&
                   device_excludes(managed->device, part)
               ? part
               : NULL;
}

/* The job has asked who has a part of its USB device: note the answer. */
static void learn_part(Device *part, const AdminAnswer *answer)
{
    /* a line that cannot be read does not tell who has it */
    if (answer->result != ADMIN_OK ||
        (answer->listing.listed &&
         answer->listing.attachment == ATTACHMENT_UNKNOWN))
        return;
    part->attachment_known = true;
    if (answer->listing.attachment == ATTACHMENT_QUBE)
        part->attached_to = answer->listing.attached_to;
    else if (answer->listing.attachment == ATTACHMENT_NONE)
        part->attached_to = (QubeName){};
}

/* Whether @call asked if a source still runs: the event of its shutdown may
 * have been missed, see Source.wants_probe. */
static bool on_probed(Manager *m,
                      uint64_t call,
                      const AdminAnswer *answer,
                      Instant now)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        Source *source = m->sources[i];

        if (!source || source->probe_call != call)
            continue;
        source->probe_call = 0;
        if ((answer->result == ADMIN_UNREACHABLE ||
             answer->result == ADMIN_TIMED_OUT) &&
            m->qubesd == QUBESD_CONNECTED &&
            source_count_connections(source) == 0)
            source->probe_usec = now.monotonic_usec + JOB_OFFLINE_USEC;
        if ((answer->result == ADMIN_OK && answer->power == POWER_HALTED) ||
            (answer->result == ADMIN_EXCEPTION &&
             answer->error == ADMIN_ERROR_NO_SUCH_QUBE))
            manager_on_qube_stopped(m, &source->name, now);
        else
            source->runs = answer->result == ADMIN_OK;
        source->wants_probe &= !source->runs;
        return true;
    }
    return false;
}

/* What was attached to the job's own target meanwhile may be its own doing. */
static void managed_doubt_taken(ManagedJob *managed)
{
    if (managed->job.holding != HOLDING_NOTHING &&
        qube_name_equal(&managed->taken_from, &managed->job.target))
        managed->taken_from = (QubeName){};
}

static void managed_tell_answer(Manager *m,
                                ManagedJob *managed,
                                const AdminAnswer *answer,
                                Instant now)
{
    bool appeared = managed->appeared;
    JobWish wish;

    managed->appeared = false;
    wish = job_on_answer(&managed->job, answer, now.monotonic_usec);
    managed_doubt_taken(managed);
    managed_apply(m, managed, wish, now);
    if (appeared && !managed->dead)
        managed_apply(m, managed,
                      job_on_appeared(&managed->job, NULL, now.monotonic_usec),
                      now);
}

static void managed_on_answer(Manager *m,
                              ManagedJob *managed,
                              const AdminAnswer *answer,
                              Instant now)
{
    bool ignored = managed->ignores_call;
    uint64_t call = managed->call;

    managed->call = 0;
    managed->source->n_calls--;
    managed->ignores_call = false;
    if (answer->pending &&
        managed->job.request.method == ADMIN_CREATE_DISPOSABLE) {
        /* the job takes it for none; what is made yet is done away with */
        orphans_await(&m->orphans, call);
    } else if (answer->pending) {
        /*
         * A USB attach is over its time, but qubesd goes on with it. Until that
         * ends no other is made into the target, and this one cannot be undone.
         * Only a job that has made a disposable does not wait: the attach ends
         * together with the disposable.
         */
        managed->overdue_call = call;
        m->turns_changed = true;
        if (managed->job.state == JOB_UNDOING && !managed->job.made)
            return;
    }
    if (managed->dead) {
        if (managed->port_turn && !answer->pending)
            managed_end_overdue(m, managed, answer, now);
        return;
    }
    if (ignored)
        return;
    if (managed->job.state == JOB_SURVEYING) {
        Device *part = surveyed_part(managed);

        if (!part) {
            managed_apply(m, managed, JOB_WISH_PART, now);
            return;
        }
        learn_part(part, answer);
    }
    managed_tell_answer(m, managed, answer, now);
}

static void managed_on_overdue_answer(Manager *m,
                                      ManagedJob *managed,
                                      const AdminAnswer *answer,
                                      Instant now)
{
    managed->overdue_call = 0;
    if (!managed->dead && managed->job.state == JOB_UNDOING)
        managed_tell_answer(m, managed, answer, now);
    else
        managed_end_overdue(m, managed, answer, now);
}

/* Whether the call changes nothing, and so may be made again. */
static bool only_asks(const Manager *m, uint64_t call)
{
    if (m->desk.call == call)
        return true;
    for (const ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (managed->call == call)
            return admin_only_asks(managed->job.request.method);
    return false;
}

void manager_on_answer(Manager *m,
                       uint64_t call,
                       const AdminAnswer *answer,
                       Instant now)
{
    const uint64_t retry_usec = m->qubesd == QUBESD_CONNECTED
                                    ? now.monotonic_usec + ORPHAN_RETRY_USEC
                                    : 0;
    AdminAnswer cut_off;
    QubeName target;

    /* qubesd went before it answered: as if it had not been there */
    if (answer->result == ADMIN_EMPTY && m->qubesd == QUBESD_GONE &&
        only_asks(m, call)) {
        cut_off = *answer;
        cut_off.result = ADMIN_UNREACHABLE;
        answer = &cut_off;
    }
    if (target_starts_on_answer(m->starts, call, answer, now.monotonic_usec,
                                &target)) {
        on_started(m, &target, answer, now);
        manager_settle(m, now);
        return;
    }
    if (orphans_on_answer(&m->orphans, call, answer, retry_usec) ||
        on_probed(m, call, answer, now) ||
        census_on_answer(m, call, answer, now) ||
        desk_on_answer(m, call, answer, now)) {
        manager_settle(m, now);
        return;
    }

    for (ManagedJob *managed = m->jobs; managed; managed = managed->next) {
        if (managed->call == call)
            managed_on_answer(m, managed, answer, now);
        else if (managed->overdue_call == call)
            managed_on_overdue_answer(m, managed, answer, now);
        else
            continue;
        break;
    }
    manager_settle(m, now);
}
