/* SPDX-License-Identifier: GPL-2.0-or-later */

/* When all is quiet: is everything where it is to be? */

#include <string.h>

#include "tests/property/model/forwarder.h"
#include "tests/property/model/hotplug.h"
#include "tests/property/model/judge.h"
#include "tests/property/model/world.h"

static const ReportJob *find_job(const Report *report, const Model *m, int seat)
{
    DeviceName name = seat_name(seat);

    for (size_t i = 0; i < report->n_jobs_shown; i++) {
        const ReportJob *job = &report->jobs[i];

        if (job->class == seat_class(seat) &&
            strcmp(job->device.s, name.s) == 0 &&
            strcmp(job->source.s, m->qubes[seat_source(seat)].name.s) == 0)
            return job;
    }
    return NULL;
}

/* Nobody tells the daemon that policy lets now what it did not at @tick. */
static bool any_target_runs(const Model *m, const BookRule *rule, uint64_t tick)
{
    for (size_t i = 0; rule && i < rule->n_targets; i++) {
        int qube = qube_of_choice(rule->targets[i]);

        if (qube != NOWHERE && qube_runs(m, qube) &&
            m->policy[rule->targets[i]] != RULE_DENY &&
            m->policy_no_tick[rule->targets[i]] < tick)
            return true;
    }
    return false;
}

/* Whether qubesd lists what the record has told of. */
static bool is_as_told(const Model *m, int index)
{
    int dev = dev_listed_at(m, index);
    Record record;

    if (dev == NONE)
        return false;
    record = dev_record(m, &m->devs[dev], RECORD_PRESENT);
    return strcmp(record.properties.vendor_id,
                  m->seats[index].record.properties.vendor_id) == 0 &&
           strcmp(record.properties.product_id,
                  m->seats[index].record.properties.product_id) == 0;
}

/* Whether nothing is in its way any more since the job of another part has
 * ended without an attach, for good. */
static bool is_free_again(const Model *m, int index, const Report *report)
{
    const Seat *seat = &m->seats[index];
    bool made_way = false;

    /* one that had got as far as a target may have seen what it could not read
     */
    if (seat->claim != STATUS_ATTACHED_ELSEWHERE ||
        seat->claim_target != NOWHERE || seat->told_at != NOWHERE ||
        seat->told_at_tick > seat->claim_since ||
        m->groups[seat_source(index)][seat->port].left_alone != SURE_NO)
        return false;
    for (int i = 0; i < SEATS; i++) {
        const Seat *other = &m->seats[i];

        if (!seats_exclude(m, i, index))
            continue;
        if (attached_since(m, i, seat->claim_tick) ||
            other->told_at != NOWHERE || other->ours != NOWHERE ||
            find_job(report, m, i))
            return false;
        /* what may have been attached was more than in work */
        made_way |= other->plugged && other->claim_tick > seat->claim_tick &&
                    other->unsure_tick < seat->plug_tick &&
                    (other->claim == STATUS_DENIED_BY_POLICY ||
                     other->claim == STATUS_TARGET_NOT_RUNNING);
    }
    return made_way;
}

