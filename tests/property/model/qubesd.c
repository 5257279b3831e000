/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "tests/property/model/hotplug.h"
#include "tests/property/model/judge.h"
#include "tests/property/model/play.h"
#include "tests/property/model/qubesd.h"
#include "tests/property/model/world.h"

#define LOOK_MAX_USEC   (300 * USEC_PER_MSEC)
#define ATTACH_MAX_USEC (2 * USEC_PER_SEC)
#define USB_MIN_USEC    (100 * USEC_PER_MSEC)
#define USB_MAX_USEC    (3 * USEC_PER_SEC)
#define ANSWER_MAX_USEC (50 * USEC_PER_MSEC)
#define EVENT_MAX_USEC  (50 * USEC_PER_MSEC)
#define EVENT_LATE_USEC (1 * USEC_PER_SEC)
#define RECONNECT_USEC  (500 * USEC_PER_MSEC)
#define CROSS_MAX_USEC  (20 * USEC_PER_MSEC)

const char *method_name(AdminMethod method)
{
    static const char *const names[] = {
        [ADMIN_INVALID] = "nothing",
        [ADMIN_EVENTS] = "Events",
        [ADMIN_LIST] = "List",
        [ADMIN_CURRENT_STATE] = "CurrentState",
        [ADMIN_START] = "Start",
        [ADMIN_AVAILABLE] = "Available",
        [ADMIN_ATTACHED] = "Attached",
        [ADMIN_ATTACH] = "Attach",
        [ADMIN_DETACH] = "Detach",
        [ADMIN_KILL] = "Kill",
        [ADMIN_SHUTDOWN] = "Shutdown",
        [ADMIN_REMOVE] = "Remove",
        [ADMIN_CREATE_DISPOSABLE] = "CreateDisposable",
        [ADMIN_PROPERTY_GET] = "property.Get",
        [ADMIN_OLD_LIST] = "old List",
    };

    return names[method];
}

/* events */

void qubesd_emit(Model *m, const AdminEvent *event, Cause cause, Actor actor)
{
    StreamEvent *slot = &m->stream[m->n_stream % STREAM_MAX];
    uint64_t delay_usec;

    if (!m->qubesd_up || !m->stream_up)
        return;
    *slot = (StreamEvent){ .event = *event,
                           .cause = cause,
                           .actor = actor,
                           .life = m->stream_life,
                           .tick = m->tick };
    /* the daemon reads one connection after the other, in any order */
    delay_usec = delay(m, m->knobs.late && chance(m, 8) ? EVENT_LATE_USEC
                                                        : EVENT_MAX_USEC);
    dues_add_after(m, &m->stream_usec, delay_usec, DUE_EVENT,
                   (int) (m->n_stream % STREAM_MAX), 0);
    m->n_stream++;
}

void qubesd_cut_stream(Model *m)
{
    if (!m->stream_up)
        return;
    /* what was written already is read before the end is seen */
    if (chance(m, 2))
        play_flush_events(m);
    m->stream_up = false;
    m->blind_since_tick = m->tick;
    m->stream_life++;
    m->stream_down_tick = m->tick;
    if (m->manager)
        play_tell_qubesd(m, QUBESD_GONE);
    if (m->qubesd_up)
        dues_add(m, m->now.monotonic_usec + delay(m, RECONNECT_USEC),
                 DUE_STREAM, 0, 0, m->stream_life);
}

/* calls */

static int call_index(const Model *m, const Call *call)
{
    return (int) (call - m->calls);
}

static void call_finish(Model *m, Call *call)
{
    dues_add(m, m->now.monotonic_usec + delay(m, ANSWER_MAX_USEC), DUE_ANSWER,
             call_index(m, call), 0, call->life);
}

static AdminAnswer plain(AdminResult result, const char *detail)
{
    AdminAnswer answer = { .result = result };

    (void) text_format(answer.detail, sizeof(answer.detail), "%s", detail);
    return answer;
}

static AdminAnswer exception(AdminError error)
{
    AdminAnswer answer = plain(ADMIN_EXCEPTION, "as qubesd says");

    answer.error = error;
    return answer;
}

static uint64_t latency_max(AdminMethod method, DeviceClass class)
{
    if (method == ADMIN_ATTACH || method == ADMIN_DETACH)
        return class == DEVICE_CLASS_USB ? LOOK_MAX_USEC : ATTACH_MAX_USEC;
    return method == ADMIN_CREATE_DISPOSABLE ? ATTACH_MAX_USEC : LOOK_MAX_USEC;
}

