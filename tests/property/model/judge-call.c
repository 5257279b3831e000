/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the daemon wants done: calls and prompts. */

#include <string.h>

#include "tests/property/model/hotplug.h"
#include "tests/property/model/judge.h"
#include "tests/property/model/person.h"
#include "tests/property/model/qubesd.h"
#include "tests/property/model/world.h"

#define WINDOW_USEC (600 * USEC_PER_SEC)
#define STARTS_USEC (600 * USEC_PER_SEC)

static bool is_under_way(const Model *m, const Call *call, AdminMethod method)
{
    return call->used && call->daemon_life == m->daemon_life &&
           !call->answered && call->request.method == method;
}

static bool is_target(const BookRule *rule, const Qube *qube)
{
    Choice choice = CHOICE_WORK;

    if (qube->disposable)
        return book_rule_has(rule, CHOICE_DISPVM) ||
               book_rule_has(rule, CHOICE_DISPVM_DVM);
    while (choice <= CHOICE_MEDIA &&
           strcmp(qube->name.s, choice_name(choice)) != 0)
        choice++;
    return choice <= CHOICE_MEDIA && book_rule_has(rule, choice);
}

/* A yes of the policy daemon since the decision, which may have been won by
 * assuming one. */
static bool policy_let(const Model *m,
                       unsigned int source,
                       Choice choice,
                       uint64_t since,
                       bool assumed)
{
    if (m->policy_yes_tick[source][choice] >= since)
        return true;
    return assumed && m->assumed_yes_tick[source][choice] >= since;
}

/* Whether rule, policy and person together allow it to go to @choice. */
static bool is_allowed_to(const Model *m,
                          int index,
                          const BookRule *rule,
                          Choice choice,
                          uint64_t since)
{
    const Seat *seat = &m->seats[index];
    unsigned int source = seat_source(index);
    bool said_yes = seat->yes_tick > 0 && seat->yes_plug == seat->plug &&
                    seat->yes_rule == rule && seat->yes_tick >= since &&
                    is_approved_for(seat, choice);
    bool assumed = said_yes || rule->action == RULE_ASK;

    /* the person took her time: policy is asked again */
    if (said_yes)
        since = seat->yes_tick;
    if (!book_rule_has(rule, choice))
        return false;
    if (rule->action == RULE_ASK && !said_yes)
        return false;
    if (choice == CHOICE_DISPVM &&
        !policy_let(m, source, CHOICE_DISPVM_DVM, since, assumed))
        return false;
    return policy_let(m, source, choice, since, assumed);
}

/* Since when a decision, or a late yes, calls for it; by which rules. */
static const BookRule *leave_of(const Model *m, int index, uint64_t *ret_since)
{
    const Seat *seat = &m->seats[index];
    bool late =
        seat->yes_tick > seat->claim_tick && seat->yes_plug == seat->plug;

    *ret_since = seat->trigger_tick ? seat->trigger_tick : seat->permit_tick;
    if (*ret_since > 0)
        return rule_of(m, index, seat->trigger_set);
    if (!late)
        return NULL;
    *ret_since = seat->yes_tick;
    return rule_of(m, index, seat->yes_set);
}

/* The same, if it is in force still. */
static const BookRule *leave_by_now(const Model *m,
                                    int index,
                                    uint64_t *ret_since)
{
    const BookRule *rule = leave_of(m, index, ret_since);

    return rule_of(m, index, m->rules) == rule ? rule : NULL;
}

static void check_leave(Model *m, int index, int qube)
{
    const Seat *seat = &m->seats[index];
    const Qube *target = &m->qubes[qube];
    uint64_t since;
    const BookRule *rule = leave_of(m, index, &since);
    bool allowed = false;
    if (since == 0)
        wrong(m, "it is attached, though nothing calls for it");
    if (!rule || rule->action == RULE_DENY)
        wrong(m, "it is attached, though no rule says so");
    if (rule_of(m, index, m->rules) != rule)
        wrong(m, "it is attached by rule %s, which is not in force any more",
              rule->name);
    if (!is_target(rule, target))
        wrong(m, "it is attached to %s, which rule %s does not name",
              target->name.s, rule->name);
    for (Choice i = CHOICE_WORK; i < CHOICES; i++)
        if (target->disposable ? i >= CHOICE_DISPVM : qube_of_choice(i) == qube)
            allowed = allowed || is_allowed_to(m, index, rule, i, since);
    if (!allowed)
        wrong(m, "it is attached to %s without leave of policy or person",
              target->name.s);
    if (left_alone(m, index) == SURE_YES)
        wrong(m, "it is attached again, though the person took it away");
    if (is_taken(m, index))
        wrong(m, "it is attached, though the person took it away meanwhile");
    if (seat->refused == SURE_YES)
        wrong(m, "it is attached, though the person said no");
}

