/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What the daemon says has come of a device: is it true, was it so at some
 * time since the decision?
 */

#include <string.h>

#include "tests/property/model/hotplug.h"
#include "tests/property/model/judge.h"
#include "tests/property/model/world.h"

#define APPEAR_USEC   (4500 * USEC_PER_MSEC) /* of the 5 s */
#define JOB_TIME_USEC (600 * USEC_PER_SEC)
#define STARTS_USEC   (600 * USEC_PER_SEC)
#define TIMEOUT_S     120U
#define NO_ANSWER     "the policy daemon "

typedef struct Claim {
    Model *m;
    int index;
    Seat *seat;
    const HistoryEntry *entry;
    int target; /* NOWHERE */
    uint64_t since;
    uint64_t since_usec;
    uint64_t before;      /* the last look at its jobs before */
    const BookRule *rule; /* that decided */
} Claim;

static void require(const Claim *claim, bool holds, const char *why)
{
    if (holds)
        return;
    wrong(claim->m, "%s:%s ends %d%s%s, but %s",
          claim->m->qubes[seat_source(claim->index)].name.s,
          seat_name(claim->index).s, (int) claim->entry->status,
          claim->entry->target[0] ? " " : "", claim->entry->target, why);
}

static void check_target(const Claim *claim)
{
    const Model *m = claim->m;
    bool named = false;

    require(claim, claim->target != NOWHERE, "there is no such target");
    require(claim, claim->rule && claim->rule->action != RULE_DENY,
            "no rule wants it");
    for (size_t i = 0; i < claim->rule->n_targets; i++) {
        Choice choice = claim->rule->targets[i];

        named = named || (choice >= CHOICE_DISPVM
                              ? m->qubes[claim->target].disposable
                              : qube_of_choice(choice) == claim->target);
    }
    require(claim, named, "its rule wants another target");
}

/* Something went wrong with a call about the device or its parts, or about
 * other things. */
static bool has_fault(const Claim *claim)
{
    const Model *m = claim->m;

    for (int i = 0; i < SEATS; i++)
        if (m->seats[i].fault_tick > 0 &&
            m->seats[i].fault_tick >= claim->since &&
            seat_source(i) == seat_source(claim->index) &&
            m->seats[i].port == claim->seat->port)
            return true;
    return claim->m->any_fault_tick >= claim->since;
}

/* It was there before the events were lost, as was said or told: when at rest
 * it has to be found out that it is not any more. */
static bool was_there_before_gap(const Claim *claim)
{
    if (claim->seat->gap_at == claim->target &&
        claim->seat->gap_tick == claim->seat->told_at_tick)
        return true;
    return status_is_success(claim->seat->claim) &&
           claim->seat->claim_target == claim->target &&
           claim->m->stream_down_tick > claim->seat->claim_tick;
}

/* It was detached a moment ago, and the source has not said so yet. */
static bool seemed_attached(const Claim *claim)
{
    return claim->m->knobs.echoes &&
           seat_class(claim->index) == DEVICE_CLASS_USB &&
           claim->seat->told_at == claim->target &&
           claim->seat->told_at_tick >= claim->since;
}

/* It was told to have failed, and its event has come: what has ended it since
 * is still to be told. */
static bool was_told_late(const Claim *claim)
{
    return claim->seat->claim >= STATUS_INTERNAL &&
           claim->seat->put_tick >= claim->seat->claim_since &&
           claim->seat->told_at == claim->target &&
           claim->seat->told_at_tick >= claim->seat->claim_since;
}

