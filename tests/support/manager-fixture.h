/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One rig for the tests of a file, with a forwarder of sys-usb connected.
 * Define RULES, the rules that each test begins with, and include it then.
 */

#include <string.h>

#include "tests/support/manager-rig.h"
#include "tests/support/test.h"

#ifndef RULES
#define RULES ""
#endif

static ManagerRig rig;
static uint64_t usb; /* a connection of sys-usb */

static inline int set_up(void **state)
{
    (void) state;

    rig_begin(&rig, RULES);
    usb = rig_connect(&rig, "sys-usb", 'a');
    return 0;
}

static inline int tear_down(void **state)
{
    (void) state;

    rig_end(&rig);
    return 0;
}

static inline const HistoryEntry *last_outcome(void)
{
    const History *history = manager_history(rig.manager);

    assert_true(history_count(history) > 0);
    return history_get(history, history_count(history) - 1);
}

/* A record of the stick in port 2-1: 2-1 itself, or a part of it. */
static inline Status tell(RecordAction action, const char *device)
{
    const Record record = rig_record_at(action, device, "2-1", "A");

    return rig_tell_record(&rig, usb, &record);
}

/* A part of the stick, with no disk in between. */
static inline Status tell_part(RecordAction action, const char *device)
{
    Record record = rig_record_at(action, device, "2-1", "A");

    record.parent_class = DEVICE_CLASS_USB;
    record.parent = (DeviceName){ "2-1" };
    return rig_tell_record(&rig, usb, &record);
}

/* A USB device, in any port. */
static inline Status plug(const char *port, const char *serial)
{
    const Record record = rig_record_at(RECORD_ADD, port, port, serial);

    return rig_tell_record(&rig, usb, &record);
}

static inline AdminAnswer answer_disposable(void)
{
    AdminAnswer answer = answer_of(ADMIN_OK);

    answer.qube = rig_qube("disp1");
    return answer;
}

/* It is free, under an identity that cannot be sent. */
static inline AdminAnswer answer_odd(void)
{
    AdminAnswer answer = answer_listed(NULL);

    assert_true(
        identity_parse(&answer.listing.identity, "0781:5581:4 C:u080650", 21));
    return answer;
}

/* The same, in a line that does not tell who has it. */
static inline AdminAnswer answer_unreadable(void)
{
    AdminAnswer answer = answer_odd();

    answer.listing.attachment = ATTACHMENT_UNKNOWN;
    return answer;
}

/* The call goes on when its time is over. */
static inline AdminAnswer answer_overdue(void)
{
    AdminAnswer answer = answer_of(ADMIN_TIMED_OUT);

    answer.pending = true;
    return answer;
}

/* qubesd lists it and attaches it: a disk or a partition. */
static inline void serve_block_attach(void)
{
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
}

/* A USB device, to a target that runs. */
static inline void serve_usb_attach(void)
{
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
}

/* So it is attached, and its record is answered. */
static inline void finish_block_attach(void)
{
    serve_block_attach();
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

static inline void finish_usb_attach(void)
{
    serve_usb_attach();
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

/* It is attached while no record waits for that: the outcome tells. */
static inline void see_block_attach(void)
{
    serve_block_attach();
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
}

static inline void see_usb_attach(void)
{
    serve_usb_attach();
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
}

/* It is free, but its target does not run. */
static inline void serve_block_not_running(void)
{
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
}

static inline void serve_disposable(void)
{
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
}

/* A job for @device begins: it is plugged in, and qubesd says it is free. */
static inline void begin(const char *device)
{
    assert_int_equal(tell(RECORD_ADD, device), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
}

/* The same of a record that has neither path nor serial number. */
static inline void begin_bare(const char *device)
{
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, device), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
}

/* Until its Attach is under way, which is returned. */
static inline uint64_t attach_half(const char *device)
{
    begin(device);
    if (strcmp(device, "2-1") == 0)
        rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    return rig_call(&rig, ADMIN_ATTACH);
}

static inline uint64_t attach_half_bare(const char *device)
{
    begin_bare(device);
    return rig_call(&rig, ADMIN_ATTACH);
}

/* The stick or a part of it is plugged in, and attached as a rule wants. */
static inline void attach(const char *device)
{
    assert_int_equal(tell(RECORD_ADD, device), 0);
    if (strcmp(device, "2-1") == 0)
        finish_usb_attach();
    else
        finish_block_attach();
}

static inline void attach_and_rest(const char *device)
{
    attach(device);
    assert_true(rig_is_quiet(&rig));
}

/* The same of a record that has neither path nor serial number. */
static inline void attach_bare(const char *device)
{
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, device), 0);
    finish_block_attach();
    assert_true(rig_is_quiet(&rig));
}

