/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What is told late, early, or of another plug, as the model test has found it:
 * each undid what the person had done, or did something twice.
 */

#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES                              \
    "ports: allow usb serial U* to work\n" \
    "parts: allow block type { disk partition } to work\n"
#define ASK "disks: ask block type disk to work timeout 60s\n"

#include "tests/support/manager-fixture.h"

static void test_a_no_to_an_earlier_plug_does_not_come_back_to_life(void **s)
{
    (void) s;

    rig_set_rules(&rig, ASK);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    refuse("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, 2 * USEC_PER_SEC);
    /* another plug; that it was attached and is detached means nothing for
     * the one before */
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_pass(&rig, 2 * USEC_PER_SEC);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);

    /* nor does a suspend bring it back */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
}

static void test_a_resumption_is_known_after_a_restart(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    rig_restart(&rig);
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DETACHED_BY_USER);
}

/* The person takes a part away before the forwarder has called the new daemon;
 * after a suspend another part comes back first. */
static void test_a_detach_before_the_first_hello_is_of_the_whole_stick(void **s)
{
    (void) s;

    rig_set_rules(&rig, "r: allow block type partition to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    attach("sda2");
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_int_equal(detach_as(0, "sda2"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_PRESENT, "sda2"), STATUS_DETACHED_BY_USER);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_set_rules(&rig, "r: allow block type disk to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_an_unreadable_part_is_not_ripped_away(void **state)
{
    AdminAnswer unknown = answer_listed(NULL);

    (void) state;

    unknown.listing.attachment = ATTACHMENT_UNKNOWN;
    rig_set_rules(&rig, "r: allow usb to work\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    begin("2-1");
    rig_serve(&rig, ADMIN_AVAILABLE, unknown);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    /* nor when it is told of once more */
    assert_int_equal(tell(RECORD_CHANGE, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_AVAILABLE, unknown);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
}

static void test_a_usb_attach_that_failed_is_not_ours(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_OTHER));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
    /* so it is not for us to detach */
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
}

static void test_a_job_in_work_does_not_start_what_was_just_stopped(void **s)
{
    (void) s;

    attach("sda");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_removal_after_the_detach_is_the_new_probe(void **state)
{
    uint64_t look;

    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

static void test_a_shutdown_after_the_detach_changes_nothing(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    (void) rig_call(&rig, ADMIN_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_what_is_known_is_asked_when_the_list_is_there(void **state)
{
    uint64_t look;

    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    look = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, look, answer_unreadable());
    rig_serve(&rig, ADMIN_AVAILABLE,
              answer_unreadable()); /* the other may be old */
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
}

/* A disk that there is no record of, of the kind of all sticks here, is
 * attached. */
static void sdb_is_attached_early(void)
{
    AdminEvent attached = { .type = ADMIN_EVENT_ATTACH,
                            .class = DEVICE_CLASS_BLOCK,
                            .subject = { "work" },
                            .backend = { "sys-usb" },
                            .port = { "sdb" },
                            .has_identity = true };

    assert_true(
        identity_parse(&attached.identity, "0781:5581:A:u080650:1.0", 23));
    manager_on_admin_event(rig.manager, &attached, rig.now);
}

static void test_an_empty_slot_is_not_ripped_away(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to vault\n");
    sdb_is_attached_early();
    begin("2-1");
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
}

/* Nobody knows what has become of that disk while no event was heard. */
static void test_after_a_gap_no_disk_is_presumed_to_be_a_part(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to vault\n");
    sdb_is_attached_early();
    begin("2-1");
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    reconnect();
    see_usb_attach();
}

/* Of two sticks of one kind the disk of one is attached by hand, before its
 * record has told whose it is. */
static void test_a_disk_of_its_twin_is_no_part_of_it(void **state)
{
    const Record twin = rig_record_at(RECORD_ADD, "sdb", "2-2", "A");

    (void) state;

    rig_set_rules(&rig, "r: allow usb to vault\n");
    sdb_is_attached_early();
    begin("2-1");
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    assert_int_equal(tell(RECORD_ADD, "2-2"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);

    assert_int_equal(rig_tell_record(&rig, usb, &twin), STATUS_NO_RULE);
    see_usb_attach();
    assert_string_equal(last_outcome()->device.s, "2-1");
    assert_true(rig_is_quiet(&rig)); /* 2-2 stays as it is */
}

/* qubesd has no time for our Detach; by then it has detached what was
 * unplugged, and the person has attached what came next. */
static void test_a_detach_that_waits_takes_nothing_that_came_since(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    list_anew("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_pass(&rig, JOB_OFFLINE_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* It went while qubesd was away; of the detach nobody has told. */
static void test_nor_what_came_when_a_detach_was_missed(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_pass(&rig, JOB_OFFLINE_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* While the daemon was away the source was restarted, and Qubes itself has
 * attached the device anew. */
static void test_what_is_attached_in_the_next_boot_is_not_ours(void **state)
{
    (void) state;

    attach("sda");
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    (void) rig_call(&rig, ADMIN_CURRENT_STATE); /* of the source */
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    usb = rig_connect(&rig, "sys-usb", 'b');
    assert_true(rig_is_quiet(&rig));
}

static void test_the_command_ends_jobs_of_the_other_parts_too(void **state)
{
    uint64_t start;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    start = rig_call(&rig, ADMIN_START);
    attach("sdb");
    assert_int_equal(detach_as(0, "sdb"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_reply(&rig, start, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

static void test_nothing_but_a_disposable_of_ours_is_killed(void **state)
{
    AdminRequest request;
    uint64_t start, call;

    (void) state;

    rig_set_rules(&rig, "r: allow block to { @dispvm:media work }\n");
    begin("sda");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, answer_disposable());
    start = rig_call(&rig, ADMIN_START);
    /* meanwhile the person attaches it to work, another target of the rule */
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, start, answer_of(ADMIN_OK));
    be_found_at("work", STATUS_ALREADY_ATTACHED);
    call = rig_call_to(&rig, ADMIN_KILL, &request);
    assert_string_equal(request.dest.s, "disp1");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_STARTED));
    call = rig_call_to(&rig, ADMIN_REMOVE, &request);
    assert_string_equal(request.dest.s, "disp1");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

static void test_what_another_attaches_before_our_attach_is_seen(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "r: allow block to { work media }\n");
    begin("sda");
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
}

/* Attached answers with what was before the detach that was told meanwhile. */
static void test_an_answer_older_than_a_detach_is_not_believed(void **state)
{
    uint64_t call;

    (void) state;

    attach_unsure();
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, USEC_PER_SEC);
    finish_block_attach();
}

/* qubesd's list may have the plug before, and who had that, for a moment. */
static void test_the_list_may_tell_of_the_plug_before(void **state)
{
    (void) state;

    come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_pass(&rig, USEC_PER_SEC);
    finish_block_attach();
}

/* Attach and end of the plug before, which our Detach has found gone, are told
 * when the next one is attached to the same target. */
static void test_what_is_told_of_the_plug_before_is_not_of_this_one(void **s)
{
    (void) s;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    list_anew_detached("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));

    /* it is ours: so it comes back with its target */
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_block_attach();
}

/* That it was probed anew is told after our Attach, and the event of that is
 * missed. */
static void test_a_detach_after_a_new_probe_and_a_gap_is_the_persons(void **s)
{
    (void) s;

    attach("sda");
    list_anew("sda");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    detach_by_person("sda");
}

/* qubesd has no time for a look after a gap; the stop's own detach would have
 * been told before the start. */
static void test_a_detach_told_after_the_start_is_the_persons(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_UNREACHABLE));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_pass(&rig, JOB_OFFLINE_USEC);
    be_found_detached();
}

/* Whether it was attached when its target stopped could not be found out; the
 * detach is told, and the target stops again. */
static void test_what_may_have_been_attached_was_not_taken_away(void **state)
{
    (void) state;

    attach_unsure();
    rig_serve(&rig, ADMIN_ATTACHED, answer_error(ADMIN_ERROR_OTHER));
    assert_int_equal(rig_answer(&rig), STATUS_QUBESD_REFUSED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    (void) rig_call(&rig, ADMIN_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    assert_int_equal(last_outcome()->status, STATUS_QUBESD_REFUSED);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
}

/* Another has attached it before its record came, and while the disposable of
 * the plug before was being shut down. */
static void test_what_came_before_an_earlier_job_ended_is_not_of_that(void **s)
{
    uint64_t call;

    (void) s;

    attach_to_disposable("r: allow block to @dispvm:media close\n");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp1");
    call = rig_call(&rig, ADMIN_SHUTDOWN);
    list_anew("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED_ELSEWHERE);

    /* the person takes it away */
    detach_by_person("sda");
}

/* Our Detach of the plug before has failed, and did not find it either. */
static void test_nor_what_is_told_of_one_whose_detach_failed(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_OTHER));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    list_anew_detached("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));

    unplug("sda");
}

/* A detach that is told before our Attach is none of that, and what goes before
 * that is told is still to be detached. */
static void test_what_is_not_told_to_be_attached_yet_is_detached(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
    unplug("sda");
}

/* It was replugged while its forwarder was not there. */
static void test_what_was_off_the_list_was_not_taken_by_the_person(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    finish_block_attach();
}

/* Attach and detach of ours are told when the next plug is there. */
static void test_our_own_detach_told_late_is_not_the_persons(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_set_rules(&rig, "r: allow block to media\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    serve_block_attach();
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
}

/* Our Detach looks first where two sources have a device of the name. */
static void test_what_comes_after_the_detach_is_not_detached(void **state)
{
    uint64_t net, look;

    (void) state;

    net = rig_connect(&rig, "sys-net", 'b');
    assert_int_equal(rig_tell(&rig, net, RECORD_ADD, "sda"), 0);
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    /* Qubes itself attaches the next one at once */
    rig_reply(&rig, look, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* All of it is told before our Detach is answered. */
static void test_what_is_attached_after_our_detach_is_known_to_be(void **state)
{
    uint64_t call;

    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_set_rules(&rig, "r: allow block type partition to work\n");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    /* no part of it is taken from there */
    assert_int_equal(tell(RECORD_ADD, "sda1"), STATUS_ATTACHED_ELSEWHERE);
}

/* But if it is our own Attach that is told late, the detach before was of none
 * at all, and that of our Detach is still to come. */
static void test_an_attach_told_late_is_ended_by_our_detach(void **state)
{
    uint64_t call;

    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

/* What is told of the port's last attachment, and of its end, are echoes: our
 * Attach fails, and is made anew. */
static void test_a_detach_before_the_second_try_says_nothing_of_that(void **s)
{
    uint64_t call;

    (void) s;

    rig_set_rules(&rig, "ports: allow usb to work\n");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    call = attach_half("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_PROTOCOL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    finish_detach();
}

/* The person attaches it elsewhere while our Attach is out, and takes it away
 * again: so it is left alone, whatever error that Attach meets. */
static void test_what_is_taken_from_elsewhere_meanwhile_stays_away(void **state)
{
    static const AdminError errors[] = { ADMIN_ERROR_ALREADY_ATTACHED,
                                         ADMIN_ERROR_PROTOCOL,
                                         ADMIN_ERROR_NOT_RUNNING };

    (void) state;

    rig_set_rules(&rig, "all: allow any to work\n");
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        const uint64_t call = attach_half("2-1");

        rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
        rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
        rig_reply(&rig, call, answer_error(errors[i]));
        assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
        be_found_detached();
        assert_string_equal(last_outcome()->target, "vault");
        rig_pass(&rig, 4 * USEC_PER_SEC);
        assert_true(rig_is_quiet(&rig));
        assert_int_equal(tell(RECORD_CHANGE, "2-1"), STATUS_DETACHED_BY_USER);
        assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DETACHED_BY_USER);
        (void) tell(RECORD_REMOVE, "sda");
        (void) tell(RECORD_REMOVE, "2-1");
        rig_pass(&rig, 4 * USEC_PER_SEC);
        while (rig_answer(&rig) != STATUS_INVALID)
            continue;
    }
}

static void test_a_disk_that_is_taken_from_elsewhere_stays_away(void **state)
{
    const uint64_t call = attach_half("sda");

    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "vault");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK)); /* not at work */
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    be_found_detached(); /* nor at vault */
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* So is it if the kernel probes it anew before our Attach is answered. */
static void test_a_port_that_is_taken_from_elsewhere_is_known_again(void **s)
{
    uint64_t call;

    (void) s;

    rig_set_rules(&rig, "all: allow any to work\n");
    call = attach_half("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* Where our Attach was to bring it, too; and of the whole stick. */
static void test_what_is_taken_from_there_before_an_error_stays_away(void **s)
{
    uint64_t call;

    (void) s;

    rig_set_rules(&rig, "r: allow block type partition to work\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    call = attach_half("sda1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda1", "work");
    begin("sda2");
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_PROTOCOL));
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_CHANGE, "sda1"), STATUS_DETACHED_BY_USER);
}

/* The same with the next plug, while the Attach of the one before is out. */
static void test_a_next_plug_that_is_taken_away_meanwhile_stays_away(void **s)
{
    const Record next = rig_record_at(RECORD_ADD, "sda", "2-1", "B");
    const uint64_t call = attach_half("sda");

    (void) s;

    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    assert_int_equal(rig_tell_record(&rig, usb, &next), 0);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_PROTOCOL));
    be_found_detached();
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_tell_record(&rig, usb, &next),
                     STATUS_DETACHED_BY_USER);
}

/* But not if it is not clear which of them that was. */
static void test_a_next_plug_is_attached_if_that_may_be_of_the_last(void **s)
{
    const Record next = rig_record_at(RECORD_ADD, "sda", "2-1", "B");
    const uint64_t call = attach_half("sda");

    (void) s;

    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(rig_answer(&rig), 0);
    assert_int_equal(rig_tell_record(&rig, usb, &next), 0);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_PROTOCOL));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    finish_block_attach();
}

/* Nor was it the person if qubesd took it off its list. */
static void test_what_goes_from_elsewhere_meanwhile_was_not_taken(void **state)
{
    const uint64_t call = attach_half("sda");

    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "vault");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_PROTOCOL));
    finish_block_attach();
}

/* Nor is it looked at once our Attach has gone well. */
static void test_an_attach_after_it_was_taken_from_elsewhere_holds(void **state)
{
    const uint64_t call = attach_half("sda");

    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "vault");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

/* The event was a spurious one: the look finds it where it was. */
static void test_what_is_found_elsewhere_all_the_same_is_not_taken(void **state)
{
    const uint64_t call = attach_half("sda");

    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "vault");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_PROTOCOL));
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
}

