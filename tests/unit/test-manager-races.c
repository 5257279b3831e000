/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Odd orders of events, answers and acts of the person, as the model test has
 * found them: each undid what the person had done, or did something twice.
 */

#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES                              \
    "ports: allow usb serial U* to work\n" \
    "parts: allow block type { disk partition } to work\n"
#define ASK "disks: ask block type disk to work timeout 60s\n"

#include "tests/support/manager-fixture.h"

static void test_what_others_attached_may_be_detached_by_the_person(void **s)
{
    (void) s;

    come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_decisions_in_between_do_not_forget_the_stopped_target(void **s)
{
    (void) s;

    attach("sda");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_NO_RULE);
    rig_set_rules(&rig, RULES);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_block_attach();
}

static void test_a_reconnect_starts_no_target_that_was_stopped(void **state)
{
    (void) state;

    attach("sda");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    reconnect();
    serve_block_not_running();
    assert_int_equal(last_outcome()->status, STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_list_that_is_still_the_old_one_is_waited_out(void **state)
{
    AdminAnswer old = answer_listed("work");

    (void) state;

    assert_true(identity_parse(&old.listing.identity, "dead:beef:1:u0", 14));
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, old);
    assert_int_equal(rig_answer(&rig), 0);
    list_anew("sda");
    finish_block_attach();
}

static void test_a_line_that_cannot_be_read_is_not_attached_twice(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

/* No window is shown by rules that are not in force any more. */
static void test_what_waits_for_its_prompt_is_decided_by_new_rules(void **state)
{
    AdminAnswer guivm = answer_of(ADMIN_OK);
    uint64_t icon;

    (void) state;

    memcpy(guivm.value.s, "dom0", 5);
    rig_set_rules(&rig, ASK);
    begin("sda");
    rig_serve(&rig, ADMIN_PROPERTY_GET, guivm);
    rig_serve(&rig, ADMIN_PROPERTY_GET, guivm);
    icon = rig_call(&rig, ADMIN_PROPERTY_GET);
    rig_set_rules(&rig, RULES);
    rig_reply(&rig, icon, guivm);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    see_block_attach();
}

static void test_a_yes_to_old_rules_has_the_new_ones_decide(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &window);
    rig_set_rules(&rig, "disks: allow block type disk to vault\n");
    answer_prompt(window, PROMPT_YES);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    see_block_attach();
    assert_string_equal(last_outcome()->target, "vault");

    /* those that have no rule for it, too */
    unplug("sda");
    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &window);
    rig_set_rules(&rig, "");
    answer_prompt(window, PROMPT_YES);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(last_outcome()->status, STATUS_NO_RULE);
    assert_true(rig_is_quiet(&rig));
}

/* What had it before the events were cut says nothing of who has it now. */
static void test_an_unreadable_line_after_a_gap_is_looked_behind(void **s)
{
    uint64_t look;

    (void) s;

    attach("sda");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    look = rig_call(&rig, ADMIN_AVAILABLE);
    reconnect();
    rig_reply(&rig, look, answer_unreadable());
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
    be_found_missing();
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* The person detaches it while no event is heard, and qubesd has no time for
 * the job that is in work for it. */
static void test_a_detach_in_a_gap_is_found_after_a_busy_qubesd(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    reconnect();
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_pass(&rig, JOB_RETRY_USEC(i));
        rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    }
    assert_int_equal(rig_answer(&rig), STATUS_UNAVAILABLE);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_UNREACHABLE));
    rig_pass(&rig, JOB_OFFLINE_USEC);
    be_found_missing();
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    be_counted(NULL);
}

/* It was unplugged before that job has ended: that is nothing to look for. */
static void test_what_goes_after_a_gap_is_detached_at_once(void **state)
{
    uint64_t look;

    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    look = rig_call(&rig, ADMIN_AVAILABLE);
    reconnect();
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_reply(&rig, look, answer_of(ADMIN_UNREACHABLE));
    finish_detach();
    assert_true(rig_is_quiet(&rig));
}

/* It was bound to nothing, and had been the plug before. */
static void test_an_unbound_attach_is_undone_by_a_new_list(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_unreadable());
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    list_anew("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    see_block_attach();
    assert_true(rig_is_quiet(&rig));
}