static void check_exclusion(Model *m, int index)
{
    const Seat *seat = &m->seats[index];
    uint64_t since;

    (void) leave_of(m, index, &since);

    for (size_t i = 0; i < CALLS_MAX; i++) {
        const Call *call = &m->calls[i];

        if (!is_under_way(m, call, ADMIN_ATTACH) || call->seat == NO_SEAT)
            continue;
        /* one that hangs excludes only another one of the same plug */
        if (call->overdue &&
            (call->seat != index || seat->unplug_tick > call->tick))
            continue;
        if (call->seat == index)
            wrong(m, "two Attach calls of one device at a time");
        if (seats_exclude(m, call->seat, index) &&
            m->seats[call->seat].unplug_tick <= call->tick)
            wrong(m, "%s, another part of the same plug, is being attached",
                  seat_name(call->seat).s);
    }
    for (int i = 0; i < SEATS; i++) {
        int dev = dev_attached_at(m, i);

        if (seats_exclude(m, i, index) && m->seats[i].told_at != NOWHERE &&
            dev != NONE &&
            /* it went, and only its Detach is not done yet */
            m->devs[dev].exists &&
            /* what was told before was an echo */
            m->devs[dev].attach_tick <= m->seats[i].told_at_tick &&
            /* what was attached before a record told of it, or while no
             * event could be heard, is not known: a slot without a medium */
            m->seats[i].told_at_plugged &&
            m->seats[i].told_at_tick <
                (seat->looked.tick > since ? seat->looked.tick : since))
            wrong(m, "%s, another part of the same plug, is attached already",
                  seat_name(i).s);
    }
}

/* It was looked at since events are heard, and the one that says that it is
 * attached since then has not come. */
static bool was_known_free(const Model *m, int index, const Dev *dev)
{
    const Seat *seat = &m->seats[index];

    return !dev->attached_told && seat->looked.tick > m->stream_down_tick &&
           seat->looked.tick > seat->plug_tick &&
           seat->looked.tick < dev->attach_tick;
}

/* What hangs on a USB device and is attached would be ripped out. */
static void check_parts(Model *m, int index)
{
    uint64_t since;

    (void) leave_of(m, index, &since);
    for (int i = 0; i < SEATS; i++) {
        int dev = dev_attached_at(m, i);

        /* what does not exist any more is kept by the hypervisor only */
        if (seats_exclude(m, i, index) && dev != NONE && m->seats[i].plugged &&
            m->devs[dev].exists && m->devs[dev].attach_tick < since &&
            !was_known_free(m, i, &m->devs[dev]))
            wrong(m, "%s, which hangs on it, is attached", seat_name(i).s);
    }
}

static void check_usb_turn(Model *m, int qube)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        const Call *call = &m->calls[i];

        if (call->used && call->daemon_life == m->daemon_life &&
            call->request.method == ADMIN_ATTACH &&
            call->request.class == DEVICE_CLASS_USB && call->qube == qube)
            wrong(m, "two USB attaches into %s at a time",
                  m->qubes[qube].name.s);
    }
}

static void check_options(Model *m, int index, const AttachOptions *options)
{
    uint64_t since;
    const BookRule *rule = leave_of(m, index, &since);
    bool block = seat_class(index) == DEVICE_CLASS_BLOCK;
    const char *frontend =
        rule && block && rule->frontend ? rule->frontend : "";

    if (!rule)
        return; /* it was let pass */

    if (options->read_only != (block && rule->read_only) || options->cdrom ||
        strcmp(options->frontend, frontend) != 0)
        wrong(m, "the options are not those of rule %s", rule->name);
}

/* Whether @request is pinned to what was told after @tick. */
static bool is_pinned_to(const AdminRequest *request,
                         const Told *told,
                         uint64_t tick)
{
    return told->tick > 0 && told->tick >= tick &&
           request->pinned == told_is_safe(told) &&
           (!request->pinned ||
            strcmp(request->identity.s, told->identity.s) == 0);
}

/* It was looked at after the last prompt and the last start, and is pinned to
 * what was seen. */