static Call *call_new(Model *m)
{
    Call *call = m->calls;

    while (call->used)
        call++;
    assert(call < m->calls + CALLS_MAX);
    *call = (Call){ .used = true, .life = call->life + 1, .dev = NONE };
    return call;
}

static bool has_port(AdminMethod method)
{
    return method == ADMIN_ATTACH || method == ADMIN_DETACH ||
           method == ADMIN_ATTACHED || method == ADMIN_AVAILABLE;
}

static int call_seat(const Model *m, const AdminRequest *request)
{
    int source =
        qube_find(m, request->method == ADMIN_AVAILABLE ? request->dest.s
                                                        : request->backend.s);

    if (!has_port(request->method) || source < 0 || source >= SOURCES)
        return NO_SEAT;
    return seat_find((unsigned int) source, request->class, request->port.s);
}

/* Whether qubesd, which is there, has no time for this one call. */
static bool is_refused(Model *m, AdminMethod method)
{
    bool busy = m->now.monotonic_usec < m->busy_usec && !chance(m, 3);
    bool fault = m->fault == FAULT_REFUSED && m->fault_method == method;

    if (!busy && !fault)
        return false;
    if (fault)
        m->fault = FAULT_NONE;
    if (busy)
        m->busy_tick = m->tick;
    m->refused_usec = m->now.monotonic_usec;
    trace(m, "        %s fails: %s", method_name(method),
          fault_name(FAULT_REFUSED));
    return true;
}

void qubesd_call(Model *m, uint64_t id, const AdminRequest *request)
{
    uint64_t now_usec = m->now.monotonic_usec;
    Call *call = call_new(m);

    call->id = id;
    call->daemon_life = m->daemon_life;
    call->request = *request;
    call->tick = m->tick;
    call->qube = qube_find(m, request->dest.s);
    call->seat = call_seat(m, request);
    call->is_census = judge_is_census(m, request, call->seat);

    if (!m->qubesd_up || is_refused(m, request->method)) {
        call->executed = true;
        call->answer = plain(ADMIN_UNREACHABLE, "qubesd is not there");
        dues_add(m, now_usec, DUE_ANSWER, call_index(m, call), 0, call->life);
        return;
    }
    if (m->fault != FAULT_NONE && m->fault_method == request->method) {
        call->fault = m->fault;
        m->fault = FAULT_NONE;
        if (call->seat != NO_SEAT)
            m->seats[call->seat].fault_tick = m->tick;
        else
            m->any_fault_tick = m->tick;
    }
    dues_add(m,
             now_usec + delay(m, latency_max(request->method, request->class)),
             DUE_EXEC, call_index(m, call), 0, call->life);
    dues_add(m, now_usec + admin_deadline_usec(request->method), DUE_TIMEOUT,
             call_index(m, call), 0, call->life);
}

static void list(const Model *m, AdminAnswer *answer, const Dev *dev)
{
    DeviceListing *listing = &answer->listing;
    char devid[IDENTITY_MAX + 1];
    int at = dev_seems_at(m, dev), before = dev_attached_at(m, dev->seat);
    bool busy;

    /* what a target has of a disk that is gone goes by its name */
    if (at == NOWHERE && before != NONE && dev->class == DEVICE_CLASS_BLOCK)
        at = m->devs[before].attached_to;
    busy = at != NOWHERE;

    listing->listed = true;
    listing->has_identity =
        identity_parse(&listing->identity, devid, dev_identity(m, dev, devid));
    if (busy)
        listing->attached_to = m->qubes[at].name;
    listing->attachment = busy ? ATTACHMENT_QUBE : ATTACHMENT_NONE;
    /* such a one has spoilt the rest of its line */
    if (!identity_is_safe(&listing->identity)) {
        listing->attachment = ATTACHMENT_UNKNOWN;
        listing->attached_to = (QubeName){};
    }
}

static AdminAnswer exec_available(Model *m, const Call *call)
{
    AdminAnswer answer = plain(ADMIN_OK, "");
    int dev = call->seat == NO_SEAT ? NONE : dev_listed_at(m, call->seat);

    if (dev != NONE)
        list(m, &answer, &m->devs[dev]);
    return answer;
}

static AdminAnswer exec_attached(Model *m, const Call *call)
{
    AdminAnswer answer = plain(ADMIN_OK, "");
    int dev = call->seat == NO_SEAT ? NONE : dev_attached_at(m, call->seat);

    if (dev == NONE && call->seat != NO_SEAT)
        dev = dev_listed_at(m, call->seat);
    if (dev != NONE && dev_seems_at(m, &m->devs[dev]) == call->qube)
        list(m, &answer, &m->devs[dev]);
    return answer;
}