/* It goes while its Attach is verified, and comes back before the events of
 * that are told. */
static void test_the_events_of_an_attach_that_was_undone_are_of_that(void **s)
{
    uint64_t look;

    (void) s;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unreadable());
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    look = rig_call(&rig, ADMIN_ATTACHED);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_reply(&rig, look, answer_unreadable());
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
    unplug("sda");
}

/* The same, but its target was stopped before it went, and all events of that
 * attach have come: what comes then is about the next one. */
static void test_nor_is_one_expected_that_a_stop_has_told_of(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_ATTACHED);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

/* Its target stops, and qubesd never answers the Detach. */
static void test_what_a_stopped_target_had_is_not_held(void **state)
{
    uint64_t call;

    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* What others had attached is pulled out and put back while no event is heard,
 * and the end of that is told behind the record. */
static void test_what_was_listed_anew_was_not_taken_away(void **state)
{
    uint64_t look;

    (void) state;

    rig_set_rules(&rig, "r: allow block to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    reconnect();
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "2-1", NULL);
    rig_reply(&rig, look, answer_listed(NULL));
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    attach("sda");
}

static void test_a_qube_is_not_taken_for_a_disposable(void **state)
{
    (void) state;

    attach("sda");
    rig_set_rules(&rig, "r: allow block to { @dispvm:media vault }\n");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    be_found_at("work", STATUS_ATTACHED_ELSEWHERE);
}

static void test_a_disposable_is_one_of_its_template(void **state)
{
    (void) state;

    attach_to_disposable("r: allow block to @dispvm:media\n");

    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    be_found_at("disp1", STATUS_ALREADY_ATTACHED);
    rig_set_rules(&rig, "r: allow block to @dispvm:other\n");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    be_found_at("disp1", STATUS_ATTACHED_ELSEWHERE);
}

static void test_a_detach_ends_jobs_of_the_other_parts(void **state)
{
    uint64_t start;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    start = rig_call(&rig, ADMIN_START);
    /* the other disk in it has what this one waits for */
    attach("sdb");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sdb", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    rig_reply(&rig, start, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

static void test_parts_wait_for_the_look_after_a_detach(void **state)
{
    uint64_t look;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    look = rig_call(&rig, ADMIN_ATTACHED);
    begin("sdb");
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_an_attach_of_another_part_ends_a_job_that_asks(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    prompt_opens("sda", &window);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    answer_prompt(window, PROMPT_YES);
    assert_true(rig_is_quiet(&rig));
}

static void test_an_attach_that_is_told_before_the_record_counts(void **state)
{
    (void) state;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_ATTACHED_ELSEWHERE);

    /* unless it was taken back as well */
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-2", "vault");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-2", "vault");
    assert_int_equal(tell(RECORD_ADD, "2-2"), STATUS_NO_RULE);
}

static void test_a_target_that_is_just_starting_had_nothing(void **state)
{
    (void) state;

    attach("sda");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_TRANSIENT));
    assert_int_not_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
}

static void test_a_late_detach_event_is_not_the_next_plugs(void **state)
{
    (void) state;

    attach("sda");
    list_anew("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
}

static void test_qubesd_going_down_is_not_no_disposable_template(void **state)
{
    AdminAnswer media = answer_of(ADMIN_OK);

    (void) state;

    rig_set_rules(&rig, "r: allow block to @dispvm\n");
    memcpy(media.value.s, "media", 6);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_PROPERTY_GET, answer_of(ADMIN_EMPTY));
    assert_int_equal(rig_answer(&rig), 0);
    rig_pass(&rig, USEC_PER_SEC);
    rig_serve(&rig, ADMIN_PROPERTY_GET, media);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_CREATE_DISPOSABLE);
}

static void test_a_state_that_cannot_be_read_is_not_halted(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: ask block to work when-running\n");
    begin("sda");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_of(ADMIN_GARBAGE));
    assert_int_equal(rig_answer(&rig), STATUS_QUBESD_REFUSED);

    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_of(ADMIN_EMPTY));
    rig_pass(&rig, USEC_PER_SEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
}

