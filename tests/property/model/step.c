/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What each step of a history does to the world. */

#include <string.h>

#include "tests/property/model/forwarder.h"
#include "tests/property/model/hotplug.h"
#include "tests/property/model/judge.h"
#include "tests/property/model/person.h"
#include "tests/property/model/play.h"
#include "tests/property/model/qubesd.h"
#include "tests/property/model/world.h"
#include "tests/support/manager-rig.h"

#define TARGETS       3
#define DOWN_MAX_USEC (20 * USEC_PER_SEC)
#define BUSY_MAX_USEC (20 * USEC_PER_SEC)

static int target_of(uint32_t number)
{
    return QUBE_WORK + (int) (number % TARGETS);
}

/* The same, or the disposable that was made last. */
static int target_or_disposable(const Model *m, uint32_t number)
{
    int last = QUBES_MAX - 1;

    if (number / TARGETS % 2 > 0)
        return target_of(number);
    while (last > QUBE_DISPOSABLE && !m->qubes[last].exists)
        last--;
    return m->qubes[last].exists ? last : target_of(number);
}

static int thing_of(const Step *step)
{
    return (int) (step->a % THINGS);
}

static bool is_plugged(const Model *m, int thing)
{
    return m->things[thing].source != NOWHERE;
}

/* A seat at which there is something, if there is anything at all. */
static int seat_of(const Model *m, uint32_t number)
{
    int found = NO_SEAT;
    uint32_t best = UINT32_MAX;

    for (unsigned int i = 0; i < SOURCES; i++)
        for (size_t k = 0; k < m->sources[i].n_active; k++) {
            int seat = m->devs[m->sources[i].active[k]].seat;
            uint32_t distance = ((uint32_t) seat - number) % SEATS;

            if (distance < best) {
                best = distance;
                found = seat;
            }
        }
    return found;
}

/* Something that is attached, if anything is. */
static int attached_of(const Model *m, uint32_t number)
{
    int found = NO_SEAT;
    uint32_t best = UINT32_MAX;

    for (size_t i = 0; i < m->n_devs; i++) {
        uint32_t distance = ((uint32_t) m->devs[i].seat - number) % SEATS;

        if (m->devs[i].attached_to != NOWHERE && distance < best) {
            best = distance;
            found = m->devs[i].seat;
        }
    }
    return found;
}

static void do_wait(Model *m, const Step *step)
{
    (void) m;
    (void) step;
}

/* hands on hardware */

static void do_plug(Model *m, const Step *step)
{
    int thing = thing_of(step);

    if (!is_plugged(m, thing))
        (void) thing_plug(m, thing, step->b % SOURCES,
                          thing == THING_INNER ? PORTS - 1
                                               : step->c % USB_PORTS);
}

static void do_unplug(Model *m, const Step *step)
{
    if (is_plugged(m, thing_of(step)))
        thing_unplug(m, thing_of(step));
}

static void do_replug(Model *m, const Step *step)
{
    static const uint64_t gaps[] = { 0, 300 * USEC_PER_MSEC, 2 * USEC_PER_SEC,
                                     6 * USEC_PER_SEC };
    int thing = thing_of(step);
    int place = m->things[thing].source * PORTS + (int) m->things[thing].port;

    if (!is_plugged(m, thing))
        return;
    thing_unplug(m, thing);
    dues_add(m, m->now.monotonic_usec + gaps[step->b % ARRAY_SIZE(gaps)],
             DUE_REPLUG, thing, place, 0);
}

static void do_swap(Model *m, const Step *step)
{
    thing_swap(m, thing_of(step), (int) (step->b % THINGS));
}

static void do_exchange(Model *m, const Step *step)
{
    static const AdminMethod methods[] = { ADMIN_INVALID, ADMIN_AVAILABLE,
                                           ADMIN_AVAILABLE, ADMIN_ATTACH };

    m->exchange = (Exchange){ .is_due = true,
                              .method = methods[step->c % ARRAY_SIZE(methods)],
                              .thing = thing_of(step),
                              .other = (int) (step->b % THINGS) };
}

static void do_medium(Model *m, const Step *step)
{
    thing_change_medium(m, THING_READER, step->a % DISKS_MAX);
}

static void do_mode(Model *m, const Step *step)
{
    (void) step;
    thing_change_mode(m, THING_PHONE);
}

