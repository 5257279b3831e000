/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "tests/property/model/hotplug.h"
#include "tests/property/model/judge.h"
#include "tests/property/model/person.h"
#include "tests/property/model/play.h"
#include "tests/property/model/qubesd.h"
#include "tests/property/model/world.h"
#include "tests/support/manager-rig.h"

#define START_MAX_USEC   (30 * USEC_PER_SEC)
#define CRASH_MAX_USEC   (3 * USEC_PER_SEC)
#define STOP_MAX_USEC    (6 * USEC_PER_SEC)
#define RESTART_MAX_USEC (500 * USEC_PER_MSEC)
#define AGAIN_MAX_USEC   (50 * USEC_PER_MSEC)
#define ABORT_MAX_USEC   (2 * USEC_PER_SEC)

void dues_add(Model *m,
              uint64_t usec,
              DueKind kind,
              int a,
              int b,
              uint32_t life)
{
    assert(m->n_dues < DUES_MAX);
    m->dues[m->n_dues++] = (Due){ .usec = usec,
                                  .order = ++m->order,
                                  .kind = kind,
                                  .a = a,
                                  .b = b,
                                  .life = life };
}

void dues_add_after(Model *m,
                    uint64_t *channel_usec,
                    uint64_t delay_usec,
                    DueKind kind,
                    int a,
                    int b)
{
    uint64_t usec = m->now.monotonic_usec + delay_usec;

    if (usec < *channel_usec)
        usec = *channel_usec;
    *channel_usec = usec;
    dues_add(m, usec, kind, a, b, 0);
}

static size_t dues_first(const Model *m)
{
    size_t first = 0;

    for (size_t i = 1; i < m->n_dues; i++)
        if (m->dues[i].usec < m->dues[first].usec ||
            (m->dues[i].usec == m->dues[first].usec &&
             m->dues[i].order < m->dues[first].order))
            first = i;
    return first;
}

uint64_t dues_next_usec(const Model *m)
{
    return m->n_dues == 0 ? UINT64_MAX : m->dues[dues_first(m)].usec;
}

bool dues_take(Model *m, uint64_t until_usec, Due *ret)
{
    size_t first = dues_first(m);

    if (m->n_dues == 0 || m->dues[first].usec > until_usec)
        return false;

    *ret = m->dues[first];
    m->dues[first] = m->dues[--m->n_dues];
    return true;
}

void dues_drop(Model *m, DueKind kind, int a, uint32_t life)
{
    for (size_t i = m->n_dues; i-- > 0;)
        if (m->dues[i].kind == kind && m->dues[i].a == a &&
            m->dues[i].life == life)
            m->dues[i] = m->dues[--m->n_dues];
}

bool chance(Model *m, size_t n)
{
    return random_below(&m->random, n) == 0;
}

uint64_t delay_between(Model *m, uint64_t min_usec, uint64_t max_usec)
{
    return min_usec + random_below(&m->random, max_usec - min_usec + 1);
}

uint64_t delay(Model *m, uint64_t max_usec)
{
    switch (random_below(&m->random, 8)) {
    case 0:
        return 0;
    case 1:
        return max_usec;
    case 2:
    case 3:
        return delay_between(m, 0, max_usec);
    default:
        return delay_between(m, 0, max_usec / 50);
    }
}

void trace(const Model *m, const char *format, ...)
{
    va_list ap;

    if (!m->verbose)
        return;
    (void) printf("  %9.3f  ",
                  (double) (m->now.monotonic_usec - RIG_BEGIN_USEC) /
                      (double) USEC_PER_SEC);
    va_start(ap, format);
    (void) vprintf(format, ap);
    va_end(ap);
    (void) printf("\n");
}

void wrong(Model *m, const char *format, ...)
{
    jmp_buf *escape = m->escape;
    va_list ap;

    m->failure.failed = true;
    va_start(ap, format);
    (void) vsnprintf(m->failure.text, sizeof(m->failure.text), format, ap);
    va_end(ap);
    trace(m, "WRONG: %s", m->failure.text);
    longjmp(*escape, 1);
}

/* qubes */