static void test_a_device_that_goes_while_it_is_looked_at(void **state)
{
    uint64_t look;

    (void) state;

    attach("sda");
    reconnect();
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
    assert_int_not_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

static void test_a_target_that_stops_while_it_is_looked_at(void **state)
{
    (void) state;

    attach("sda");
    reconnect();
    (void) rig_call(&rig, ADMIN_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_block_attach();
}

/* qubesd dies while it attaches; what it may have attached then is to be
 * detached, and the person attaches the device before that is done. */
static void test_what_is_attached_after_qubesd_came_back_stays(void **state)
{
    (void) state;

    attach_unsure();
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_UNREACHABLE));
    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_NO_RULE);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_pass(&rig, JOB_OFFLINE_USEC);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_NO_RULE);
    assert_true(rig_is_quiet(&rig));
}

/* It goes while qubesd is at our Attach; what that does after a gap is ours. */
static void test_what_our_attach_does_after_a_gap_is_undone(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    reconnect();
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_pass(&rig, JOB_OFFLINE_USEC);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

/* What the plug before may have left attached is told to be detached while the
 * next one is decided. */
static void test_what_was_withdrawn_for_the_plug_before_is_decided(void **s)
{
    uint64_t call;

    (void) s;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_GARBAGE));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
}

static void test_an_event_knows_what_the_job_could_not_find_out(void **state)
{
    (void) state;

    attach_unsure();
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    detach_by_person("sda");
}

static void test_attached_and_detached_before_the_job_could_find_out(void **s)
{
    (void) s;

    attach_unsure();
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    be_found_detached();
}

static void test_what_was_never_attached_was_not_detached(void **state)
{
    (void) state;

    attach_unsure();
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    reconnect();
    be_found_missing();
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
}

static void test_a_detach_told_after_an_old_look_is_looked_at_again(void **s)
{
    uint64_t look;

    (void) s;

    attach("sda");
    reconnect();
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, look, answer_listed(NULL));
    be_found_detached();
}

static void test_a_record_quicker_than_the_detach_event_undoes_nothing(void **s)
{
    (void) s;

    attach("sda");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* Its record is late, and another stick of the kind has come under the name. */
static void test_a_device_is_the_same_once_its_target_has_started(void **state)
{
    static const char devid[] = "0781:5581:OTHER:u080650";
    AdminAnswer other = answer_listed(NULL);

    (void) state;

    assert_true(identity_parse(&other.listing.identity, devid, strlen(devid)));
    rig_set_rules(&rig, "r: allow block type disk to work\n");
    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, other);
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_APPEAR_USEC);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
}

/* Nor is another attached where what was read first could not be read again
 * before its target was started. */
static void test_so_it_is_if_it_could_not_be_read_in_between(void **state)
{
    static const char devid[] = "0781:5581:OTHER:u080650";
    AdminAnswer other = answer_listed(NULL);

    (void) state;

    assert_true(identity_parse(&other.listing.identity, devid, strlen(devid)));
    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_PROTOCOL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_odd());
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, other);
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_APPEAR_USEC);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
}

static void test_a_record_quicker_than_the_shutdown_starts_nothing(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    /* another target of the rule may run: it goes on, but starts nothing */
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_block_attach();
}

static void test_a_refused_attach_holds_nothing(void **state)
{
    (void) state;

    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_PROTOCOL));
    rig_pass(&rig, JOB_APPEAR_USEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_NO_SUCH_DEVICE);
    reconnect();
    /* it is looked for, not at what has it */
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

/* Nor does its target have it back when it starts, which had stopped before
 * qubesd answered. */
static void test_nor_is_it_attached_when_its_target_starts_again(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half("sda");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_PERMISSION));
    assert_int_equal(rig_answer(&rig), STATUS_QUBESD_REFUSED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_true(rig_is_quiet(&rig));
}

static void test_a_shutdown_told_between_two_looks_is_no_detach(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_odd());
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_of(ADMIN_EMPTY));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_pass(&rig, USEC_PER_SEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_odd());
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_odd());
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

static void test_what_goes_while_it_is_looked_for_was_not_detached(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_odd());
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
}