/* A Detach that failed is made up for by the hypervisor. */
static void test_what_may_be_held_is_told_to_be_gone(void **state)
{
    AdminAnswer garbage = answer_of(ADMIN_GARBAGE);

    (void) state;

    attach("sda");
    rig_set_rules(&rig, "r: allow block type partition to work\n");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_EMPTY));
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_serve(&rig, ADMIN_ATTACHED, garbage);
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    attach("sda1");
}

static void test_what_may_be_held_is_told_to_be_attached(void **state)
{
    (void) state;

    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    unplug("sda");
}

/* What lists it after its detach was told is not of the plug before. */
static void test_the_next_plug_may_be_where_the_one_before_was(void **state)
{
    (void) state;

    come_attached("sda", "vault", STATUS_ATTACHED_ELSEWHERE);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "vault");
    come_attached("sda", "vault", STATUS_ATTACHED_ELSEWHERE);
}

/* What was told of an empty slot is not of the disk that has its name next. */
static void test_a_removed_slot_leaves_its_name_clean(void **state)
{
    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    reconnect();
    finish_block_attach();
}

/* Without a USB device above it, too. */
static void test_a_partition_waits_for_the_look_at_its_disk(void **state)
{
    uint64_t look;

    (void) state;

    attach("nvme0n1");
    rig_set_rules(&rig, "r: allow block type partition to work\n");
    reconnect();
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "nvme0n1", "work");
    assert_int_equal(tell(RECORD_ADD, "nvme0n1p1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, look, answer_of(ADMIN_OK));
}

/* Our Attach failed; Qubes itself has attached what came next. */
/* The Attach of sda, pinned to @identity, is undone; another one is there. */
static void undo_beside_another(const char *identity)
{
    AdminAnswer first = answer_listed(NULL), other = answer_listed(NULL);
    Record record = rig_record_at(RECORD_ADD, "sda", "2-1", "A");
    uint64_t call;

    memcpy(first.listing.identity.s, identity, strlen(identity) + 1);
    memcpy(other.listing.identity.s, "1234:5678:X:u080650", 20);
    assert_true(properties_set_text(&record.properties, PROPERTY_VENDOR_ID,
                                    "0781", 4) &&
                properties_set_text(&record.properties, PROPERTY_PRODUCT_ID,
                                    "5581", 4));
    assert_int_equal(rig_tell_record(&rig, usb, &record), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, first);
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, other);
}