/* what the forwarder sends */

/* A device of this name that the forwarder sees. */
static int dev_of(const Model *m, int seat)
{
    const SourceWorld *source;

    if (seat == NO_SEAT)
        return NONE;
    source = &m->sources[seat_source(seat)];
    for (size_t i = 0; i < source->n_active; i++) {
        const Dev *dev = &m->devs[source->active[i]];

        if (dev->seat == seat && dev->exists && dev->in_udev && !dev->empty)
            return source->active[i];
    }
    return NONE;
}

static void do_touch(Model *m, const Step *step)
{
    int dev = dev_of(m, seat_of(m, step->a));

    if (dev != NONE)
        dues_add_after(m, &m->sources[m->devs[dev].source].udev_usec, 0,
                       DUE_UDEV, dev, (int) RECORD_CHANGE);
}

static void do_send(Model *m, const Step *step)
{
    int dev = dev_of(m, seat_of(m, step->a));

    /* where none runs, nobody would tell that it goes */
    if (dev != NONE && m->sources[m->devs[dev].source].fwd_runs)
        forwarder_send(m, m->devs[dev].source, dev);
}

static void do_fwd_kill(Model *m, const Step *step)
{
    forwarder_kill(m, step->a % SOURCES);
}

/* the person at qubesd */

static void do_attach(Model *m, const Step *step)
{
    int seat = seat_of(m, step->a);
    int qube = target_or_disposable(m, step->b);

    if (seat != NO_SEAT)
        person_attach(m, seat, qube);
}

static void do_detach(Model *m, const Step *step)
{
    int seat = attached_of(m, step->a);

    if (seat != NO_SEAT)
        person_detach(m, seat);
}

static void do_native(Model *m, const Step *step)
{
    m->native_seat = step->c % 3 == 0 ? NO_SEAT : seat_of(m, step->a);
    m->native_to = target_of(step->b);
}

static void do_start(Model *m, const Step *step)
{
    if (m->qubesd_up)
        (void) qube_start(m, target_of(step->a));
}

static void do_shutdown(Model *m, const Step *step)
{
    qube_shutdown(m, target_of(step->a));
}

static void do_kill(Model *m, const Step *step)
{
    if (m->qubesd_up)
        qube_halt(m, target_of(step->a));
}

/* At once, or while something is being done with it. */
static void do_restart(Model *m, const Step *step)
{
    static const AdminMethod methods[] = { ADMIN_INVALID,  ADMIN_ATTACH,
                                           ADMIN_ATTACH,   ADMIN_DETACH,
                                           ADMIN_ATTACHED, ADMIN_CURRENT_STATE,
                                           ADMIN_START };
    AdminMethod method = methods[step->b % ARRAY_SIZE(methods)];
    int target = target_of(step->a);

    m->crossing = (Crossing){ .method = method, .qube = target };
    if (method == ADMIN_INVALID)
        qube_cross(m, target);
}

static void do_abort(Model *m, const Step *step)
{
    static const Abort aborts[] = { ABORT_KILL, ABORT_SHUTDOWN };
    int target = target_of(step->a);

    m->qubes[target].abort = aborts[step->b % ARRAY_SIZE(aborts)];
    if (m->qubes[target].power == POWER_TRANSIENT)
        qube_abort(m, target);
}

static void do_pause(Model *m, const Step *step)
{
    qube_pause(m, target_of(step->a), true);
}

static void do_unpause(Model *m, const Step *step)
{
    qube_pause(m, target_of(step->a), false);
}

static void do_source_stop(Model *m, const Step *step)
{
    qube_shutdown(m, (int) (step->a % SOURCES));
}

static void do_source_start(Model *m, const Step *step)
{
    (void) qube_start(m, (int) (step->a % SOURCES));
}

static void do_source_restart(Model *m, const Step *step)
{
    int source = (int) (step->a % SOURCES);

    if (m->qubesd_up && qube_runs(m, source))
        qube_restart(m, source);
}

static void do_suspend(Model *m, const Step *step)
{
    if (qube_runs(m, (int) (step->a % SOURCES)))
        source_suspend(m, step->a % SOURCES);
}

/* fate */

static void do_qubesd_crash(Model *m, const Step *step)
{
    if (!m->qubesd_up)
        return;
    qubesd_crash(m);
    dues_add(m, m->now.monotonic_usec + step->a % DOWN_MAX_USEC, DUE_QUBESD, 0,
             0, 0);
}

