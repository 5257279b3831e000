/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whole USB devices: where they go, when, and one at a time. */

#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES                                  \
    "to-vault: allow usb serial V* to vault\n" \
    "to-work: allow usb to work\n"

#include "tests/support/manager-fixture.h"

/* Not the stick: another port, or another serial number. */
static void begin_other(const char *port, const char *serial)
{
    assert_int_equal(plug(port, serial), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
}

static uint64_t attach_other_half(const char *port, const char *serial)
{
    begin_other(port, serial);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    return rig_call(&rig, ADMIN_ATTACH);
}

static void attach_other(const char *port, const char *serial)
{
    assert_int_equal(plug(port, serial), 0);
    finish_usb_attach();
}

static void test_it_is_attached_to_a_target_that_runs(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    assert_int_equal(plug("2-1", "A"), 0);
    call = rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_int_equal(request.class, DEVICE_CLASS_USB);
    rig_reply(&rig, call, answer_listed(NULL));
    call = rig_call_to(&rig, ADMIN_CURRENT_STATE, &request);
    assert_string_equal(request.dest.s, "work");
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    call = rig_call_to(&rig, ADMIN_ATTACH, &request);
    assert_true(request.pinned);
    assert_string_equal(request.port.s, "2-1");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_target_that_does_not_run_is_started_first(void **state)
{
    (void) state;

    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    finish_usb_attach();
}

static void test_rules_count_that_come_after_its_turn(void **state)
{
    uint64_t call;

    (void) state;

    begin("2-1");
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    rig_set_rules(&rig, "never: deny usb\n");
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(last_outcome()->status, STATUS_DENIED_BY_RULE);

    /* nor does it keep the turn */
    rig_set_rules(&rig, RULES);
    attach_other("2-2", "B");
}

static void test_nothing_goes_into_a_paused_target(void **state)
{
    (void) state;

    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_PAUSED));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK)); /* it does nothing */
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_PAUSED));
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);
    assert_non_null(strstr(last_outcome()->detail, "work is "));
    assert_true(rig_is_quiet(&rig));
}

static void test_what_could_not_be_started_is_attached_once_it_runs(
    void **state)
{
    (void) state;

    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_START, answer_error(ADMIN_ERROR_OTHER));
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);
    assert_true(rig_is_quiet(&rig));

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_usb_attach();
    assert_true(rig_is_quiet(&rig));
}

/* The person shuts it down while it is started for the device. */
static void test_a_target_that_was_stopped_again_is_not_started_twice(
    void **state)
{
    (void) state;

    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);
    assert_true(rig_is_quiet(&rig));

    /* started by someone else, and gone before it is asked for */
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(last_outcome()->status, STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_usb_attach();
    assert_true(rig_is_quiet(&rig));
}

/* It comes up once more before it is told that it had gone. */
static void test_a_start_that_comes_while_it_fails_is_enough(void **state)
{
    (void) state;

    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);

    see_usb_attach();
    assert_true(rig_is_quiet(&rig));
}

/* The list still has the detached plug when another device changes it. */
static void test_an_echo_of_our_detach_is_not_the_persons(void **state)
{
    (void) state;

    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "2-1"), 0);
    finish_detach();
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");

    assert_int_equal(plug("2-1", "B"), 0);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_usb_attach();
}

/* An echo is told before the event of our own Attach, which comes while it is
 * looked at. */
static void test_what_an_echo_tells_is_not_of_our_attach(void **state)
{
    uint64_t call;

    (void) state;

    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));

    /* so it is still ours, and comes back with its target */
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    (void) rig_call(&rig, ADMIN_AVAILABLE);
}

/* A list change right after a detach, and none before the person has asked for
 * the device again. */