/* What is plugged in has got what the rules and the person call for. */
static void check_seat(Model *m, int index, const Report *report)
{
    Seat *seat = &m->seats[index];
    const char *source = m->qubes[seat_source(index)].name.s;
    DeviceName name = seat_name(index);
    int dev = dev_attached_at(m, index);

    if (find_job(report, m, index))
        return;
    if (is_taken(m, index))
        wrong(m, "at rest: nobody has noted that the person took %s:%s away",
              source, name.s);
    /* what was told 503 is looked at first, and the person was quicker */
    if (seat->trigger_tick > 0 &&
        !(dev != NONE && m->devs[dev].attached_by != ACTOR_DAEMON &&
          seat->told_at_tick > seat->trigger_tick))
        wrong(m, "at rest: %s:%s is plugged in and decided, but has no outcome",
              source, name.s);

    if (seat->claim >= STATUS_INTERNAL && dev != NONE &&
        m->devs[dev].attached_by == ACTOR_DAEMON &&
        seat->ours == m->devs[dev].attached_to &&
        seat->ours_plug == seat->plug && seat->ours_tick > seat->claim_since &&
        seat->told_at == seat->ours && seat->told_at_tick > seat->claim_tick)
        wrong(m, "at rest: %s:%s ended %d, but is known to be attached", source,
              name.s, (int) seat->claim);

    if (dev == NONE && is_free_again(m, index, report))
        wrong(m, "at rest: %s:%s ended 310, but nothing is in its way", source,
              name.s);

    /* what another had attached there, or has in place of what we had, does
     * not come back with its target */
    if ((seat->claim == STATUS_ALREADY_ATTACHED ||
         (seat->claim == STATUS_ATTACHED &&
          seat->attached_by != ACTOR_DAEMON)) &&
        (seat->ours == NOWHERE || seat->attached_by != ACTOR_DAEMON) &&
        (qube_idle_since(m, seat->claim_target, seat->claim_tick) ||
         /* the stop was told after it had come up again */
         m->told_down_tick[seat->claim_target] > seat->claim_tick))
        return;
    if (status_is_success(seat->claim) && seat->claim_target != NOWHERE &&
        qube_runs(m, seat->claim_target) && !seat->excused &&
        /* it went off the list before the look after a gap could tell why it is
         * not there any more */
        !(seat->lost && seat->removed_tick > m->stream_down_tick) &&
        /* whether it is ours that its target has lost cannot be known */
        seat->unclear_tick <= seat->ours_tick &&
        /* or before the gap, and the event that it was attached was missed */
        !(seat->removed_tick > seat->ours_tick &&
          m->stream_down_tick > seat->removed_tick &&
          seat->told_at_tick > m->stream_down_tick &&
          seat->told_detach_tick > m->stream_down_tick) &&
        (dev == NONE || m->devs[dev].attached_to != seat->claim_target))
        wrong(m, "at rest: %s:%s ended %d %s, but is not attached there",
              source, name.s, (int) seat->claim,
              m->qubes[seat->claim_target].name.s);
    if (seat->claim == STATUS_SUPERSEDED &&
        seat->mismatch_tick >= seat->last_trigger_tick &&
        m->rules_tick < seat->claim_since &&
        !qubesd_away_since(m, seat->claim_since) && is_as_told(m, index))
        wrong(m, "at rest: %s:%s ended 311, but is what the record says",
              source, name.s);
    if (seat->claim == STATUS_WAITING_FOR_TARGET && dev == NONE &&
        seat->claim_set == m->rules && !seat->excused &&
        m->policy_fault_tick < seat->last_trigger_tick &&
        (seat->claim_target != NOWHERE
             ? qube_runs(m, seat->claim_target)
             : any_target_runs(m, rule_of(m, index, m->rules),
                               seat->claim_since)))
        wrong(m, "at rest: %s:%s waits for a target that runs", source, name.s);
}

/* What is attached because of us is there with a reason. */
static void check_attachment(Model *m, const Dev *dev)
{
    const Seat *seat = &m->seats[dev->seat];

    if (dev->attached_by != ACTOR_DAEMON || seat->fault_tick > 0)
        return;
    /* an earlier run of the daemon has attached it: nobody can know that the
     * medium is another one */
    if (seat->plugged && seat->ours_tick < m->restart_tick)
        return;
    /* a call of an earlier run, which came after the next one had looked */
    if (dev->attached_late)
        return;
    if (is_taken_for_lost(m, dev))
        return;
    /* its shutdown was told after the Attach in its next boot: nobody can know
     * that this one was not ended by it, and what is found there when it is
     * tried again is another's */
    if (seat->ours_tick <= m->told_down_tick[dev->source] ||
        dev->attach_tick <= m->told_down_tick[dev->source] ||
        seat->unclear_tick > seat->ours_tick)
        return;
    if (!seat->plugged || seat->ours_plug != seat->plug)
        wrong(m, "at rest: %s:%s is gone, but still attached to %s",
              m->qubes[dev->source].name.s, seat_name(dev->seat).s,
              m->qubes[dev->attached_to].name.s);
}

/* A `close` disposable of which all has been heard, and whose plug is gone;
 * what else the person has put into it may be why it is left. */
static bool is_to_be_closed(const Model *m, const Qube *qube)
{
    const Seat *seat = &m->seats[qube->seat];

    /* what could not be detached is still to be closed */
    return qube->closes && !qube->filled && qube->power == POWER_RUNNING &&
           seat->fault_tick == 0 && m->stream_down_tick < qube->put_tick &&
           m->restart_tick < qube->put_tick &&
           (!seat->plugged || seat->plug != qube->plug);
}

