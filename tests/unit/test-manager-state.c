/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A restart of the daemon: nothing is asked, attached or forgotten twice. */

#include <string.h>

#include "dom0/core/orphans.h"
#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES                    \
    "ports: allow usb to work\n" \
    "disks: allow block type disk to work\n"
#define ASK        "disks: ask block type disk to work timeout 60s\n"
#define DISPOSABLE "disks: allow block type disk to @dispvm:media\n"
#define MINUTE     (60 * USEC_PER_SEC)

#include "tests/support/manager-fixture.h"

/* The new daemon finds qubesd; the forwarder has connected again. */
static void come_back(char boot)
{
    rig_restart(&rig);
    usb = rig_connect(&rig, "sys-usb", boot);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
}

/* And has told of @device, which is still there. */
static void come_back_with(const char *device)
{
    come_back('a');
    assert_int_equal(tell(RECORD_PRESENT, device), 0);
}

/* what was attached */

static void test_what_is_attached_is_not_attached_again(void **state)
{
    (void) state;

    attach("sda");
    come_back('a');
    assert_true(rig_is_quiet(&rig)); /* it may be another plug by now */
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    be_found_at("work", STATUS_ALREADY_ATTACHED);
    assert_string_equal(last_outcome()->detail, ""); /* it is ours */
    manager_synced(rig.manager, usb, rig.now);
    assert_true(rig_is_quiet(&rig));

    /* and is taken back when it goes */
    unplug("sda");
}

/* It is another device by now, and the person has attached that there before
 * the forwarder has told of it. */
static void test_what_is_attached_anew_after_a_restart_stays(void **state)
{
    const Record other = rig_record_at(RECORD_PRESENT, "sda", "2-1", "B");

    (void) state;

    attach("sda");
    come_back('a');
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_int_equal(rig_tell_record(&rig, usb, &other), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    /* what is listed may be the plug before, for a while */
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_pass(&rig, JOB_RETRY_USEC(i));
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    }
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

/* The person took the USB device away while no daemon ran, and qubesd counts it
 * as attached for another moment. */
static void test_an_echo_after_a_restart_is_no_new_attach(void **state)
{
    (void) state;

    attach("2-1");
    come_back('a');
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), 0);
    be_found_missing();
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* Later it is none any more: somebody has attached it anew. */
static void test_a_later_attach_after_a_restart_is_a_new_one(void **state)
{
    (void) state;

    attach("2-1");
    come_back('a');
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    come_attached("2-1", "work", STATUS_ALREADY_ATTACHED);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* Its target stopped while the daemon was dead; the new probe is told before
 * the record. */
static void test_a_new_probe_before_the_record_starts_no_target(void **state)
{
    (void) state;

    attach("sda");
    come_back('a');
    list_anew_detached("sda");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
}

/* It was plugged anew before its target stopped, and the record comes last. */
static void test_what_left_before_its_target_stopped_starts_it(void **s)
{
    (void) s;

    attach("2-1");
    come_back('a');
    list_anew_detached("2-1");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_pass(&rig, JOB_PORT_STALE_USEC + 1);
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), 0);
    manager_synced(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
}

/* But not what the person has attached there since, or we have, for then the
 * stop took it. */
static void test_what_came_back_to_its_target_does_not_start_it(void **state)
{
    for (unsigned int i = 0; i < 2; i++) {
        attach("sda");
        if (i == 0)
            come_back('a');
        list_anew_detached("sda");
        if (i == 0)
            rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
        rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
        assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
        serve_block_not_running();
        assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
        assert_true(rig_is_quiet(&rig));
        tear_down(state);
        set_up(state);
    }
}

/* A killed daemon's Attach of a partition crosses the person's of the disk: now
 * neither is on qubesd's list. */
static void test_what_no_list_has_is_where_the_look_has_found_it(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow block type partition to work\n");
    (void) attach_half("sda1");
    come_back_with("sda1");
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed("work"));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_APPEAR_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);

    unplug("sda1");
}

/* The Detach of a plug that went was not made yet when the next one came. */
static void test_what_the_plug_before_left_is_detached(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    come_back_with("sda");
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    finish_block_attach();
}

/* Its Attach was still under way when the next plug came. */
static void test_so_is_what_was_attached_when_it_had_gone(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    (void) rig_call(&rig, ADMIN_DETACH);
    come_back_with("sda");
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    finish_block_attach();
}