static bool accepts(const Model *m, int qube)
{
    switch (m->qubes[qube].power) {
    case POWER_RUNNING:
    case POWER_TRANSIENT:
        return true;
    case POWER_PAUSED:
    case POWER_HALTING:
        return !m->knobs.strict_power;
    case POWER_UNKNOWN:
    case POWER_HALTED:
    case POWER_SUSPENDED:
    case POWER_DYING:
    case POWER_CRASHED:
        break;
    }
    return false;
}

static bool identity_fits(const Model *m, int dev, const DeviceIdentity *pin)
{
    char devid[IDENTITY_MAX + 1];
    DeviceIdentity now;

    return identity_parse(&now, devid, dev_identity(m, &m->devs[dev], devid)) &&
           strcmp(now.s, pin->s) == 0;
}

/* qubesd has noted already where it would be. */
static void attach_fails(Model *m, int dev, int qube)
{
    if (m->knobs.echoes && m->devs[dev].attached_to == NOWHERE)
        m->devs[dev].echo_at = qube;
}

/* A USB attach takes a while, and cannot stand another one beside it. */
static AdminAnswer usb_begin(Model *m, Call *call, int dev)
{
    Qube *qube = &m->qubes[call->qube];

    if (!qube->usb_proxy)
        return exception(ADMIN_ERROR_USB_PROXY);
    if (qube->power == POWER_TRANSIENT || qube->usb_work > 0)
        return exception(ADMIN_ERROR_OTHER);
    call->dev = dev;
    qube->usb_work++;
    /* into a paused qube it never returns */
    if (qube->power == POWER_RUNNING)
        dues_add(m,
                 m->now.monotonic_usec +
                     delay_between(m, USB_MIN_USEC, USB_MAX_USEC),
                 DUE_WORKED, call_index(m, call), 0, call->life);
    return plain(ADMIN_OK, "");
}

static AdminAnswer exec_attach(Model *m, Call *call)
{
    const AdminRequest *request = &call->request;
    const AdminAnswer refused = m->knobs.exceptions
                                    ? exception(ADMIN_ERROR_PROTOCOL)
                                    : plain(ADMIN_EMPTY, "an empty answer");
    int dev = call->seat == NO_SEAT ? NONE : dev_listed_at(m, call->seat);
    int busy = call->seat == NO_SEAT ? NONE : dev_attached_at(m, call->seat);

    if (!accepts(m, call->qube))
        return exception(ADMIN_ERROR_NOT_RUNNING);
    if (busy != NONE)
        return exception(ADMIN_ERROR_ALREADY_ATTACHED);
    if (dev == NONE)
        return refused;
    if (request->pinned && !identity_fits(m, dev, &request->identity))
        return refused;
    if (m->devs[dev].lingers_usec > m->now.monotonic_usec)
        return exception(ADMIN_ERROR_ALREADY_ATTACHED);
    if (!m->devs[dev].exists) {
        attach_fails(m, dev, call->qube);
        return plain(ADMIN_EMPTY, "an empty answer");
    }
    if (request->class == DEVICE_CLASS_USB)
        return usb_begin(m, call, dev);
    m->devs[dev].attached_late = call->daemon_life != m->daemon_life;
    dev_attach(m, dev, call->qube, ACTOR_DAEMON);
    return plain(ADMIN_OK, "");
}

void qubesd_on_worked(Model *m, const Due *due)
{
    Call *call = &m->calls[due->a];
    Dev *dev;

    if (call->life != due->life || call->dev == NONE)
        return;
    dev = &m->devs[call->dev];
    m->qubes[call->qube].usb_work--;
    if (!dev->exists || dev->attached_to != NOWHERE ||
        !qube_runs(m, call->qube)) {
        attach_fails(m, call->dev, call->qube);
        call->answer = exception(ADMIN_ERROR_OTHER);
    } else {
        call->answer = plain(ADMIN_OK, "");
        dev->attached_late = call->daemon_life != m->daemon_life;
        dev_attach(m, call->dev, call->qube, ACTOR_DAEMON);
    }
    call->dev = NONE;
    call_finish(m, call);
}

static AdminAnswer exec_detach(Model *m, const Call *call)
{
    int dev = call->seat == NO_SEAT ? NONE : dev_attached_at(m, call->seat);

    if (m->qubes[call->qube].power == POWER_HALTED)
        return exception(ADMIN_ERROR_NOT_RUNNING);
    if (dev == NONE || m->devs[dev].attached_to != call->qube)
        return exception(ADMIN_ERROR_NOT_ATTACHED);
    dev_detach(m, dev, CAUSE_DAEMON);
    return plain(ADMIN_OK, "");
}