static void check_attached(const Claim *claim)
{
    const Model *m = claim->m;
    int dev = dev_attached_at(m, claim->index);
    bool now = dev != NONE && m->devs[dev].attached_to == claim->target;

    check_target(claim);
    /* also what has been taken away since counts */
    require(claim,
            now || claim->seat->attached_tick >= claim->since ||
                seemed_attached(claim) || was_told_late(claim) ||
                /* it cannot be read: what was told last counts */
                (claim->seat->looked.tick >= claim->since &&
                 !told_is_safe(&claim->seat->looked) &&
                 (claim->seat->told_at == claim->target ||
                  was_there_before_gap(claim))),
            "it was not attached");
    if (claim->entry->status == STATUS_ATTACHED)
        require(claim,
                claim->seat->attached_by == ACTOR_DAEMON ||
                    /* and somebody else has done the same since */
                    claim->seat->put_tick >= claim->since ||
                    claim->seat->ours == claim->target || has_fault(claim) ||
                    claim->seat->unsure_tick >= claim->since,
                "it was not attached by us");
}

static void check_detached(const Claim *claim)
{
    const Model *m = claim->m;
    int dev = dev_attached_at(m, claim->index);
    require(claim,
            dev == NONE || m->devs[dev].attached_by != ACTOR_DAEMON ||
                claim->seat->ours == NOWHERE || claim->seat->ours_doubt ||
                m->devs[dev].attached_to != claim->target,
            "it is still attached");
}

/* A yes that came late is for one target. */
static bool is_ruled_out(const Claim *claim, Choice choice)
{
    const Seat *seat = claim->seat;

    /* what the person has stopped is not replaced by something new */
    if (choice >= CHOICE_DISPVM && group_of(claim->m, claim->index)->stopped)
        return true;
    return seat->yes_tick > 0 && seat->yes_tick >= claim->since &&
           !is_approved_for(seat, choice);
}

static bool all_denied(const Claim *claim)
{
    const Model *m = claim->m;

    for (size_t i = 0; i < claim->rule->n_targets; i++) {
        Choice choice = claim->rule->targets[i];
        bool no = m->policy_no_tick[choice] >= claim->since ||
                  (choice == CHOICE_DISPVM &&
                   (m->knobs.no_default_dispvm ||
                    m->policy_no_tick[CHOICE_DISPVM_DVM] >= claim->since));

        if (!no && !is_ruled_out(claim, choice))
            return false;
    }
    return true;
}

/* Whether there was a time when none of the rule's targets ran. */
static bool all_idle(const Claim *claim)
{
    const Model *m = claim->m;
    /* once one is chosen it is for that one to start */
    if (claim->target != NOWHERE)
        return qube_idle_since(m, claim->target, claim->since);
    for (size_t i = 0; i < claim->rule->n_targets; i++) {
        int qube = qube_of_choice(claim->rule->targets[i]);

        if (qube != NOWHERE && !qube_idle_since(m, qube, claim->since) &&
            m->policy_no_tick[claim->rule->targets[i]] < claim->since &&
            m->any_fault_tick < claim->since)
            return false;
    }
    return true;
}

static bool is_still_plugged(const Model *m, const Dev *dev)
{
    const Thing *thing = &m->things[dev->thing];

    return thing->source == (int) dev->source && thing->port == dev->port;
}

/* What is attached under its name now is a part of another device. */
static bool is_name_reused(const Model *m, const Dev *dev)
{
    int now = dev_attached_at(m, dev->seat);

    return now != NONE && m->devs[now].port != dev->port;
}

/* Whether a part of it is attached of which no record tells: the slot of a
 * card reader without a medium, or one that was quicker. */
static bool has_untold_part(const Claim *claim)
{
    const Model *m = claim->m;

    for (size_t i = 0; i < m->n_devs; i++) {
        const Dev *dev = &m->devs[i];

        if (dev->source == seat_source(claim->index) &&
            dev->port == claim->seat->port &&
            dev->class == DEVICE_CLASS_BLOCK && is_still_plugged(m, dev) &&
            !is_name_reused(m, dev) &&
            (attached_since(m, dev->seat, claim->since) ||
             told_at_since(&m->seats[dev->seat], claim->since)))
            return true;
    }
    return false;
}

/* Whether a disk is attached of which no record tells yet that it is a part of
 * another device that looks the same. */