static void test_what_is_undone_is_what_was_attached(void **state)
{
    (void) state;

    undo_beside_another("0781:5581:A:u080650");
    assert_true(rig_is_quiet(&rig));
}

/* Then it may have attached what is there now. */
static void test_a_pin_without_ids_binds_to_nothing(void **state)
{
    (void) state;

    undo_beside_another("0000:0000::?******");
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
}

static void test_what_is_unlisted_before_its_prompt_is_not_shown(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "r: ask block to work when-running\n");
    begin("sda");
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

/* A Detach that finds it gone makes no new probe. */
static void test_a_plug_after_a_detach_for_nothing_is_a_new_one(void **state)
{
    uint64_t net;

    (void) state;

    net = rig_connect(&rig, "sys-net", 'b');
    assert_int_equal(rig_tell(&rig, net, RECORD_ADD, "2-1"), STATUS_NO_RULE);
    rig_set_rules(&rig, "r: allow usb to work\n");
    attach("2-1");
    assert_int_equal(detach_as(0, "2-1"), 0);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
}

/* It was attached, taken away and probed anew while the job was looking. */
static void test_taken_away_before_the_job_had_seen_it_is_remembered(void **s)
{
    uint64_t look;

    (void) s;

    rig_set_rules(&rig, "r: allow usb to work\n");
    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    (void) tell(RECORD_REMOVE, "2-1");
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    rig_pass(&rig, USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_DETACHED_BY_USER);
}