/* Nor does it keep out what the next plug is made of. */
static void test_what_the_plug_before_left_keeps_nothing_out(void **state)
{
    (void) state;

    attach("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    rig_set_rules(&rig, "r: allow block type partition to vault\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);

    come_back('a');
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell_part(RECORD_PRESENT, "sda1"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    finish_block_attach();
}

static void test_a_resumption_is_remembered_without_any_device(void **state)
{
    (void) state;

    attach("sda");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    come_back('a');
    manager_synced(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    manager_disconnect(rig.manager, usb, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    rig_set_rules(&rig, "r: ask block to work\n");
    refuse("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DENIED_BY_USER);
}

/* It is probed anew after the person's detach while nobody reports. */
static void test_a_new_probe_across_a_restart_is_the_same_plug(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    attach("2-1");
    detach_by_person("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, USEC_PER_SEC);
    rig_restart(&rig);
    rig_pass(&rig, 10 * USEC_PER_SEC);
    usb = rig_connect(&rig, "sys-usb", 'a');
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_DETACHED_BY_USER);
}

static void test_what_did_not_come_back_in_time_is_another_plug(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    come_attached("2-1", "work", STATUS_ALREADY_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    manager_synced(rig.manager, usb, rig.now);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, 10 * USEC_PER_SEC); /* somebody would have reported it */
    manager_disconnect(rig.manager, usb, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), 0);
}

/* Another plug had come before: that it was another one is not forgotten. */
static void test_nor_is_it_the_same_after_another_restart(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_set_rules(&rig, "");
    rig_pass(&rig, 10 * USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    rig_restart(&rig);
    rig_set_rules(&rig, "r: allow usb to work\n");
    come_back_with("2-1");
}

/* It was stopped, whatever has become of the device since. */
static void test_a_stopped_target_is_not_started_for_what_was_relisted(void **s)
{
    (void) s;

    attach("sda");
    come_back('a');
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
}

/* Another has come in its place, and stays. */
static void test_what_has_come_since_is_not_the_plug_before(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    come_attached("2-1", "work", STATUS_ALREADY_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, 10 * USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    come_back_with("2-1");
}

/* Its look was not made yet; then its target stopped, too. */
static void test_a_detach_that_was_told_is_known_after_a_restart(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    come_back_with("sda");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* What she does with it after that does not change it. */
static void test_so_is_one_that_was_attached_elsewhere_then(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "vault");
    come_back_with("sda");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
}

/* Its target stops before the look has ended, or before it has begun: what the
 * person had taken away before is not attached there again when it starts. */
static void test_what_was_told_to_be_taken_does_not_come_back(void **state)
{
    for (unsigned int i = 0; i < 3; i++) {
        attach("sda");
        rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
        come_back('a');
        if (i == 1)
            rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
        if (i == 2)
            rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
        if (i == 0) {
            assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
            (void) rig_call(&rig, ADMIN_ATTACHED);
            rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
            assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
        } else {
            assert_int_equal(tell(RECORD_PRESENT, "sda"),
                             STATUS_DETACHED_BY_USER);
        }
        rig_set_rules(&rig, "no: deny usb\n" RULES);
        assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_DENIED_BY_RULE);
        assert_int_equal(retry("2-1"), STATUS_DENIED_BY_RULE);
        rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
        assert_true(rig_is_quiet(&rig));
        tear_down(state);
        set_up(state);
    }
}

static void test_so_do_the_other_parts_wait_for_that(void **state)
{
    (void) state;

    attach("sdb");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sdb", "work");
    come_back_with("sda");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_PRESENT, "sdb"), 0);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* It was unplugged while nobody was there to hear, and is there again. */
static void test_what_is_listed_anew_was_not_detached_by_the_person(
    void **state)
{
    (void) state;

    attach("sda");
    come_back('a');
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    be_found_missing();
    finish_block_attach();
}

/* A new probe after the person's detach is told, the detach is not. */
static void test_what_is_probed_anew_was_detached_by_the_person(void **state)
{
    (void) state;

    attach("sda");
    come_back_with("sda");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    be_found_missing();
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
}

/* The same of what another had attached. */
static void test_a_told_detach_of_anothers_is_known_after_a_restart(void **s)
{
    (void) s;

    come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    come_back_with("sda");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
}

/* Another stick is in the port by then. */
static void test_a_told_detach_is_not_one_of_the_next_plug(void **state)
{
    const Record other = rig_record_at(RECORD_PRESENT, "2-1", "2-1", "B"),
                 disk = rig_record_at(RECORD_PRESENT, "sda", "2-1", "B");

    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    come_back('a');
    assert_int_equal(rig_tell_record(&rig, usb, &other), 0);
    (void) rig_call(&rig, ADMIN_DETACH); /* the old disk */
    assert_int_equal(rig_tell_record(&rig, usb, &disk),
                     STATUS_ATTACHED_ELSEWHERE);
    assert_int_equal(rig_answer(&rig), 0);
}

/* It was probed anew, and Qubes itself has attached it before we knew. */
static void test_what_another_attached_anew_is_not_ours(void **state)
{
    (void) state;

    attach("sda");
    come_back('a');
    list_anew("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    manager_synced(rig.manager, usb, rig.now);
    assert_true(rig_is_quiet(&rig));
}

/* The same, with its detach told. */
static void test_nor_is_what_another_attached_after_a_detach(void **state)
{
    (void) state;

    attach("sda");
    come_back('a');
    list_anew_detached("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    manager_synced(rig.manager, usb, rig.now);
    assert_true(rig_is_quiet(&rig));
}

/* Who had it last is no knowledge of who has it. */
static void test_what_went_by_itself_is_nowhere_after_a_restart(void **state)
{
    (void) state;

    attach_to_disposable("r: allow block to @dispvm:media close\n");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp1");
    come_back('a');
    rig_set_rules(&rig, "r: allow block to work\n");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
}

/* It has gone since, because its qube was suspended, and comes back. */
static void test_a_told_detach_outlasts_a_suspend_as_well(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    come_back('a');
    manager_synced(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DETACHED_BY_USER);
}

/* The disk of its stick has another name by now. */
static void test_what_is_found_to_be_taken_away_is_not_asked_for(void **state)
{
    (void) state;

    rig_set_rules(&rig, "disks: allow block to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    come_back('a');
    rig_set_rules(&rig, ASK);
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_PRESENT, "sdb"), 0);
    manager_synced(rig.manager, usb, rig.now);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
}

static void test_what_was_detached_meanwhile_is_left_alone(void **state)
{
    (void) state;

    attach("sda");
    come_back_with("sda");
    be_found_missing();
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_target_that_was_stopped_meanwhile_is_not_started(void **s)
{
    (void) s;

    attach("sda");
    come_back_with("sda");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);

    /* that outlives one more restart */
    come_back_with("sda");
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_block_attach();
}

static void test_a_part_waits_for_what_an_earlier_run_held(void **state)
{
    uint64_t look;

    (void) state;

    rig_set_rules(&rig, "u: allow usb to work\n");
    attach("2-1");
    rig_set_rules(&rig, "b: allow block to work\n");
    come_back('a');
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    look = rig_call(&rig, ADMIN_ATTACHED);                 /* 2-1 */
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL)); /* sda */
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    finish_block_attach();
}

/* And no longer, once it is told that the part is still there. */
static void test_it_gives_way_to_a_part_that_is_told_of(void **state)
{
    (void) state;

    attach("sda");
    rig_set_rules(&rig, "parts: allow block type partition to work\n");
    come_back('a');
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    assert_int_equal(tell(RECORD_PRESENT, "sda1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_answer(&rig), 0);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
}

static void test_a_holder_that_starts_had_been_stopped(void **state)
{
    (void) state;

    attach("sda");
    come_back('a');
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_true(rig_is_quiet(&rig)); /* by now it may be another plug */
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    finish_block_attach();
}

static void test_a_resumption_waits_for_the_record(void **state)
{
    (void) state;

    attach("sda");
    manager_pause(rig.manager, MANAGER_PAUSE_FOREVER, rig.now);
    come_back('a');
    manager_resume(rig.manager, rig.now);
    assert_true(rig_is_quiet(&rig));
}

static void test_another_diskseq_is_no_other_plug_after_a_restart(void **s)
{
    Record record = rig_record_at(RECORD_PRESENT, "sda", "2-1", "A");

    (void) s;

    attach("sda");
    come_back('a');
    assert_true(properties_set_number(&record.properties, PROPERTY_DISKSEQ, 7));
    assert_int_equal(rig_tell_record(&rig, usb, &record), 0);
    be_found_missing();
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
}

static void test_what_is_not_in_the_new_picture_is_detached(void **state)
{
    (void) state;

    attach("sda");
    come_back('a');
    manager_synced(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED);
}

static void test_what_was_to_be_detached_is(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    come_back('a');
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

static void test_another_device_in_the_port_inherits_nothing(void **state)
{
    const Record other = rig_record_at(RECORD_PRESENT, "2-1", "2-1", "B");

    (void) state;

    attach("sda");
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_true(rig_is_quiet(&rig)); /* no look before the picture is there */
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(rig_tell_record(&rig, usb, &other), 0);
    manager_synced(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    finish_usb_attach();
}

/* 2-1 is told of in a picture that has more to come. */
static void begin_picture(void)
{
    rig_set_rules(&rig, "r: allow usb to work\n");
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
}

/* The person has attached its disk while we were not there. */
static void test_a_disk_that_the_picture_has_yet_to_tell_is_not_ripped_away(
    void **state)
{
    (void) state;

    begin_picture();
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    assert_true(rig_is_quiet(&rig));
    manager_synced(rig.manager, usb, rig.now);
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

static void test_what_is_sent_by_hand_waits_for_the_end_of_input(void **state)
{
    (void) state;

    begin_picture();
    manager_input_ended(rig.manager, usb, rig.now);
    finish_usb_attach();
}

static void test_a_picture_that_breaks_off_is_not_waited_for(void **state)
{
    uint64_t broken = usb;

    (void) state;

    begin_picture();
    manager_disconnect(rig.manager, broken, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    see_usb_attach();
}

/* Nobody has told yet that the old connection is gone. */
static void test_a_newer_picture_ends_the_wait_for_an_old_one(void **state)
{
    uint64_t newer;
    const Record stick = rig_record_at(RECORD_PRESENT, "2-1", "2-1", "A");

    (void) state;

    begin_picture();
    newer = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(rig_tell_record(&rig, newer, &stick), 0);
    assert_true(rig_is_quiet(&rig));
    manager_synced(rig.manager, newer, rig.now);
    finish_usb_attach();
}

static void test_a_picture_that_never_ends_costs_the_job_its_time(void **state)
{
    (void) state;

    begin_picture();
    rig_pass(&rig, JOB_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
}

static void test_another_boot_of_the_source_detaches_all(void **state)
{
    (void) state;

    attach("sda");
    rig_restart(&rig);
    usb = rig_connect(&rig, "sys-usb", 'b');
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
}

/* It is done just behind the look for it. */
static void test_an_attach_told_behind_the_look_was_not_taken_away(void **state)
{
    uint64_t power;

    (void) state;

    (void) attach_half("sda");
    come_back_with("sda");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    power = rig_call(&rig, ADMIN_CURRENT_STATE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, power, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    be_found_at("work", STATUS_ALREADY_ATTACHED);
}

static void test_an_attach_that_was_in_work_is_looked_for(void **state)
{
    (void) state;

    for (unsigned int listed = 0; listed < 2; listed++) {
        (void) attach_half("sda");
        come_back_with("sda");
        rig_serve(&rig, ADMIN_ATTACHED,
                  listed ? answer_listed(NULL) : answer_of(ADMIN_OK));
        if (!listed) {
            rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
            /* not the person's doing: it is just not done yet */
            finish_block_attach();
        } else {
            be_found_at("work", STATUS_ALREADY_ATTACHED);
        }
        unplug("sda");
    }
}

static void test_a_source_that_was_shut_down_meanwhile_is_forgotten(void **s)
{
    static Report report;

    (void) s;

    attach("sda");
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_true(rig_is_quiet(&rig));
    report = (Report){};
    manager_report(rig.manager, &report, rig.now);
    assert_int_equal(report.n_sources, 0);
}

/* what the person said */

static void test_a_no_is_not_asked_again(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    refuse("sda");
    come_back('a');
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_DENIED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* Nor when the disk goes and comes under a USB device that stays. */
static void test_nor_when_its_disk_is_probed_anew(void **state)
{
    (void) state;

    rig_set_rules(&rig, "all: ask any to work\n");
    refuse("2-1");
    refuse("sda");
    /* all of it has been probed anew before */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_DENIED_BY_USER);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DENIED_BY_USER);
    come_back('a');
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_DENIED_BY_USER);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_DENIED_BY_USER);
    manager_synced(rig.manager, usb, rig.now);
    rig_pass(&rig, MINUTE);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DENIED_BY_USER);
}

static void test_a_no_is_for_that_plug_only(void **state)
{
    const Record other = rig_record_at(RECORD_PRESENT, "sda", "2-1", "B");

    (void) state;

    rig_set_rules(&rig, ASK);
    refuse("sda");
    come_back('a');
    assert_int_equal(rig_tell_record(&rig, usb, &other), 0);
}

static void test_three_noes_still_silence(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    refuse("sda");
    refuse("sdb");
    refuse("sdc");
    come_back_with("sdd");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_QUIET);
}

static void test_what_went_by_itself_is_known_when_it_comes_back(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_set_rules(&rig, ASK);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_APPEAR_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_NO_SUCH_DEVICE);
    refuse("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    come_back('a');
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sdb"), STATUS_DENIED_BY_USER);
}

static void test_a_window_that_is_still_open_is_not_joined_by_one(void **state)
{
    Prompt prompt;
    uint64_t id;

    (void) state;

    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &id);
    come_back_with("sda");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    assert_false(manager_next_prompt(rig.manager, &id, &prompt, rig.now));

    assert_int_equal(manager_next_usec(rig.manager),
                     rig.now.monotonic_usec + MANAGER_WINDOW_USEC);
    rig_pass(&rig, MANAGER_WINDOW_USEC);
    (void) window_opens(1, &prompt);
}

static void test_a_lost_window_is_not_told_as_one_to_be_answered(void **state)
{
    Report report = {};
    uint64_t id;

    (void) state;

    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &id);
    come_back_with("sda");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_pass(&rig, MINUTE);
    manager_report(rig.manager, &report, rig.now);
    assert_int_equal(report.n_prompts_open, 0);
    assert_int_equal(report.n_prompts_waiting, 1);
    assert_int_equal(report.n_prompts_lost, 1);
    assert_int_equal(report.prompts_lost_usec, MANAGER_WINDOW_USEC - MINUTE);
}

static void test_a_lost_window_is_saved_for_as_long_as_it_counts(void **s)
{
    _cleanup_(state_freep) State *before = NULL, *after = NULL;
    uint64_t id;

    (void) s;

    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &id);
    come_back('a');
    rig_pass(&rig, MANAGER_WINDOW_USEC - 1);
    assert_int_equal(manager_save(rig.manager, &before), 0);
    assert_int_equal(before->n_windows, 1);
    rig_pass(&rig, 1);
    assert_int_equal(manager_save(rig.manager, &after), 0);
    assert_int_equal(after->n_windows, 0);
}

static void test_a_pause_goes_on_and_ends_in_time(void **state)
{
    (void) state;

    manager_pause(rig.manager, rig.now.boottime_usec + MINUTE, rig.now);
    come_back('a');
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_PAUSED);
    rig_pass(&rig, MINUTE);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
}

/* disposables */

static void test_a_disposable_made_for_nothing_is_done_away_with(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, DISPOSABLE);
    begin("sda");
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
    (void) rig_call(&rig, ADMIN_START);
    rig_restart(&rig);

    /* qubesd is not there yet */
    call = rig_call_to(&rig, ADMIN_KILL, &request);
    assert_string_equal(request.dest.s, "disp1");
    rig_reply(&rig, call, answer_of(ADMIN_UNREACHABLE));
    assert_true(rig_is_quiet(&rig));
    rig_restart(&rig); /* one more time */
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_UNREACHABLE));
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_KILL, answer_error(ADMIN_ERROR_NOT_STARTED));
    rig_serve(&rig, ADMIN_REMOVE, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_disposable_that_waits_for_its_kill_is_known(void **state)
{
    (void) state;

    rig_set_rules(&rig, DISPOSABLE);
    begin("sda");
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
    (void) rig_call(&rig, ADMIN_START);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_UNREACHABLE));
    come_back('a');
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