static AdminAnswer exec_state(const Model *m, const Call *call)
{
    AdminAnswer answer = plain(ADMIN_OK, "");

    answer.power = m->qubes[call->qube].power;
    return answer;
}

static AdminAnswer exec_property(const Model *m, const Call *call)
{
    AdminAnswer answer = plain(ADMIN_OK, "");
    const char *value = "";

    switch (call->request.property) {
    case ADMIN_PROPERTY_GUIVM:
        value = "dom0";
        break;
    case ADMIN_PROPERTY_ICON:
        value = "appvm-blue";
        break;
    case ADMIN_PROPERTY_LABEL:
        value = "red";
        break;
    case ADMIN_PROPERTY_DEFAULT_DISPVM:
        value = m->knobs.no_default_dispvm ? "" : "dvm";
        break;
    }
    (void) text_format(answer.value.s, sizeof(answer.value.s), "%s", value);
    return answer;
}

static AdminAnswer exec_kill(Model *m, const Call *call)
{
    if (m->qubes[call->qube].power == POWER_HALTED)
        return exception(ADMIN_ERROR_NOT_STARTED);
    qube_halt(m, call->qube);
    return plain(ADMIN_OK, "");
}

static AdminAnswer exec_shutdown(Model *m, const Call *call)
{
    if (m->qubes[call->qube].power == POWER_HALTED)
        return exception(ADMIN_ERROR_NOT_STARTED);
    qube_shutdown(m, call->qube);
    return plain(ADMIN_OK, "");
}

static AdminAnswer exec_remove(Model *m, const Call *call)
{
    Qube *qube = &m->qubes[call->qube];

    if (qube->power != POWER_HALTED)
        return exception(ADMIN_ERROR_OTHER);
    qube->exists = false;
    return plain(ADMIN_OK, "");
}

static AdminAnswer exec_create(Model *m, const Call *call)
{
    AdminAnswer answer = plain(ADMIN_OK, "");
    int qube = qube_new_disposable(m);

    if (qube == NOWHERE)
        return exception(ADMIN_ERROR_OTHER);
    /* nobody can know of it who has not heard its name */
    m->qubes[qube].used = call->daemon_life != m->daemon_life;
    answer.qube = m->qubes[qube].name;
    return answer;
}

static bool is_start_over(const Model *m, int qube)
{
    return m->qubes[qube].power != POWER_TRANSIENT;
}

/* Answers false if the call takes longer. */
static bool exec(Model *m, Call *call)
{
    AdminMethod method = call->request.method;

    if (method == ADMIN_CREATE_DISPOSABLE)
        call->answer = exec_create(m, call);
    else if (method == ADMIN_AVAILABLE)
        call->answer = exec_available(m, call);
    else if (call->qube == NOWHERE || !m->qubes[call->qube].exists)
        call->answer = exception(ADMIN_ERROR_NO_SUCH_QUBE);
    else if (method == ADMIN_ATTACHED)
        call->answer = exec_attached(m, call);
    else if (method == ADMIN_ATTACH)
        call->answer = exec_attach(m, call);
    else if (method == ADMIN_DETACH)
        call->answer = exec_detach(m, call);
    else if (method == ADMIN_CURRENT_STATE)
        call->answer = exec_state(m, call);
    else if (method == ADMIN_PROPERTY_GET)
        call->answer = exec_property(m, call);
    else if (method == ADMIN_KILL)
        call->answer = exec_kill(m, call);
    else if (method == ADMIN_SHUTDOWN)
        call->answer = exec_shutdown(m, call);
    else if (method == ADMIN_REMOVE)
        call->answer = exec_remove(m, call);
    else if (method == ADMIN_START) {
        (void) qube_start(m, call->qube);
        call->answer = plain(ADMIN_OK, "");
        return is_start_over(m, call->qube);
    } else
        wrong(m, "the daemon calls %s, which it has no need of",
              method_name(method));
    return call->dev == NONE;
}

/* Nothing is done; this comes instead of an answer. */
static bool exec_fault(Model *m, Call *call)
{
    trace(m, "        %s fails: %s", method_name(call->request.method),
          fault_name(call->fault));
    switch (call->fault) {
    case FAULT_EMPTY:
        call->answer = plain(ADMIN_EMPTY, "an empty answer");
        return true;
    case FAULT_EXCEPTION:
        call->answer = exception(ADMIN_ERROR_OTHER);
        return true;
    case FAULT_GARBAGE:
        call->answer = plain(ADMIN_GARBAGE, "an answer of no known form");
        return true;
    case FAULT_SILENCE:
    case FAULT_NONE:
    case FAULT_EMPTY_DONE:
    case FAULT_REFUSED:
    case FAULTS:
        break;
    }
    return false;
}