static void check_disposables(Model *m)
{
    for (int i = QUBE_DISPOSABLE; i < QUBES_MAX; i++) {
        const Qube *qube = &m->qubes[i];

        if (!qube->exists || m->any_fault_tick > 0)
            continue;
        if (!qube->used)
            wrong(m, "at rest: %s was made for nothing and is still there",
                  qube->name.s);
        if (qube->used && qube->seat != NO_SEAT && is_to_be_closed(m, qube))
            wrong(m, "at rest: %s still runs, though its device is gone",
                  qube->name.s);
    }
}

static void check_sources(Model *m, const Report *report)
{
    for (size_t i = 0; i < report->n_sources; i++) {
        const ReportSource *source = &report->sources[i];
        int qube = qube_find(m, source->name.s);
        size_t n_plugged = 0;
        bool fault = false;

        for (int k = 0; k < SEATS_OF_SOURCE; k++) {
            const Seat *seat = &m->seats[qube * SEATS_OF_SOURCE + k];

            n_plugged += seat->plugged;
            fault = fault || seat->fault_tick > 0;
        }
        /* what is still being attached has not come to its end */
        for (size_t k = 0; k < CALLS_MAX; k++)
            fault = fault || (m->calls[k].used && m->calls[k].overdue &&
                              strcmp(m->calls[k].request.backend.s,
                                     source->name.s) == 0);
        if (source->n_devices > 0 && m->qubes[qube].power == POWER_HALTED &&
            m->any_fault_tick == 0 && !fault)
            wrong(m,
                  "at rest: the daemon knows %zu devices of %s, which is off",
                  source->n_devices, source->name.s);
        if (source->n_devices != n_plugged && !fault && qube_runs(m, qube))
            wrong(m, "at rest: the daemon knows %zu devices of %s, not %zu",
                  source->n_devices, source->name.s, n_plugged);
    }
}

/* What the forwarder has told of is known, and nothing else. */
static void check_known(Model *m, unsigned int source)
{
    const SourceWorld *world = &m->sources[source];

    if (!qube_runs(m, (int) source) || !forwarder_is_in_sync(m, source))
        return;
    for (size_t i = 0; i < world->n_active; i++) {
        const Dev *dev = &m->devs[world->active[i]];
        bool empty =
            dev->empty || (dev->part > 0 && m->devs[dev->parent].empty);

        if (dev->exists && dev->in_udev && !empty &&
            !m->seats[dev->seat].plugged)
            wrong(m, "at rest: %s:%s is there, but the daemon does not know it",
                  m->qubes[source].name.s, seat_name(dev->seat).s);
    }
}

static void check_jobs(Model *m, const Report *report)
{
    uint64_t next_usec = manager_next_usec(m->manager);

    for (size_t i = 0; i < report->n_jobs_shown; i++) {
        const ReportJob *job = &report->jobs[i];

        if (!is_at_rest(m, job))
            wrong(m, "at rest: the job of %s:%s is %s", job->source.s,
                  job->device.s, job->state);
    }
    if (report->n_jobs == 0 && next_usec != UINT64_MAX)
        wrong(m, "at rest: the daemon wants to be woken for nothing");
    if (report->n_prompts_waiting > 0 && report->n_prompts_open == 0 &&
        m->agent_there && next_usec == UINT64_MAX)
        wrong(m, "at rest: a prompt waits for nothing");
}

void judge_on_quiet(Model *m, const Report *report)
{
    m->coverage->quiets++;
    check_jobs(m, report);
    if (m->n_waiting > 0 && report->n_jobs == 0)
        wrong(m, "at rest: event %d of %s was never answered",
              (int) m->waiting[0].seq, seat_name(m->waiting[0].seat).s);
    if (!m->qubesd_up || !m->stream_up)
        return;

    for (unsigned int i = 0; i < SOURCES; i++)
        check_known(m, i);
    for (int i = 0; i < SEATS; i++)
        if (m->seats[i].plugged && qube_runs(m, (int) seat_source(i)))
            check_seat(m, i, report);
    for (size_t i = 0; i < m->n_devs; i++)
        if (m->devs[i].attached_to != NOWHERE)
            check_attachment(m, &m->devs[i]);
    check_disposables(m);
    check_sources(m, report);
}
