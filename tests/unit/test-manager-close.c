/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Disposables that are to be shut down with their device, and names of some
 * that are no more. */

#include <string.h>

#include "dom0/core/orphans.h"
#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES "d: allow block to @dispvm:media close\n"

#include "tests/support/manager-fixture.h"

static void serve_disposable_named(const char *name)
{
    AdminAnswer made = answer_of(ADMIN_OK);

    made.qube = rig_qube(name);
    rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, made);
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
}

/* The stick's disk is attached to a new disposable of this name. */
static void attach_into(const char *name)
{
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named(name);
    serve_block_attach();
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
}

/* It is plugged in for that, and all are told. */
static void come_into(const char *name)
{
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into(name);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", name);
}

/* The person has it taken away, and attached to another one. */
static void attach_again_into(const char *name)
{
    assert_int_equal(detach("sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(retry("sda"), 0);
    attach_into(name);
}

static void serve_to(AdminMethod method, const char *qube, AdminAnswer answer)
{
    AdminRequest request;
    const uint64_t call = rig_call_to(&rig, method, &request);

    assert_string_equal(request.dest.s, qube);
    rig_reply(&rig, call, answer);
}

static void assert_is_closed(const char *name)
{
    serve_to(ADMIN_DETACH, name, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    serve_to(ADMIN_SHUTDOWN, name, answer_of(ADMIN_OK));
}

static void test_all_disposables_of_a_plug_are_closed_with_it(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    attach_again_into("disp2");
    attach_again_into("disp3");
    assert_true(rig_is_quiet(&rig));

    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_is_closed("disp3");
    assert_is_closed("disp2");
    assert_is_closed("disp1");
    assert_true(rig_is_quiet(&rig));
}

/* That a disposable was shut down is no detach from there. */
static void test_what_was_not_detached_is_not_told_so(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    attach_again_into("disp2");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    serve_to(ADMIN_DETACH, "disp2", answer_of(ADMIN_OK));
    serve_to(ADMIN_SHUTDOWN, "disp2", answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED);
    assert_string_equal(last_outcome()->target, "disp2");
    assert_is_closed("disp1");
    assert_int_equal(last_outcome()->status, STATUS_DETACHED);
    assert_string_equal(last_outcome()->target, "");
}

/* The next plug waits for that. */
static void test_so_are_they_if_the_stick_is_back_at_once(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    attach_again_into("disp2");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    serve_to(ADMIN_DETACH, "disp2", answer_of(ADMIN_OK));
    serve_to(ADMIN_SHUTDOWN, "disp2", answer_of(ADMIN_OK));
    assert_is_closed("disp1");
    attach_into("disp3");
}

/* The person has attached the next plug to one of them: that is hers until it
 * is unplugged, too. */
static void test_not_what_the_person_has_attached_the_next_plug_to(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    attach_again_into("disp2");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp2");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp2");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
    serve_to(ADMIN_ATTACHED, "disp2", answer_of(ADMIN_OK));
    serve_to(ADMIN_SHUTDOWN, "disp2", answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("disp1"));
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_is_closed("disp1");
}

/* The same while our Detach is out: qubesd's events tell of its end and of what
 * she did before it is answered. */
static void test_nor_what_she_attaches_it_to_before_the_detach_is_answered(
    void **state)
{
    static const AdminError late[] = { ADMIN_ERROR_NOT_ATTACHED,
                                       ADMIN_ERROR_NOT_RUNNING };

    (void) state;

    for (size_t i = 0; i <= ARRAY_SIZE(late); i++) {
        Record next = rig_record_at(RECORD_ADD, "sda", "2-2", "B");
        uint64_t call;

        rig_set_rules(&rig, "d: allow block serial A to @dispvm:media close\n");
        assert_int_equal(tell(RECORD_ADD, "sda"), 0);
        attach_into("disp1");
        assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
        rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
        assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
        call = rig_call(&rig, ADMIN_DETACH);
        assert_int_equal(rig_tell_record(&rig, usb, &next), STATUS_NO_RULE);
        rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
        rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp1");
        rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
        rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
        rig_reply(&rig, call,
                  i < ARRAY_SIZE(late) ? answer_error(late[i])
                                       : answer_of(ADMIN_OK));
        assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
        assert_true(rig_is_quiet(&rig));

        next.action = RECORD_REMOVE;
        assert_int_equal(rig_tell_record(&rig, usb, &next), 0);
        assert_is_closed("disp1");
        assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    }
}

/* Nor if the record of that comes last of all. */
static void test_nor_what_she_attaches_the_next_plug_to_before_its_record(
    void **state)
{
    uint64_t call;

    (void) state;

    come_into("disp1");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp1");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
    come_attached("sda", "disp1", STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

/* The second attach is undone. */
static void test_so_is_the_first_one_if_the_stick_is_back_at_once(void **state)
{
    uint64_t attach;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    assert_int_equal(detach("sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(retry("sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp2");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    attach = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_reply(&rig, attach, answer_of(ADMIN_OK));
    serve_to(ADMIN_DETACH, "disp2", answer_of(ADMIN_OK));
    serve_to(ADMIN_KILL, "disp2", answer_of(ADMIN_OK));
    assert_is_closed("disp1");
    attach_into("disp3");
}

static void test_so_are_they_after_a_restart(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    attach_again_into("disp2");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    serve_to(ADMIN_DETACH, "disp2", answer_of(ADMIN_OK));
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_is_closed("disp2");
    assert_is_closed("disp1");
    assert_true(rig_is_quiet(&rig));
}

static void test_a_disposable_is_closed_though_another_qube_had_it_since(
    void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    assert_int_equal(detach("sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_set_rules(&rig, "disks: allow block to work\n");
    assert_int_equal(retry("sda"), 0);
    see_block_attach();

    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    serve_to(ADMIN_DETACH, "work", answer_of(ADMIN_OK));
    assert_is_closed("disp1");
    assert_true(rig_is_quiet(&rig));
}

/* It goes while it is being attached again. */
static void test_a_disposable_is_closed_after_an_attach_that_is_undone(
    void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    assert_int_equal(detach("sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_set_rules(&rig, "disks: allow block to work\n");
    assert_int_equal(retry("sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    serve_to(ADMIN_DETACH, "work", answer_of(ADMIN_OK));
    assert_is_closed("disp1");
    assert_true(rig_is_quiet(&rig));
}

/* It has so many places only. */
static void test_the_oldest_of_many_disposables_is_left_to_the_person(
    void **state)
{
    char name[8] = "disp0";

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp0");
    for (size_t i = 1; i <= DEVICE_CLOSE_MAX; i++) {
        name[4] = (char) ('0' + i);
        attach_again_into(name);
    }
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    for (size_t i = DEVICE_CLOSE_MAX; i > 0; i--) {
        name[4] = (char) ('0' + i);
        assert_is_closed(name);
    }
    assert_true(rig_is_quiet(&rig));
}

static void test_a_disposable_that_the_person_shut_down_is_none_to_close(
    void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    attach_again_into("disp2");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "disp1");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "disp2");
    (void) rig_answer(&rig);
    /* by now these may be the names of others */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_nor_is_one_that_was_found_gone(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_error(ADMIN_ERROR_NO_SUCH_QUBE));
    rig_serve(&rig, ADMIN_CURRENT_STATE,
              answer_error(ADMIN_ERROR_NO_SUCH_QUBE));
    (void) rig_answer(&rig);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_nor_is_one_that_is_found_started(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    reconnect();
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "disp1");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    (void) rig_answer(&rig);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* A job finds out before qubesd's event comes. */
static void test_what_she_has_taken_the_device_from_is_closed_with_it(void **s)
{
    (void) s;

    come_into("disp1");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp1");

    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_is_closed("disp1");
}

static void test_not_where_events_were_missed_meanwhile(void **state)
{
    uint64_t call;

    (void) state;

    come_into("disp1");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    reconnect();
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);

    /* by now that may be the name of another */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* What became of the first one while no event was heard cannot be known. */
static void test_only_what_has_the_device_is_closed_after_a_reconnect(
    void **state)
{
    AdminAnswer there = answer_of(ADMIN_OK);

    (void) state;

    there.listing.listed = true;
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    attach_again_into("disp2");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, there);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_is_closed("disp2");
    assert_true(rig_is_quiet(&rig));
}

static void test_a_shutdown_is_not_tried_again_for_what_has_stopped(
    void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    attach_into("disp1");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_SHUTDOWN, answer_of(ADMIN_EMPTY));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "disp1");
    rig_pass(&rig, JOB_RETRY_USEC(0));
    assert_true(rig_is_quiet(&rig));
    (void) rig_answer(&rig);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
}

/* It crashes before the device is attached to it. */
static void test_nothing_is_done_to_a_disposable_that_has_stopped(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp1");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "disp1");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);
}

/* Another of its name runs when it is asked why. */
static void test_nor_is_the_device_attached_to_one_of_its_name(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp1");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "disp1");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_RUNNING));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);
}

/* One that was made for nothing, when the daemon was killed. */
static void test_nor_is_one_of_an_earlier_run_killed(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp1");
    rig_restart(&rig);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_UNREACHABLE));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "disp1");
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_pass(&rig, ORPHAN_RETRY_USEC);
    assert_true(rig_is_quiet(&rig));
}

/* While the new disposable starts the person attaches the device to it: what
 * she did is not undone. */
static void fill_by_person(const char *rules)
{
    rig_set_rules(&rig, rules);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
}

static void test_a_disposable_that_the_person_attached_it_to_is_left(void **s)
{
    (void) s;

    fill_by_person("d: allow block to @dispvm:media\n");
    be_found_at("disp1", STATUS_ALREADY_ATTACHED);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_so_is_it_if_attaching_is_paused_then(void **state)
{
    uint64_t call;

    (void) state;

    fill_by_person("d: allow block to @dispvm:media\n");
    call = rig_call(&rig, ADMIN_AVAILABLE);
    manager_pause(rig.manager, MANAGER_PAUSE_FOREVER, rig.now);
    assert_int_equal(rig_answer(&rig), STATUS_PAUSED);
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, call, answer_listed("disp1"));
    assert_true(rig_is_quiet(&rig));
}

static void test_so_is_it_after_a_restart(void **state)
{
    (void) state;

    fill_by_person("d: allow block to @dispvm:media\n");
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    assert_true(rig_is_quiet(&rig));
}

static void test_so_is_it_if_she_had_taken_it_away_before(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "d: allow block to @dispvm:media\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp1");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_ATTACH);
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    call = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    be_found_at("disp1", STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

/* She attaches the whole stick to it. */
static void test_so_is_it_if_she_attached_another_part_to_it(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "disp1");
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* Or anything else. */
static void test_so_is_it_if_she_attached_something_else_to_it(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-net", "sda", "disp1");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_true(rig_is_quiet(&rig));
}

/* It is to be shut down with the device all the same. */
static void test_it_is_closed_with_what_the_person_attached_to_it(void **state)
{
    (void) state;

    fill_by_person(RULES);
    be_found_at("disp1", STATUS_ALREADY_ATTACHED);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_is_closed("disp1");
    assert_true(rig_is_quiet(&rig));
}

/* Nor is it hers once our Attach into it is undone. */
static void test_a_disposable_goes_once_its_attach_is_undone(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp1");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    serve_to(ADMIN_DETACH, "disp1", answer_of(ADMIN_OK));
    serve_to(ADMIN_KILL, "disp1", answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

/* What qubesd tells of the end of our own Attach, before it answers, is no more
 * somebody's doing than the answer. */
static void test_so_does_it_if_events_tell_before_the_answers(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable_named("disp1");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "disp1");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "disp1");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    serve_to(ADMIN_KILL, "disp1", answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

/* The daemon is started anew while the Attach to a new disposable is out. */
static void restart_amid_attach(void)
{
    begin("sda");
    serve_disposable_named("disp1");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_ATTACH);
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
}

static void test_a_restart_amid_its_attach_does_not_forget_close(void **state)
{
    (void) state;

    restart_amid_attach();
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    manager_synced(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    be_found_at("disp1", STATUS_ALREADY_ATTACHED);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    serve_to(ADMIN_SHUTDOWN, "disp1", answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

static void test_what_went_amid_its_attach_is_closed_once(void **state)
{
    (void) state;

    restart_amid_attach();
    manager_synced(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK)); /* it is not there */
    serve_to(ADMIN_SHUTDOWN, "disp1", answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

/* She has put another device into what was made for the first one. */
static void test_what_was_filled_after_a_restart_is_left(void **state)
{
    (void) state;

    restart_amid_attach();
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sdb", "disp1");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    manager_synced(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK)); /* it is not there */
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("other"));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_all_disposables_of_a_plug_are_closed_with_it),
        TEST(test_what_was_not_detached_is_not_told_so),
        TEST(test_so_are_they_if_the_stick_is_back_at_once),
        TEST(test_not_what_the_person_has_attached_the_next_plug_to),
        TEST(test_nor_what_she_attaches_it_to_before_the_detach_is_answered),
        TEST(test_nor_what_she_attaches_the_next_plug_to_before_its_record),
        TEST(test_so_is_the_first_one_if_the_stick_is_back_at_once),
        TEST(test_so_are_they_after_a_restart),
        TEST(test_a_disposable_is_closed_though_another_qube_had_it_since),
        TEST(test_a_disposable_is_closed_after_an_attach_that_is_undone),
        TEST(test_the_oldest_of_many_disposables_is_left_to_the_person),
        TEST(test_a_disposable_that_the_person_shut_down_is_none_to_close),
        TEST(test_nor_is_one_that_was_found_gone),
        TEST(test_nor_is_one_that_is_found_started),
        TEST(test_what_she_has_taken_the_device_from_is_closed_with_it),
        TEST(test_not_where_events_were_missed_meanwhile),
        TEST(test_only_what_has_the_device_is_closed_after_a_reconnect),
        TEST(test_a_shutdown_is_not_tried_again_for_what_has_stopped),
        TEST(test_nothing_is_done_to_a_disposable_that_has_stopped),
        TEST(test_nor_is_the_device_attached_to_one_of_its_name),
        TEST(test_nor_is_one_of_an_earlier_run_killed),
        TEST(test_a_disposable_that_the_person_attached_it_to_is_left),
        TEST(test_so_is_it_if_attaching_is_paused_then),
        TEST(test_so_is_it_after_a_restart),
        TEST(test_so_is_it_if_she_had_taken_it_away_before),
        TEST(test_so_is_it_if_she_attached_another_part_to_it),
        TEST(test_so_is_it_if_she_attached_something_else_to_it),
        TEST(test_it_is_closed_with_what_the_person_attached_to_it),
        TEST(test_a_disposable_goes_once_its_attach_is_undone),
        TEST(test_so_does_it_if_events_tell_before_the_answers),
        TEST(test_a_restart_amid_its_attach_does_not_forget_close),
        TEST(test_what_went_amid_its_attach_is_closed_once),
        TEST(test_what_was_filled_after_a_restart_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