static void test_a_disposable_is_kept_if_the_attach_was_done(void **state)
{
    (void) state;

    rig_set_rules(&rig, DISPOSABLE);
    for (unsigned int listed = 2; listed-- > 0;) {
        begin("sda");
        serve_disposable();
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        (void) rig_call(&rig, ADMIN_ATTACH);
        come_back_with("sda");
        rig_serve(&rig, ADMIN_ATTACHED,
                  listed ? answer_listed(NULL) : answer_of(ADMIN_OK));
        if (listed) {
            be_found_at("disp1", STATUS_ALREADY_ATTACHED);
            assert_true(rig_is_quiet(&rig));
            unplug("sda");
        } else {
            AdminAnswer other = answer_disposable();

            other.qube = rig_qube("disp2");
            rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
            rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK)); /* disp1 */
            rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
            rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, other);
            rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
            finish_block_attach();
        }
        assert_true(rig_is_quiet(&rig));
    }
}

/* the value itself */

static void test_nothing_out_of_the_ordinary_is_nothing_to_keep(void **state)
{
    _cleanup_(state_freep) State *saved = NULL;
    uint64_t before = manager_state_digest(rig.manager);

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(manager_state_digest(rig.manager), before);
    assert_int_equal(manager_save(rig.manager, &saved), 0);
    assert_int_equal(saved->n_sources, 1);
    assert_int_equal(saved->sources[0].n_plugs, 0);
}