/* Its target was stopped before the job had seen it there; nobody told of that:
 * it comes back with it. */
static void test_a_stop_before_the_job_had_seen_it_is_known(void **state)
{
    (void) state;

    attach_unsure();
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("vault"));
}

/* It was attached while its target was starting, before qubesd went away. */
static void test_a_start_told_late_takes_nothing_away(void **state)
{
    uint64_t look;

    (void) state;

    attach("sda");
    reconnect();
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_reply(&rig, look, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    unplug("sda");
}

/* The same, and it is not there: it comes back. */
static void test_a_start_told_while_looking_brings_it_back(void **state)
{
    uint64_t look;

    (void) state;

    attach("sda");
    reconnect();
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    see_block_attach();
}

static void test_a_restored_partition_is_part_of_its_usb_device(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    rig_set_rules(&rig, "r: allow block type partition to work\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    attach("sda1");
    attach("sda2");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda1", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_restart(&rig);
    usb = rig_connect(&rig, "sys-usb", 'a');
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_PRESENT, "sda2"), STATUS_DETACHED_BY_USER);
}

static void test_a_retry_sees_that_the_plug_was_taken_away(void **state)
{
    uint64_t attaching;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    attach("sda");
    attaching = attach_half("sdb");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_reply(&rig, attaching, answer_error(ADMIN_ERROR_PROTOCOL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_an_event_may_overtake_the_answer_to_available(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    rig_reply(&rig, call, answer_of(ADMIN_OK)); /* not listed then */
    finish_block_attach();
}

static void test_a_start_that_is_told_in_the_middle_is_not_missed(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "r: allow block to work when-running\n");
    call = attach_half("sda");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    see_block_attach();
}

/* It waits for one of two targets, the person gives it to a third qube, and
 * whether that has it still is looked at when a target starts. */
static void test_a_start_that_is_told_during_a_look_is_not_missed(void **state)
{
    uint64_t look;

    (void) state;

    rig_set_rules(&rig, "r: allow block to { work vault } when-running\n");
    begin("sda");
    for (unsigned int i = 0; i < 2; i++)
        rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "media");
    reconnect();
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "vault");
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
}