/* Attach answers nothing: it is not known what has come of it. */
static inline void attach_unsure(void)
{
    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
}

/* The stick is being attached to work or a new disposable, without an end. */
static inline uint64_t attach_without_end(const char *rules)
{
    uint64_t call;

    rig_set_rules(&rig, rules);
    begin("2-1");
    if (strstr(rules, "@dispvm")) {
        serve_disposable();
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    }
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_reply(&rig, call, answer_overdue());
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    return call;
}

static inline void attach_to_disposable(const char *rules)
{
    rig_set_rules(&rig, rules);
    begin("sda");
    serve_disposable();
    finish_block_attach();
}

/* qubesd's list has it where @holder is. */
static inline void be_found_at(const char *holder, Status status)
{
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(holder));
    assert_int_equal(rig_answer(&rig), status);
}

/* Another has attached it by the time that its record comes. */
static inline void come_attached(const char *device,
                                 const char *holder,
                                 Status status)
{
    assert_int_equal(tell(RECORD_ADD, device), 0);
    be_found_at(holder, status);
}

/* We detach it, and that was all. */
static inline void finish_detach(void)
{
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

/* What is ours goes, and is detached. */
static inline void unplug(const char *device)
{
    assert_int_equal(tell(RECORD_REMOVE, device), 0);
    finish_detach();
}

/* Looked at because of an event, it is not there: the person detached it. */
static inline void be_found_detached(void)
{
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

/* From work, where it was. */
static inline void detach_by_person(const char *device)
{
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", device, "work");
    be_found_detached();
}

/* Looked at without an event, it is not there, though that qube runs. */
static inline void be_found_missing(void)
{
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
}

/* qubesd tells what the prompt of a job has to show: the GUI domain, and the
 * icons of the source and of @n_targets. It is to be opened then. */
static inline uint64_t window_opens(unsigned int n_targets, Prompt *ret_prompt)
{
    AdminAnswer dom0 = answer_of(ADMIN_OK);
    uint64_t window;

    memcpy(dom0.value.s, "dom0", 5);
    for (unsigned int i = 0; i < 2 + n_targets; i++)
        rig_serve(&rig, ADMIN_PROPERTY_GET, dom0);
    assert_true(manager_next_prompt(rig.manager, &window, ret_prompt, rig.now));
    return window;
}

/* The prompt about @device, which an ask rule wants, is to be opened. */
static inline void prompt_opens(const char *device, uint64_t *ret_id)
{
    Prompt prompt;

    begin(device);
    *ret_id = window_opens(1, &prompt);
}

static inline void answer_prompt(uint64_t window, PromptResult result)
{
    const PromptAnswer answer = { .result = result };

    manager_on_prompt(rig.manager, window, &answer, rig.now);
}

/* The person says no to @device. */
static inline void refuse(const char *device)
{
    uint64_t window;

    prompt_opens(device, &window);
    answer_prompt(window, PROMPT_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
}

/* Nobody has told who has it since qubesd is heard again: that is asked for, to
 * be shown. */
static inline void be_counted(const char *holder)
{
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(holder));
    assert_true(rig_is_quiet(&rig));
}

/* What the person asks for with the command, which goes by the name @asker. */
static inline Status retry_as(uint64_t asker, const char *device)
{
    const DeviceRef ref = rig_ref("sys-usb", device);

    return manager_retry(rig.manager, &ref, asker, rig.now);
}

static inline Status detach_as(uint64_t asker, const char *device)
{
    const DeviceRef ref = rig_ref("sys-usb", device);

    return manager_detach(rig.manager, &ref, asker, rig.now);
}

static inline Status retry(const char *device)
{
    return retry_as(manager_new_asker(rig.manager), device);
}

static inline Status detach(const char *device)
{
    return detach_as(manager_new_asker(rig.manager), device);
}

/* qubesd takes it off its list and puts it on it again. */
static inline void list_anew(const char *device)
{
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", device, NULL);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", device, NULL);
}

/* The same, with the end of its attachment to work. */
static inline void list_anew_detached(const char *device)
{
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", device, NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", device, "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", device, NULL);
}

/* qubesd goes and comes back at once. */
static inline void reconnect(void)
{
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
}