static void test_whatever_changes_shows_in_the_digest(void **state)
{
    uint64_t before = manager_state_digest(rig.manager), now;

    (void) state;

#define CHANGED()                                \
    do {                                         \
        now = manager_state_digest(rig.manager); \
        assert_int_not_equal(now, before);       \
        before = now;                            \
    } while (0)

    begin("sda");
    CHANGED(); /* the Attach is wished for, but not made yet */
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    CHANGED();
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    CHANGED();
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    CHANGED();
    manager_pause(rig.manager, UINT64_MAX, rig.now);
    CHANGED();
    (void) rig_connect(&rig, "sys-net", 'a');
    CHANGED();
#undef CHANGED
}

static void test_a_state_that_cannot_be_is_refused(void **state)
{
    _cleanup_(manager_freep) Manager *manager = NULL;
    _cleanup_(state_freep) State *saved = NULL;
    StatePlug *plug;

    (void) state;

    attach("sda");
    assert_int_equal(manager_save(rig.manager, &saved), 0);
    assert_int_equal(state_add_plug(&saved->sources[0], &plug), 0);
    *plug = saved->sources[0].plugs[0];
    assert_int_equal(manager_new(&manager, false), 0);
    assert_true(manager_restore(manager, saved) < 0);
}

/* The Attach of the daemon that was killed goes on: a second one is refused,
 * and nobody has the device yet. */