static void qube_add(Model *m, int index, const char *name, PowerState power)
{
    Qube *qube = &m->qubes[index];

    *qube = (Qube){ .exists = true,
                    .power = power,
                    .usb_proxy = true,
                    .seat = NO_SEAT };
    (void) text_format(qube->name.s, sizeof(qube->name.s), "%s", name);
}

void world_begin(Model *m)
{
    qube_add(m, QUBE_SYS_USB, "sys-usb", POWER_RUNNING);
    qube_add(m, QUBE_SYS_NET, "sys-net", POWER_RUNNING);
    qube_add(m, QUBE_WORK, "work", POWER_RUNNING);
    qube_add(m, QUBE_VAULT, "vault", POWER_HALTED);
    qube_add(m, QUBE_MEDIA, "media", POWER_HALTED);
    qube_add(m, QUBE_DVM, "dvm", POWER_HALTED);
    qube_add(m, QUBE_DOM0, "dom0", POWER_RUNNING);
    for (size_t i = 0; i < THINGS; i++)
        m->things[i].source = NOWHERE;
    m->native_seat = NO_SEAT;
    for (unsigned int i = 0; i < SOURCES; i++)
        m->sources[i].connection = NONE;
}

int qube_find(const Model *m, const char *name)
{
    for (int i = 0; i < QUBES_MAX; i++)
        if (m->qubes[i].exists && strcmp(m->qubes[i].name.s, name) == 0)
            return i;
    return NOWHERE;
}

int qube_named(const Model *m, const char *name)
{
    for (int i = 0; i < QUBES_MAX; i++)
        if (strcmp(m->qubes[i].name.s, name) == 0)
            return i;
    return NOWHERE;
}

int qube_of_choice(Choice choice)
{
    switch (choice) {
    case CHOICE_WORK:
        return QUBE_WORK;
    case CHOICE_VAULT:
        return QUBE_VAULT;
    case CHOICE_MEDIA:
        return QUBE_MEDIA;
    case CHOICE_DISPVM:
    case CHOICE_DISPVM_DVM:
    case CHOICES:
        break;
    }
    return NOWHERE;
}

bool qube_runs(const Model *m, int qube)
{
    return qube != NOWHERE && m->qubes[qube].exists &&
           m->qubes[qube].power == POWER_RUNNING;
}

bool qube_idle_since(const Model *m, int qube, uint64_t tick)
{
    return !qube_runs(m, qube) || m->qubes[qube].last_idle_tick >= tick;
}

static void qube_set(Model *m, int index, PowerState power)
{
    Qube *qube = &m->qubes[index];

    trace(m, "        %s is %s", qube->name.s, power_state_to_string(power));
    if (power == POWER_RUNNING)
        qube->last_idle_tick = m->tick;
    qube->power = power;
    qube->power_changes++;
}

static void qube_tell(Model *m, int index, AdminEventType type)
{
    const AdminEvent event = { .type = type, .subject = m->qubes[index].name };

    qubesd_emit(m, &event, CAUSE_STOP, ACTOR_NOBODY);
}

void qube_abort(Model *m, int index)
{
    Qube *qube = &m->qubes[index];
    Abort abort = qube->abort;

    qube->abort = ABORT_NOT;
    if (abort == ABORT_KILL)
        dues_add(m, m->now.monotonic_usec + delay(m, ABORT_MAX_USEC), DUE_DOWN,
                 index, 0, qube->power_changes);
    if (abort == ABORT_SHUTDOWN)
        qube_shutdown(m, index);
}

static void qube_rise(Model *m, int index, uint64_t max_usec)
{
    qube_set(m, index, POWER_TRANSIENT);
    dues_add(m, m->now.monotonic_usec + delay(m, max_usec), DUE_UP, index, 0,
             m->qubes[index].power_changes);
    qube_abort(m, index);
}

bool qube_start(Model *m, int index)
{
    Qube *qube = &m->qubes[index];

    if (!qube->exists || qube->power != POWER_HALTED || index == QUBE_DVM)
        return false;
    qube_rise(m, index, START_MAX_USEC);
    return true;
}

