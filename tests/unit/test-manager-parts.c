/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Parts of one USB device, of which one was in the way of another. */

#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES                                \
    "usb: allow usb to media if-running\n"   \
    "disks: allow block type disk to work\n" \
    "parts: allow block type partition to work\n"
#define ASK                   \
    "usb: ask usb to media\n" \
    "disks: ask block type disk to work\n"

#include "tests/support/manager-fixture.h"

/* The stick is in work, and so its disk has to stay as it is. */
static void begin_in_the_way(void)
{
    begin("2-1");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_ATTACHED_ELSEWHERE);
}

static void halt_target(void)
{
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_TARGET_NOT_RUNNING);
}

static void test_a_part_is_decided_when_the_other_is_not_attached(void **state)
{
    (void) state;

    begin_in_the_way();
    halt_target();
    see_block_attach();
    assert_string_equal(last_outcome()->device.s, "sda");
    assert_true(rig_is_quiet(&rig));
}

static void test_so_is_one_that_had_begun(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_ATTACHED_ELSEWHERE);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_USB_PROXY));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
    see_block_attach();
}

/* So soon after a gap what a job has read of a holder may be out of date; this
 * one has read of none. */
static void test_so_is_one_right_after_a_gap(void **state)
{
    (void) state;

    reconnect();
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_ATTACHED_ELSEWHERE);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL)); /* 2-1 */
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unknown());    /* sda */
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    see_block_attach();
    assert_string_equal(last_outcome()->device.s, "sda");
}

static void test_a_no_to_the_whole_is_none_to_the_disk(void **state)
{
    Prompt prompt;
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    begin_in_the_way();
    window = window_opens(1, &prompt);
    answer_prompt(window, PROMPT_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    window = window_opens(1, &prompt);
    assert_string_equal(prompt.device.s, "sda");

    /* and that is all that there is to ask */
    answer_prompt(window, PROMPT_NO);
    assert_int_equal(last_outcome()->status, STATUS_DENIED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_what_is_attached_stays_in_the_way(void **state)
{
    (void) state;

    begin_in_the_way();
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL)); /* sda */
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

/* A yes may still be given in the window. */
static void test_so_does_what_nobody_has_answered(void **state)
{
    Prompt prompt;
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    begin_in_the_way();
    window = window_opens(1, &prompt);
    rig_pass(&rig, 120 * USEC_PER_SEC);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    assert_true(rig_is_quiet(&rig));
    answer_prompt(window, PROMPT_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL)); /* sda */
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    (void) rig_call(&rig, ADMIN_ATTACH);
}

static void test_so_does_what_waits_for_its_target(void **state)
{
    (void) state;

    rig_set_rules(&rig, "usb: allow usb to media when-running\n"
                        "disks: allow block type disk to work\n");
    begin_in_the_way();
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
}

static void test_nothing_is_decided_again_of_what_goes(void **state)
{
    (void) state;

    begin_in_the_way();
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    halt_target();
    assert_true(rig_is_quiet(&rig));
}

/* The daemon is started anew, and finds out that the person took the disk away:
 * a retry of the whole is not about that. */
static void test_nor_of_what_the_person_has_taken_away(void **state)
{
    (void) state;

    attach("sda");
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), 0);
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_ATTACHED_ELSEWHERE);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL)); /* 2-1 */
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL)); /* sda */
    be_found_missing();
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    manager_synced(rig.manager, usb, rig.now);

    assert_int_equal(retry("2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    halt_target();
    assert_true(rig_is_quiet(&rig));
}

/* The person has changed the rules while it was asked for. */
static void test_a_part_is_decided_when_no_rule_wants_the_other(void **state)
{
    Prompt prompt;
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    begin_in_the_way();
    window = window_opens(1, &prompt);
    rig_set_rules(&rig, "disks: allow block type disk to work\n");
    answer_prompt(window, PROMPT_YES);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    see_block_attach();
    assert_string_equal(last_outcome()->device.s, "sda");
    assert_true(rig_is_quiet(&rig));
}

/* Each is in the way of the next. */
static void test_the_parts_are_decided_one_after_the_other(void **state)
{
    (void) state;

    begin_in_the_way();
    assert_int_equal(tell(RECORD_ADD, "sda1"), STATUS_ATTACHED_ELSEWHERE);
    halt_target();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_string_equal(last_outcome()->device.s, "sda1");
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED_ELSEWHERE);
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_PERMISSION));
    see_block_attach();
    assert_string_equal(last_outcome()->device.s, "sda1");
}

static void part_waits_for_late_answer(PromptResult result)
{
    uint64_t window;

    rig_set_rules(&rig, "b: ask block to work timeout 10s\n"
                        "u: allow usb to work\n");
    prompt_opens("sda", &window);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_ATTACHED_ELSEWHERE);
    rig_pass(&rig, 10 * USEC_PER_SEC);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    assert_true(rig_is_quiet(&rig));
    answer_prompt(window, result);
}

static void test_a_late_no_makes_way_for_the_other_part(void **state)
{
    (void) state;

    part_waits_for_late_answer(PROMPT_NO);
    serve_usb_attach();
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
}

static void test_so_does_an_agent_that_goes_away_late(void **state)
{
    (void) state;

    part_waits_for_late_answer(PROMPT_DIED);
    serve_usb_attach();
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
}

static void test_a_late_yes_to_what_another_part_keeps_out_is_told(void **s)
{
    uint64_t window;

    (void) s;

    rig_set_rules(&rig, "b: ask block to work timeout 10s\n"
                        "u: allow usb to work\n");
    prompt_opens("sda", &window);
    rig_pass(&rig, 10 * USEC_PER_SEC);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    answer_prompt(window, PROMPT_YES);
    assert_string_equal(last_outcome()->device.s, "sda");
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED_ELSEWHERE);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_part_is_decided_when_the_other_is_not_attached),
        TEST(test_so_is_one_that_had_begun),
        TEST(test_so_is_one_right_after_a_gap),
        TEST(test_a_no_to_the_whole_is_none_to_the_disk),
        TEST(test_what_is_attached_stays_in_the_way),
        TEST(test_so_does_what_nobody_has_answered),
        TEST(test_so_does_what_waits_for_its_target),
        TEST(test_nothing_is_decided_again_of_what_goes),
        TEST(test_nor_of_what_the_person_has_taken_away),
        TEST(test_a_part_is_decided_when_no_rule_wants_the_other),
        TEST(test_the_parts_are_decided_one_after_the_other),
        TEST(test_a_late_no_makes_way_for_the_other_part),
        TEST(test_so_does_an_agent_that_goes_away_late),
        TEST(test_a_late_yes_to_what_another_part_keeps_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