static void test_an_attach_that_crosses_an_earlier_one_is_nobodys_detach(
    void **state)
{
    (void) state;

    (void) attach_half("2-1");
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_int_equal(retry("2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_OTHER));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    be_found_at("work", STATUS_ALREADY_ATTACHED);
}

/* Another has attached it in the place of what we were about to detach. */
static void test_what_was_no_more_ours_to_detach_is_left_where_it_is(void **s)
{
    (void) s;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    come_back('a');
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    manager_synced(rig.manager, usb, rig.now);
    assert_true(rig_is_quiet(&rig));
}

/* It was probed anew because of the person's detach, and not yet back when the
 * forwarder told the next run of the daemon what there is. */
static void test_a_new_probe_around_a_restart_is_the_same_plug(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    detach_by_person("2-1");
    come_back('a');
    manager_synced(rig.manager, usb, rig.now);
    rig_pass(&rig, USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_DETACHED_BY_USER);
}

/* A USB attach into a new disposable that is under way when the daemon is
 * killed. */
static void lose_an_attach_into_a_disposable(void)
{
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    (void) rig_call(&rig, ADMIN_ATTACH);
    come_back('a');
}

static void expect_kill(const char *name)
{
    AdminRequest request;
    uint64_t call = rig_call_to(&rig, ADMIN_KILL, &request);

    assert_string_equal(request.dest.s, name);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
}

/* A source may tell that any qube has its USB devices (WIRE 1). */
static void test_what_a_source_claims_to_have_its_device_is_not_killed(void **s)
{
    AdminRequest request;
    uint64_t call;

    (void) s;
    rig_set_rules(&rig, "p: allow usb to @dispvm:media\n");
    lose_an_attach_into_a_disposable();

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    (void) rig_call_to(&rig, ADMIN_ATTACHED, &request);
    assert_string_equal(request.dest.s, "vault");
    come_back('a');
    expect_kill("disp1");
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), 0);
    call = rig_call_to(&rig, ADMIN_ATTACHED, &request);
    assert_string_equal(request.dest.s, "vault");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    /* nor is it there: it is attached anew */
    (void) rig_call(&rig, ADMIN_AVAILABLE);
}