static bool has_untold_twin(const Claim *claim)
{
    const Model *m = claim->m;
    const Properties *own = &claim->seat->record.properties;

    for (size_t i = 0; i < m->n_devs; i++) {
        const Dev *dev = &m->devs[i];
        Record record = dev_record(m, dev, RECORD_PRESENT);

        if (dev->source == seat_source(claim->index) &&
            dev->class == DEVICE_CLASS_BLOCK && !m->seats[dev->seat].plugged &&
            !is_name_reused(m, dev) &&
            strcmp(record.properties.vendor_id, own->vendor_id) == 0 &&
            strcmp(record.properties.product_id, own->product_id) == 0 &&
            (attached_since(m, dev->seat, claim->since) ||
             told_at_since(&m->seats[dev->seat], claim->since)))
            return true;
    }
    return false;
}

/* Whether it cannot be known what has come of its last Attach. */
static bool is_open(const Seat *seat)
{
    return seat->ours_tick > 0 && seat->fault_tick >= seat->ours_tick;
}

static bool is_elsewhere(const Claim *claim)
{
    const Model *m = claim->m;
    uint64_t before = claim->before;
    if (seat_class(claim->index) == DEVICE_CLASS_USB && has_untold_part(claim))
        return true;
    if (seat_class(claim->index) == DEVICE_CLASS_USB &&
        has_untold_twin(claim)) {
        claim->seat->presumed = true;
        return true;
    }
    if (attached_since(m, claim->index, claim->since) ||
        told_at_since(claim->seat, claim->since))
        return true;
    for (int i = 0; i < SEATS; i++)
        if (seats_exclude(m, i, claim->index) &&
            (attached_since(m, i, claim->since) ||
             told_at_since(&m->seats[i], claim->since) ||
             /* it could not be read */
             (m->seats[i].looked.tick >= claim->since &&
              !told_is_safe(&m->seats[i].looked)) ||
             m->seats[i].job_tick >= before || m->seats[i].trigger_tick > 0 ||
             m->seats[i].permit_tick == m->tick ||
             m->seats[i].ours != NOWHERE || is_open(&m->seats[i])))
            return true;
    return false;
}

/* Whether the policy has said no to what was chosen already, or may have been:
 * it is asked once more about what has waited. */
static bool policy_turned(const Claim *claim)
{
    const Model *m = claim->m;

    if (!claim->rule)
        return false;
    for (size_t i = 0; i < claim->rule->n_targets; i++) {
        Choice choice = claim->rule->targets[i];
        bool may_be_chosen =
            choice >= CHOICE_DISPVM || qube_of_choice(choice) == claim->target;

        if (may_be_chosen &&
            (m->policy_no_tick[choice] >= claim->since ||
             (choice == CHOICE_DISPVM &&
              m->policy_no_tick[CHOICE_DISPVM_DVM] >= claim->since)))
            return true;
    }
    return false;
}

static bool is_superseded(const Claim *claim)
{
    const Seat *seat = claim->seat;
    const Group *group = group_of(claim->m, claim->index);

    return !seat->plugged || seat->unplug_tick >= claim->since ||
           seat->last_trigger_tick > seat->trigger_tick ||
           claim->m->rules_tick >= claim->since ||
           seat->mismatch_tick >= claim->since ||
           (claim->rule && claim->rule->action == RULE_ALLOW &&
            policy_turned(claim)) ||
           /* what makes it the same plug was told late */
           ((group->left_alone != SURE_NO || group->refused != SURE_NO) &&
            (group->usb_detach_usec >= claim->since_usec ||
             claim->m->resumed_usec[seat_source(claim->index)] >=
                 claim->since_usec)) ||
           seat->told_detach_tick >= claim->since;
}