static void test_a_detach_before_the_job_could_verify_is_the_persons(void **s)
{
    (void) s;

    attach_unsure();
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_DETACHED_BY_USER);
}

static void test_a_part_that_comes_after_the_survey_is_looked_at(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    begin("2-1");
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("vault")); /* sda */
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_part_that_cannot_be_looked_at_is_told_of(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    begin("2-1");
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_EMPTY)); /* sda */
        rig_pass(&rig, JOB_RETRY_USEC(i));
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL)); /* 2-1 */
    }
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_EMPTY));
    assert_int_equal(rig_answer(&rig), STATUS_QUBESD_REFUSED);
    assert_true(rig_is_quiet(&rig));
}

static void test_our_own_shutdown_of_a_disposable_stops_nothing(void **state)
{
    const Record other = rig_record_at(RECORD_ADD, "sda", "2-1", "B");
    uint64_t call;

    (void) state;

    attach_to_disposable("r: allow block to @dispvm:media close\n");

    assert_int_equal(rig_tell_record(&rig, usb, &other), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_SHUTDOWN);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "disp1");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_CREATE_DISPOSABLE);
}

static void test_a_second_suspend_is_as_good_as_the_first(void **state)
{
    (void) state;

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    rig_pass(&rig, 600 * USEC_PER_SEC);
    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_REMOVE, "sdb"), STATUS_DETACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DETACHED_BY_USER);
}

static void test_what_others_attached_is_looked_at_after_a_reconnect(void **s)
{
    (void) s;

    for (unsigned int listed = 2; listed-- > 0;) {
        come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
        reconnect();
        rig_serve(&rig, ADMIN_ATTACHED,
                  listed ? answer_listed(NULL) : answer_of(ADMIN_OK));
        if (!listed)
            rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
        assert_true(rig_is_quiet(&rig));
    }
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_DETACHED_BY_USER);
}

static void test_an_overdue_attach_keeps_its_device_from_other_targets(void **s)
{
    uint64_t call;

    (void) s;

    call = attach_without_end("r: allow usb to work\n");
    rig_set_rules(&rig, "r: allow usb to vault\n");
    assert_int_equal(tell(RECORD_CHANGE, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_OTHER));
    finish_usb_attach();
}

static void test_a_detach_without_an_answer_may_be_told_by_an_event(void **s)
{
    uint64_t call;

    (void) s;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_target_that_is_unpaused_has_lost_nothing(void **state)
{
    (void) state;

    attach("sda");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_UNPAUSED, "work");
    assert_true(rig_is_quiet(&rig));
    unplug("sda");
}

static void test_no_prompt_is_shown_while_a_detach_is_looked_at(void **state)
{
    Prompt prompt;
    uint64_t look, id;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    attach("sda");
    rig_set_rules(&rig, ASK);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    look = rig_call(&rig, ADMIN_ATTACHED);
    begin("sdb");
    assert_true(rig_is_quiet(&rig));
    assert_false(manager_next_prompt(rig.manager, &id, &prompt, rig.now));
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_what_was_announced_takes_one_call(void **state)
{
    AdminEvent added = { .type = ADMIN_EVENT_DEVICE_ADDED,
                         .class = DEVICE_CLASS_BLOCK,
                         .subject = { "sys-usb" },
                         .backend = { "sys-usb" },
                         .port = { "sda" },
                         .has_identity = true };
    AdminRequest request;
    uint64_t call;

    (void) state;

    assert_true(identity_parse(&added.identity, "0781:5581:A:u080650", 19));
    manager_on_admin_event(rig.manager, &added, rig.now);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    call = rig_call_to(&rig, ADMIN_ATTACH, &request);
    assert_true(request.pinned);
    assert_string_equal(request.identity.s, "0781:5581:A:u080650");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);

    /* not after it went off the list, or while nobody heard */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    manager_on_admin_event(rig.manager, &added, rig.now);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    (void) rig_call(&rig, ADMIN_AVAILABLE);
    manager_on_admin_event(rig.manager, &added, rig.now);
    added.port = (DeviceName){ "sdb" };
    manager_on_admin_event(rig.manager, &added, rig.now);
    reconnect();
    begin("sdb");
}

static void test_an_announced_identity_that_is_old_is_read_anew(void **state)
{
    AdminEvent added = { .type = ADMIN_EVENT_DEVICE_ADDED,
                         .class = DEVICE_CLASS_BLOCK,
                         .subject = { "sys-usb" },
                         .backend = { "sys-usb" },
                         .port = { "sda" },
                         .has_identity = true };

    (void) state;

    assert_true(identity_parse(&added.identity, "0781:5581:B:u080650", 19));
    manager_on_admin_event(rig.manager, &added, rig.now);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_PROTOCOL));
    finish_block_attach();
}