static void check_look(Model *m, int index, const AdminRequest *request)
{
    const Seat *seat = &m->seats[index];
    int qube = qube_find(m, request->dest.s);
    bool announced = is_announced(m, seat);
    uint64_t since, tick;
    const BookRule *rule = leave_of(m, index, &since);
    tick = announced ? 0 : since;
    if (seat->yes_tick >= since && seat->yes_rule == rule)
        tick = seat->yes_tick;
    if (seat->idle_tick > since && seat->idle_at == qube &&
        seat->start_tick > seat->idle_tick)
        tick = seat->start_tick;
    if (!is_pinned_to(request, &seat->looked, tick) &&
        !is_pinned_to(request, &seat->looked_late, tick) &&
        !is_pinned_to(request, &seat->event, tick) &&
        !is_pinned_to(request, &seat->event_before, tick))
        wrong(m, "it is not pinned to an identity that was told since it was "
                 "decided, approved and its target started");
}

/* The same qube had the plug before, as was told, and no end of that was: what
 * is there after an Attach of which the end is not clear may still be that. */
static bool may_be_of_before(const Seat *seat)
{
    return seat->past_at == seat->ours && seat->unsure_tick > seat->ours_tick;
}

static void on_attach(Model *m, const AdminRequest *request)
{
    int source = qube_find(m, request->backend.s);
    int index =
        source >= 0 && source < SOURCES
            ? seat_find((unsigned int) source, request->class, request->port.s)
            : NO_SEAT;
    int qube = qube_find(m, request->dest.s);
    Seat *seat;

    if (index == NO_SEAT)
        wrong(m, "a device that never was is attached");
    seat = &m->seats[index];
    if (qube == NOWHERE)
        return; /* a disposable that somebody has killed */
    if (qube == QUBE_DOM0 || qube == source)
        wrong(m, "it is attached to %s", request->dest.s);
    if (!seat->plugged)
        wrong(m, "it is attached, though it is not plugged in");
    if (m->paused_until_usec != 0)
        wrong(m, "it is attached, though that is paused");
    check_leave(m, index, qube);
    if (!(dev_attached_at(m, index) == NONE
              ? qube_idle_since(m, seat->ours, seat->told_at_tick)
              : is_taken_for_lost(m, &m->devs[dev_attached_at(m, index)])) &&
        seat->ours != NOWHERE && seat->removed_tick <= seat->ours_tick &&
        !seat->ours_doubt && seat->ours_told && seat->ours_plug == seat->plug &&
        seat->told_at == seat->ours && !may_be_of_before(seat))
        wrong(m, "it is attached once more, though it is attached");
    check_exclusion(m, index);
    check_options(m, index, &request->options);
    check_look(m, index, request);
    if (request->class == DEVICE_CLASS_USB) {
        if (m->told_power[qube] != POWER_RUNNING)
            wrong(m, "a USB device is attached to %s, which is not said to run",
                  request->dest.s);
        check_usb_turn(m, qube);
        check_parts(m, index);
    }

    seat->ours = qube;
    seat->ours_plug = seat->plug;
    seat->ours_tick = m->tick;
    seat->ours_set = m->rules;
    seat->ours_told = false;
    seat->ours_doubt = false;
    if (m->qubes[qube].disposable) {
        const BookRule *rule = rule_of(m, index, seat->trigger_set);

        if (m->qubes[qube].seat != NO_SEAT && m->qubes[qube].seat != index)
            wrong(m, "a disposable is used for two devices");
        m->qubes[qube].seat = index;
        m->qubes[qube].closes = rule && rule->close;
        m->qubes[qube].plug = seat->plug;
        m->qubes[qube].put_tick = m->tick;
    }
}

/* A disposable of ours is shut down with its device where the rule says so,
 * whoever has attached that to it. */
static bool is_closed_with(const Model *m, int qube, int index)
{
    const Seat *seat = &m->seats[index];
    const BookRule *rule = rule_of(m, index, seat->trigger_set);

    return m->qubes[qube].disposable && !seat->plugged && rule && rule->close;
}

static void on_detach(Model *m, const AdminRequest *request)
{
    int source = qube_find(m, request->backend.s);
    int index =
        source >= 0 && source < SOURCES
            ? seat_find((unsigned int) source, request->class, request->port.s)
            : NO_SEAT;
    int qube = qube_find(m, request->dest.s);
    Seat *seat;
    int dev;

    if (index == NO_SEAT)
        wrong(m, "a device that never was is detached");
    seat = &m->seats[index];
    /* a disposable that has stopped is no more */
    if (qube != NOWHERE && seat->found_at != qube)
        wrong(m, "it is detached from where nobody has looked");
    seat->found_at = NOWHERE;
    dev = dev_attached_at(m, index);
    m->coverage->detaches++;
    if (dev != NONE && m->devs[dev].attached_to == qube &&
        m->devs[dev].exists && m->devs[dev].attached_by != ACTOR_DAEMON &&
        m->devs[dev].attached_told && seat->act_tick == 0 &&
        seat->fault_tick == 0 && !seat->ours_doubt && seat->ours != qube &&
        !is_closed_with(m, qube, index) &&
        /* what came of our own Attach was not answered clearly */
        !(seat->unsure_at == qube && seat->unsure_tick > seat->ours_tick))
        wrong(m, "what the person has attached is detached");
    if (seat->act_tick > seat->ours_tick)
        return;
    if (seat->plugged && seat->ours_plug == seat->plug &&
        seat->ours != NOWHERE && seat->superseded_tick < seat->ours_tick &&
        seat->claim != STATUS_TIMEOUT && seat->claim != STATUS_ATTACH_FAILED)
        wrong(m, "it is detached, though it is plugged in");
}

