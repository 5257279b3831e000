/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What nobody would have come back to: a device that stayed as it was when
 * qubesd was there again, a disposable that outlived its device.
 */

#include <string.h>

#include "dom0/core/job.h"
#include "dom0/core/orphans.h"
#include "tests/support/test.h"

#define RULES                    \
    "ports: allow usb to work\n" \
    "disks: allow block type disk to work\n"
#define CLOSE "d: allow block to @dispvm:media close\n"

#include "tests/support/manager-fixture.h"

/* At boot all devices come at once, and qubesd has more to do than it can. */
static void test_a_job_begun_before_qubesd_was_heard_is_tried_again(void **s)
{
    uint64_t call;

    (void) s;

    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_reply(&rig, call, answer_of(ADMIN_UNREACHABLE));
    rig_pass(&rig, USEC_PER_SEC);
    see_block_attach();
}

/* It crashed while it was asked for the fourth time. */
static void test_what_qubesd_was_cut_off_from_is_asked_again(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    for (unsigned int i = 0; i < 3; i++) {
        rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_EMPTY));
        rig_pass(&rig, USEC_PER_SEC << i);
    }
    call = rig_call(&rig, ADMIN_AVAILABLE);
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    assert_int_equal(rig_answer(&rig), 0);

    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    see_block_attach();
}

static void test_a_job_whose_time_ends_without_qubesd_is_begun_anew(void **s)
{
    (void) s;

    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_UNREACHABLE));
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    rig_pass(&rig, JOB_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    assert_true(rig_is_quiet(&rig));
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    see_block_attach();
}

static void test_so_is_one_that_waited_for_a_detach(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_pass(&rig, JOB_USEC);
    assert_int_equal(last_outcome()->status, STATUS_TIMEOUT);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    see_block_attach();
}

/* Nobody has told of a detach, and nobody could be asked: it is not known. */
static void test_a_look_outlasts_qubesd(void **state)
{
    (void) state;

    attach("sda");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_UNREACHABLE));
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    rig_pass(&rig, JOB_USEC);
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    /* it is ours still, and goes with its plug */
    unplug("sda");
}

/* It was a disposable, and shut down while no event was heard. */
static void test_a_look_at_a_qube_that_is_no_more_finds_nothing(void **state)
{
    (void) state;

    attach("sda");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_error(ADMIN_ERROR_NO_SUCH_QUBE));
    rig_serve(&rig, ADMIN_CURRENT_STATE,
              answer_error(ADMIN_ERROR_NO_SUCH_QUBE));
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    be_counted(NULL);
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
    /* its USB device is free */
    begin("2-1");
}

/* qubesd has so much to do that no answer comes in time, for a long time. */
static void test_a_look_is_made_until_it_is_answered(void **state)
{
    const uint64_t until_usec = rig.now.monotonic_usec + 2 * JOB_USEC;

    (void) state;

    attach("sda");
    reconnect();
    while (rig.now.monotonic_usec < until_usec) {
        rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_TIMED_OUT));
        assert_true(rig_is_quiet(&rig));
        rig_pass(&rig, JOB_OFFLINE_USEC);
    }
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_of(ADMIN_TIMED_OUT));
    rig_pass(&rig, JOB_OFFLINE_USEC);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

static void prompt_is_prepared(uint64_t *ret_window)
{
    Prompt prompt;

    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    *ret_window = window_opens(1, &prompt);
}

static void test_a_prompt_outlasts_qubesd(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, "disks: ask block type disk to work timeout 60s\n");
    begin("sda");
    rig_serve(&rig, ADMIN_PROPERTY_GET, answer_of(ADMIN_UNREACHABLE));
    assert_int_equal(rig_answer(&rig), 0);
    /* without it nobody is asked */
    assert_true(rig_is_quiet(&rig));
    reconnect();
    prompt_is_prepared(&window);
}

static void test_a_prompt_waits_for_a_qubesd_that_is_busy(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, "disks: ask block type disk to work timeout 60s\n");
    begin("sda");
    rig_serve(&rig, ADMIN_PROPERTY_GET, answer_of(ADMIN_UNREACHABLE));
    rig_pass(&rig, JOB_OFFLINE_USEC);
    prompt_is_prepared(&window);
}

/* It starts when its event cannot be heard, and our Attach was told before. */
static void test_a_start_that_nobody_heard_of_is_not_missed(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "w: allow block to work when-running\n");
    call = attach_half("sda");
    reconnect();
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    serve_block_not_running();
    assert_int_equal(last_outcome()->status, STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
}

/* The person gives it to another qube, qubesd is away when it is told again,
 * and that qube stops before qubesd has said what it has. */