/* The person sees it come up, and puts something into it by hand. */
static void fill_disposable(Model *m, int index)
{
    int seat = (int) random_below(&m->random, SEATS);

    for (int i = 0; i < SEATS && dev_listed_at(m, seat) == NONE; i++)
        seat = (seat + 1) % SEATS;
    person_attach(m, seat, index);
}

void qube_on_up(Model *m, const Due *due)
{
    Qube *qube = &m->qubes[due->a];

    if (!qube->exists || qube->power_changes != due->life)
        return;
    if (m->knobs.frail && due->a >= SOURCES && chance(m, 6)) {
        trace(m, "        the start of %s fails", qube->name.s);
        qube_halt(m, due->a);
        return;
    }
    qube_set(m, due->a, POWER_RUNNING);
    qube_tell(m, due->a, ADMIN_EVENT_DOMAIN_START);
    if (m->knobs.frail && due->a >= SOURCES && chance(m, 6))
        dues_add(m, m->now.monotonic_usec + delay(m, CRASH_MAX_USEC), DUE_DOWN,
                 due->a, 0, qube->power_changes);
    if (due->a < SOURCES)
        source_boot(m, (unsigned int) due->a);
    if (qube->disposable && !m->is_last && chance(m, 4))
        fill_disposable(m, due->a);
    qubesd_on_power(m, due->a);
    if (qube->goes_down)
        qube_shutdown(m, due->a);
}

void qube_halt(Model *m, int index)
{
    Qube *qube = &m->qubes[index];

    if (!qube->exists || qube->power == POWER_HALTED)
        return;
    qube->goes_down = false;
    qube_set(m, index, POWER_HALTED);
    qube_tell(m, index, ADMIN_EVENT_DOMAIN_SHUTDOWN);
    for (size_t i = 0; i < m->n_devs; i++)
        if (m->devs[i].attached_to == index)
            dev_detach(m, (int) i, CAUSE_STOP);
    if (index < SOURCES)
        source_down(m, (unsigned int) index);
    if (qube->disposable)
        qube->exists = false;
    qubesd_on_power(m, index);
}

void qube_restart(Model *m, int index)
{
    qube_halt(m, index);
    qube_rise(m, index, RESTART_MAX_USEC);
}

void qube_cross(Model *m, int index)
{
    if (!m->qubesd_up || !qube_runs(m, index))
        return;
    qube_halt(m, index);
    dues_add(m, m->now.monotonic_usec + delay(m, AGAIN_MAX_USEC), DUE_AGAIN,
             index, 0, m->qubes[index].power_changes);
}

void qube_on_again(Model *m, const Due *due)
{
    if (!m->qubesd_up || m->qubes[due->a].power_changes != due->life)
        return;
    /* long before anything can be attached to it again, it is known that it was
     * stopped */
    play_flush_events(m);
    qube_rise(m, due->a, RESTART_MAX_USEC);
}

void qube_on_down(Model *m, const Due *due)
{
    if (m->qubes[due->a].power_changes == due->life)
        qube_halt(m, due->a);
}

void qube_shutdown(Model *m, int index)
{
    Qube *qube = &m->qubes[index];

    /* one that is starting goes down when it is up */
    qube->goes_down = qube->exists && qube->power == POWER_TRANSIENT;
    if (!qube->exists || qube->power != POWER_RUNNING)
        return;
    qube_set(m, index, POWER_HALTING);
    dues_add(m, m->now.monotonic_usec + delay(m, STOP_MAX_USEC), DUE_DOWN,
             index, 0, qube->power_changes);
}

void qube_pause(Model *m, int index, bool pause)
{
    if (m->qubes[index].power != (pause ? POWER_RUNNING : POWER_PAUSED))
        return;
    qube_set(m, index, pause ? POWER_PAUSED : POWER_RUNNING);
    if (!pause)
        qube_tell(m, index, ADMIN_EVENT_DOMAIN_UNPAUSED);
    qubesd_on_power(m, index);
}