/* Where it had been with leave, that leave was for once. */
static void test_nor_is_it_attached_there_again_without_leave(void **state)
{
    uint64_t window, call;

    (void) state;

    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &window);
    answer_prompt(window, PROMPT_YES);
    finish_block_attach();
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    list_anew("sda");
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_PROPERTY_GET); /* what a prompt needs */
}

/* And then it is in the other qube, which the person has chosen. */
static void test_where_it_is_attached_with_leave_is_known(void **state)
{
    const PromptAnswer second = { .result = PROMPT_YES, .target = 1 };
    AdminRequest request;
    uint64_t window, call;
    Prompt prompt;

    (void) state;

    rig_set_rules(&rig, "disks: ask block type disk to { work vault }\n");
    begin("sda");
    window = window_opens(2, &prompt);
    answer_prompt(window, PROMPT_YES);
    finish_block_attach();
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_CURRENT_STATE);
    list_anew("sda");
    rig_reply(&rig, call, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    window = window_opens(2, &prompt);
    manager_on_prompt(rig.manager, window, &second, rig.now);
    finish_block_attach();

    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call_to(&rig, ADMIN_DETACH, &request);
    assert_string_equal(request.dest.s, "vault");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

static void test_a_removal_told_before_the_answer_to_attach_counts(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half("sda");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
}

static void test_what_comes_back_behind_an_endless_attach_has_its_time(void **s)
{
    uint64_t call;

    (void) s;

    rig_set_rules(&rig, "r: allow usb to work\n");
    call = attach_half("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_pass(&rig, JOB_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_OTHER));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_disposable_of_an_endless_attach_is_done_away_with(void **s)
{
    uint64_t call;

    (void) s;

    call = attach_without_end("r: allow usb to @dispvm:media\n");
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_OTHER));
    assert_true(rig_is_quiet(&rig));
}

/* The same where the device was unplugged before the time was over. */
static void test_an_unplug_does_not_wait_for_an_endless_attach(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "r: allow usb to @dispvm:media\n");
    begin("2-1");
    serve_disposable();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    rig_reply(&rig, call, answer_overdue());
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

/* The new boot's picture is read before the event that tells of the shutdown.
 */
static void test_a_picture_that_overtakes_the_shutdown_is_sent_again(void **s)
{
    uint64_t closed = 0;

    (void) s;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    manager_disconnect(rig.manager, usb, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'b');
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    manager_synced(rig.manager, usb, rig.now);
    assert_false(manager_next_close(rig.manager, &closed));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "sys-usb");
    assert_true(manager_next_close(rig.manager, &closed));
    assert_int_equal(closed, usb);

    /* one that has ended by itself is none to close */
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "sys-usb");
    manager_disconnect(rig.manager, usb, rig.now);
    assert_false(manager_next_close(rig.manager, &closed));
}

