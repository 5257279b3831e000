/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "common/text.h"
#include "tests/property/model/forwarder.h"
#include "tests/property/model/hotplug.h"
#include "tests/property/model/judge.h"
#include "tests/property/model/person.h"
#include "tests/property/model/play.h"
#include "tests/property/model/qubesd.h"
#include "tests/property/model/world.h"
#include "tests/support/manager-rig.h"

/* all that is begun comes to rest within this time */
#define REST_USEC (3000 * USEC_PER_SEC)
#define LOOK_USEC (3 * USEC_PER_SEC)
/* what did not get through is asked once more within this time */
#define REFUSED_USEC (10 * USEC_PER_SEC)
/* inputs at one moment: more is a loop without end */
#define SPIN_MAX 5000U

/* knobs, by their bits in the history */
#define KNOB_LIMITED    0x01U
#define KNOB_EXCEPTIONS 0x02U
#define KNOB_PRELOAD    0x04U
#define KNOB_NO_DISPVM  0x08U
#define KNOB_STRICT     0x10U
#define KNOB_REPROBE(n) (((n) >> 5) % 3)
#define KNOB_FRAIL      0x08000000U
#define KNOB_ECHOES     0x10000000U
#define KNOB_LATE       0x20000000U
#define KNOB_SILENT     0xC0000000U /* both */

/* The daemon is about to be told something. */
static void input(Model *m)
{
    m->tick++;
}

void play_collect_outcomes(Model *m)
{
    const History *history = manager_history(m->manager);
    uint64_t last = history_last_serial(history);
    size_t n = history_count(history);
    size_t n_new = (size_t) (last - m->last_serial);

    assert(n_new <= n);
    for (size_t i = n - n_new; i < n; i++)
        judge_on_outcome(m, history_get(history, i));
    m->last_serial = last;
}

static void drop_waiting(Model *m, int connection)
{
    for (size_t i = m->n_waiting; i-- > 0;)
        if (m->waiting[i].connection == connection)
            m->waiting[i] = m->waiting[--m->n_waiting];
}

static bool collect_act_answer(Model *m, uint64_t id, Status status)
{
    for (size_t i = 0; i < ASKERS_MAX; i++) {
        Asker *asker = &m->askers[i];

        if (asker->id != id)
            continue;
        judge_on_act_answer(m, asker, status);
        asker->id = 0;
        return true;
    }
    return false;
}

static void collect_answers(Model *m)
{
    uint64_t id;
    int64_t seq;
    Status status;

    while (manager_next_answer(m->manager, &id, &seq, &status)) {
        size_t i = 0;
        Waiting waiting;

        if (seq == 0 && collect_act_answer(m, id, status))
            continue;

        while (i < m->n_waiting &&
               (m->connections[m->waiting[i].connection].id != id ||
                m->waiting[i].seq != seq))
            i++;
        if (i == m->n_waiting)
            wrong(m, "an answer that nobody waits for, seq %d", (int) seq);
        waiting = m->waiting[i];
        m->waiting[i] = m->waiting[--m->n_waiting];
        judge_on_reply(m, &waiting, status);
        forwarder_on_answered(m, waiting.connection);
    }
    while (manager_next_close(m->manager, &id))
        forwarder_on_close(m, id);
}

static bool collect_calls(Model *m)
{
    AdminRequest request;
    PolicyQuestion question;
    Prompt prompt;
    uint64_t id;
    bool any = false;

    while (manager_next_call(m->manager, &id, &request)) {
        trace(m, "daemon: %s %s%s%s%s%s", method_name(request.method),
              request.dest.s, request.port.s[0] ? " " : "", request.port.s,
              request.pinned ? " pinned " : "",
              request.pinned ? request.identity.s : "");
        judge_on_call(m, &request);
        qubesd_call(m, id, &request);
        any = true;
    }
    while (manager_next_question(m->manager, &id, &question)) {
        policy_on_question(m, id, &question);
        any = true;
    }
    while (manager_next_prompt(m->manager, &id, &prompt, m->now)) {
        OpenWindow *window = window_new(m, id, &prompt);

        trace(m, "daemon: prompt for %s by rule %s", prompt.device.s,
              prompt.rule.s);
        judge_on_prompt(m, window);
        window_await_click(m, window);
        any = true;
    }
    return any;
}