static bool start_may_fail(const Claim *claim)
{
    const Model *m = claim->m;
    int qube = claim->target;
    uint64_t now_usec = m->now.monotonic_usec;

    if (has_fault(claim) || qube == NOWHERE || m->qubes[qube].disposable)
        return true;
    /* its 3 starts are used up */
    if (!m->knobs.unlimited && m->n_starts[qube] >= TARGET_STARTS &&
        now_usec - m->starts_usec[qube][m->n_starts[qube] % TARGET_STARTS] <
            STARTS_USEC)
        return true;
    return qube_idle_since(m, qube, claim->since);
}

static bool has_timed_out(const Claim *claim)
{
    const Seat *seat = claim->seat;
    unsigned int timeout_s = claim->rule && claim->rule->timeout_s
                                 ? claim->rule->timeout_s
                                 : TIMEOUT_S;

    return seat->window_tick >= claim->since &&
           claim->m->now.monotonic_usec - seat->window_usec >=
               timeout_s * USEC_PER_SEC;
}

/* It was detached before its record came, and that was told later. */
static bool went_untold(const Model *m, const Seat *seat)
{
    /* nor was it kept over a gap, when it was the person */
    if (seat->taken_tick > 0 && seat->taken_tick <= seat->plug_tick &&
        m->stream_down_tick >= seat->taken_tick)
        return true;
    return seat->attached_tick > 0 && seat->attached_tick <= seat->plug_tick &&
           (seat->told_detach_tick < seat->attached_tick ||
            seat->told_detach_tick > seat->plug_tick);
}

/* What was attached by us went away, or is about to be taken away. */
static bool has_gone(const Claim *claim)
{
    int dev = dev_attached_at(claim->m, claim->index);

    return claim->seat->went_tick > claim->seat->ours_tick ||
           (dev != NONE && !claim->m->devs[dev].exists);
}

/* It was told that it is off the list, after our Attach or, of what another has
 * attached, since it is plugged in: so it is not the person's doing. */
static bool was_removed(const Claim *claim)
{
    const Seat *seat = claim->seat;

    return seat->removed_tick > seat->ours_tick &&
           seat->removed_tick > seat->plug_tick;
}

/* The jobs of the other parts ended with a look that its source's shutdown cut
 * short: what was told before that was the person's detach. */
static bool left_alone_until_stop(const Claim *claim)
{
    const Model *m = claim->m;

    return m->told_down_tick[seat_source(claim->index)] == m->tick &&
           group_of(claim->m, claim->index)->old_memory;
}

/* It seemed to be attached between the two events that tell of a shutdown: to
 * the target, or, where only its plug is said to be left alone, to the one that
 * it was told to be detached from. */
static bool seemed_there_in_stop(const Claim *claim)
{
    const Model *m = claim->m;
    int target =
        claim->target != NOWHERE ? claim->target : claim->seat->detached_from;

    return m->knobs.echoes && target != NOWHERE &&
           qube_idle_since(m, target, claim->seat->claim_since);
}