static void test_the_target_of_another_rule_is_not_killed(void **state)
{
    Record record = rig_record_at(RECORD_ADD, "2-1", "2-1", "A");
    uint64_t call;

    (void) state;
    rig_set_rules(&rig, "w: allow usb model W to work\n"
                        "p: allow usb to @dispvm:media\n");
    lose_an_attach_into_a_disposable();

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "disp1");
    rig_pass(&rig, 4 * USEC_PER_SEC);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    assert_true(
        properties_set_text(&record.properties, PROPERTY_MODEL, "W", 1));
    assert_int_equal(rig_tell_record(&rig, usb, &record), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_overdue());
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    expect_kill("disp1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_true(rig_is_quiet(&rig));
}

#define TO_DISPOSABLE "d: allow block to @dispvm:media\n"
#define DENY          "d: deny block\n"

/* The Attach to a new disposable is out. */
static void attach_half_to_disposable(void)
{
    rig_set_rules(&rig, TO_DISPOSABLE);
    begin("sda");
    serve_disposable();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
}

/* A run that is to attach nothing finds that it is not there. */
static void find_it_missing_in_disposable(void)
{
    come_back('a');
    rig_set_rules(&rig, DENY);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_DENIED_BY_RULE);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
}

static void test_a_disposable_that_was_being_killed_is_killed(void **state)
{
    (void) state;

    attach_half_to_disposable();
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    (void) rig_call(&rig, ADMIN_KILL);
    find_it_missing_in_disposable();
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
}