/* What is to be known after a kill is written before the calls are made. */
static void save_state(Model *m)
{
    uint64_t digest = manager_state_digest(m->manager);

    if (m->state && m->state_digest == digest)
        return;
    m->state = state_free(m->state);
    assert(manager_save(m->manager, &m->state) == 0);
    m->state_digest = digest;
}

/* Take all that is wanted now, as the daemon does. */
static void collect(Model *m)
{
    static Report report;
    Notification notification;

    if (!m->manager)
        return;
    do {
        save_state(m);
        play_collect_outcomes(m);
        collect_answers(m);
        if (!m->manager)
            return;
    } while (collect_calls(m));
    while (manager_next_notification(m->manager, &notification))
        judge_on_notification(m, &notification);

    report = (Report){};
    manager_report(m->manager, &report, m->now);
    judge_on_report(m, &report);
}

/* what the forwarders tell */

bool play_connect(Model *m, unsigned int source, uint64_t *ret_id)
{
    input(m);
    return manager_connect(m->manager, &m->qubes[source].name, m->now,
                           ret_id) == STATUS_INVALID;
}

void play_disconnect(Model *m, int index)
{
    Connection *connection = &m->connections[index];

    connection->open = false;
    drop_waiting(m, index);
    if (!m->manager)
        return;
    trace(m, "%s hangs up", m->qubes[connection->source].name.s);
    input(m);
    manager_disconnect(m->manager, connection->id, m->now);
    collect(m);
}

bool play_take_line(Model *m, int index, uint64_t *ret_when_usec)
{
    return manager_take_line(m->manager, m->connections[index].id, m->now,
                             ret_when_usec);
}

void play_hello(Model *m, int index)
{
    const Connection *connection = &m->connections[index];
    BootId boot_id = {};

    trace(m, "%s: hello", m->qubes[connection->source].name.s);
    memset(boot_id.s, 'a' + (int) (connection->boot % 6), BOOT_ID_LEN);
    input(m);
    judge_on_hello(m, connection);
    manager_hello(m->manager, connection->id, &boot_id, m->now);
    collect(m);
}

void play_event(Model *m, int index, int dev_index, RecordAction action)
{
    Connection *connection = &m->connections[index];
    const Dev *dev = &m->devs[dev_index];
    Record record = dev_record(m, dev, action);
    Waiting waiting = { .connection = index,
                        .seq = ++connection->seq,
                        .seat = dev->seat,
                        .action = action };
    Status status;

    trace(m, "%s: %s %s", m->qubes[connection->source].name.s,
          record_action_to_string(action), record.device.s);
    input(m);
    waiting.tick = m->tick;
    judge_on_record(m, connection, dev, &record);
    status =
        manager_event(m->manager, connection->id, waiting.seq, &record, m->now);
    if (status != STATUS_INVALID) {
        play_collect_outcomes(m);
        judge_on_reply(m, &waiting, status);
    } else {
        assert(m->n_waiting < WAITING_MAX);
        m->waiting[m->n_waiting++] = waiting;
    }
    collect(m);
    if (status != STATUS_INVALID)
        forwarder_on_answered(m, index);
}

void play_synced(Model *m, int index)
{
    const Connection *connection = &m->connections[index];

    trace(m, "%s: synced", m->qubes[connection->source].name.s);
    input(m);
    judge_on_synced(m, connection);
    manager_synced(m->manager, connection->id, m->now);
    collect(m);
}

void play_input_ended(Model *m, int index)
{
    const Connection *connection = &m->connections[index];

    trace(m, "%s: end of input", m->qubes[connection->source].name.s);
    input(m);
    manager_input_ended(m->manager, connection->id, m->now);
    collect(m);
}

/* what qubesd tells */

void play_tell_qubesd(Model *m, QubesdState state)
{
    trace(m, "qubesd is %s", state == QUBESD_CONNECTED ? "connected" : "gone");
    input(m);
    judge_on_qubesd(m, state);
    manager_set_qubesd(m->manager, state, m->now);
    collect(m);
}

