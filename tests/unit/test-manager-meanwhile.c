/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What happens while a call is out, or qubesd away, as the model test has found
 * it: targets that stop, plugs that are changed, errors in between.
 */

#include <string.h>

#include "dom0/core/manager-trial.h"
#include "tests/support/test.h"

#define RULES "parts: allow block type { disk partition } to work\n"
#define PORTS "ports: allow usb to work\n"

#include "tests/support/manager-fixture.h"

/* To work, as an event tells before our Attach is answered. */
static void attach_told(const char *device)
{
    const uint64_t call = attach_half(device);

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", device, "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

static void test_what_was_lost_before_attach_answered_comes_back(void **state)
{
    const uint64_t call = attach_half("sda");

    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK)); /* not there */
    rig_pass(&rig, USEC_PER_SEC);
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_block_attach();
}

static void test_a_target_stopped_while_verifying_is_not_started(void **state)
{
    uint64_t call = attach_half("sda");

    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_listed(NULL)); /* that may be old */
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, USEC_PER_SEC);
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
}

static void test_an_attach_into_a_stopped_target_is_in_nobodys_way(void **state)
{
    const uint64_t call = attach_half("sda");

    (void) state;

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    assert_int_equal(tell(RECORD_ADD, "sda1"), 0);
    (void) rig_call(&rig, ADMIN_AVAILABLE);
}

/* The target was being started anew when it was done. */
static void test_an_attach_done_after_its_target_stopped_is_ours(void **state)
{
    const uint64_t call = attach_half("sda");

    (void) state;

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
    unplug("sda");
}

static void test_a_target_that_is_there_again_has_what_was_sent_to_it(void **s)
{
    uint64_t call = attach_half("sda");

    (void) s;

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_RUNNING));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    finish_block_attach();
    /* so it is ours to detach */
    unplug("sda");
}

/* It was attached by another, and a record came when qubesd was away. */
static void goes_offline(void)
{
    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_set_rules(&rig, RULES);
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    assert_int_equal(rig_answer(&rig), STATUS_UNAVAILABLE);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
}

static void test_a_look_does_not_eat_what_ended_503(void **state)
{
    (void) state;

    goes_offline();
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    see_block_attach();
}

static void test_a_look_that_finds_it_taken_away_decides_nothing(void **state)
{
    size_t n;

    (void) state;

    goes_offline();
    n = history_count(manager_history(rig.manager));
    be_found_missing();
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    assert_int_equal(history_count(manager_history(rig.manager)), n + 1);
}

/* Another stick is in the port, and qubesd has not heard of it. */
static void test_a_plug_is_not_where_the_one_before_it_was(void **state)
{
    (void) state;

    come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
    list_anew("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    see_block_attach();
}

static void test_a_plug_is_not_elsewhere_because_the_one_before_was(void **s)
{
    (void) s;

    come_attached("sda", "vault", STATUS_ATTACHED_ELSEWHERE);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "vault");
    /* it may as well be unplugged now */
    assert_true(rig_is_quiet(&rig));
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    see_block_attach();
}

/* A quick replug that only qubesd has told of. */
static void test_what_we_had_attached_may_be_of_the_plug_before_too(void **s)
{
    (void) s;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    list_anew("sda");
    come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    see_block_attach();
}

static void test_what_no_rule_wanted_is_not_decided_by_the_list(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_set_rules(&rig, RULES);
    list_anew_detached("sda");
    assert_true(rig_is_quiet(&rig));
}

static void test_what_is_found_attached_may_be_taken_away(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    list_anew("sda");
    rig_set_rules(&rig, RULES);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    be_found_at("work", STATUS_ALREADY_ATTACHED);
    detach_by_person("sda");
}

static void test_a_usb_attach_that_failed_is_not_undone(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, PORTS);
    call = attach_half("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_OTHER));
    assert_true(rig_is_quiet(&rig));
}

static void test_an_error_about_a_target_does_not_say_that_it_is_off(void **s)
{
    (void) s;

    rig_set_rules(&rig, "r: ask block to work when-running\n");
    begin("sda");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_error(ADMIN_ERROR_OTHER));
    assert_int_equal(rig_answer(&rig), STATUS_QUBESD_REFUSED);
}