static void check_refusal(const Claim *claim)
{
    Model *m = claim->m;
    const Group *group = group_of(m, claim->index);
    const BookRule *rule = claim->rule;
    uint64_t took_usec = m->now.monotonic_usec - claim->since_usec;

    switch (claim->entry->status) {
    case STATUS_NO_RULE:
        require(claim, !rule, "a rule matches");
        break;
    case STATUS_DENIED_BY_RULE:
        require(claim, rule && rule->action == RULE_DENY, "no rule denies it");
        break;
    case STATUS_DENIED_BY_POLICY:
        require(claim, rule && (all_denied(claim) || policy_turned(claim)),
                "policy lets it");
        break;
    case STATUS_DENIED_BY_USER:
        require(claim, group->refused != SURE_NO, "the person did not say no");
        break;
    case STATUS_APPROVAL_TIMEOUT:
        require(claim, has_timed_out(claim), "there was time left");
        break;
    case STATUS_TARGET_NOT_RUNNING:
        require(claim,
                rule && rule->start == RULE_IF_RUNNING && all_idle(claim),
                "a target runs, or may be started");
        break;
    case STATUS_WAITING_FOR_TARGET:
        /* what the person has stopped is not started by a record */
        require(claim,
                rule && (all_idle(claim)) &&
                    (rule->start == RULE_WHEN_RUNNING ||
                     ((group->stopped ||
                       /* so it had been, when what is in work began */
                       m->paused_tick >= claim->since ||
                       (claim->seat->ours != NOWHERE &&
                        qube_idle_since(m, claim->seat->ours, claim->since))))),
                "a target runs, or may be started");
        break;
    case STATUS_DETACHED_BY_USER:
        require(claim,
                left_alone(m, claim->index) != SURE_NO ||
                    /* nobody has said that it is gone */
                    dev_listed_at(m, claim->index) == NONE ||
                    (has_gone(claim) && !was_removed(claim)) ||
                    /* nor why it is attached no longer */
                    (claim->seat->blind_tick > claim->seat->ours_tick &&
                     claim->seat->ours_tick > 0) ||
                    !qube_runs(m, (int) seat_source(claim->index)) ||
                    seemed_there_in_stop(claim) ||
                    left_alone_until_stop(claim) ||
                    /* nor which of two detaches that are told late is ours */
                    claim->seat->echo_tick > claim->seat->ours_tick ||
                    /* nor, before its record came, that it was detached */
                    went_untold(m, claim->seat) ||
                    /* nor that its source was started anew, yet */
                    m->told_boot[seat_source(claim->index)] !=
                        m->sources[seat_source(claim->index)].boot ||
                    /* it was started again before it was looked at */
                    (claim->seat->lost && claim->target != NOWHERE &&
                     qube_idle_since(m, claim->target, m->stream_down_tick)),
                "the person did not take it away");
        break;
    case STATUS_PAUSED:
        require(claim,
                m->paused_until_usec != 0 || m->paused_tick >= claim->since,
                "it is not paused");
        break;
    case STATUS_ATTACHED_ELSEWHERE:
        require(claim, is_elsewhere(claim), "nothing else has it");
        break;
    case STATUS_SUPERSEDED:
        require(claim, is_superseded(claim), "it is what it was");
        break;
    case STATUS_QUIET:
        require(claim,
                m->quiet_usec[seat_source(claim->index)] >= claim->since_usec &&
                    m->quiet_usec[seat_source(claim->index)] > 0,
                "its source is not silenced");
        break;
    case STATUS_NO_SUCH_DEVICE:
        require(claim,
                (dev_listed_at(m, claim->index) == NONE ||
                 claim->seat->listed != SURE_YES) &&
                    took_usec >= APPEAR_USEC,
                "qubesd lists it");
        break;
    case STATUS_QUBESD_REFUSED:
        require(claim,
                has_fault(claim) ||
                    (claim->entry->target[0] && claim->target == NOWHERE),
                "qubesd refused nothing");
        break;
    case STATUS_UNAVAILABLE:
        require(claim,
                qubesd_away_since(m, claim->since) ||
                    m->busy_tick >= claim->since ||
                    m->policy_fault_tick >= claim->since ||
                    m->agent_died_tick >= claim->since,
                "all were there");
        break;
    case STATUS_TIMEOUT:
        require(claim,
                has_fault(claim) || m->policy_fault_tick >= claim->since ||
                    took_usec >= JOB_TIME_USEC ||
                    (claim->target != NOWHERE &&
                     seat_class(claim->index) == DEVICE_CLASS_USB &&
                     qube_idle_since(m, claim->target, claim->since)),
                "everything went on in time");
        break;
    case STATUS_START_FAILED:
        require(claim, start_may_fail(claim), "it could be started");
        break;
    case STATUS_ATTACH_FAILED:
        require(claim,
                has_fault(claim) || claim->seat->failed_tick >= claim->since ||
                    (claim->target != NOWHERE &&
                     qube_idle_since(m, claim->target, claim->since)),
                "no Attach failed");
        break;
    case STATUS_INVALID:
    case STATUS_ATTACHED:
    case STATUS_ALREADY_ATTACHED:
    case STATUS_DETACHED:
    case STATUS_NOT_ATTACHED:
    case STATUS_MALFORMED:
    case STATUS_UNSUPPORTED_VERSION:
    case STATUS_TOO_LARGE:
    case STATUS_TOO_MANY:
    case STATUS_INTERNAL:
        require(claim, false, "nothing calls for that");
        break;
    }
}

