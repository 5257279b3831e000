/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/daemon-internal.h"
#include "dom0/instant.h"

/* sources */

/* A source may send more lines before the next pump than the history has room
 * for: log what they would push out. */
static void daemon_keep_up_log(Daemon *daemon)
{
    if (outcome_log_is_behind(daemon->log, manager_history(daemon->manager)))
        daemon_log_outcomes(daemon);
}

static Status on_connect(const QubeName *source,
                         uint64_t *ret_id,
                         void *userdata)
{
    Daemon *daemon = userdata;

    return manager_connect(daemon->manager, source, instant_now(), ret_id);
}

static void on_disconnect(uint64_t id, void *userdata)
{
    Daemon *daemon = userdata;

    manager_disconnect(daemon->manager, id, instant_now());
}

static bool on_line(uint64_t id, uint64_t *ret_when_usec, void *userdata)
{
    Daemon *daemon = userdata;

    return manager_take_line(daemon->manager, id, instant_now(), ret_when_usec);
}

static void on_hello(const QubeName *source,
                     uint64_t id,
                     const WireHello *hello,
                     void *userdata)
{
    Daemon *daemon = userdata;

    daemon_log_outcomes(daemon); /* it may end all jobs */
    outcome_log_hello(daemon->log, source, hello->agent);
    manager_hello(daemon->manager, id, &hello->boot_id, instant_now());
}

static Status on_event(uint64_t id,
                       int64_t seq,
                       const Record *record,
                       void *userdata)
{
    Daemon *daemon = userdata;

    daemon_keep_up_log(daemon);
    return manager_event(daemon->manager, id, seq, record, instant_now());
}

static void on_synced(uint64_t id, void *userdata)
{
    Daemon *daemon = userdata;

    daemon_log_outcomes(daemon); /* it may end all jobs */
    manager_synced(daemon->manager, id, instant_now());
}

static void on_input_ended(uint64_t id, void *userdata)
{
    Daemon *daemon = userdata;

    manager_input_ended(daemon->manager, id, instant_now());
}

static void on_refused(const EventRefusal *refusal, void *userdata)
{
    Daemon *daemon = userdata;

    outcome_log_refused(daemon->log, refusal->source, refusal->status,
                        refusal->reason);
    if (refusal->id != 0)
        manager_refused(daemon->manager, refusal->id, refusal->status,
                        refusal->agent, instant_now());
}

static void on_idle(void *userdata)
{
    daemon_wake(userdata);
}

const EventServiceHooks daemon_event_hooks = {
    .on_connect = on_connect,
    .on_disconnect = on_disconnect,
    .on_line = on_line,
    .on_hello = on_hello,
    .on_event = on_event,
    .on_synced = on_synced,
    .on_input_ended = on_input_ended,
    .on_refused = on_refused,
    .on_idle = on_idle,
};

/* qubesd */

static void on_qubesd_state(QubesdState state, void *userdata)
{
    Daemon *daemon = userdata;

    manager_set_qubesd(daemon->manager, state, instant_now());
    daemon_wake(daemon);
}

static void on_admin_event(const AdminEvent *event, void *userdata)
{
    Daemon *daemon = userdata;

    daemon_keep_up_log(daemon);
    manager_on_admin_event(daemon->manager, event, instant_now());
    /* mostly the answer to the call that has caused the event is there as
     * well */
    daemon_wake_later(daemon);
}

static void on_admin_answer(uint64_t id,
                            const AdminAnswer *answer,
                            void *userdata)
{
    Daemon *daemon = userdata;

    manager_on_answer(daemon->manager, id, answer, instant_now());
    daemon_wake(daemon);
}

const QubesdHooks daemon_qubesd_hooks = {
    .on_state = on_qubesd_state,
    .on_event = on_admin_event,
    .on_answer = on_admin_answer,
};

/* policy daemon and policy agent */

static void on_verdict(uint64_t id, PolicyAnswer answer, void *userdata)
{
    Daemon *daemon = userdata;

    manager_on_verdict(daemon->manager, id, answer, instant_now());
    daemon_wake(daemon);
}

static void on_prompt(uint64_t id, const PromptAnswer *answer, void *userdata)
{
    Daemon *daemon = userdata;

    manager_on_prompt(daemon->manager, id, answer, instant_now());
    daemon_wake(daemon);
}

static void on_agent(void *userdata)
{
    Daemon *daemon = userdata;

    manager_on_agent(daemon->manager, instant_now());
    daemon_wake(daemon);
}

const ApproverHooks daemon_approver_hooks = {
    .on_verdict = on_verdict,
    .on_prompt = on_prompt,
    .on_agent = on_agent,
};