static void test_what_ended_503_is_not_left_by_a_look_that_is_cut_short(
    void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow block to vault if-running\n");
    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_TARGET_NOT_RUNNING);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    assert_int_equal(rig_answer(&rig), STATUS_UNAVAILABLE);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_UNREACHABLE));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    see_block_attach();
}

/* qubesd has no time for the job that is in work. */
static void be_busy(void)
{
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_pass(&rig, JOB_RETRY_USEC(i));
        rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    }
    assert_int_equal(last_outcome()->status, STATUS_UNAVAILABLE);
}

/* It is looked at whether @target still has the device: no. */
static void be_missed_at(const char *target)
{
    AdminRequest request;
    uint64_t call = rig_call_to(&rig, ADMIN_ATTACHED, &request);

    assert_string_equal(request.dest.s, target);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    be_counted(NULL);
}

/* The person is quicker than our Attach, and then no event is heard for a
 * while, in which she detaches it. */
static uint64_t attach_half_over_a_gap(void)
{
    uint64_t call;

    call = attach_half("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    reconnect();
    return call;
}

static void test_what_was_missed_is_looked_for_after_the_next_job(void **state)
{
    uint64_t call = attach_half_over_a_gap();

    (void) state;

    rig_set_rules(&rig, "r: allow block to work read-only\n");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    be_busy();
    be_missed_at("vault");
}

static void test_so_it_is_after_the_next_decision(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "r: allow block to work when-running\n");
    call = attach_half_over_a_gap();
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(last_outcome()->status, STATUS_WAITING_FOR_TARGET);
    be_busy();
    be_missed_at("vault");
}

static void test_so_it_is_where_that_takes_no_job(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "r: allow block to work when-running\n");
    call = attach_half_over_a_gap();
    rig_set_rules(&rig, "");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(last_outcome()->status, STATUS_NO_RULE);
    be_missed_at("vault");
}

/* qubesd has answered, but not what was asked for. */
static void test_an_answer_that_says_nothing_has_seen_nothing(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    reconnect();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_GARBAGE));
    assert_int_equal(last_outcome()->status, STATUS_QUBESD_REFUSED);
    be_missed_at("work");
}

static void test_an_answer_from_before_a_gap_says_nothing_of_after(void **s)
{
    AdminRequest request;
    uint64_t call;

    (void) s;

    call = attach_half("sda");
    reconnect();
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);

    /* so its USB device is not ripped out of that qube */
    begin("2-1");
    call = rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.port.s, "sda");
    rig_reply(&rig, call, answer_listed("vault"));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

/* That nobody has it now does not say why. */
static void test_what_has_gone_in_a_gap_is_looked_for(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow block to work when-running\n");
    come_attached("sda", "vault", STATUS_ATTACHED_ELSEWHERE);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    reconnect();
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    be_missed_at("vault");
}

/* The list was still of the plug before, and is not yet of this one. */
static void test_what_is_listed_in_a_gap_is_decided(void **state)
{
    (void) state;

    come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
    reconnect();
    see_block_attach();
}

/* What is missed while the plug before is being detached. */
static void test_the_next_plug_is_looked_at_after_a_detach(void **state)
{
    uint64_t call;

    (void) state;

    attach("sda");
    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    reconnect();
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    be_missed_at("vault");
}

/* The first of them starts when its event cannot be heard, and after it was
 * asked for. */
static void test_a_start_is_not_missed_between_two_targets(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: ask block to { work vault } when-running\n");
    begin("sda");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_of(ADMIN_UNREACHABLE));
    reconnect();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    (void) rig_call(&rig, ADMIN_PROPERTY_GET); /* for the prompt */
}

/* Whether the source runs was asked before events were missed, in which it was
 * stopped. */