static int claimed_seat(const Model *m, const HistoryEntry *entry)
{
    int source = qube_find(m, entry->source.s);

    return source >= 0 && source < SOURCES
               ? seat_find((unsigned int) source, entry->class, entry->device.s)
               : NO_SEAT;
}

/* The outcome of a job that was to take something away again. */
static bool is_of_detach(const HistoryEntry *entry)
{
    return entry->rule.s[0] == '\0' && entry->status != STATUS_NO_RULE &&
           entry->status != STATUS_DETACHED_BY_USER;
}

static void close_trigger(const Model *m, Seat *seat, const HistoryEntry *entry)
{
    /* what had been in work makes room for what is decided now */
    bool more = entry->status == STATUS_SUPERSEDED && seat->trigger_tick > 0 &&
                seat->last_trigger_tick == m->tick;

    seat->trigger_tick = more ? seat->last_trigger_tick : 0;
    seat->permit_tick = 0;
}

/* The rules that its outcome comes from. */
static size_t deciding_set(const Model *m, const Seat *seat, Status status)
{
    /* an Attach has ended that was over its time */
    if (status == STATUS_ATTACHED && seat->ours_tick > 0 &&
        seat->ours_tick <= seat->claim_tick)
        return seat->ours_set;
    if (seat->trigger_tick > 0 || seat->permit_tick > 0)
        return seat->trigger_set;
    return seat->yes_tick > seat->claim_tick ? seat->yes_set : m->rules;
}

/* Its target was stopped after it was attached there, and before that was
 * answered: it is to be attached again when the target starts. */
static bool was_lost_meanwhile(const Seat *seat, int target, Status status)
{
    return status == STATUS_ATTACHED && target != NOWHERE &&
           seat->restores == target && seat->restores_tick > seat->ours_tick;
}

/* It is attached again, perhaps under another name than before. */
static void forget_restores(Model *m, int index)
{
    for (int i = 0; i < SEATS; i++)
        if (i == index ||
            (!m->seats[i].plugged && seat_source(i) == seat_source(index) &&
             m->seats[i].port == m->seats[index].port))
            m->seats[i].restores = NOWHERE;
}

/* It has started already. */
static void call_for_restore(Model *m, Seat *seat, int target, Status status)
{
    if (seat->restores == NOWHERE || seat->restores != target ||
        seat->started_tick <= seat->restores_tick)
        return;
    if (was_lost_meanwhile(seat, target, status) && seat->restores_sure)
        trigger(m, seat);
    else
        permit(m, seat);
}

/* What it was in the way of may be decided again, if it was not attached. */
static void make_way(Model *m, int index, Status status)
{
    for (int i = 0; i < SEATS; i++)
        if (!status_is_success(status) && seats_exclude(m, i, index) &&
            m->seats[i].plugged && m->seats[i].trigger_tick == 0 &&
            m->seats[i].claim == STATUS_ATTACHED_ELSEWHERE)
            permit(m, &m->seats[i]);
}