static void test_a_wait_for_the_list_outlasts_qubesd(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    rig_pass(&rig, 5 * USEC_PER_SEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    finish_block_attach();
}

/* What another had attached is lost with the target's stop, which nobody told
 * of: its start is told. */
static void test_a_start_explains_what_a_look_does_not_find(void **state)
{
    uint64_t look;

    (void) state;

    come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    look = rig_call(&rig, ADMIN_CURRENT_STATE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_reply(&rig, look, answer_power(POWER_RUNNING));
    assert_int_equal(last_outcome()->status, STATUS_ALREADY_ATTACHED);
}

/* The detach was not heard, the attach was. */
static void test_what_was_told_to_be_there_was_taken_away(void **state)
{
    (void) state;

    attach_unsure();
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    reconnect();
    be_found_missing();
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
}

static void test_what_is_attached_after_a_told_detach_is_not_ours(void **state)
{
    uint64_t look;

    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_reply(&rig, look, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
}

/* Events come in order: before that of our Attach, none is of it. */
static void test_a_detach_told_before_our_attach_is_of_the_plug_before(void **s)
{
    (void) s;

    attach("sda");
    list_anew_detached("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    unplug("sda");
}

static void test_a_look_at_such_a_detach_tells_of_no_person(void **state)
{
    uint64_t look;

    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    look = rig_call(&rig, ADMIN_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, look, answer_listed(NULL));
    finish_detach();
    assert_int_equal(tell(RECORD_ADD, "sda"), 0); /* it is not left alone */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_what_others_attached_may_be_detached_by_the_person),
        TEST(test_decisions_in_between_do_not_forget_the_stopped_target),
        TEST(test_a_reconnect_starts_no_target_that_was_stopped),
        TEST(test_a_list_that_is_still_the_old_one_is_waited_out),
        TEST(test_a_line_that_cannot_be_read_is_not_attached_twice),
        TEST(test_what_waits_for_its_prompt_is_decided_by_new_rules),
        TEST(test_a_yes_to_old_rules_has_the_new_ones_decide),
        TEST(test_an_unreadable_line_after_a_gap_is_looked_behind),
        TEST(test_a_detach_in_a_gap_is_found_after_a_busy_qubesd),
        TEST(test_what_goes_after_a_gap_is_detached_at_once),
        TEST(test_an_unbound_attach_is_undone_by_a_new_list),
        TEST(test_the_events_of_an_attach_that_was_undone_are_of_that),
        TEST(test_nor_is_one_expected_that_a_stop_has_told_of),
        TEST(test_what_a_stopped_target_had_is_not_held),
        TEST(test_what_was_listed_anew_was_not_taken_away),
        TEST(test_what_was_withdrawn_for_the_plug_before_is_decided),
        TEST(test_a_qube_is_not_taken_for_a_disposable),
        TEST(test_a_disposable_is_one_of_its_template),
        TEST(test_a_detach_ends_jobs_of_the_other_parts),
        TEST(test_parts_wait_for_the_look_after_a_detach),
        TEST(test_an_attach_of_another_part_ends_a_job_that_asks),
        TEST(test_an_attach_that_is_told_before_the_record_counts),
        TEST(test_a_target_that_is_just_starting_had_nothing),
        TEST(test_a_late_detach_event_is_not_the_next_plugs),
        TEST(test_qubesd_going_down_is_not_no_disposable_template),
        TEST(test_a_state_that_cannot_be_read_is_not_halted),
        TEST(test_a_device_that_goes_while_it_is_looked_at),
        TEST(test_a_target_that_stops_while_it_is_looked_at),
        TEST(test_what_is_attached_after_qubesd_came_back_stays),
        TEST(test_what_our_attach_does_after_a_gap_is_undone),
        TEST(test_an_event_knows_what_the_job_could_not_find_out),
        TEST(test_attached_and_detached_before_the_job_could_find_out),
        TEST(test_what_was_never_attached_was_not_detached),
        TEST(test_a_detach_told_after_an_old_look_is_looked_at_again),
        TEST(test_a_record_quicker_than_the_detach_event_undoes_nothing),
        TEST(test_a_device_is_the_same_once_its_target_has_started),
        TEST(test_so_it_is_if_it_could_not_be_read_in_between),
        TEST(test_a_record_quicker_than_the_shutdown_starts_nothing),
        TEST(test_a_refused_attach_holds_nothing),
        TEST(test_nor_is_it_attached_when_its_target_starts_again),
        TEST(test_a_shutdown_told_between_two_looks_is_no_detach),
        TEST(test_what_goes_while_it_is_looked_for_was_not_detached),
        TEST(test_nor_is_it_attached_there_again_without_leave),
        TEST(test_where_it_is_attached_with_leave_is_known),
        TEST(test_a_removal_told_before_the_answer_to_attach_counts),
        TEST(test_what_comes_back_behind_an_endless_attach_has_its_time),
        TEST(test_a_disposable_of_an_endless_attach_is_done_away_with),
        TEST(test_an_unplug_does_not_wait_for_an_endless_attach),
        TEST(test_a_picture_that_overtakes_the_shutdown_is_sent_again),
        TEST(test_a_wait_for_the_list_outlasts_qubesd),
        TEST(test_a_start_explains_what_a_look_does_not_find),
        TEST(test_what_was_told_to_be_there_was_taken_away),
        TEST(test_what_is_attached_after_a_told_detach_is_not_ours),
        TEST(test_a_detach_told_before_our_attach_is_of_the_plug_before),
        TEST(test_a_look_at_such_a_detach_tells_of_no_person),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