/* A call was carried out: is that what a person's act was waiting for? */
static void cross(Model *m, const Call *call)
{
    if (call->qube == NOWHERE || call->qube != m->crossing.qube ||
        call->request.method != m->crossing.method)
        return;
    m->crossing = (Crossing){};
    dues_add(m, m->now.monotonic_usec + delay(m, CROSS_MAX_USEC), DUE_CROSS,
             call->qube, 0, 0);
}

void qubesd_on_exec(Model *m, const Due *due)
{
    Call *call = &m->calls[due->a];
    bool over;

    if (!call->used || call->life != due->life || call->executed)
        return;
    call->executed = true;
    over = call->fault == FAULT_NONE || call->fault == FAULT_EMPTY_DONE
               ? exec(m, call)
               : exec_fault(m, call);
    if (over && call->fault == FAULT_EMPTY_DONE)
        call->answer = plain(ADMIN_EMPTY, "an empty answer");
    if (over)
        call_finish(m, call);
    cross(m, call);
    thing_cross(m, call->seat, call->request.method);
}

void qubesd_on_power(Model *m, int qube)
{
    for (Call *call = m->calls; call < m->calls + CALLS_MAX; call++) {
        if (call->used && call->dev != NONE && call->qube == qube &&
            m->qubes[qube].power != POWER_PAUSED)
            dues_add(m, m->now.monotonic_usec, DUE_WORKED, call_index(m, call),
                     0, call->life);
        if (!call->used || !call->executed || call->answered ||
            call->request.method != ADMIN_START || call->qube != qube ||
            call->fault == FAULT_SILENCE || !is_start_over(m, qube) ||
            call->told)
            continue;
        call->told = true;
        call->answer = qube_runs(m, qube) ? plain(ADMIN_OK, "")
                                          : exception(ADMIN_ERROR_OTHER);
        if (call->fault == FAULT_EMPTY_DONE)
            call->answer = plain(ADMIN_EMPTY, "an empty answer");
        call_finish(m, call);
    }
}

static Call *call_end(Model *m, Call *call)
{
    bool heard = m->manager && call->daemon_life == m->daemon_life;

    dues_drop(m, DUE_TIMEOUT, call_index(m, call), call->life);
    call->used = false;
    return heard ? call : NULL;
}

Call *qubesd_on_answer(Model *m, const Due *due)
{
    Call *call = &m->calls[due->a];

    if (!call->used || call->life != due->life || call->answered)
        return NULL;
    call->answered = true;
    return call_end(m, call);
}

Call *qubesd_on_timeout(Model *m, const Due *due)
{
    Call *call = &m->calls[due->a];

    if (!call->used || call->life != due->life || call->answered)
        return NULL;
    m->refused_usec = m->now.monotonic_usec;
    call->answer = plain(ADMIN_TIMED_OUT, "it did not answer in time");
    if (call->request.method != ADMIN_ATTACH ||
        call->request.class != DEVICE_CLASS_USB) {
        call->answered = true;
        return call_end(m, call);
    }
    /* that one is waited for */
    call->answer.pending = true;
    call->overdue = true;
    return m->manager && call->daemon_life == m->daemon_life ? call : NULL;
}

void qubesd_crash(Model *m)
{
    if (!m->qubesd_up)
        return;
    trace(m, "        qubesd dies");
    m->qubesd_up = false;
    for (Call *call = m->calls; call < m->calls + CALLS_MAX; call++) {
        if (!call->used)
            continue;
        if (call->dev != NONE)
            m->qubes[call->qube].usb_work--;
        call->dev = NONE;
        /* nobody will hear the name of what was made */
        if (call->executed && call->answer.result == ADMIN_OK &&
            call->request.method == ADMIN_CREATE_DISPOSABLE)
            m->qubes[qube_find(m, call->answer.qube.s)].used = true;
        call->executed = true;
        call->answer = plain(ADMIN_EMPTY, "an empty answer");
        dues_drop(m, DUE_TIMEOUT, call_index(m, call), call->life);
        call->life++; /* what was planned is void */
        dues_add(m, m->now.monotonic_usec, DUE_ANSWER, call_index(m, call), 0,
                 call->life);
    }
    qubesd_cut_stream(m);
}

size_t qubesd_count_calls(const Model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < CALLS_MAX; i++)
        n += m->calls[i].used && m->calls[i].daemon_life == m->daemon_life;
    return n;
}