static void deliver_event(Model *m, const StreamEvent *event)
{
    static const char *const names[] = {
        [ADMIN_EVENT_OTHER] = "something",
        [ADMIN_EVENT_ESTABLISHED] = "established",
        [ADMIN_EVENT_LIST_CHANGE] = "list-change",
        [ADMIN_EVENT_DEVICE_ADDED] = "device-added",
        [ADMIN_EVENT_DEVICE_REMOVED] = "device-removed",
        [ADMIN_EVENT_ATTACH] = "device-attach",
        [ADMIN_EVENT_DETACH] = "device-detach",
        [ADMIN_EVENT_DOMAIN_START] = "domain-start",
        [ADMIN_EVENT_DOMAIN_SHUTDOWN] = "domain-shutdown",
        [ADMIN_EVENT_DOMAIN_RESUMED] = "domain-resumed",
        [ADMIN_EVENT_DOMAIN_UNPAUSED] = "domain-unpaused",
    };

    trace(m, "qubesd: %s %s %s", event->event.subject.s,
          names[event->event.type], event->event.port.s);
    input(m);
    judge_on_event(m, event);
    manager_on_admin_event(m->manager, &event->event, m->now);
    collect(m);
}

static void on_event(Model *m, const Due *due)
{
    const StreamEvent *event = &m->stream[due->a];

    if (m->manager && event->life == m->stream_life)
        deliver_event(m, event);
}

void play_flush_events(Model *m)
{
    for (;;) {
        size_t first = m->n_dues;

        for (size_t i = 0; i < m->n_dues; i++)
            if (m->dues[i].kind == DUE_EVENT &&
                m->stream[m->dues[i].a].life == m->stream_life &&
                (first == m->n_dues || m->dues[i].order < m->dues[first].order))
                first = i;
        if (first == m->n_dues || !m->manager)
            return;
        int index = m->dues[first].a;

        m->dues[first] = m->dues[--m->n_dues];
        deliver_event(m, &m->stream[index]);
    }
}

static void deliver_answer(Model *m, const Call *call)
{
    AdminMethod method;

    if (!call)
        return;
    method = call->request.method; /* its place may be taken in collect() */
    trace(m, "qubesd: %s %s %s: %s", method_name(call->request.method),
          call->request.dest.s, call->request.port.s,
          call->answer.result == ADMIN_OK
              ? (call->answer.listing.listed ? "listed" : "ok")
              : call->answer.detail);
    input(m);
    judge_on_answer(m, call);
    manager_on_answer(m->manager, call->id, &call->answer, m->now);
    collect(m);
    /* qubesd tells of a start before it answers, which takes long: the event
     * is there before anything else can be done */
    if (method == ADMIN_START)
        play_flush_events(m);
}

static void on_verdict(Model *m, const Due *due)
{
    Question question;
    PolicyAnswer answer;

    input(m);
    if (!policy_on_due(m, due, &question, &answer))
        return;
    judge_on_verdict(m, &question, answer);
    manager_on_verdict(m->manager, question.id, answer, m->now);
    collect(m);
}

static void on_click(Model *m, const Due *due)
{
    static const char *const names[] = { "no", "nobody is there",
                                         "the agent dies", "yes" };
    OpenWindow window;
    PromptAnswer answer;

    if (!window_on_click(m, due, &window, &answer))
        return;
    trace(m, "the person: %s, to the prompt for %s", names[answer.result],
          window.prompt.device.s);
    input(m);
    if (answer.result == PROMPT_YES)
        thing_cross(m, window.seat, ADMIN_INVALID);
    judge_on_click(m, &window, &answer);
    manager_on_prompt(m->manager, window.id, &answer, m->now);
    collect(m);
}

/* the daemon's own life */

static void daemon_start(Model *m)
{
    assert(manager_new(&m->manager, m->knobs.unlimited) == 0);
    if (m->state)
        assert(manager_restore(m->manager, m->state) == 0);
    manager_set_rules(m->manager, book_ruleset(m->rules), m->now);
    m->daemon_life++;
    input(m);
    judge_on_restart(m);
    trace(m, "        the daemon is up");
    m->stream_up = false;
    m->stream_life++;
    if (m->qubesd_up)
        dues_add(m, m->now.monotonic_usec, DUE_STREAM, 0, 0, m->stream_life);
    collect(m);
}

static void on_qubesd_up(Model *m)
{
    m->qubesd_up = true;
    m->qubesd_down_tick = m->tick;
    trace(m, "        qubesd is up");
    qubesd_read_anew(m);
    m->stream_life++;
    dues_add(m, m->now.monotonic_usec + delay(m, USEC_PER_SEC), DUE_STREAM, 0,
             0, m->stream_life);
}

static void on_stream_up(Model *m, const Due *due)
{
    if (!m->manager || !m->qubesd_up || due->life != m->stream_life)
        return;
    m->stream_up = true;
    m->stream_down_tick = m->tick;
    play_tell_qubesd(m, QUBESD_CONNECTED);
}

/* time */