/* It was off the list for a moment, in which its partition was asked about. */
static void test_what_is_listed_again_before_its_404_is_attached(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "disks: allow block type disk to work\n");
    assert_int_equal(tell_part(RECORD_ADD, "sda1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_APPEAR_USEC);
    call = rig_call(&rig, ADMIN_AVAILABLE); /* sda1 */
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    rig_reply(&rig, call, answer_listed(NULL));
    finish_block_attach();
}

static void test_the_wait_for_the_list_begins_when_qubesd_answers(void **state)
{
    (void) state;

    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_UNREACHABLE));
    rig_pass(&rig, JOB_OFFLINE_USEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), 0);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    finish_block_attach();
}

/* qubesd had no time at first, and went away later. */
static void test_tries_to_reach_qubesd_are_none_at_an_answer(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
        rig_pass(&rig, JOB_RETRY_USEC(i));
    }
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_EMPTY));
    assert_int_equal(rig_answer(&rig), 0);
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_block_attach();
}

/* A second USB qube with the same name for a device, which is attached too. */
static void test_a_namesake_of_another_source_is_not_torn_away(void **state)
{
    AdminAnswer both = answer_listed(NULL);
    const Record other = rig_record(RECORD_ADD, "sda");
    uint64_t second = rig_connect(&rig, "sys-usb2", 'b');
    AdminRequest request;
    uint64_t call;

    (void) state;

    attach("sda");
    assert_int_equal(rig_tell_record(&rig, second, &other), 0);
    finish_block_attach();

    both.listing.namesake = true;
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call_to(&rig, ADMIN_ATTACHED, &request);
    assert_string_equal(request.backend.s, "sys-usb");
    rig_reply(&rig, call, both);
    assert_true(rig_is_quiet(&rig)); /* no Detach: it could be the other's */
    rig_pass(&rig, USEC_PER_SEC);
    /* qubesd has taken ours away by itself */
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_namesake_elsewhere_does_not_keep_ours_attached(void **state)
{
    const Record other = rig_record(RECORD_ADD, "sda");
    uint64_t second = rig_connect(&rig, "sys-usb2", 'b');

    (void) state;

    attach("sda");
    rig_set_rules(&rig, "");
    assert_int_equal(rig_tell_record(&rig, second, &other), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    finish_detach();
}

static void test_a_refusal_from_before_the_start_starts_nothing_again(void **s)
{
    const Record second = rig_record_at(RECORD_ADD, "sdb", "2-2", "B");
    uint64_t attaching, start;

    (void) s;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    assert_int_equal(rig_tell_record(&rig, usb, &second), 0);
    serve_block_not_running();
    start = rig_call(&rig, ADMIN_START);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    attaching = rig_call(&rig, ADMIN_ATTACH);
    rig_pass(&rig, 1000);
    rig_reply(&rig, start, answer_of(ADMIN_OK));
    serve_block_attach();
    rig_reply(&rig, attaching, answer_error(ADMIN_ERROR_NOT_RUNNING));
    finish_block_attach();
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

static void test_an_attach_that_is_told_before_the_source_calls_counts(void **s)
{
    const Record record = rig_record(RECORD_ADD, "sda");
    uint64_t second;

    (void) s;

    rig_set_rules(&rig, "r: allow usb to work\n");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb2", "sda", "vault");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb2", "sdb", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb2", "sdb", "vault");
    second = rig_connect(&rig, "sys-usb2", 'b');
    rig_set_rules(&rig, "r: allow block to work\n");
    assert_int_equal(rig_tell_record(&rig, second, &record), 0);
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb2", "sda", "vault");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK)); /* it was known */
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

/* Qubes itself had attached it, and its target was shut down: the record comes
 * between qubesd's two events of that. */
static void test_what_a_stopped_target_had_before_the_record_is_free(void **s)
{
    (void) s;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    finish_block_attach();
    assert_true(rig_is_quiet(&rig));
}

/* As before, but its source calls between the two events. */
static void test_what_it_had_before_the_source_called_is_free_too(void **s)
{
    uint64_t net;

    (void) s;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-net", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    net = rig_connect(&rig, "sys-net", 'a');
    assert_int_equal(rig_tell(&rig, net, RECORD_PRESENT, "sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-net", "sda", "work");
    finish_block_attach();
    assert_true(rig_is_quiet(&rig));
}

/* The source calls between the removal of what was attached and its detach. */
static void test_what_went_before_the_source_called_was_not_taken_away(void **s)
{
    uint64_t net;

    (void) s;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-net", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-net", "sda", NULL);
    net = rig_connect(&rig, "sys-net", 'a');
    assert_int_equal(rig_tell(&rig, net, RECORD_PRESENT, "sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-net", "sda", "work");
    finish_block_attach();
    assert_true(rig_is_quiet(&rig));
}

/* As before, but what came in its place has spoilt its line: the list does
 * not tell who has it, until the events have told all. */
static void test_what_was_listed_anew_unreadable_is_decided_anew(void **state)
{
    uint64_t net, look;

    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-net", "sda", "work");
    net = rig_connect(&rig, "sys-net", 'a');
    assert_int_equal(rig_tell(&rig, net, RECORD_PRESENT, "sda"), 0);
    look = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-net", "sda", NULL);
    rig_reply(&rig, look, answer_unreadable());
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);

    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-net", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-net", "sda", "work");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
}

/* It went while its Attach was under way, and our Detach of it is not answered
 * in time; but the person has detached it, as an event tells. */
static void test_what_an_event_has_ended_is_not_held_in_spite_of_that(void **s)
{
    const AdminResult results[] = { ADMIN_TIMED_OUT, ADMIN_GARBAGE };
    uint64_t call;

    (void) s;

    for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
        call = attach_half("sda");
        assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
        assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
        rig_reply(&rig, call, answer_of(ADMIN_OK));
        if (results[i] == ADMIN_GARBAGE) {
            rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_GARBAGE));
            call = rig_call(&rig, ADMIN_ATTACHED);
        } else {
            call = rig_call(&rig, ADMIN_DETACH);
        }
        rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
        rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
        assert_int_equal(tell(RECORD_ADD, "sda"), 0);
        rig_reply(&rig, call, answer_of(results[i]));
        assert_int_equal(rig_answer(&rig), STATUS_DETACHED);

        /* so the next plug was not taken away from there */
        finish_block_attach();
        unplug("sda");
        rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
        rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    }
}