int qube_new_disposable(Model *m)
{
    char name[16];
    int index = QUBE_DISPOSABLE;

    while (index < QUBES_MAX && m->qubes[index].name.s[0] != '\0')
        index++;
    if (index == QUBES_MAX)
        return NOWHERE;

    (void) text_format(name, sizeof(name), "disp%d", 100 + index);
    qube_add(m, index, name, POWER_HALTED);
    m->qubes[index].disposable = true;
    if (m->knobs.preload)
        qube_set(m, index, POWER_RUNNING);
    return index;
}

/* attachments */

/* Qubes' own scripts in the source: a disk and its partitions hide one another
 * while one of them is attached. */
static bool dev_is_hidden(const Model *m, const Dev *dev)
{
    const SourceWorld *source = &m->sources[dev->source];

    if (dev->class != DEVICE_CLASS_BLOCK || dev->attached_to != NOWHERE)
        return false;
    if (dev->part > 0)
        return dev->parent != NONE &&
               m->devs[dev->parent].attached_to != NOWHERE;
    for (size_t i = 0; i < source->n_active; i++) {
        const Dev *part = &m->devs[source->active[i]];

        if (part->parent != NONE && &m->devs[part->parent] == dev &&
            part->attached_to != NOWHERE)
            return true;
    }
    return false;
}

bool dev_is_listed(const Model *m, const Dev *dev)
{
    return dev->published && !dev_is_hidden(m, dev);
}

void dev_tell(Model *m,
              const Dev *dev,
              AdminEventType type,
              int qube,
              Cause cause,
              Actor actor)
{
    AdminEvent event = { .type = type,
                         .subject = m->qubes[qube].name,
                         .class = dev->class,
                         .backend = m->qubes[dev->source].name,
                         .port = seat_name(dev->seat) };
    char devid[IDENTITY_MAX + 1];

    /* a detach names the port only (WIRE 1) */
    if (type == ADMIN_EVENT_ATTACH)
        event.has_identity =
            identity_parse(&event.identity, devid, dev_identity(m, dev, devid));
    qubesd_emit(m, &event, cause, actor);
}

static const char *actor_name(Actor actor)
{
    static const char *const names[] = { "nobody", "the daemon", "the person",
                                         "Qubes itself" };

    return names[actor];
}

void dev_attach(Model *m, int index, int qube, Actor actor)
{
    Dev *dev = &m->devs[index];

    assert(dev->attached_to == NOWHERE);
    dev->attached_to = qube;
    dev->echo_at = NOWHERE;
    dev->attached_by = actor;
    dev->attached_told = false;
    dev->attach_tick = m->tick;
    trace(m, "        %s:%s is attached to %s by %s",
          m->qubes[dev->source].name.s, seat_name(dev->seat).s,
          m->qubes[qube].name.s, actor_name(actor));
    m->qubes[qube].used = true;
    if (actor == ACTOR_PERSON)
        m->qubes[qube].filled = true;
    judge_on_truth_attached(m, dev);
    dev_tell(m, dev, ADMIN_EVENT_ATTACH, qube, CAUSE_DAEMON, actor);
    source_refresh(m, dev->source);
    if (dev->class == DEVICE_CLASS_USB)
        usb_capture(m, index);
}

void dev_detach(Model *m, int index, Cause cause)
{
    static const char *const names[] = { "the daemon", "the person",
                                         "its going away", "a shutdown" };
    Dev *dev = &m->devs[index];
    int qube = dev->attached_to;

    assert(qube != NOWHERE);
    trace(m, "        %s:%s is detached from %s by %s",
          m->qubes[dev->source].name.s, seat_name(dev->seat).s,
          m->qubes[qube].name.s, names[cause]);
    judge_on_truth_detached(m, dev, cause);
    dev->attached_to = NOWHERE;
    dev->lingers_at = qube;
    dev->attached_late = false;
    dev->attached_by = ACTOR_NOBODY;
    dev_tell(m, dev, ADMIN_EVENT_DETACH, qube, cause, ACTOR_NOBODY);
    source_refresh(m, dev->source);
    if (dev->class == DEVICE_CLASS_USB)
        usb_release(m, index);
    source_prune(m, dev->source);
}