static void test_a_target_that_is_not_there_does_not_run(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: ask block to work when-running\n");
    begin("sda");
    rig_serve(&rig, ADMIN_CURRENT_STATE,
              answer_error(ADMIN_ERROR_NO_SUCH_QUBE));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
}

/* 2-1 as a whole is attached to work. */
static void attach_port(void)
{
    rig_set_rules(&rig, PORTS);
    attach("2-1");
}

static void test_what_went_with_its_target_was_not_taken_away(void **state)
{
    uint64_t call;

    (void) state;

    attach_port();
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    /* the same plug, but nobody has detached it */
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
}

static void test_a_stop_told_before_the_detach_makes_it_no_persons(void **state)
{
    (void) state;

    attach_port();
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
}

static void test_a_usb_port_that_counts_as_attached_is_tried_again(void **s)
{
    (void) s;

    rig_set_rules(&rig, PORTS);
    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, USEC_PER_SEC);
    finish_usb_attach();
}

static void test_a_look_may_find_the_plug_before(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_set_rules(&rig, RULES);
    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_reply(&rig, call, answer_listed(NULL));
    rig_pass(&rig, USEC_PER_SEC);
    finish_block_attach();
}

static void test_what_a_picture_has_is_there_whoever_told_it_too(void **state)
{
    uint64_t hand;

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    hand = usb;
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    manager_synced(rig.manager, hand, rig.now);
    rig_set_rules(&rig, RULES);
    assert_int_equal(retry_as(1, "sda"), 0);
}

static void test_what_only_others_have_told_is_not_in_the_picture(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    manager_disconnect(rig.manager, usb, rig.now);
    /* in the same place */
    usb = rig_connect(&rig, "sys-usb", 'a');
    manager_synced(rig.manager, usb, rig.now);
    assert_int_equal(retry_as(1, "sda"), STATUS_NO_SUCH_DEVICE);
}

static void test_parts_go_with_their_usb_device(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_int_equal(retry_as(1, "sda"), STATUS_NO_SUCH_DEVICE);
}

/* It was done before qubesd's events were heard again: none will tell. */
static void test_a_detach_that_went_unheard_is_not_waited_for(void **state)
{
    uint64_t call;

    (void) state;

    attach("sda");
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    attach("sda");
    /* so this is the person's */
    detach_by_person("sda");
}

/* Its forwarder's connection ends after qubesd's events are heard again. */
static void test_a_shutdown_that_nobody_told_of_is_found_out(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    reconnect();
    assert_true(rig_is_quiet(&rig));
    manager_disconnect(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(retry_as(1, "sda"), STATUS_NO_SUCH_DEVICE);
}

/* Its records were still to be read when qubesd told of its shutdown. */
static void test_what_a_halted_source_had_sent_is_not_kept(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "sys-usb");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "sys-usb");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    manager_disconnect(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(retry_as(1, "sda"), STATUS_NO_SUCH_DEVICE);
}

static void test_a_source_that_runs_is_asked_once(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    manager_disconnect(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    usb = rig_connect(&rig, "sys-usb", 'a');
    manager_disconnect(rig.manager, usb, rig.now);
    assert_true(rig_is_quiet(&rig));

    /* an answer from before it was started says nothing */
    reconnect();
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "sys-usb");
    usb = rig_connect(&rig, "sys-usb", 'a');
    rig_reply(&rig, call, answer_power(POWER_HALTED));
    assert_int_equal(retry_as(1, "sda"), STATUS_NO_RULE);
    manager_disconnect(rig.manager, usb, rig.now);
    assert_true(rig_is_quiet(&rig));
}

static void test_an_attach_that_was_told_is_known_after_a_restart(void **state)
{
    const uint64_t call = attach_half("sda");

    (void) state;

    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    (void) rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_restart(&rig);
    usb = rig_connect(&rig, "sys-usb", 'a');
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    /* so the person has detached it since */
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    be_found_missing();
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
}

static void test_an_answer_from_before_a_shutdown_is_old(void **state)
{
    uint64_t look;

    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    look = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, look, answer_listed("work"));
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
}

