/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/rate.h"
#include "dom0/daemon-internal.h"
#include "dom0/instant.h"
#include "dom0/wire/admin.h"

/* with several jobs in work, one pump handles what so many inputs lead to */
#define INPUTS_PER_PUMP 16U
/* how late a deadline may be noticed */
#define TIMER_ACCURACY_USEC (10 * USEC_PER_MSEC)

/* Make the calls that the manager wants. True if one could not be begun, and
 * was answered as failed: then the manager may want more because of that. */
static bool daemon_make_calls(Daemon *daemon)
{
    AdminRequest request;
    uint64_t id;

    while (manager_next_call(daemon->manager, &id, &request)) {
        AdminAnswer failed;
        int r = qubesd_call(daemon->qubesd, id, &request);

        if (r >= 0)
            continue;
        admin_fail(&failed, ADMIN_GARBAGE, strerror(-r));
        manager_on_answer(daemon->manager, id, &failed, instant_now());
        return true;
    }
    return false;
}

static bool daemon_ask_policy(Daemon *daemon)
{
    PolicyQuestion question;
    uint64_t id;

    while (manager_next_question(daemon->manager, &id, &question)) {
        if (approver_judge(daemon->approver, id, &question) >= 0)
            continue;
        manager_on_verdict(daemon->manager, id, POLICY_SILENT, instant_now());
        return true;
    }
    return false;
}

static bool daemon_ask_person(Daemon *daemon)
{
    const PromptAnswer failed = { .result = PROMPT_DIED };
    Prompt prompt;
    uint64_t id;

    while (manager_next_prompt(daemon->manager, &id, &prompt, instant_now())) {
        if (approver_prompt(daemon->approver, id, &prompt) >= 0)
            continue;
        manager_on_prompt(daemon->manager, id, &failed, instant_now());
        return true;
    }
    return false;
}

static void daemon_set_timer(Daemon *daemon)
{
    uint64_t usec = manager_next_usec(daemon->manager);

    if (usec == daemon->timer_usec)
        return;
    daemon->timer_usec = usec;
    if (usec == UINT64_MAX) {
        (void) sd_event_source_set_enabled(daemon->timer, SD_EVENT_OFF);
        return;
    }
    (void) sd_event_source_set_time(daemon->timer, usec);
    (void) sd_event_source_set_enabled(daemon->timer, SD_EVENT_ONESHOT);
}

static void daemon_set_pause_timer(Daemon *daemon)
{
    uint64_t usec = manager_paused_until(daemon->manager);
    bool has_end = usec != 0 && usec != MANAGER_PAUSE_FOREVER;

    if (usec == daemon->pause_usec)
        return;
    daemon->pause_usec = usec;
    if (has_end)
        (void) sd_event_source_set_time(daemon->pause_timer, usec);
    (void) sd_event_source_set_enabled(
        daemon->pause_timer, has_end ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/*
 * Before anything but STATUS_ATTACHED is told the state is written: after a
 * crash, an attachment is found out again, but a no, or what a command did,
 * would be lost.
 */
static void daemon_tell_answers(Daemon *daemon)
{
    bool kept = false;
    uint64_t connection;
    int64_t seq;
    Status status;

    while (manager_next_answer(daemon->manager, &connection, &seq, &status)) {
        if (status != STATUS_ATTACHED && !kept) {
            state_keeper_save(daemon->keeper, daemon->manager);
            kept = true;
        }
        if (!control_answer(daemon->control, connection, status))
            event_service_answer(daemon->event_service, connection, seq,
                                 status_told(status));
    }
}

static int daemon_on_pump(sd_event_source *source, void *userdata)
{
    (void) source;

    daemon_pump(userdata);
    return 0;
}

static int daemon_on_timer(sd_event_source *source,
                           uint64_t usec,
                           void *userdata)
{
    Daemon *daemon = userdata;

    (void) source;
    (void) usec;

    daemon->timer_usec = UINT64_MAX;
    manager_on_time(daemon->manager, instant_now());
    daemon_wake(daemon);
    return 0;
}

int daemon_open_pump(Daemon *daemon)
{
    int r;

    daemon->timer_usec = UINT64_MAX;
    r = sd_event_add_defer(daemon->event, &daemon->pump_source, daemon_on_pump,
                           daemon);
    if (r < 0)
        return r;
    r = sd_event_source_set_priority(daemon->pump_source,
                                     SD_EVENT_PRIORITY_IDLE);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(daemon->pump_source, SD_EVENT_OFF);
    if (r < 0)
        return r;
    r = sd_event_add_time(daemon->event, &daemon->timer, CLOCK_MONOTONIC, 0,
                          TIMER_ACCURACY_USEC, daemon_on_timer, daemon);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(daemon->timer, SD_EVENT_OFF);
    if (r < 0)
        return r;
    r = sd_event_add_time(daemon->event, &daemon->pause_timer, CLOCK_BOOTTIME,
                          0, TIMER_ACCURACY_USEC, daemon_on_timer, daemon);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(daemon->pause_timer, SD_EVENT_OFF);
}

void daemon_pump(Daemon *daemon)
{
    Notification notification;
    uint64_t connection;

    daemon->n_inputs = 0;
    (void) sd_event_source_set_enabled(daemon->pump_source, SD_EVENT_OFF);
    do {
        daemon_tell_answers(daemon);
        while (manager_next_close(daemon->manager, &connection))
            event_service_close(daemon->event_service, connection);
        /* before the calls: after a crash it must be known what they may have
         * done */
        state_keeper_save(daemon->keeper, daemon->manager);
    } while (daemon_make_calls(daemon) || daemon_ask_policy(daemon) ||
             daemon_ask_person(daemon));

    while (manager_next_notification(daemon->manager, &notification))
        approver_notify(daemon->approver, &notification);

    state_keeper_save(daemon->keeper, daemon->manager);
    daemon_log_outcomes(daemon);
    control_update(daemon->control);
    daemon_set_timer(daemon);
    daemon_set_pause_timer(daemon);
}

void daemon_wake_later(Daemon *daemon)
{
    if (++daemon->n_inputs >= INPUTS_PER_PUMP ||
        sd_event_source_set_enabled(daemon->pump_source, SD_EVENT_ONESHOT) < 0)
        daemon_pump(daemon);
}

void daemon_wake(Daemon *daemon)
{
    if (manager_has_jobs(daemon->manager, 2))
        daemon_wake_later(daemon);
    else
        daemon_pump(daemon);
}

void daemon_log_outcomes(Daemon *daemon)
{
    outcome_log_history(daemon->log, manager_history(daemon->manager));
}

void daemon_wind_up(Daemon *daemon)
{
    daemon_tell_answers(daemon);
    state_keeper_save(daemon->keeper, daemon->manager);
    daemon_log_outcomes(daemon);
}