static void test_a_source_is_asked_for_anew_after_a_gap(void **state)
{
    uint64_t probe;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda1"), STATUS_NO_RULE);
    manager_disconnect(rig.manager, usb, rig.now);
    probe = rig_call(&rig, ADMIN_CURRENT_STATE);
    reconnect();
    rig_reply(&rig, probe, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(retry_as(0, "sda1"), STATUS_NO_SUCH_DEVICE);
    assert_true(rig_is_quiet(&rig));
}

/* Its shutdown was missed, and qubesd has no time to tell of it. */
static void test_a_source_that_could_not_be_asked_for_is_asked_again(void **s)
{
    (void) s;

    attach("sda");
    manager_disconnect(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_of(ADMIN_UNREACHABLE));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(manager_next_usec(rig.manager),
                     rig.now.monotonic_usec + JOB_OFFLINE_USEC);
    rig_pass(&rig, JOB_OFFLINE_USEC);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_of(ADMIN_TIMED_OUT));
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
    manager_disconnect(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_of(ADMIN_TIMED_OUT));
    rig_pass(&rig, JOB_OFFLINE_USEC);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(retry_as(0, "sda"), STATUS_NO_SUCH_DEVICE);
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

/* Begin to make the disposable of a device, and be restarted. */
static void leave_disposable_behind(void)
{
    rig_set_rules(&rig, CLOSE);
    begin("sda");
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
    (void) rig_call(&rig, ADMIN_START);
    rig_restart(&rig);
}

static void test_a_kill_that_qubesd_had_no_time_for_is_made_again(void **s)
{
    uint64_t kill;

    (void) s;

    leave_disposable_behind();
    kill = rig_call(&rig, ADMIN_KILL);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_reply(&rig, kill, answer_of(ADMIN_UNREACHABLE));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(manager_next_usec(rig.manager),
                     rig.now.monotonic_usec + ORPHAN_RETRY_USEC);
    rig_pass(&rig, ORPHAN_RETRY_USEC);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

static void test_a_kill_that_qubesd_went_down_in_is_made_again(void **state)
{
    (void) state;

    leave_disposable_behind();
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_EMPTY));
    assert_true(rig_is_quiet(&rig));
    reconnect();
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

/* An empty answer may as well mean that the hypervisor has failed (WIRE 1). */
static void test_so_is_one_that_failed_without_a_word(void **state)
{
    (void) state;

    leave_disposable_behind();
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_EMPTY));
    rig_pass(&rig, ORPHAN_RETRY_USEC);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
}

static void test_what_has_got_a_device_since_is_not_killed_again(void **state)
{
    (void) state;

    leave_disposable_behind();
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_UNREACHABLE));
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sdb", "disp1");
    rig_pass(&rig, ORPHAN_RETRY_USEC);
    assert_true(rig_is_quiet(&rig));
}

static void test_without_qubesd_nobody_is_woken_for_a_kill(void **state)
{
    (void) state;

    leave_disposable_behind();
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_UNREACHABLE));
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
}

static void test_a_disposable_goes_with_what_is_being_taken_out(void **state)
{
    (void) state;

    attach_to_disposable(CLOSE);
    assert_int_equal(detach_as(0, "sda"), 0);
    /* the plug is pulled before that is done */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_SHUTDOWN, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* It came up although its start was said to have failed. */
static void test_a_disposable_that_comes_up_late_calls_for_no_other(void **s)
{
    uint64_t kill;

    (void) s;

    rig_set_rules(&rig, CLOSE);
    begin("sda");
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
    rig_serve(&rig, ADMIN_START, answer_error(ADMIN_ERROR_OTHER));
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);
    kill = rig_call(&rig, ADMIN_KILL);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "disp1");
    rig_reply(&rig, kill, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

/* Nobody has stopped it. */
static void test_one_that_did_not_stay_up_is_made_anew_by_a_record(void **s)
{
    (void) s;

    rig_set_rules(&rig, CLOSE);
    begin("sda");
    serve_disposable();
    serve_block_not_running();
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);
    rig_serve(&rig, ADMIN_KILL, answer_error(ADMIN_ERROR_NO_SUCH_QUBE));
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
}

static void test_a_disposable_goes_once_its_device_is_detached(void **state)
{
    (void) state;

    attach_to_disposable(CLOSE);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    /* it is told once more, and now it works */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_SHUTDOWN, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

static void test_a_disposable_is_closed_once_qubesd_can(void **state)
{
    (void) state;

    attach_to_disposable(CLOSE);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_SHUTDOWN, answer_of(ADMIN_EMPTY));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_SHUTDOWN, answer_of(ADMIN_UNREACHABLE));
    /* the next stick is no reason to leave it */
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_OFFLINE_USEC);
    rig_serve(&rig, ADMIN_SHUTDOWN, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
}

/* The daemon is killed while it attaches to a disposable that it has made, and
 * the source is shut down before anything more is known of that. */
static void test_a_disposable_goes_with_the_source_of_its_device(void **state)
{
    AdminRequest request;

    (void) state;

    rig_set_rules(&rig, CLOSE);
    begin("sda");
    serve_disposable();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_ATTACH);
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    (void) rig_call_to(&rig, ADMIN_KILL, &request);
    assert_string_equal(request.dest.s, "disp1");
}

/* Two reconnects in a row leave a second look due, which is not the answer. */
static void test_a_detach_takes_the_place_of_a_second_look(void **state)
{
    (void) state;

    reconnect();
    come_attached("2-1", "work", STATUS_ALREADY_ATTACHED);
    reconnect();
    (void) rig_call(&rig, ADMIN_ATTACHED);
    assert_int_equal(detach_as(0, "2-1"), 0);
    finish_detach();
}