void judge_on_outcome(Model *m, const HistoryEntry *entry)
{
    int index = claimed_seat(m, entry);
    Claim claim = { .m = m, .index = index, .entry = entry };

    trace(m, "daemon: %s:%s %s %d%s%s%s%s", entry->source.s, entry->device.s,
          entry->rule.s, (int) entry->status, entry->target[0] ? " " : "",
          entry->target, entry->detail[0] ? ": " : "", entry->detail);
    if (index == NO_SEAT)
        wrong(m, "an outcome of a device that never was");
    m->coverage->outcomes[entry->status]++;
    claim.seat = &m->seats[index];
    claim.target = entry->target[0] ? qube_find(m, entry->target) : NOWHERE;
    /* a disposable may have crashed meanwhile */
    if (entry->target[0] && status_is_success(entry->status))
        claim.target = qube_named(m, entry->target);
    claim.since = seat_since(claim.seat);
    claim.since_usec = claim.seat->trigger_usec;
    claim.before = claim.seat->before_tick;
    claim.rule = rule_of(m, index, deciding_set(m, claim.seat, entry->status));

    if (is_of_detach(entry)) {
        if (entry->status == STATUS_DETACHED)
            check_detached(&claim);
        return;
    }
    claim.seat->presumed = false;
    if (entry->status == STATUS_ATTACHED ||
        entry->status == STATUS_ALREADY_ATTACHED)
        check_attached(&claim);
    else
        check_refusal(&claim);

    if (entry->status == STATUS_SUPERSEDED)
        claim.seat->superseded_tick = m->tick;
    if (entry->status == STATUS_DETACHED_BY_USER && claim.seat->taken) {
        claim.seat->taken = false;
        leave_alone(m, index, SURE_YES);
    }
    if (entry->status == STATUS_DETACHED_BY_USER &&
        left_alone(m, index) == SURE_NO)
        leave_alone(m, index, SURE_MAYBE);
    if (entry->status == STATUS_DETACHED_BY_USER) {
        if (claim.seat->ours == claim.target)
            claim.seat->ours = NOWHERE;
    }
    claim.seat->waited = entry->status == STATUS_DETACHED_BY_USER &&
                         entry->rule.s[0] == '\0' &&
                         claim.seat->claim == STATUS_WAITING_FOR_TARGET;
    claim.seat->claim_set = deciding_set(m, claim.seat, entry->status);
    claim.seat->claim_since = claim.since;
    claim.seat->unjudged =
        strncmp(entry->detail, NO_ANSWER, strlen(NO_ANSWER)) == 0;
    claim.seat->claim = entry->status;
    claim.seat->claim_tick = m->tick;
    claim.seat->excused = false;
    claim.seat->claim_target = claim.target;
    if (status_is_success(entry->status) ||
        entry->status == STATUS_DETACHED_BY_USER ||
        entry->status == STATUS_WAITING_FOR_TARGET)
        claim.seat->lost = false;
    /* it did not stay up */
    if (entry->status == STATUS_START_FAILED && claim.target != NOWHERE)
        group_of(m, index)->stopped = true;
    if (status_is_success(entry->status) &&
        !was_lost_meanwhile(claim.seat, claim.target, entry->status))
        forget_restores(m, index);
    else if (entry->status >= STATUS_INTERNAL)
        claim.seat->restores_sure = false; /* it was tried */
    /* what a look has found out is no answer to a record */
    if (entry->rule.s[0] != '\0' || entry->status == STATUS_NO_RULE ||
        (entry->status == STATUS_DETACHED_BY_USER && claim.seat->by_answer))
        close_trigger(m, claim.seat, entry);
    /* it was to be asked for by rules that are not in force any more, or was
     * told to be detached, which may have been the plug before */
    if (entry->status == STATUS_SUPERSEDED &&
        (m->rules_tick >= claim.since || policy_turned(&claim) ||
         claim.seat->told_detach_tick >= claim.since) &&
        claim.seat->plugged && claim.seat->trigger_tick == 0)
        permit(m, claim.seat);
    call_for_restore(m, claim.seat, claim.target, entry->status);
    /* a target may have been started too late for it */
    if ((entry->status == STATUS_WAITING_FOR_TARGET ||
         entry->status == STATUS_START_FAILED ||
         entry->status == STATUS_ATTACH_FAILED) &&
        claim.seat->started_tick >= claim.since)
        permit(m, claim.seat);
    /* or while no event could be heard */
    if ((entry->status == STATUS_WAITING_FOR_TARGET ||
         entry->status == STATUS_UNAVAILABLE) &&
        m->stream_down_tick >= claim.since)
        permit(m, claim.seat);
    make_way(m, index, entry->status);
}