static void test_an_attach_of_what_went_before_its_record_is_over(void **state)
{
    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    list_anew("sda");
    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_int_equal(last_outcome()->status, STATUS_NO_RULE);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_no_outlives_a_usb_device_that_comes_twice(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: ask block to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    refuse("sda");

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DENIED_BY_USER);
}

/* The person's detach was told, but not looked at before the kill. */
static void test_what_another_had_is_not_in_the_way_before_the_look(void **s)
{
    (void) s;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "vault");
    (void) rig_call(&rig, ADMIN_ATTACHED);
    rig_restart(&rig);
    usb = rig_connect(&rig, "sys-usb", 'a');
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_set_rules(&rig, RULES);
    /* it waits for the look at its disk */
    assert_int_equal(tell(RECORD_PRESENT, "sda1"), 0);
}

/* What would be settled without a job, as explain tells it. */
static TrialTask explain(const DeviceRef *ref)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    ReportDevice device;
    TrialTask task;

    assert_true(manager_prepare_trial(rig.manager, ref, rig.now, &task,
                                      &ruleset, &device));
    return task;
}

/* As the record itself ends, with the same words. */
static void expect_explained(const DeviceRef *ref, Status status)
{
    const TrialTask task = explain(ref);

    assert_int_equal(task.settled, status);
    assert_int_equal(tell(RECORD_ADD, ref->device.s), status);
    assert_true(last_outcome()->detail[0] != '\0');
    assert_string_equal(task.settled_detail, last_outcome()->detail);
}

static void test_explain_tells_why_it_is_settled(void **state)
{
    const DeviceRef part = rig_ref("sys-usb", "sda1");

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda1"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_set_rules(&rig, "part: allow block type partition to work\n");
    expect_explained(&part, STATUS_ATTACHED_ELSEWHERE);
    manager_set_qubesd(rig.manager, QUBESD_UNSUPPORTED, rig.now);
    expect_explained(&part, STATUS_UNAVAILABLE);
}

static void test_explain_knows_that_the_plug_before_is_in_nobodys_way(void **s)
{
    const DeviceRef part = rig_ref("sys-usb", "sda1");
    uint64_t call;

    (void) s;

    attach("sda");
    rig_set_rules(&rig, "part: allow block type partition to work\n");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda1"), 0);
    assert_int_equal(explain(&part).settled, STATUS_INVALID);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    see_block_attach();
}

static void test_a_partition_stays_where_it_came(void **state)
{
    Record other = rig_record_at(RECORD_PRESENT, "sda", "2-2", "B");

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda1"), STATUS_NO_RULE);
    assert_int_equal(detach_as(1, "sda1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_restart(&rig);
    usb = rig_connect(&rig, "sys-usb", 'a');
    /* the disks have changed their names meanwhile */
    rig_set_rules(&rig, RULES);
    assert_int_equal(rig_tell_record(&rig, usb, &other), 0);
}

static void test_a_detach_of_unknown_end_leaves_what_is_known(void **state)
{
    AdminAnswer unknown = answer_listed(NULL);

    (void) state;

    attach("sda");
    assert_int_equal(detach_as(1, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_GARBAGE));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_GARBAGE));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    assert_int_equal(retry_as(1, "sda"), 0);
    unknown.listing.attachment = ATTACHMENT_UNKNOWN;
    rig_serve(&rig, ADMIN_AVAILABLE, unknown);
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
}

static void test_a_detach_of_unknown_end_says_nothing_of_the_next_plug(void **s)
{
    const Record other = rig_record_at(RECORD_ADD, "sda", "2-2", "B");
    AdminAnswer unknown = answer_listed(NULL);
    uint64_t call;

    (void) s;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(rig_tell_record(&rig, usb, &other), 0);
    rig_reply(&rig, call, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    unknown.listing.attachment = ATTACHMENT_UNKNOWN;
    rig_serve(&rig, ADMIN_AVAILABLE, unknown);
    (void) rig_call(&rig, ADMIN_ATTACH);
}

static void test_what_is_taken_away_while_verifying_stays_away(void **state)
{
    (void) state;

    rig_set_rules(&rig, PORTS);
    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
    (void) rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    /* the kernel probes it anew */
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    rig_pass(&rig, USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_DETACHED_BY_USER);
}

static void test_a_detach_that_may_have_been_ours_is_no_persons(void **state)
{
    uint64_t call;

    (void) state;

    attach_port();
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_UNREACHABLE));
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* It was seen to be attached no longer, and its target was restarted before
 * that was seen to run. */