static void dispatch(Model *m, const Due *due)
{
    switch (due->kind) {
    case DUE_QDB:
        dev_on_qdb(m, due);
        break;
    case DUE_UDEV:
        dev_on_udev(m, due);
        break;
    case DUE_TAKE:
        dev_on_take(m, due);
        break;
    case DUE_CHILDREN:
        dev_on_children(m, due);
        break;
    case DUE_RESET:
        dev_on_reset(m, due);
        break;
    case DUE_IDENTITY:
        dev_on_identity(m, due);
        break;
    case DUE_NATIVE:
        dev_on_native(m, due);
        break;
    case DUE_EVENT:
        on_event(m, due);
        break;
    case DUE_EXEC:
        qubesd_on_exec(m, due);
        break;
    case DUE_WORKED:
        qubesd_on_worked(m, due);
        break;
    case DUE_ANSWER:
        deliver_answer(m, qubesd_on_answer(m, due));
        break;
    case DUE_TIMEOUT:
        deliver_answer(m, qubesd_on_timeout(m, due));
        break;
    case DUE_UP:
        qube_on_up(m, due);
        break;
    case DUE_DOWN:
        qube_on_down(m, due);
        break;
    case DUE_CROSS:
        qube_cross(m, due->a);
        break;
    case DUE_AGAIN:
        qube_on_again(m, due);
        break;
    case DUE_FWD:
        forwarder_on_due(m, due);
        break;
    case DUE_LINE:
        forwarder_on_line(m, due);
        break;
    case DUE_VERDICT:
        on_verdict(m, due);
        break;
    case DUE_CLICK:
        on_click(m, due);
        break;
    case DUE_QUBESD:
        on_qubesd_up(m);
        break;
    case DUE_STREAM:
        on_stream_up(m, due);
        break;
    case DUE_DAEMON:
        daemon_start(m);
        break;
    case DUE_REPLUG:
        thing_on_replug(m, due);
        break;
    case DUE_SWAP:
        thing_swap(m, due->a, due->b);
        break;
    case DUE_RESUME:
        source_on_resume(m, due);
        break;
    case DUE_LIST:
        source_on_list(m, due);
        break;
    }
}

static uint64_t next_usec(const Model *m)
{
    uint64_t usec = dues_next_usec(m);
    uint64_t own = m->manager ? manager_next_usec(m->manager) : UINT64_MAX;
    uint64_t pause = m->manager ? m->paused_until_usec : 0;

    /* in the model the two clocks are one */
    if (pause != 0 && pause != MANAGER_PAUSE_FOREVER && pause < own)
        own = pause;
    return own < usec ? own : usec;
}

/* The next thing that is to happen by @until_usec; false if nothing is. */
static bool advance(Model *m, uint64_t until_usec)
{
    uint64_t usec = next_usec(m);
    Due due;

    if (usec > until_usec || usec == UINT64_MAX)
        return false;
    if (usec > m->now.monotonic_usec) {
        m->now.realtime_usec += usec - m->now.monotonic_usec;
        m->now.boottime_usec += usec - m->now.monotonic_usec;
        m->now.monotonic_usec = usec;
        m->n_spins = 0;
    }
    if (++m->n_spins > SPIN_MAX)
        wrong(m, "it goes round and round");
    if (dues_take(m, m->now.monotonic_usec, &due)) {
        dispatch(m, &due);
        return true;
    }
    input(m);
    if (m->paused_until_usec != 0 &&
        m->now.boottime_usec >= m->paused_until_usec)
        judge_on_pause_over(m);
    manager_on_time(m->manager, m->now);
    collect(m);
    return true;
}

/* Nothing is left to happen but what a person may do, and what waits for
 * that. */
static bool is_quiet(Model *m, const Report *report)
{
    for (size_t i = 0; i < m->n_dues; i++)
        if (m->dues[i].kind != DUE_QUBESD || m->is_last)
            return false;
    for (size_t i = 0; i < CALLS_MAX; i++)
        if (m->calls[i].used && !m->calls[i].answered && !m->calls[i].overdue &&
            m->calls[i].daemon_life == m->daemon_life)
            return false;
    /* what was read too soon is looked at once more */
    if (!m->manager ||
        manager_next_usec(m->manager) <= m->now.monotonic_usec + LOOK_USEC)
        return false;
    if (m->refused_usec > 0 &&
        m->now.monotonic_usec < m->refused_usec + REFUSED_USEC &&
        manager_next_usec(m->manager) <= m->refused_usec + REFUSED_USEC)
        return false;
    for (size_t i = 0; i < report->n_jobs_shown; i++)
        if (!is_at_rest(m, &report->jobs[i]))
            return false;
    /* the policy daemon is asked until it answers */
    for (size_t i = 0; i < SEATS; i++)
        if (m->seats[i].plugged && m->seats[i].unjudged &&
            m->seats[i].job_tick < m->report_tick)
            return false;
    return true;
}