void judge_on_reply(Model *m, const Waiting *waiting, Status status)
{
    const Seat *seat = &m->seats[waiting->seat];

    trace(m, "daemon: answers event %d of %s with %d", (int) waiting->seq,
          seat_name(waiting->seat).s, (int) status);
    if (waiting->action == RECORD_REMOVE) {
        if (status != STATUS_DETACHED && status != STATUS_NOT_ATTACHED)
            wrong(m, "a remove is answered %d", (int) status);
        return;
    }
    if (seat->claim_tick < waiting->tick)
        wrong(m, "an event is answered %d, but its outcome is not known",
              (int) status);
}

void judge_on_act_answer(Model *m, const Asker *asker, Status status)
{
    const Seat *seat = &m->seats[asker->seat];

    trace(m, "daemon: answers the person about %s with %d",
          seat_name(asker->seat).s, (int) status);
    if (asker->detaches) {
        if (status != STATUS_DETACHED && status != STATUS_NOT_ATTACHED)
            wrong(m, "a detach is answered %d", (int) status);
    } else if (seat->plugged && seat->claim_tick < asker->tick) {
        wrong(m, "a retry is answered %d, but its outcome is not known",
              (int) status);
    }
}

void judge_on_notification(Model *m, const Notification *notification)
{
    if (notification->rule.s[0] == '\0')
        wrong(m, "a notification without a rule");
}

/* Whether a call of the job is over its deadline and still goes on. */
static bool is_overdue(const Model *m, const ReportJob *job)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        const Call *call = &m->calls[i];

        if (call->used && call->overdue &&
            strcmp(call->request.backend.s, job->source.s) == 0 &&
            strcmp(call->request.port.s, job->device.s) == 0)
            return true;
    }
    return false;
}

bool is_at_rest(const Model *m, const ReportJob *job)
{
    const char *state = job->state;

    if (strcmp(state, "asking") == 0 || strcmp(state, "awaiting-prompt") == 0)
        return true;
    if (strcmp(state, "awaiting-qubesd") == 0)
        return !m->qubesd_up;
    return (strcmp(state, "undoing") == 0) && is_overdue(m, job);
}

/* Whether a job in that state only detaches, or does away with a disposable:
 * nothing of it has been decided by rules that are over. */
static bool only_undoes(const char *state)
{
    static const char *const states[] = { "detaching", "verifying-detach",
                                          "closing-disposable",
                                          "discarding-disposable" };

    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        if (strcmp(state, states[i]) == 0)
            return true;
    return false;
}

void judge_on_report(Model *m, const Report *report)
{
    m->report_tick = m->tick;
    for (size_t i = 0; i < report->n_jobs_shown; i++) {
        const ReportJob *job = &report->jobs[i];
        int source = qube_find(m, job->source.s);
        int index = seat_find((unsigned int) source, job->class, job->device.s);

        if (index == NO_SEAT)
            continue;
        /* the one that waits for the look to end */
        if (strcmp(job->state, "queued") == 0)
            continue;
        m->seats[index].job_tick = m->tick;
        if (strcmp(job->state, "starting-target") == 0)
            m->seats[index].starting_tick = m->tick;
        /* a look that waits to be tried again still is one */
        if (strcmp(job->state, "pausing") == 0 ||
            strcmp(job->state, "awaiting-qubesd") == 0)
            continue;
        m->seats[index].looked_at = strcmp(job->state, "looking") == 0;
        m->seats[index].discards = only_undoes(job->state);
    }
}