/* @device is told to be attached there before the restart. */
static void expect_disposable_left_after(const char *device)
{
    attach_half_to_disposable();
    (void) rig_call(&rig, ADMIN_ATTACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", device, "disp1");
    find_it_missing_in_disposable();
    assert_true(rig_is_quiet(&rig));
}

static void test_a_disposable_that_was_filled_before_the_restart_is_left(
    void **state)
{
    (void) state;

    expect_disposable_left_after("sdb");
}

/* The person has detached it since, and works on in there. */
static void test_so_is_one_to_which_it_was_told_attached(void **state)
{
    (void) state;

    expect_disposable_left_after("sda");
}

/* Remove waits for the start, and is refused then (WIRE 1). */
static void test_a_disposable_that_was_being_started_is_killed(void **state)
{
    (void) state;

    rig_set_rules(&rig, TO_DISPOSABLE);
    begin("sda");
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
    (void) rig_call(&rig, ADMIN_START);
    come_back('a');
    rig_serve(&rig, ADMIN_KILL, answer_error(ADMIN_ERROR_NOT_STARTED));
    rig_serve(&rig, ADMIN_REMOVE, answer_error(ADMIN_ERROR_OTHER));
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, ORPHAN_RETRY_USEC);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
}

static void test_a_disposable_that_is_never_let_go_is_left(void **state)
{
    (void) state;

    rig_set_rules(&rig, TO_DISPOSABLE);
    begin("sda");
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
    (void) rig_call(&rig, ADMIN_START);
    come_back('a');
    for (unsigned int i = 0; i <= ORPHAN_REFUSED_MAX; i++) {
        rig_serve(&rig, ADMIN_KILL, answer_error(ADMIN_ERROR_OTHER));
        rig_pass(&rig, ORPHAN_RETRY_USEC);
    }
    assert_true(rig_is_quiet(&rig));
}