static void settle(Model *m)
{
    static Report report;
    uint64_t until_usec = m->now.monotonic_usec + REST_USEC;

    for (;;) {
        report = (Report){};
        if (m->manager)
            manager_report(m->manager, &report, m->now);
        if (is_quiet(m, &report)) {
            judge_on_quiet(m, &report);
            return;
        }
        if (advance(m, until_usec))
            continue;
        wrong(m, "it does not come to rest");
    }
}

static void pass(Model *m, uint64_t usec)
{
    uint64_t until_usec = m->now.monotonic_usec + usec;

    while (advance(m, until_usec))
        ;
    m->now.realtime_usec += until_usec - m->now.monotonic_usec;
    m->now.boottime_usec += until_usec - m->now.monotonic_usec;
    m->now.monotonic_usec = until_usec;
}

static void begin(Model *m, const ModelHistory *history)
{
    uint32_t knobs = history->knobs;

    m->now = (Instant){ .monotonic_usec = RIG_BEGIN_USEC,
                        .boottime_usec = RIG_BEGIN_USEC,
                        .realtime_usec = RIG_BEGIN_USEC };
    m->random.state = history->seed | 1;
    m->knobs = (Knobs){ .unlimited = (knobs & KNOB_LIMITED) == 0,
                        .exceptions = (knobs & KNOB_EXCEPTIONS) != 0,
                        .preload = (knobs & KNOB_PRELOAD) != 0,
                        .no_default_dispvm = (knobs & KNOB_NO_DISPVM) != 0,
                        .strict_power = (knobs & KNOB_STRICT) != 0,
                        .reprobe = KNOB_REPROBE(knobs),
                        .frail = (knobs & KNOB_FRAIL) != 0,
                        .echoes = (knobs & KNOB_ECHOES) != 0,
                        .late = (knobs & KNOB_LATE) != 0,
                        .silent = (knobs & KNOB_SILENT) == KNOB_SILENT };
    for (size_t i = 0; i < CHOICES; i++)
        m->policy[i] = RULE_ALLOW;
    m->agent_there = true;
    m->qubesd_up = true;
    m->rules = history->rules % book_count();
    m->tick = 1;
    world_begin(m);
    judge_begin(m);
    daemon_start(m);
    for (unsigned int i = 0; i < SOURCES && !m->knobs.silent; i++)
        forwarder_start(m, i, 0);
}

static void carry_out(Model *m, const ModelHistory *history)
{
    begin(m, history);
    settle(m);
    for (size_t i = 0; i < history->n_steps; i++) {
        const Step *step = &history->steps[i];
        uint64_t usec = step_span_usec(step->span);

        m->random.state = step->salt | 1;
        step_do(m, step);
        collect(m);
        if (usec == UINT64_MAX)
            settle(m);
        else
            pass(m, usec);
    }
    m->is_last = true;
    settle(m);
}

static sigjmp_buf on_abort_escape;

static void on_abort(int signal)
{
    (void) signal;
    siglongjmp(on_abort_escape, 1);
}

Failure play(const ModelHistory *history, Coverage *coverage, bool verbose)
{
    static Model m;
    jmp_buf escape;
    void (*before)(int) = signal(SIGABRT, on_abort);
    void (*segv_before)(int) = signal(SIGSEGV, on_abort);

    memset(&m, 0, sizeof(m));
    m.coverage = coverage;
    m.verbose = verbose;
    m.escape = &escape;
    if (sigsetjmp(on_abort_escape, 1) != 0) {
        /* its memory is lost, but what has led to it is not */
        m.failure.failed = true;
        (void) text_format(m.failure.text, sizeof(m.failure.text),
                           "it crashes, or an assertion fails");
        m.manager = NULL;
        m.state = NULL;
    } else if (setjmp(escape) == 0) {
        carry_out(&m, history);
    }
    m.manager = manager_free(m.manager);
    m.state = state_free(m.state);
    (void) signal(SIGABRT, before);
    (void) signal(SIGSEGV, segv_before);
    return m.failure;
}