static void test_what_a_restart_took_was_not_taken_by_the_person(void **state)
{
    uint64_t call;

    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    finish_block_attach();
}

/* The list is older than the stop of the qube that had the device. */
static void test_a_list_from_before_a_stop_is_read_anew(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_listed("work"));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_ATTACH);
}

/* The person detaches it by the command, and the target is restarted before
 * that has ended. */
static void test_what_is_being_detached_does_not_come_back_with_its_target(
    void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    attach_told("sda");
    assert_int_equal(detach_as(0, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    /* that forgets what was detached, without a decision about the disk */
    assert_int_equal(retry_as(0, "2-1"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_true(rig_is_quiet(&rig));
}

/* It is wanted there again, but the person has stopped what had it. */
static void test_what_is_wanted_again_starts_no_target_that_was_stopped(
    void **state)
{
    uint64_t call;

    (void) state;

    attach_told("sda");
    assert_int_equal(detach_as(0, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(retry_as(0, "sda"), 0);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    serve_block_not_running();
    assert_int_equal(last_outcome()->status, STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
}

/* What was attached of the plug before was detached again before the stop: so
 * the target had nothing of it. */
static void test_a_stop_after_our_detach_keeps_no_target_from_its_start(
    void **state)
{
    uint64_t call = attach_half("sda");

    (void) state;

    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    serve_block_not_running();
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
}

/* The person takes one partition away before its Attach is answered: another
 * one waits for what that says. */
static void test_a_part_waits_for_what_may_have_been_taken_away(void **state)
{
    uint64_t call, other;

    (void) state;

    rig_set_rules(&rig, "parts: allow block type partition to work\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    call = attach_half("sda1");
    assert_int_equal(tell(RECORD_ADD, "sda2"), 0);
    other = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda1", "work");
    rig_reply(&rig, other, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* What was announced before the plug went is not said of the next one. */
static void test_what_was_announced_goes_with_the_plug(void **state)
{
    const AdminEvent added = { .type = ADMIN_EVENT_DEVICE_ADDED,
                               .subject = rig_qube("sys-usb"),
                               .class = DEVICE_CLASS_BLOCK,
                               .port = { "sda" },
                               .has_identity = true,
                               .identity = { "0781:5581:A:u080650:1.0" } };

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    manager_on_admin_event(rig.manager, &added, rig.now);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_set_rules(&rig, RULES);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    (void) rig_call(&rig, ADMIN_AVAILABLE);
}

/* A device has come to the port since that was detached: what is told of it now
 * is of this one. */
static void test_a_detach_of_the_next_plug_is_no_echo(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, PORTS);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    list_anew("2-1");
    call = attach_half("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_OTHER));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
    detach_by_person("2-1");
}

/* Another source has a device of its name, so Detach comes after a look; by
 * then it is attached anew, by somebody else. */
static void test_what_is_attached_anew_before_our_detach_stays(void **state)
{
    const Record other = rig_record(RECORD_ADD, "sda");
    uint64_t second = rig_connect(&rig, "sys-usb2", 'b');
    uint64_t call;

    (void) state;

    attach_told("sda");
    rig_set_rules(&rig, "");
    assert_int_equal(rig_tell_record(&rig, second, &other), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_ATTACHED);
    list_anew("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* The event of our own Attach comes while its plug is to be detached. */
static void test_what_we_attached_just_before_is_detached(void **state)
{
    const Record other = rig_record(RECORD_ADD, "sda");
    uint64_t second = rig_connect(&rig, "sys-usb2", 'b');
    uint64_t call = attach_half("sda");

    (void) state;

    list_anew("sda");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    rig_set_rules(&rig, "");
    assert_int_equal(rig_tell_record(&rig, second, &other), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_listed(NULL));
    finish_detach();
}

/* The person took it away; qubesd was gone before that was seen, and the target
 * was stopped meanwhile. */
static void test_what_was_taken_away_before_a_gap_stays_away(void **state)
{
    (void) state;

    attach_told("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    (void) rig_call(&rig, ADMIN_ATTACHED);
    reconnect();
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_DETACHED_BY_USER);
}

/* qubesd's list changed for the plug before, and the event of our own Attach
 * was missed. */
static void test_what_a_look_has_found_may_be_taken_away(void **state)
{
    (void) state;

    for (unsigned int i = 0; i < 2; i++) {
        const char *device = i == 0 ? "sda" : "sdb";
        uint64_t call = attach_half(device);

        rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", device, NULL);
        rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", device, NULL);
        if (i == 0)
            rig_reply(&rig, call, answer_of(ADMIN_OK));
        manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
        if (i == 1)
            rig_reply(&rig, call, answer_of(ADMIN_OK));
        assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
        manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
        rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
        rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", device, "work");
        be_found_detached();
        assert_int_equal(tell(RECORD_REMOVE, device), STATUS_DETACHED);
    }
}

/* The hypervisor has not taken it away yet. */
static void test_what_goes_while_it_is_looked_at_was_not_taken_away(void **s)
{
    uint64_t call;

    (void) s;

    attach_told("sda");
    reconnect();
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_reply(&rig, call, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_an_echo_before_the_record_says_nothing(void **state)
{
    (void) state;

    rig_set_rules(&rig, PORTS);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_pass(&rig, 4 * USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    (void) rig_call(&rig, ADMIN_CURRENT_STATE);
}

/* qubesd did not say who has the disk: the USB device asks once more. */
static void test_what_was_not_answered_is_asked_by_the_whole_device(void **s)
{
    AdminRequest request;
    uint64_t call;

    (void) s;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    rig_set_rules(&rig, PORTS);
    assert_int_equal(retry_as(0, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.port.s, "sda");
    rig_reply(&rig, call, answer_listed("vault"));
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED_ELSEWHERE);
}

/* Other rules are in force than when the person was asked. */
static void test_a_no_ends_what_another_rule_has_in_work(void **state)
{
    uint64_t prompt, call;

    (void) state;

    rig_set_rules(&rig, "asked: ask block to work\n");
    prompt_opens("sda", &prompt);
    rig_set_rules(&rig, RULES);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    answer_prompt(prompt, PROMPT_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    rig_reply(&rig, call, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
}

static void test_a_no_ends_what_waits_for_a_look(void **state)
{
    uint64_t prompt, call;

    (void) state;

    rig_set_rules(&rig, "asked: ask block to work\n");
    prompt_opens("sda", &prompt);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_set_rules(&rig, RULES);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    answer_prompt(prompt, PROMPT_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    rig_reply(&rig, call, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
}

/* Attach was not bound to an identity, so it is verified: meanwhile the plug
 * goes, as the event of @device tells. */
static void goes_while_verifying(const char *device)
{
    uint64_t call;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_odd());
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", device, NULL);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
}

static void test_what_is_unplugged_while_verifying_was_not_taken(void **state)
{
    (void) state;

    goes_while_verifying("sda");
}

static void test_nor_where_its_usb_device_is_told_to_go_first(void **state)
{
    (void) state;

    goes_while_verifying("2-1");
}

/* Nor does an answer that cannot be read say so. */
static void test_what_could_not_be_read_is_asked_by_it_too(void **state)
{
    AdminRequest request;

    (void) state;

    rig_set_rules(&rig, "r: allow block to work if-running\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_TARGET_NOT_RUNNING);
    rig_set_rules(&rig, PORTS);
    assert_int_equal(retry_as(0, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.port.s, "sda");
}

static void test_a_no_ends_what_is_to_be_tried_again(void **state)
{
    uint64_t prompt, call;

    (void) state;

    rig_set_rules(&rig, "asked: ask block to work\n");
    prompt_opens("sda", &prompt);
    rig_set_rules(&rig, RULES);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    answer_prompt(prompt, PROMPT_NO);
    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* The qube that had it was stopped when the policy had let a disposable, which
 * the person is offered. */
static uint64_t disposable_is_offered(void)
{
    uint64_t call, id;
    Prompt prompt;

    attach_told("sda");
    rig_set_rules(&rig, "asked: ask block to { @dispvm:media vault }\n");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_listed("work")); /* that may be old */
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    id = window_opens(2, &prompt);
    assert_int_equal(prompt.targets[0].kind, TARGET_DISPVM);
    return id;
}

static void test_a_disposable_that_the_person_has_chosen_is_made(void **state)
{
    const uint64_t prompt = disposable_is_offered();

    (void) state;

    answer_prompt(prompt, PROMPT_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_CREATE_DISPOSABLE);
}

static void test_so_is_one_that_was_chosen_late(void **state)
{
    const uint64_t prompt = disposable_is_offered();

    (void) state;

    rig_pass(&rig, 120 * USEC_PER_SEC);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    answer_prompt(prompt, PROMPT_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_CREATE_DISPOSABLE);
}

/* By hand, while the command to detach it waits for qubesd. */
static void test_what_is_taken_away_after_a_retry_stays_away(void **state)
{
    const uint64_t asker = manager_new_asker(rig.manager);

    (void) state;

    attach_told("sda");
    assert_int_equal(detach_as(asker, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    assert_int_equal(retry_as(asker, "sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_pass(&rig, JOB_OFFLINE_USEC);
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_what_was_told_before_it_was_listed_is_of_another(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
}

/* That its target had stopped is told after the answer. */
static void test_an_attach_told_after_a_stop_is_still_ours(void **state)
{
    const uint64_t call = attach_half("sda");

    (void) state;

    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    unplug("sda");
}

/* The slots of a card reader cannot be told from one another but by name. */
static void test_a_no_to_one_of_two_disks_is_kept_for_it(void **state)
{
    (void) state;

    rig_set_rules(&rig, "asked: ask block to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    refuse("sdb");
    assert_int_equal(tell(RECORD_REMOVE, "sdb"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DENIED_BY_USER);
    assert_int_equal(tell(RECORD_ADD, "sdb"), STATUS_DENIED_BY_USER);
}

static void test_what_went_later_is_not_what_came_before(void **state)
{
    uint64_t prompt;

    (void) state;

    rig_set_rules(&rig, "asked: ask block to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    refuse("sda");
    prompt_opens("sdb", &prompt);
    rig_pass(&rig, USEC_PER_SEC);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(rig_answer(&rig), 0);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DENIED_BY_USER);
}

static void test_a_start_says_nothing_of_an_attach_of_unknown_end(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_true(rig_is_quiet(&rig));
}

/* Without limits nothing else keeps what is known of a source that has neither
 * devices nor a connection. */
static void test_a_detach_from_the_boot_before_is_expected(void **state)
{
    uint64_t call;

    (void) state;

    rig.manager = manager_free(rig.manager);
    assert_int_equal(manager_new(&rig.manager, true), 0);
    rig_set_rules(&rig, RULES);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    call = attach_half("sda");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "sys-usb");
    manager_disconnect(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));

    usb = rig_connect(&rig, "sys-usb", 'b');
    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
}

/* The event of the Detach of the stick gives the one that came back the lineage
 * of the one that went. */
static void test_a_disk_has_its_turn_once_the_stick_before_is_detached(
    void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "u: allow usb to work\nb: allow block to work\n");
    call = attach_half("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_set_rules(&rig, "b: allow block to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    finish_block_attach();
}

/* An attached device that qubesd lists anew had been off its list: then it was
 * not the person who detached it, and a job that is in work goes on. */
static void test_a_device_that_was_listed_anew_is_not_lost(void **state)
{
    uint64_t call;

    (void) state;

    attach_told("sda");
    assert_int_equal(retry("sda"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_listed(NULL));
    finish_block_attach();
    assert_true(rig_is_quiet(&rig));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        test(test_what_was_lost_before_attach_answered_comes_back),
        test(test_a_target_stopped_while_verifying_is_not_started),
        test(test_an_attach_into_a_stopped_target_is_in_nobodys_way),
        test(test_an_attach_done_after_its_target_stopped_is_ours),
        test(test_a_target_that_is_there_again_has_what_was_sent_to_it),
        test(test_a_look_does_not_eat_what_ended_503),
        test(test_a_look_that_finds_it_taken_away_decides_nothing),
        test(test_a_plug_is_not_where_the_one_before_it_was),
        test(test_a_plug_is_not_elsewhere_because_the_one_before_was),
        test(test_what_we_had_attached_may_be_of_the_plug_before_too),
        test(test_what_no_rule_wanted_is_not_decided_by_the_list),
        test(test_what_is_found_attached_may_be_taken_away),
        test(test_a_usb_attach_that_failed_is_not_undone),
        test(test_an_error_about_a_target_does_not_say_that_it_is_off),
        test(test_a_target_that_is_not_there_does_not_run),
        test(test_an_answer_from_before_a_shutdown_is_old),
        test(test_an_attach_of_what_went_before_its_record_is_over),
        test(test_a_no_outlives_a_usb_device_that_comes_twice),
        test(test_what_another_had_is_not_in_the_way_before_the_look),
        test(test_explain_tells_why_it_is_settled),
        test(test_explain_knows_that_the_plug_before_is_in_nobodys_way),
        test(test_a_partition_stays_where_it_came),
        test(test_what_is_taken_away_while_verifying_stays_away),
        test(test_a_detach_that_may_have_been_ours_is_no_persons),
        test(test_a_detach_of_unknown_end_leaves_what_is_known),
        test(test_a_detach_of_unknown_end_says_nothing_of_the_next_plug),
        test(test_what_went_with_its_target_was_not_taken_away),
        test(test_a_stop_told_before_the_detach_makes_it_no_persons),
        test(test_a_usb_port_that_counts_as_attached_is_tried_again),
        test(test_a_look_may_find_the_plug_before),
        test(test_what_a_picture_has_is_there_whoever_told_it_too),
        test(test_what_only_others_have_told_is_not_in_the_picture),
        test(test_parts_go_with_their_usb_device),
        test(test_a_detach_that_went_unheard_is_not_waited_for),
        test(test_a_shutdown_that_nobody_told_of_is_found_out),
        test(test_what_a_halted_source_had_sent_is_not_kept),
        test(test_a_source_that_runs_is_asked_once),
        test(test_an_attach_that_was_told_is_known_after_a_restart),
        test(test_what_a_restart_took_was_not_taken_by_the_person),
        test(test_a_list_from_before_a_stop_is_read_anew),
        test(test_what_is_being_detached_does_not_come_back_with_its_target),
        test(test_what_is_wanted_again_starts_no_target_that_was_stopped),
        test(test_a_stop_after_our_detach_keeps_no_target_from_its_start),
        test(test_a_part_waits_for_what_may_have_been_taken_away),
        test(test_what_was_announced_goes_with_the_plug),
        test(test_a_detach_of_the_next_plug_is_no_echo),
        test(test_what_is_attached_anew_before_our_detach_stays),
        test(test_what_we_attached_just_before_is_detached),
        test(test_what_was_taken_away_before_a_gap_stays_away),
        test(test_what_a_look_has_found_may_be_taken_away),
        test(test_what_goes_while_it_is_looked_at_was_not_taken_away),
        test(test_an_echo_before_the_record_says_nothing),
        test(test_what_was_not_answered_is_asked_by_the_whole_device),
        test(test_what_could_not_be_read_is_asked_by_it_too),
        test(test_a_no_ends_what_another_rule_has_in_work),
        test(test_a_no_ends_what_waits_for_a_look),
        test(test_what_is_unplugged_while_verifying_was_not_taken),
        test(test_nor_where_its_usb_device_is_told_to_go_first),
        test(test_a_no_ends_what_is_to_be_tried_again),
        test(test_a_disposable_that_the_person_has_chosen_is_made),
        test(test_so_is_one_that_was_chosen_late),
        test(test_what_is_taken_away_after_a_retry_stays_away),
        test(test_what_was_told_before_it_was_listed_is_of_another),
        test(test_an_attach_told_after_a_stop_is_still_ours),
        test(test_a_no_to_one_of_two_disks_is_kept_for_it),
        test(test_what_went_later_is_not_what_came_before),
        test(test_a_start_says_nothing_of_an_attach_of_unknown_end),
        test(test_a_detach_from_the_boot_before_is_expected),
        test(test_a_disk_has_its_turn_once_the_stick_before_is_detached),
        test(test_a_device_that_was_listed_anew_is_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