static void do_qubesd_busy(Model *m, const Step *step)
{
    m->busy_usec = m->now.monotonic_usec + step->a % BUSY_MAX_USEC;
}

static void do_stream_cut(Model *m, const Step *step)
{
    (void) step;
    qubesd_cut_stream(m);
}

static void do_daemon_kill(Model *m, const Step *step)
{
    if (!m->manager)
        return;
    trace(m, "        the daemon is killed");
    m->manager = manager_free(m->manager);
    m->daemon_life++; /* what it has asked for is nobody's now */
    forwarder_lose_daemon(m);
    /* the windows stay on the screen */
    memset(m->askers, 0, sizeof(m->askers));
    m->n_waiting = 0;
    /* of what is being made, nobody will hear the name */
    for (size_t i = 0; i < CALLS_MAX; i++)
        if (m->calls[i].used && m->calls[i].executed &&
            m->calls[i].request.method == ADMIN_CREATE_DISPOSABLE &&
            m->calls[i].answer.result == ADMIN_OK)
            m->qubes[qube_find(m, m->calls[i].answer.qube.s)].used = true;
    if (m->stream_up)
        m->blind_since_tick = m->tick;
    m->stream_up = false;
    m->stream_life++;
    dues_add(m, m->now.monotonic_usec + step->a % DOWN_MAX_USEC, DUE_DAEMON, 0,
             0, 0);
}

static void do_fault(Model *m, const Step *step)
{
    static const AdminMethod methods[] = {
        ADMIN_ATTACH,        ADMIN_ATTACH,
        ADMIN_DETACH,        ADMIN_AVAILABLE,
        ADMIN_ATTACHED,      ADMIN_START,
        ADMIN_CURRENT_STATE, ADMIN_CREATE_DISPOSABLE,
    };
    /* calls that do no more than wait for their turn */
    static const AdminMethod also_refused[] = {
        ADMIN_KILL,         ADMIN_REMOVE,       ADMIN_SHUTDOWN,
        ADMIN_PROPERTY_GET, ADMIN_PROPERTY_GET,
    };

    if (step->c % 4 == 0) {
        m->fault = FAULT_REFUSED;
        m->fault_method = also_refused[step->a % ARRAY_SIZE(also_refused)];
        return;
    }
    m->fault_method = methods[step->a % ARRAY_SIZE(methods)];
    m->fault = (Fault) (FAULT_EMPTY + step->b % (FAULTS - 1));
}

/* rules, policy, prompts */

#define POLICY_FAULTS 6U /* at most, one after the other */

static void do_rules(Model *m, const Step *step)
{
    m->rules = step->a % book_count();
    m->rules_tick = ++m->tick;
    judge_on_rules(m);
    if (m->manager)
        manager_set_rules(m->manager, book_ruleset(m->rules), m->now);
}

static void do_policy(Model *m, const Step *step)
{
    static const RuleAction actions[] = { RULE_DENY, RULE_ASK, RULE_ALLOW,
                                          RULE_ALLOW };

    m->policy[step->a % CHOICES] = actions[step->b % ARRAY_SIZE(actions)];
}

static void do_policy_fault(Model *m, const Step *step)
{
    m->policy_fault = (Fault) (FAULT_EMPTY + step->a % (FAULTS - 1));
    m->n_policy_faults = 1 + step->b % POLICY_FAULTS;
}

/* The person is back at the screen, too: what is open is looked at. */
static void do_habit(Model *m, const Step *step)
{
    m->habit = (Habit) (step->a % HABITS);
    if (m->habit == HABIT_NEVER)
        return;
    for (size_t i = 0; i < WINDOWS_OPEN_MAX; i++)
        if (m->windows[i].used && m->windows[i].habit == HABIT_NEVER)
            window_await_click(m, &m->windows[i]);
}

static void do_agent(Model *m, const Step *step)
{
    (void) step;
    agent_change(m);
    if (!m->agent_there || !m->manager)
        return;
    m->tick++;
    manager_on_agent(m->manager, m->now);
}

/* the person at the command */