static bool is_start_wanted(Model *m, int qube)
{
    for (int i = 0; i < SEATS; i++) {
        uint64_t since;
        const BookRule *rule;

        if (!m->seats[i].plugged)
            continue;
        rule = leave_by_now(m, i, &since);
        /* what the person has stopped is not started by a record */
        if (m->seats[i].restores == qube && m->seats[i].restores_sure &&
            m->seats[i].yes_tick <= m->seats[i].restores_tick)
            continue;
        if (rule && since > 0 && rule->action != RULE_DENY &&
            rule->start == RULE_START_TARGET &&
            is_target(rule, &m->qubes[qube]))
            return true;
    }
    return false;
}

static void on_start(Model *m, const AdminRequest *request)
{
    int qube = qube_find(m, request->dest.s);
    uint64_t now_usec = m->now.monotonic_usec;
    uint64_t *starts;
    size_t n;

    if (qube == NOWHERE)
        return;
    for (size_t i = 0; i < CALLS_MAX; i++)
        if (is_under_way(m, &m->calls[i], ADMIN_START) &&
            m->calls[i].qube == qube)
            wrong(m, "%s is started twice at a time", request->dest.s);
    if (m->qubes[qube].disposable)
        return;
    if (!is_start_wanted(m, qube))
        wrong(m, "%s is started, though nothing calls for it", request->dest.s);

    starts = m->starts_usec[qube];
    n = m->n_starts[qube]++;
    if (!m->knobs.unlimited && n >= TARGET_STARTS &&
        now_usec - starts[n % TARGET_STARTS] < STARTS_USEC)
        wrong(m, "%s is started for the 4th time in 10 minutes",
              request->dest.s);
    starts[n % TARGET_STARTS] = now_usec;
}

/* The person has attached something to it, as was told. */
static bool is_filled(const Model *m, int qube)
{
    for (size_t i = 0; i < m->n_devs; i++)
        if (m->devs[i].exists && m->devs[i].attached_to == qube &&
            m->devs[i].attached_told && m->devs[i].attached_by == ACTOR_PERSON)
            return true;
    return false;
}

static void on_disposable(Model *m, const AdminRequest *request)
{
    int qube = qube_find(m, request->dest.s);

    if (qube != NOWHERE && !m->qubes[qube].disposable)
        wrong(m, "the daemon calls %s of %s, which it has not made",
              method_name(request->method), request->dest.s);
    if (qube != NOWHERE && request->method == ADMIN_KILL && is_filled(m, qube))
        wrong(m, "%s is killed, though the person has put something into it",
              request->dest.s);
    if (qube != NOWHERE && request->method == ADMIN_SHUTDOWN &&
        !m->qubes[qube].closes && !m->qubes[qube].filled)
        wrong(m, "%s is shut down, though no rule says `close`",
              request->dest.s);
}

static void on_create(Model *m)
{
    for (int i = 0; i < SEATS; i++) {
        uint64_t since;
        const BookRule *rule;

        if (!m->seats[i].plugged)
            continue;
        rule = leave_by_now(m, i, &since);
        if (rule && since > 0 &&
            (is_allowed_to(m, i, rule, CHOICE_DISPVM, since) ||
             is_allowed_to(m, i, rule, CHOICE_DISPVM_DVM, since)))
            return;
    }
    wrong(m, "a disposable is made, though nothing calls for it");
}

bool judge_is_census(const Model *m, const AdminRequest *request, int seat)
{
    static Report report;

    if (request->method != ADMIN_AVAILABLE || seat == NO_SEAT)
        return false;
    report = (Report){};
    manager_report(m->manager, &report, m->now);
    for (size_t i = 0; i < report.n_jobs_shown; i++) {
        const ReportJob *job = &report.jobs[i];

        if (strcmp(job->source.s, request->dest.s) == 0 &&
            ((job->class == request->class &&
              strcmp(job->device.s, request->port.s) == 0) ||
             strcmp(job->state, "checking-parts") == 0))
            return false;
    }
    return true;
}