static void test_a_detach_told_before_the_attach_is_answered_is_kept(
    void **state)
{
    (void) state;

    (void) attach_half("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    come_back('a');
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    be_found_missing();
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_what_is_attached_is_not_attached_again),
        TEST(test_what_is_attached_anew_after_a_restart_stays),
        TEST(test_an_echo_after_a_restart_is_no_new_attach),
        TEST(test_a_later_attach_after_a_restart_is_a_new_one),
        TEST(test_a_new_probe_before_the_record_starts_no_target),
        TEST(test_what_left_before_its_target_stopped_starts_it),
        TEST(test_what_came_back_to_its_target_does_not_start_it),
        TEST(test_what_no_list_has_is_where_the_look_has_found_it),
        TEST(test_an_attach_that_crosses_an_earlier_one_is_nobodys_detach),
        TEST(test_what_the_plug_before_left_is_detached),
        TEST(test_so_is_what_was_attached_when_it_had_gone),
        TEST(test_what_the_plug_before_left_keeps_nothing_out),
        TEST(test_a_resumption_is_remembered_without_any_device),
        TEST(test_a_new_probe_across_a_restart_is_the_same_plug),
        TEST(test_what_did_not_come_back_in_time_is_another_plug),
        TEST(test_nor_is_it_the_same_after_another_restart),
        TEST(test_a_stopped_target_is_not_started_for_what_was_relisted),
        TEST(test_what_has_come_since_is_not_the_plug_before),
        TEST(test_a_detach_that_was_told_is_known_after_a_restart),
        TEST(test_so_is_one_that_was_attached_elsewhere_then),
        TEST(test_what_was_told_to_be_taken_does_not_come_back),
        TEST(test_so_do_the_other_parts_wait_for_that),
        TEST(test_what_is_listed_anew_was_not_detached_by_the_person),
        TEST(test_what_is_probed_anew_was_detached_by_the_person),
        TEST(test_a_told_detach_of_anothers_is_known_after_a_restart),
        TEST(test_a_told_detach_is_not_one_of_the_next_plug),
        TEST(test_what_another_attached_anew_is_not_ours),
        TEST(test_nor_is_what_another_attached_after_a_detach),
        TEST(test_what_went_by_itself_is_nowhere_after_a_restart),
        TEST(test_a_told_detach_outlasts_a_suspend_as_well),
        TEST(test_what_is_found_to_be_taken_away_is_not_asked_for),
        TEST(test_what_was_detached_meanwhile_is_left_alone),
        TEST(test_a_target_that_was_stopped_meanwhile_is_not_started),
        TEST(test_a_part_waits_for_what_an_earlier_run_held),
        TEST(test_it_gives_way_to_a_part_that_is_told_of),
        TEST(test_a_holder_that_starts_had_been_stopped),
        TEST(test_a_resumption_waits_for_the_record),
        TEST(test_another_diskseq_is_no_other_plug_after_a_restart),
        TEST(test_what_is_not_in_the_new_picture_is_detached),
        TEST(test_what_was_to_be_detached_is),
        TEST(test_another_device_in_the_port_inherits_nothing),
        TEST(test_a_disk_that_the_picture_has_yet_to_tell_is_not_ripped_away),
        TEST(test_what_is_sent_by_hand_waits_for_the_end_of_input),
        TEST(test_a_picture_that_breaks_off_is_not_waited_for),
        TEST(test_a_newer_picture_ends_the_wait_for_an_old_one),
        TEST(test_a_picture_that_never_ends_costs_the_job_its_time),
        TEST(test_another_boot_of_the_source_detaches_all),
        TEST(test_an_attach_told_behind_the_look_was_not_taken_away),
        TEST(test_an_attach_that_was_in_work_is_looked_for),
        TEST(test_a_source_that_was_shut_down_meanwhile_is_forgotten),
        TEST(test_what_was_no_more_ours_to_detach_is_left_where_it_is),
        TEST(test_a_new_probe_around_a_restart_is_the_same_plug),
        TEST(test_a_no_is_not_asked_again),
        TEST(test_nor_when_its_disk_is_probed_anew),
        TEST(test_a_no_is_for_that_plug_only),
        TEST(test_three_noes_still_silence),
        TEST(test_what_went_by_itself_is_known_when_it_comes_back),
        TEST(test_a_window_that_is_still_open_is_not_joined_by_one),
        TEST(test_a_lost_window_is_not_told_as_one_to_be_answered),
        TEST(test_a_lost_window_is_saved_for_as_long_as_it_counts),
        TEST(test_a_pause_goes_on_and_ends_in_time),
        TEST(test_a_disposable_made_for_nothing_is_done_away_with),
        TEST(test_a_disposable_that_waits_for_its_kill_is_known),
        TEST(test_a_disposable_is_kept_if_the_attach_was_done),
        TEST(test_nothing_out_of_the_ordinary_is_nothing_to_keep),
        TEST(test_whatever_changes_shows_in_the_digest),
        TEST(test_a_state_that_cannot_be_is_refused),
        TEST(test_what_a_source_claims_to_have_its_device_is_not_killed),
        TEST(test_the_target_of_another_rule_is_not_killed),
        TEST(test_a_disposable_that_was_being_killed_is_killed),
        TEST(test_a_disposable_that_was_filled_before_the_restart_is_left),
        TEST(test_so_is_one_to_which_it_was_told_attached),
        TEST(test_a_disposable_that_was_being_started_is_killed),
        TEST(test_a_disposable_that_is_never_let_go_is_left),
        TEST(test_a_detach_told_before_the_attach_is_answered_is_kept),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