static void do_act(Model *m, const Step *step, bool detaches)
{
    int index = detaches ? attached_of(m, step->a) : seat_of(m, step->a);
    Asker *asker = m->askers;
    DeviceRef ref;
    Status status;

    if (index == NO_SEAT || !m->manager)
        return;
    while (asker->id != 0 && asker < m->askers + ASKERS_MAX - 1)
        asker++;
    ref = (DeviceRef){ .source = m->qubes[seat_source(index)].name,
                       .class = seat_class(index),
                       .device = seat_name(index) };
    *asker = (Asker){ .id = manager_new_asker(m->manager),
                      .seat = index,
                      .detaches = detaches,
                      .tick = ++m->tick };
    status = detaches ? manager_detach(m->manager, &ref, asker->id, m->now)
                      : manager_retry(m->manager, &ref, asker->id, m->now);
    /* nothing comes of the command if the person is told that there is no such
     * device: so it is judged once that is known */
    if (status == STATUS_NO_SUCH_DEVICE)
        judge_on_act_unknown(m, index);
    else if (m->seats[index].plugged)
        judge_on_act(m, index, detaches);
    if (status == STATUS_INVALID)
        return;
    play_collect_outcomes(m);
    if (status != STATUS_NO_SUCH_DEVICE)
        judge_on_act_answer(m, asker, status);
    asker->id = 0;
}

static void do_ctl_retry(Model *m, const Step *step)
{
    do_act(m, step, false);
}

static void do_ctl_detach(Model *m, const Step *step)
{
    do_act(m, step, true);
}

static void do_ctl_pause(Model *m, const Step *step)
{
    uint64_t until_usec = step->a % 3 == 0
                              ? MANAGER_PAUSE_FOREVER
                              : m->now.boottime_usec + 300 * USEC_PER_SEC;

    if (!m->manager)
        return;
    m->tick++;
    judge_on_pause(m, until_usec);
    manager_pause(m->manager, until_usec, m->now);
}

static void do_ctl_resume(Model *m, const Step *step)
{
    (void) step;
    if (!m->manager)
        return;
    m->tick++;
    judge_on_resume(m);
    manager_resume(m->manager, m->now);
}

void step_do(Model *m, const Step *step)
{
    static void (*const steps[STEP_KINDS])(Model *, const Step *) = {
        [STEP_WAIT] = do_wait,
        [STEP_PLUG] = do_plug,
        [STEP_UNPLUG] = do_unplug,
        [STEP_REPLUG] = do_replug,
        [STEP_SWAP] = do_swap,
        [STEP_EXCHANGE] = do_exchange,
        [STEP_MEDIUM] = do_medium,
        [STEP_MODE] = do_mode,
        [STEP_TOUCH] = do_touch,
        [STEP_ATTACH] = do_attach,
        [STEP_DETACH] = do_detach,
        [STEP_START] = do_start,
        [STEP_SHUTDOWN] = do_shutdown,
        [STEP_KILL] = do_kill,
        [STEP_RESTART] = do_restart,
        [STEP_ABORT] = do_abort,
        [STEP_PAUSE] = do_pause,
        [STEP_UNPAUSE] = do_unpause,
        [STEP_SOURCE_STOP] = do_source_stop,
        [STEP_SOURCE_START] = do_source_start,
        [STEP_SOURCE_RESTART] = do_source_restart,
        [STEP_SUSPEND] = do_suspend,
        [STEP_NATIVE] = do_native,
        [STEP_QUBESD_CRASH] = do_qubesd_crash,
        [STEP_QUBESD_BUSY] = do_qubesd_busy,
        [STEP_STREAM_CUT] = do_stream_cut,
        [STEP_DAEMON_KILL] = do_daemon_kill,
        [STEP_FWD_KILL] = do_fwd_kill,
        [STEP_SEND] = do_send,
        [STEP_RULES] = do_rules,
        [STEP_POLICY] = do_policy,
        [STEP_POLICY_FAULT] = do_policy_fault,
        [STEP_HABIT] = do_habit,
        [STEP_AGENT] = do_agent,
        [STEP_FAULT] = do_fault,
        [STEP_CTL_PAUSE] = do_ctl_pause,
        [STEP_CTL_RESUME] = do_ctl_resume,
        [STEP_CTL_RETRY] = do_ctl_retry,
        [STEP_CTL_DETACH] = do_ctl_detach,
    };

    trace(m, "STEP %s %u %u %u", step_name(step->kind), step->a, step->b,
          step->c);
    steps[step->kind](m, step);
}