void judge_on_call(Model *m, const AdminRequest *request)
{
    switch (request->method) {
    case ADMIN_ATTACH:
        on_attach(m, request);
        break;
    case ADMIN_DETACH:
        on_detach(m, request);
        break;
    case ADMIN_START:
        on_start(m, request);
        break;
    case ADMIN_KILL:
    case ADMIN_REMOVE:
    case ADMIN_SHUTDOWN:
        on_disposable(m, request);
        break;
    case ADMIN_CREATE_DISPOSABLE:
        on_create(m);
        break;
    case ADMIN_INVALID:
    case ADMIN_EVENTS:
    case ADMIN_LIST:
    case ADMIN_CURRENT_STATE:
    case ADMIN_AVAILABLE:
    case ADMIN_ATTACHED:
    case ADMIN_PROPERTY_GET:
    case ADMIN_OLD_LIST:
        break;
    }
}

/* The seat that asks: the prompt names the rule, the source and, if it is a
 * plain one, the device. */
static int prompt_seat(const Model *m, const Prompt *prompt)
{
    int source = qube_find(m, prompt->source.s);
    int seat;

    if (source < 0 || source >= SOURCES)
        return NO_SEAT;
    seat = seat_find((unsigned int) source, DEVICE_CLASS_USB, prompt->device.s);
    return seat != NO_SEAT ? seat
                           : seat_find((unsigned int) source,
                                       DEVICE_CLASS_BLOCK, prompt->device.s);
}

static void check_offer(Model *m, const Prompt *prompt, const BookRule *rule)
{
    unsigned int source = (unsigned int) qube_find(m, prompt->source.s);
    const Seat *seat = &m->seats[prompt_seat(m, prompt)];
    uint64_t since = seat_since(seat);

    if (prompt->n_targets == 0 || prompt->preselected >= prompt->n_targets)
        wrong(m, "a prompt without a target to choose");
    for (size_t i = 0; i < prompt->n_targets; i++) {
        Choice choice = choice_of_target(&prompt->targets[i]);
        bool named = choice < CHOICES && (book_rule_has(rule, choice) ||
                                          (choice == CHOICE_DISPVM_DVM &&
                                           book_rule_has(rule, CHOICE_DISPVM)));

        if (!named)
            wrong(m, "a prompt offers a target that rule %s does not name",
                  rule->name);
        if (!policy_let(m, source, choice, since, true))
            wrong(m, "a prompt offers a target that policy does not let");
    }
}

void judge_on_prompt(Model *m, OpenWindow *window)
{
    const Prompt *prompt = &window->prompt;
    uint64_t now_usec = m->now.monotonic_usec;
    int index = prompt_seat(m, prompt);
    Seat *seat;
    const BookRule *rule;

    if (index == NO_SEAT)
        wrong(m, "a prompt for a device that never was");
    seat = &m->seats[index];
    for (size_t i = 0; i < WINDOWS_OPEN_MAX; i++) {
        const OpenWindow *other = &m->windows[i];

        if (other != window && other->used &&
            now_usec - other->opened_usec < WINDOW_USEC)
            wrong(m, "two prompts at a time");
    }
    if (!seat->plugged)
        wrong(m, "a prompt for what is not plugged in");
    if (m->paused_until_usec != 0)
        wrong(m, "a prompt, though attaching is paused");
    rule = rule_of(m, index, m->rules);
    if (!rule || strcmp(rule->name, prompt->rule.s) != 0)
        wrong(m, "a prompt by a rule that is not in force");
    if (seat->trigger_tick == 0 && seat->permit_tick == 0)
        wrong(m, "a prompt that nothing calls for");
    if (is_taken(m, index))
        wrong(m, "a prompt, though the person took it away meanwhile");
    if (seat->refused == SURE_YES)
        wrong(m, "a prompt, though the person has said no");
    if (left_alone(m, index) == SURE_YES)
        wrong(m, "a prompt, though the person took it away");
    if (seat->listed == SURE_NO)
        wrong(m, "a prompt for what qubesd does not list");
    if (m->quiet_usec[seat_source(index)] > now_usec &&
        seat->wanted_plug != seat->plug)
        wrong(m, "a prompt of a source that is silenced");
    check_offer(m, prompt, rule);

    window->seat = index;
    window->plug = seat->plug;
    window->rule = rule;
    seat->window_tick = m->tick;
    seat->window_usec = now_usec;
    m->coverage->prompts++;
}