static void test_an_attach_right_after_a_detach_may_be_none(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(plug("2-1", "A"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    detach_by_person("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    assert_int_equal(retry("2-1"), STATUS_NO_RULE);
    rig_pass(&rig, 60 * USEC_PER_SEC);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
}

/* The same while a job looks at it. */
static void test_nor_is_one_that_is_told_to_a_job(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(plug("2-1", "A"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    detach_by_person("2-1");
    rig_set_rules(&rig, "r: allow usb to vault if-running\n");
    assert_int_equal(retry("2-1"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(last_outcome()->status, STATUS_TARGET_NOT_RUNNING);
    rig_pass(&rig, 60 * USEC_PER_SEC);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
}

/* Nor is one that is told while our own Attach is refused because of that
 * detach: if qubesd's line cannot be read, the device is not taken to be there.
 */
static void test_nor_is_one_that_is_told_while_our_attach_fails(void **state)
{
    uint64_t call;

    (void) state;

    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    detach_by_person("2-1");
    assert_int_equal(retry("2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_unreadable());
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

/* Nor one that is told after the end of what we have to undo. */
static void test_nor_is_one_of_what_our_detach_has_ended(void **state)
{
    uint64_t call = attach_half("2-1");

    (void) state;

    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(plug("2-1", "A"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
}

/* Another one is in the port, and Qubes itself has attached it at once. */
static void one_listed_anew_is_attached(const AdminEvent *added)
{
    const Record disk = rig_record_at(RECORD_ADD, "sda", "2-1", "B");

    rig_set_rules(&rig, "disks: allow block to work\n");
    assert_int_equal(plug("2-1", "A"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "2-1", NULL);
    manager_on_admin_event(rig.manager, added, rig.now);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    assert_int_equal(plug("2-1", "B"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    assert_int_equal(rig_tell_record(&rig, usb, &disk),
                     STATUS_ATTACHED_ELSEWHERE);
}

static void test_but_one_of_a_port_listed_anew_is_one(void **state)
{
    AdminEvent added = { .type = ADMIN_EVENT_DEVICE_ADDED,
                         .class = DEVICE_CLASS_USB,
                         .subject = { "sys-usb" },
                         .port = { "2-1" },
                         .has_identity = true };

    (void) state;

    assert_true(identity_parse(&added.identity, "0781:5581:B:u080650", 19));
    one_listed_anew_is_attached(&added);
}

/* The same of one whose serial has odd characters in it. */
static void test_so_is_one_without_an_identity(void **state)
{
    const AdminEvent added = { .type = ADMIN_EVENT_DEVICE_ADDED,
                               .class = DEVICE_CLASS_USB,
                               .subject = { "sys-usb" },
                               .port = { "2-1" } };

    (void) state;

    one_listed_anew_is_attached(&added);
}

/* It was listed before the record told that the one before it went. */
static void test_so_is_one_that_was_listed_before_a_record(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(plug("2-1", "A"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    list_anew("2-1");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "2-1"),
                     STATUS_DETACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    assert_int_equal(plug("2-1", "B"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    be_found_detached();
}

/* The same before its source ever called. */
static void test_one_right_after_a_detach_of_a_stranger_may_be_none(void **s)
{
    (void) s;

    rig_set_rules(&rig, "");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-net", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-net", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-net", "2-1", "work");
    usb = rig_connect(&rig, "sys-net", 'a');
    assert_int_equal(plug("2-1", "A"), STATUS_NO_RULE);
    rig_pass(&rig, 60 * USEC_PER_SEC);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-net", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
}

/* It was in a target that stopped a moment ago, before its source ever called:
 * qubesd's list still has it there. */
static void test_what_lingers_from_before_the_first_call_is_not_there(void **s)
{
    (void) s;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-net", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-net", "2-1", "work");
    /* that it is stopped after that changes nothing */
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_pass(&rig, USEC_PER_SEC / 10);
    usb = rig_connect(&rig, "sys-net", 'a');
    assert_int_equal(plug("2-1", "A"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_usb_attach();
}

/* The same while its source does not call, of which nothing else is known. */
static void test_nor_what_lingers_while_it_does_not_call(void **state)
{
    (void) state;

    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    manager_disconnect(rig.manager, usb, rig.now);
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    usb = rig_connect(&rig, "sys-usb", 'b');
    assert_int_equal(plug("2-1", "A"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    assert_int_equal(rig_answer(&rig), 0);
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_usb_attach();
}

/* The same if the event of its detach comes later still. */
static void test_nor_does_a_stop_before_the_first_call_leave_it_there(void **s)
{
    (void) s;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-net", "2-1", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    usb = rig_connect(&rig, "sys-net", 'a');
    assert_int_equal(plug("2-1", "A"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-net", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_usb_attach();
    assert_true(rig_is_quiet(&rig));
}

/* Nor where the source has called, but the record comes after the stop. */
static void test_nor_does_a_stop_before_the_first_record(void **state)
{
    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    assert_int_equal(plug("2-1", "A"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_usb_attach();
}

/* Of what another had attached, too, and though the records come before the
 * events. */
static void test_a_detach_told_after_the_new_probe_is_the_persons(void **state)
{
    (void) state;

    come_attached("2-1", "vault", STATUS_ATTACHED_ELSEWHERE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "2-1"),
                     STATUS_DETACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    list_anew("2-1");
    assert_int_equal(plug("2-1", "A"), STATUS_DETACHED_BY_USER);
}

/* It undoes an Attach into which the plug before was pulled out; its event
 * comes when the next plug has gone, too. */
static void test_our_detach_that_undoes_an_attach_is_not_the_persons(void **s)
{
    uint64_t call = attach_half("2-1");

    (void) s;

    (void) rig_tell(&rig, usb, RECORD_REMOVE, "2-1");
    assert_int_equal(plug("2-1", "A"), 0);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_DETACH);
    (void) rig_tell(&rig, usb, RECORD_REMOVE, "2-1");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(plug("2-1", "A"), 0);
}

/* It was pulled out: then it goes off the list first. */
static void test_a_detach_told_after_the_removal_is_not_the_persons(
    void **state)
{
    (void) state;

    come_attached("2-1", "vault", STATUS_ATTACHED_ELSEWHERE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "2-1"),
                     STATUS_DETACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "2-1", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "2-1", NULL);
    attach("2-1");
}

/* Its record is decided once more before the detach is told, and qubesd lists
 * it where it was for another moment. */
static void test_nor_is_one_told_after_it_was_found_there(void **state)
{
    (void) state;

    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "2-1", NULL);
    assert_int_equal(tell(RECORD_CHANGE, "2-1"), 0);
    be_found_at("work", STATUS_ALREADY_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
}

/* Its target is shut down, and before that it was detached is told, qubesd
 * reads the list, on which it still is where it was. */
static void test_what_lingers_at_a_stopped_target_is_not_attached(void **state)
{
    (void) state;

    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_usb_attach();
}

/* That it went off the list was missed. */
static void test_nor_is_one_told_after_it_was_listed_anew(void **state)
{
    (void) state;

    come_attached("2-1", "vault", STATUS_ATTACHED_ELSEWHERE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "2-1"),
                     STATUS_DETACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "2-1", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    attach("2-1");
}

static void test_a_target_that_is_not_to_be_started_is_not(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work if-running\n");
    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_TARGET_NOT_RUNNING);

    rig_set_rules(&rig, "r: allow usb to work when-running\n");
    begin_other("2-2", "B");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_PAUSED));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_UNPAUSED, "work");
    see_usb_attach();
}

static void test_a_target_that_is_starting_up_is_tried_again(void **state)
{
    (void) state;

    assert_int_equal(plug("2-1", "A"), 0);
    for (unsigned int i = 0; i < 4; i++) {
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_TRANSIENT));
        assert_true(rig_is_quiet(&rig));
        if (i < 3) {
            assert_int_equal(rig_answer(&rig), 0);
            rig_pass(&rig, (USEC_PER_SEC << i) - 1);
            assert_true(rig_is_quiet(&rig));
            rig_pass(&rig, 1);
        }
    }
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
    assert_true(rig_is_quiet(&rig));

    /* it was slow */
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_usb_attach();
}

static void test_a_target_that_was_up_just_then_is_tried_again(void **state)
{
    uint64_t call = 0;

    (void) state;

    assert_int_equal(plug("2-1", "A"), 0);
    for (unsigned int i = 0; i < 4; i++) {
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        call = rig_call(&rig, ADMIN_CURRENT_STATE);
        if (i < 3)
            rig_reply(&rig, call, answer_power(POWER_TRANSIENT));
        rig_pass(&rig, USEC_PER_SEC << i);
    }
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_reply(&rig, call, answer_power(POWER_TRANSIENT));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
    see_usb_attach();
}

/* It was up, but may have gone down since: nobody has heard. */
static void test_but_not_one_that_was_up_before_a_gap(void **state)
{
    (void) state;

    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_TRANSIENT));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    reconnect();
    for (unsigned int i = 0; i < 3; i++) {
        rig_pass(&rig, USEC_PER_SEC << i);
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_TRANSIENT));
    }
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
    assert_true(rig_is_quiet(&rig));
}

/* A start takes longer than what may pass is tried for. */
static void test_the_start_for_another_is_waited_for(void **state)
{
    uint64_t start;

    (void) state;

    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    start = rig_call(&rig, ADMIN_START);
    begin_other("2-2", "B");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_TRANSIENT));
    rig_pass(&rig, 60 * USEC_PER_SEC);
    assert_true(rig_is_quiet(&rig));

    rig_reply(&rig, start, answer_of(ADMIN_OK));
    for (unsigned int i = 0; i < 2; i++)
        finish_usb_attach();
}

/* turns */

static void test_two_go_into_one_target_one_after_the_other(void **state)
{
    uint64_t first;

    (void) state;

    first = attach_half("2-1");
    begin_other("2-2", "B");
    assert_true(rig_is_quiet(&rig));

    rig_reply(&rig, first, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    /* it is looked at again: it had to wait */
    finish_usb_attach();
}

static void test_two_targets_are_served_side_by_side(void **state)
{
    uint64_t first, second;

    (void) state;

    first = attach_half("2-1");
    second = attach_other_half("2-2", "V");
    rig_reply(&rig, second, answer_of(ADMIN_OK));
    rig_reply(&rig, first, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

static void test_one_that_fails_lets_the_next_go_while_it_pauses(void **state)
{
    uint64_t first;

    (void) state;

    first = attach_half("2-1");
    begin_other("2-2", "B");
    rig_reply(&rig, first, answer_error(ADMIN_ERROR_OTHER));
    /* the turn is free: both are looked at */
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    finish_usb_attach();
    assert_string_equal(last_outcome()->device.s, "2-2");

    rig_pass(&rig, USEC_PER_SEC);
    finish_usb_attach();
}

static void test_a_wait_for_a_turn_is_not_the_jobs_time(void **state)
{
    uint64_t first;

    (void) state;

    first = attach_half("2-1");
    begin_other("2-2", "B");
    rig_pass(&rig, JOB_USEC - USEC_PER_SEC);
    rig_reply(&rig, first, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    rig_pass(&rig, 10 * USEC_PER_SEC);
    assert_int_equal(rig_answer(&rig), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
}

static void test_an_attach_that_never_returns_keeps_the_turn(void **state)
{
    uint64_t first;

    (void) state;

    first = attach_half("2-1");
    begin_other("2-2", "B");
    rig_reply(&rig, first, answer_overdue());
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    assert_true(rig_is_quiet(&rig));

    /* a device for another target is not kept waiting */
    attach_other("2-3", "V");

    rig_pass(&rig, JOB_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_late_answer_counts_and_frees_the_turn(void **state)
{
    Record record = rig_record_at(RECORD_REMOVE, "2-1", "2-1", "A");
    uint64_t first;

    (void) state;

    first = attach_half("2-1");
    begin_other("2-2", "B");
    rig_reply(&rig, first, answer_overdue());
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);

    rig_reply(&rig, first, answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
    assert_int_equal(rig_answer(&rig), 0); /* the record was answered */
    finish_usb_attach();

    /* it is ours: it is detached when it goes */
    assert_int_equal(rig_tell_record(&rig, usb, &record), 0);
    finish_detach();
}

static void test_one_unplugged_in_an_endless_attach_is_undone_late(void **state)
{
    uint64_t first;

    (void) state;

    first = attach_half("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_reply(&rig, first, answer_overdue());
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, first, answer_of(ADMIN_OK));
    finish_detach();
}

static void test_the_job_over_its_time_keeps_the_turn_to_the_end(void **state)
{
    uint64_t first;

    (void) state;

    first = attach_half("2-1");
    rig_pass(&rig, JOB_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    begin_other("2-2", "B");
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, first, answer_error(ADMIN_ERROR_OTHER));
    finish_usb_attach();
}

/* Our own Attach has failed, and Qubes itself has attached it meanwhile. */
static void test_one_taken_from_others_while_ours_fails_is_left_alone(void **s)
{
    uint64_t call = attach_half("2-1");

    (void) s;

    rig_reply(&rig, call, answer_error(ADMIN_ERROR_OTHER));
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_reply(&rig, call, answer_listed("work")); /* older */
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    assert_int_equal(plug("2-1", "A"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* Our Attach found the plug before, which then goes off the list, and is ended
 * late. */
static void test_an_end_of_the_plug_before_is_not_the_persons(void **state)
{
    uint64_t call = attach_half("2-1");

    (void) state;

    rig_reply(&rig, call, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    list_anew("2-1");
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed("work"));
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    see_usb_attach();
}

/* parts */

static void test_parts_that_are_not_known_to_be_free_are_looked_at(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sdb"), STATUS_NO_RULE);
    begin("2-1");
    for (unsigned int i = 0; i < 2; i++) {
        call = rig_call_to(&rig, ADMIN_AVAILABLE, &request);
        assert_int_equal(request.class, DEVICE_CLASS_BLOCK);
        rig_reply(&rig, call, answer_listed(NULL));
    }
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

static void test_a_disk_of_it_is_not_ripped_away(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    begin("2-1");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("vault")); /* sda */
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
    /* and now that is known */
    assert_int_equal(plug("2-1", "A"), STATUS_ATTACHED_ELSEWHERE);
}

/* While qubesd was asked, another stick's disk has got the name. */
static void test_a_disk_of_another_by_now_is_nothing_to_it(void **state)
{
    const Record other = rig_record_at(RECORD_ADD, "sda", "2-2", "B");
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    begin("2-1");
    call = rig_call(&rig, ADMIN_AVAILABLE); /* sda */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(rig_tell_record(&rig, usb, &other), STATUS_NO_RULE);
    rig_reply(&rig, call, answer_unreadable());
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

/* What had it is stopped: qubesd may have been asked before that. */
static void test_a_disk_that_a_stop_sets_free_is_asked_about_again(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    begin("2-1");
    call = rig_call(&rig, ADMIN_AVAILABLE); /* sda */
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "vault");
    rig_reply(&rig, call, answer_listed("vault"));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL)); /* sda */
    finish_usb_attach();
}

static void test_a_disk_that_is_attached_meanwhile_counts(void **state)
{
    uint64_t first;

    (void) state;

    first = attach_other_half("2-2", "B");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    begin("2-1");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL)); /* sda */
    assert_true(rig_is_quiet(&rig)); /* it waits for its turn */
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    rig_reply(&rig, first, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_disk_whose_partition_is_attached_ends_310(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow block to work\n");
    assert_int_equal(tell(RECORD_ADD, "sda1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    /* a partition that is attached takes its disk off the list */
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_APPEAR_USEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("vault")); /* sda1 */
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
}

static void test_the_disk_of_an_attached_usb_device_ends_310(void **state)
{
    (void) state;

    rig_set_rules(&rig, "u: allow usb to work\nb: allow block to vault\n");
    attach("2-1");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

/* a port that was just detached */

static void test_what_is_said_of_a_port_just_detached_is_asked_again(void **s)
{
    (void) s;

    assert_int_equal(plug("2-1", "A"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("vault"));
    assert_int_equal(rig_answer(&rig), 0);
    rig_pass(&rig, USEC_PER_SEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    assert_true(rig_is_quiet(&rig)); /* not taken for an attachment */
    rig_pass(&rig, 2 * USEC_PER_SEC);
    finish_usb_attach();
}

static void test_later_it_is_believed(void **state)
{
    (void) state;

    assert_int_equal(plug("2-1", "A"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    rig_pass(&rig, JOB_PORT_STALE_USEC + 1);
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
}

/* Right after a gap in what qubesd tells, too, but only for a while. */
static void test_what_is_listed_after_a_gap_is_looked_at_later(void **state)
{
    (void) state;

    reconnect();
    assert_int_equal(plug("2-1", "A"), 0);
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
    rig_pass(&rig, JOB_PORT_STALE_USEC - 1);
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, 1);
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed("vault"));
    assert_true(rig_is_quiet(&rig));
}

/* But where it is not, nobody has to be asked. */
static void test_what_nobody_has_after_a_gap_is_not_looked_for(void **state)
{
    (void) state;

    reconnect();
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    begin("2-1");
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE); /* sda */
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    assert_true(rig_is_quiet(&rig));
}

static void test_our_own_detach_is_one_too(void **state)
{
    (void) state;

    attach("2-1");
    unplug("2-1");
    /* another one, at once, in the same port */
    assert_int_equal(plug("2-1", "B"), 0);
    finish_usb_attach();
}

/* failures in words */

/* What was sent before it went is undone; the next plug waits for that. */
static void test_so_is_the_undoing_of_an_attach(void **state)
{
    uint64_t call = attach_half("2-1");

    (void) state;

    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(plug("2-1", "A"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    finish_detach();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    assert_int_equal(rig_answer(&rig), 0);
    rig_pass(&rig, USEC_PER_SEC);
    finish_usb_attach();
}

/* It came off the list and on it again while it was attached: that concerns the
 * plug before, not what is attached now. */
static void test_what_listed_the_plug_before_is_of_the_past(void **state)
{
    (void) state;

    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    list_anew("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(plug("2-1", "A"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    finish_usb_attach();
    /* the event of that detach, late */
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    rig_pass(&rig, JOB_RETRY_USEC(1));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    /* it still counts as attached by us */
    unplug("2-1");
}

/* What Qubes itself had attached at the port was swapped, and its detach is
 * told when our Attach has failed because of it: nobody has taken away what is
 * there now. */
static void test_the_end_of_the_plug_before_may_be_told_last(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(plug("2-1", "A"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    list_anew("2-1");
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_usb_attach();
}

/* Qubes itself attaches what is in the port now, which is believed once the
 * list must be new; then the person takes it away. */
static void be_attached_by_qubes_and_taken_away(void)
{
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    for (unsigned int i = 0; i < 2; i++) {
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
        rig_pass(&rig, JOB_RETRY_USEC(i));
    }
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    be_found_at("work", STATUS_ALREADY_ATTACHED);
    detach_by_person("2-1");
}

/* Qubes itself has attached what came in its place, before our Detach was
 * answered; that it was put on the list is no news when the person takes it
 * away. */
static void test_what_came_while_we_detached_may_be_taken_away(void **state)
{
    uint64_t call;

    (void) state;

    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_int_equal(plug("2-1", "B"), 0);
    list_anew("2-1");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    be_attached_by_qubes_and_taken_away();
}

/* The same, when our Detach has found that it went by itself. */
static void test_so_may_what_came_when_our_detach_was_late(void **state)
{
    (void) state;

    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    list_anew("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(plug("2-1", "B"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    be_attached_by_qubes_and_taken_away();
}

/* Nor is it known what our Attach has done. */
static void test_what_lists_it_after_an_empty_answer_is_too(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb serial B to work\n");
    assert_int_equal(plug("2-1", "A"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_reply(&rig, attach_other_half("2-1", "B"), answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_usb_attach();
}

/* It counts as attached to what was stopped for another moment. */
static void test_a_target_that_was_stopped_does_not_have_it(void **state)
{
    (void) state;

    attach("2-1");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    assert_int_equal(tell(RECORD_CHANGE, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    assert_int_equal(rig_answer(&rig), 0);
    rig_pass(&rig, USEC_PER_SEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
}

/* Its Attach was done, told of and lost with the stop of its target before it
 * was answered; and the target runs again by then. */
static void test_an_attach_that_its_targets_restart_ended_is_made_anew(void **s)
{
    uint64_t call = attach_half("2-1");

    (void) s;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    /* qubesd's list was read in the second in which it still counts as
     * attached, and once more */
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK)); /* not there */
    rig_pass(&rig, USEC_PER_SEC);
    finish_usb_attach();
    assert_true(rig_is_quiet(&rig));
}

/* The same, and it is still listed there when the daemon looks. */
static void test_what_lingers_after_a_restart_is_not_attached(void **state)
{
    uint64_t call = attach_half("2-1");

    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), 0);
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_RETRY_USEC(1));
    finish_usb_attach();
}

/* Our Detach of the plug before fails, and its end is told when our next Attach
 * is under way: it went off the list before. */
static void test_the_end_of_what_we_could_not_detach_is_not_of_now(void **state)
{
    uint64_t call;

    (void) state;

    attach("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(plug("2-1", "B"), 0);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_OTHER));
    rig_serve(&rig, ADMIN_ATTACHED, answer_error(ADMIN_ERROR_OTHER));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    list_anew("2-1");
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK)); /* the newest */
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_usb_attach();
}

/* The person has taken it away before our Attach, which goes wrong: for another
 * moment it seems to have gone well. */
static void test_an_attach_that_goes_wrong_is_not_what_was_before(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(plug("2-1", "A"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    detach_by_person("2-1");
    rig_set_rules(&rig, RULES);
    assert_int_equal(retry("2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_reply(&rig, call, answer_of(ADMIN_GARBAGE));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_QUBESD_REFUSED);
}

/* It still counted as attached when the daemon looked. */
static void test_a_detach_that_nobody_heard_is_found_out_late(void **state)
{
    (void) state;

    attach("2-1");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    be_found_missing();
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    assert_int_equal(plug("2-1", "A"), STATUS_DETACHED_BY_USER);
}

/* By then the person has attached it to another qube, which was told. */
static void test_so_is_one_of_what_is_attached_elsewhere_by_then(void **state)
{
    (void) state;

    attach("2-1");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "media");
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    be_found_missing();
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

/* The same of what another had attached, as a record found. */
static void test_so_is_one_from_what_another_had_attached(void **state)
{
    (void) state;

    reconnect();
    come_attached("2-1", "vault", STATUS_ATTACHED_ELSEWHERE);
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    be_found_missing();
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

/* qubesd reads the old state as well, and tells of that. */
static void test_an_echo_of_it_changes_nothing(void **state)
{
    (void) state;

    reconnect();
    come_attached("2-1", "vault", STATUS_ATTACHED_ELSEWHERE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    be_found_missing();
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

/* The same, and its target is started while the daemon looks for the reason. */
static void test_one_that_went_with_a_stop_is_not_the_persons(void **state)
{
    uint64_t call;

    (void) state;

    reconnect();
    come_attached("2-1", "work", STATUS_ALREADY_ATTACHED);
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    see_usb_attach();
}

/* What had it has stopped before that: nobody is left to be looked at. */
static void test_one_whose_qube_has_stopped_is_not_looked_for(void **state)
{
    (void) state;

    reconnect();
    come_attached("2-1", "vault", STATUS_ATTACHED_ELSEWHERE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "vault");
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    assert_true(rig_is_quiet(&rig));
}

/* What seemed to have it was the plug before. */
static void test_what_was_listed_anew_since_is_decided_again(void **state)
{
    (void) state;

    for (unsigned int i = 0; i < 2; i++) {
        reconnect();
        come_attached("2-1", "work", STATUS_ALREADY_ATTACHED);
        rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "2-1", NULL);
        if (i == 0)
            rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "2-1", NULL);
        rig_pass(&rig, JOB_PORT_STALE_USEC);
        be_found_missing();
        if (i == 1) {
            assert_true(rig_is_quiet(&rig));
            rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "2-1", NULL);
        }
        see_usb_attach();
        tear_down(state);
        set_up(state);
    }
}

static void test_an_echo_of_what_we_undo_is_not_looked_at(void **state)
{
    uint64_t call = attach_half("2-1");

    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_set_rules(&rig, "never: deny usb\n");
    assert_int_equal(plug("2-1", "A"), STATUS_DENIED_BY_RULE);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));

    rig_set_rules(&rig, RULES);
    attach("2-1");
}

/* Qubes itself has attached it again; that was told while the daemon looked. */
static void test_what_was_attached_anew_was_not_taken_away(void **state)
{
    (void) state;

    come_attached("2-1", "work", STATUS_ALREADY_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    (void) rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "2-1", NULL);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_int_equal(plug("2-1", "A"), 0);
}

static void test_what_is_known_for_sure_is_not_looked_at_again(void **state)
{
    (void) state;

    /* an event has told of another qube since */
    reconnect();
    come_attached("2-1", "vault", STATUS_ATTACHED_ELSEWHERE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "media");
    /* it was attached by us since */
    attach_other("2-2", "A");
    rig_pass(&rig, JOB_PORT_STALE_USEC);
    assert_true(rig_is_quiet(&rig));
    assert_true(manager_next_usec(rig.manager) == UINT64_MAX);

    /* it was read so late that it is so */
    assert_int_equal(plug("2-3", "A"), 0);
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
    assert_true(manager_next_usec(rig.manager) == UINT64_MAX);
}

static void test_a_target_without_the_proxy_is_not_tried_again(void **state)
{
    uint64_t call = attach_half("2-1");

    (void) state;

    rig_reply(&rig, call, answer_error(ADMIN_ERROR_USB_PROXY));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
    assert_non_null(strstr(last_outcome()->detail, "qubes-usb-proxy"));
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, 10 * USEC_PER_SEC);
    assert_true(rig_is_quiet(&rig));
}

static void test_an_attach_that_fails_is_tried_four_times(void **state)
{
    uint64_t call = attach_half("2-1");

    (void) state;

    for (unsigned int i = 0;; i++) {
        rig_reply(&rig, call, answer_error(ADMIN_ERROR_OTHER));
        rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
        if (i == 3)
            break;
        rig_pass(&rig, USEC_PER_SEC << i);
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
        call = rig_call(&rig, ADMIN_ATTACH);
    }
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
}

/* The start that was wanted while it was still going down did nothing. */
static void test_a_target_that_was_going_down_is_started(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_OTHER));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTING));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTING));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_pass(&rig, JOB_RETRY_USEC(1));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    serve_usb_attach();
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

/* Its detach was told before, as it stopped. */
static void test_nor_what_was_told_detached_before_the_stop(void **state)
{
    const DeviceRef ref = rig_ref("sys-usb", "2-1");
    ReportDevice found;

    (void) state;

    attach("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_pass(&rig, 10 * USEC_PER_SEC);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    assert_false(manager_find_attached(rig.manager, &ref, NULL, &found));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_it_is_attached_to_a_target_that_runs),
        TEST(test_a_target_that_does_not_run_is_started_first),
        TEST(test_rules_count_that_come_after_its_turn),
        TEST(test_nothing_goes_into_a_paused_target),
        TEST(test_a_detach_told_after_the_new_probe_is_the_persons),
        TEST(test_a_detach_told_after_the_removal_is_not_the_persons),
        TEST(test_nor_is_one_told_after_it_was_found_there),
        TEST(test_what_lingers_at_a_stopped_target_is_not_attached),
        TEST(test_nor_is_one_told_after_it_was_listed_anew),
        TEST(test_our_detach_that_undoes_an_attach_is_not_the_persons),
        TEST(test_an_echo_of_our_detach_is_not_the_persons),
        TEST(test_what_an_echo_tells_is_not_of_our_attach),
        TEST(test_an_attach_right_after_a_detach_may_be_none),
        TEST(test_nor_is_one_that_is_told_to_a_job),
        TEST(test_nor_is_one_that_is_told_while_our_attach_fails),
        TEST(test_nor_is_one_of_what_our_detach_has_ended),
        TEST(test_but_one_of_a_port_listed_anew_is_one),
        TEST(test_so_is_one_without_an_identity),
        TEST(test_so_is_one_that_was_listed_before_a_record),
        TEST(test_one_right_after_a_detach_of_a_stranger_may_be_none),
        TEST(test_what_lingers_from_before_the_first_call_is_not_there),
        TEST(test_nor_does_a_stop_before_the_first_call_leave_it_there),
        TEST(test_nor_does_a_stop_before_the_first_record),
        TEST(test_nor_what_lingers_while_it_does_not_call),
        TEST(test_what_could_not_be_started_is_attached_once_it_runs),
        TEST(test_a_target_that_was_stopped_again_is_not_started_twice),
        TEST(test_a_start_that_comes_while_it_fails_is_enough),
        TEST(test_a_target_that_is_not_to_be_started_is_not),
        TEST(test_a_target_that_is_starting_up_is_tried_again),
        TEST(test_a_target_that_was_up_just_then_is_tried_again),
        TEST(test_but_not_one_that_was_up_before_a_gap),
        TEST(test_the_start_for_another_is_waited_for),
        TEST(test_two_go_into_one_target_one_after_the_other),
        TEST(test_two_targets_are_served_side_by_side),
        TEST(test_one_that_fails_lets_the_next_go_while_it_pauses),
        TEST(test_a_wait_for_a_turn_is_not_the_jobs_time),
        TEST(test_an_attach_that_never_returns_keeps_the_turn),
        TEST(test_a_late_answer_counts_and_frees_the_turn),
        TEST(test_one_unplugged_in_an_endless_attach_is_undone_late),
        TEST(test_the_job_over_its_time_keeps_the_turn_to_the_end),
        TEST(test_one_taken_from_others_while_ours_fails_is_left_alone),
        TEST(test_an_end_of_the_plug_before_is_not_the_persons),
        TEST(test_parts_that_are_not_known_to_be_free_are_looked_at),
        TEST(test_a_disk_of_it_is_not_ripped_away),
        TEST(test_a_disk_of_another_by_now_is_nothing_to_it),
        TEST(test_a_disk_that_a_stop_sets_free_is_asked_about_again),
        TEST(test_a_disk_that_is_attached_meanwhile_counts),
        TEST(test_a_disk_whose_partition_is_attached_ends_310),
        TEST(test_the_disk_of_an_attached_usb_device_ends_310),
        TEST(test_what_is_said_of_a_port_just_detached_is_asked_again),
        TEST(test_later_it_is_believed),
        TEST(test_what_is_listed_after_a_gap_is_looked_at_later),
        TEST(test_what_nobody_has_after_a_gap_is_not_looked_for),
        TEST(test_our_own_detach_is_one_too),
        TEST(test_so_is_the_undoing_of_an_attach),
        TEST(test_what_listed_the_plug_before_is_of_the_past),
        TEST(test_what_lists_it_after_an_empty_answer_is_too),
        TEST(test_the_end_of_the_plug_before_may_be_told_last),
        TEST(test_what_came_while_we_detached_may_be_taken_away),
        TEST(test_so_may_what_came_when_our_detach_was_late),
        TEST(test_a_target_that_was_stopped_does_not_have_it),
        TEST(test_an_attach_that_its_targets_restart_ended_is_made_anew),
        TEST(test_what_lingers_after_a_restart_is_not_attached),
        TEST(test_the_end_of_what_we_could_not_detach_is_not_of_now),
        TEST(test_an_attach_that_goes_wrong_is_not_what_was_before),
        TEST(test_a_detach_that_nobody_heard_is_found_out_late),
        TEST(test_so_is_one_of_what_is_attached_elsewhere_by_then),
        TEST(test_so_is_one_from_what_another_had_attached),
        TEST(test_an_echo_of_it_changes_nothing),
        TEST(test_one_that_went_with_a_stop_is_not_the_persons),
        TEST(test_one_whose_qube_has_stopped_is_not_looked_for),
        TEST(test_what_was_listed_anew_since_is_decided_again),
        TEST(test_an_echo_of_what_we_undo_is_not_looked_at),
        TEST(test_what_was_attached_anew_was_not_taken_away),
        TEST(test_what_is_known_for_sure_is_not_looked_at_again),
        TEST(test_a_target_without_the_proxy_is_not_tried_again),
        TEST(test_an_attach_that_fails_is_tried_four_times),
        TEST(test_a_target_that_was_going_down_is_started),
        TEST(test_nor_what_was_told_detached_before_the_stop),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