/* Qubes itself attaches it in the source's next boot, before its record comes,
 * while what the boot before had attached is still being done away with. */
static void test_an_attach_told_while_the_plug_before_is_detached_counts(
    void **state)
{
    uint64_t call;

    (void) state;

    attach_to_disposable(CLOSE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "sys-usb");
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp1");
    rig_set_rules(&rig, "u: allow usb to work\n");
    usb = rig_connect(&rig, "sys-usb", 'b');
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    begin("2-1");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    rig_serve(&rig, ADMIN_SHUTDOWN, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
}

static void test_a_disposable_that_is_made_too_late_is_done_away(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, CLOSE);
    begin("sda");
    call = rig_call(&rig, ADMIN_CREATE_DISPOSABLE);
    rig_reply(&rig, call, answer_overdue());
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, call, answer_disposable());
    rig_serve(&rig, ADMIN_KILL, answer_error(ADMIN_ERROR_NOT_STARTED));
    rig_serve(&rig, ADMIN_REMOVE, answer_of(ADMIN_OK));
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

static void test_nothing_is_done_if_none_was_made_in_the_end(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, CLOSE);
    begin("sda");
    call = rig_call(&rig, ADMIN_CREATE_DISPOSABLE);
    rig_reply(&rig, call, answer_overdue());
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

int main(void)
{
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        WITH_RIG(test_a_job_begun_before_qubesd_was_heard_is_tried_again),
        WITH_RIG(test_what_qubesd_was_cut_off_from_is_asked_again),
        WITH_RIG(test_an_attach_told_while_the_plug_before_is_detached_counts),
        WITH_RIG(test_a_job_whose_time_ends_without_qubesd_is_begun_anew),
        WITH_RIG(test_so_is_one_that_waited_for_a_detach),
        WITH_RIG(test_a_look_outlasts_qubesd),
        WITH_RIG(test_a_look_at_a_qube_that_is_no_more_finds_nothing),
        WITH_RIG(test_a_look_is_made_until_it_is_answered),
        WITH_RIG(test_a_prompt_outlasts_qubesd),
        WITH_RIG(test_a_prompt_waits_for_a_qubesd_that_is_busy),
        WITH_RIG(test_a_start_that_nobody_heard_of_is_not_missed),
        WITH_RIG(test_what_ended_503_is_not_left_by_a_look_that_is_cut_short),
        WITH_RIG(test_what_was_missed_is_looked_for_after_the_next_job),
        WITH_RIG(test_so_it_is_after_the_next_decision),
        WITH_RIG(test_so_it_is_where_that_takes_no_job),
        WITH_RIG(test_an_answer_that_says_nothing_has_seen_nothing),
        WITH_RIG(test_an_answer_from_before_a_gap_says_nothing_of_after),
        WITH_RIG(test_what_has_gone_in_a_gap_is_looked_for),
        WITH_RIG(test_a_start_is_not_missed_between_two_targets),
        WITH_RIG(test_the_next_plug_is_looked_at_after_a_detach),
        WITH_RIG(test_what_is_listed_in_a_gap_is_decided),
        WITH_RIG(test_a_source_is_asked_for_anew_after_a_gap),
        WITH_RIG(test_a_source_that_could_not_be_asked_for_is_asked_again),
        WITH_RIG(test_a_kill_that_qubesd_had_no_time_for_is_made_again),
        WITH_RIG(test_a_kill_that_qubesd_went_down_in_is_made_again),
        WITH_RIG(test_so_is_one_that_failed_without_a_word),
        WITH_RIG(test_what_has_got_a_device_since_is_not_killed_again),
        WITH_RIG(test_without_qubesd_nobody_is_woken_for_a_kill),
        WITH_RIG(test_a_disposable_goes_with_what_is_being_taken_out),
        WITH_RIG(test_a_disposable_that_comes_up_late_calls_for_no_other),
        WITH_RIG(test_one_that_did_not_stay_up_is_made_anew_by_a_record),
        WITH_RIG(test_a_disposable_goes_once_its_device_is_detached),
        WITH_RIG(test_a_disposable_goes_with_the_source_of_its_device),
        WITH_RIG(test_a_disposable_is_closed_once_qubesd_can),
        WITH_RIG(test_a_detach_takes_the_place_of_a_second_look),
        WITH_RIG(test_a_disposable_that_is_made_too_late_is_done_away),
        WITH_RIG(test_nothing_is_done_if_none_was_made_in_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