/* The stick was swapped while nobody looked: the record of the new one comes
 * before that of what has come of the old one's disk. */
static void test_a_disk_that_was_taken_away_says_nothing_of_the_next_stick(
    void **s)
{
    const Record stick = rig_record_at(RECORD_PRESENT, "2-1", "2-1", "B"),
                 disk = rig_record_at(RECORD_PRESENT, "sda", "2-1", "B");
    uint64_t look;

    (void) s;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    look = rig_call(&rig, ADMIN_ATTACHED);

    assert_int_equal(rig_tell_record(&rig, usb, &stick), STATUS_NO_RULE);
    assert_int_equal(rig_tell_record(&rig, usb, &disk), 0);
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    finish_block_attach();
}

/* For a moment after a USB detach qubesd's events may tell of it as attached
 * where it was. Elsewhere it is attached in truth. */
static void test_what_is_given_to_another_qube_at_once_is_no_echo(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "media");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "media");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "media");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

/* What was plugged in before at the port went while its Attach was under way;
 * sda is a part of what is there now. Answers that Attach. */
static uint64_t attach_behind(void)
{
    uint64_t call;

    rig_set_rules(&rig, "k: allow usb serial K to vault\n"
                        "d: allow block type disk to work\n");
    assert_int_equal(plug("2-1", "K"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(plug("2-1", "A"), STATUS_NO_RULE);
    begin("sda");
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_true(rig_is_quiet(&rig));
    return call;
}

/* The parts of what is there now wait for the end of that, no longer. */
static void test_an_attach_of_the_plug_before_is_in_the_way_until_its_end(
    void **state)
{
    const uint64_t call = attach_behind();

    (void) state;

    rig_reply(&rig, call, answer_of(ADMIN_OK));
    finish_detach();
    finish_block_attach();
}

/* And should that never end, no longer than a job may take. */
static void test_an_endless_attach_of_the_plug_before_gives_504(void **state)
{
    const uint64_t call = attach_behind();

    (void) state;

    rig_reply(&rig, call, answer_overdue());
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);

    /* what the person does there meanwhile does not tell of its end either */
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    begin("sda");
    rig_pass(&rig, JOB_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_no_to_an_earlier_plug_does_not_come_back_to_life),
        TEST(test_a_resumption_is_known_after_a_restart),
        TEST(test_a_detach_before_the_first_hello_is_of_the_whole_stick),
        TEST(test_an_unreadable_part_is_not_ripped_away),
        TEST(test_a_usb_attach_that_failed_is_not_ours),
        TEST(test_a_job_in_work_does_not_start_what_was_just_stopped),
        TEST(test_a_removal_after_the_detach_is_the_new_probe),
        TEST(test_a_shutdown_after_the_detach_changes_nothing),
        TEST(test_what_is_known_is_asked_when_the_list_is_there),
        TEST(test_an_empty_slot_is_not_ripped_away),
        TEST(test_after_a_gap_no_disk_is_presumed_to_be_a_part),
        TEST(test_a_disk_of_its_twin_is_no_part_of_it),
        TEST(test_an_attach_of_the_plug_before_is_in_the_way_until_its_end),
        TEST(test_an_endless_attach_of_the_plug_before_gives_504),
        TEST(test_what_is_given_to_another_qube_at_once_is_no_echo),
        TEST(test_a_detach_that_waits_takes_nothing_that_came_since),
        TEST(test_nor_what_came_when_a_detach_was_missed),
        TEST(test_what_is_attached_in_the_next_boot_is_not_ours),
        TEST(test_the_command_ends_jobs_of_the_other_parts_too),
        TEST(test_nothing_but_a_disposable_of_ours_is_killed),
        TEST(test_what_another_attaches_before_our_attach_is_seen),
        TEST(test_an_answer_older_than_a_detach_is_not_believed),
        TEST(test_the_list_may_tell_of_the_plug_before),
        TEST(test_what_is_told_of_the_plug_before_is_not_of_this_one),
        TEST(test_a_detach_after_a_new_probe_and_a_gap_is_the_persons),
        TEST(test_a_detach_told_after_the_start_is_the_persons),
        TEST(test_what_may_have_been_attached_was_not_taken_away),
        TEST(test_what_came_before_an_earlier_job_ended_is_not_of_that),
        TEST(test_nor_what_is_told_of_one_whose_detach_failed),
        TEST(test_what_is_not_told_to_be_attached_yet_is_detached),
        TEST(test_what_was_off_the_list_was_not_taken_by_the_person),
        TEST(test_our_own_detach_told_late_is_not_the_persons),
        TEST(test_what_comes_after_the_detach_is_not_detached),
        TEST(test_what_is_attached_after_our_detach_is_known_to_be),
        TEST(test_an_attach_told_late_is_ended_by_our_detach),
        TEST(test_a_detach_before_the_second_try_says_nothing_of_that),
        TEST(test_what_is_taken_from_elsewhere_meanwhile_stays_away),
        TEST(test_a_disk_that_is_taken_from_elsewhere_stays_away),
        TEST(test_a_port_that_is_taken_from_elsewhere_is_known_again),
        TEST(test_what_is_taken_from_there_before_an_error_stays_away),
        TEST(test_a_next_plug_that_is_taken_away_meanwhile_stays_away),
        TEST(test_a_next_plug_is_attached_if_that_may_be_of_the_last),
        TEST(test_what_goes_from_elsewhere_meanwhile_was_not_taken),
        TEST(test_an_attach_after_it_was_taken_from_elsewhere_holds),
        TEST(test_what_is_found_elsewhere_all_the_same_is_not_taken),
        TEST(test_what_may_be_held_is_told_to_be_gone),
        TEST(test_what_may_be_held_is_told_to_be_attached),
        TEST(test_the_next_plug_may_be_where_the_one_before_was),
        TEST(test_a_removed_slot_leaves_its_name_clean),
        TEST(test_a_partition_waits_for_the_look_at_its_disk),
        TEST(test_what_is_undone_is_what_was_attached),
        TEST(test_a_pin_without_ids_binds_to_nothing),
        TEST(test_what_is_unlisted_before_its_prompt_is_not_shown),
        TEST(test_a_plug_after_a_detach_for_nothing_is_a_new_one),
        TEST(test_taken_away_before_the_job_had_seen_it_is_remembered),
        TEST(test_a_stop_before_the_job_had_seen_it_is_known),
        TEST(test_a_start_told_late_takes_nothing_away),
        TEST(test_a_start_told_while_looking_brings_it_back),
        TEST(test_a_restored_partition_is_part_of_its_usb_device),
        TEST(test_a_retry_sees_that_the_plug_was_taken_away),
        TEST(test_an_event_may_overtake_the_answer_to_available),
        TEST(test_a_start_that_is_told_in_the_middle_is_not_missed),
        TEST(test_a_start_that_is_told_during_a_look_is_not_missed),
        TEST(test_a_detach_before_the_job_could_verify_is_the_persons),
        TEST(test_a_part_that_comes_after_the_survey_is_looked_at),
        TEST(test_a_part_that_cannot_be_looked_at_is_told_of),
        TEST(test_our_own_shutdown_of_a_disposable_stops_nothing),
        TEST(test_a_second_suspend_is_as_good_as_the_first),
        TEST(test_what_others_attached_is_looked_at_after_a_reconnect),
        TEST(test_an_overdue_attach_keeps_its_device_from_other_targets),
        TEST(test_a_detach_without_an_answer_may_be_told_by_an_event),
        TEST(test_a_target_that_is_unpaused_has_lost_nothing),
        TEST(test_no_prompt_is_shown_while_a_detach_is_looked_at),
        TEST(test_what_was_announced_takes_one_call),
        TEST(test_an_attach_that_is_told_before_the_source_calls_counts),
        TEST(test_what_is_listed_again_before_its_404_is_attached),
        TEST(test_the_wait_for_the_list_begins_when_qubesd_answers),
        TEST(test_tries_to_reach_qubesd_are_none_at_an_answer),
        TEST(test_a_namesake_of_another_source_is_not_torn_away),
        TEST(test_a_namesake_elsewhere_does_not_keep_ours_attached),
        TEST(test_a_refusal_from_before_the_start_starts_nothing_again),
        TEST(test_an_announced_identity_that_is_old_is_read_anew),
        TEST(test_what_a_stopped_target_had_before_the_record_is_free),
        TEST(test_what_it_had_before_the_source_called_is_free_too),
        TEST(test_what_went_before_the_source_called_was_not_taken_away),
        TEST(test_what_was_listed_anew_unreadable_is_decided_anew),
        TEST(test_what_an_event_has_ended_is_not_held_in_spite_of_that),
        TEST(test_a_disk_that_was_taken_away_says_nothing_of_the_next_stick),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
