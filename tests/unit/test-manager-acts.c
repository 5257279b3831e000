/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the person does with the command: pause, resume, retry, detach. */

#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES                                     \
    "disks: allow block type disk to work\n"      \
    "parts: allow block type partition to work\n" \
    "forbidden: deny usb\n"
#define ASK    "disks: ask block type disk to work timeout 60s\n"
#define MINUTE (60 * USEC_PER_SEC)

#include "tests/support/manager-fixture.h"

static void pause_for(uint64_t usec)
{
    manager_pause(rig.manager, rig.now.boottime_usec + usec, rig.now);
}

/* Let the prompt of the only job be prepared. */
static uint64_t open_prompt(void)
{
    AdminAnswer dom0 = answer_of(ADMIN_OK);
    Prompt prompt;
    uint64_t id;

    (void) strcpy(dom0.value.s, "dom0");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_PROPERTY_GET, dom0);
    rig_serve(&rig, ADMIN_PROPERTY_GET, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_PROPERTY_GET, answer_of(ADMIN_EMPTY));
    assert_true(manager_next_prompt(rig.manager, &id, &prompt, rig.now));
    return id;
}

/* pause */

static void test_while_paused_no_call_is_made(void **state)
{
    (void) state;

    manager_pause(rig.manager, MANAGER_PAUSE_FOREVER, rig.now);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_PAUSED);
    assert_true(rig_is_quiet(&rig));
    assert_string_equal(last_outcome()->rule.s, "disks");
    assert_int_equal(manager_paused_until(rig.manager), MANAGER_PAUSE_FOREVER);
}

static void test_while_paused_what_no_rule_wants_is_told_so(void **state)
{
    (void) state;

    pause_for(MINUTE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "2-1"),
                     STATUS_DENIED_BY_RULE);
    rig_set_rules(&rig, "");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_NO_RULE);
}

static void test_a_pause_ends_what_is_looked_at(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    pause_for(MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_PAUSED);
    rig_reply(&rig, call, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
}

static void test_a_pause_ends_an_attach_that_was_not_sent(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    begin_bare("sda");
    /* its Attach is wanted, but not made */
    pause_for(MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_PAUSED);
    assert_false(manager_next_call(rig.manager, &call, &request));
}

static void test_an_attach_that_was_sent_goes_on(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half_bare("sda");
    pause_for(MINUTE);
    assert_int_equal(rig_answer(&rig), 0);
    /* the same record still joins it */
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_while_paused_no_target_is_started(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half_bare("sda");
    pause_for(MINUTE);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_PAUSED);
    assert_true(rig_is_quiet(&rig));
}

static void test_while_paused_an_attach_is_not_tried_again(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half_bare("sda");
    pause_for(MINUTE);
    rig_reply(&rig, call, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, USEC_PER_SEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_PAUSED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_pause_ends_a_job_that_waits_for_another(void **state)
{
    uint64_t call;

    (void) state;

    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    pause_for(MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_PAUSED);
    /* what is being detached is */
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_while_paused_an_unplugged_device_is_detached(void **state)
{
    (void) state;

    attach_bare("sda");
    pause_for(MINUTE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    finish_detach();
}

static void test_a_disposable_made_when_the_pause_came_is_done_away(
    void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "d: allow block to @dispvm:media\n");
    begin_bare("sda");
    call = rig_call(&rig, ADMIN_CREATE_DISPOSABLE);
    pause_for(MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_PAUSED);
    rig_reply(&rig, call, answer_disposable());
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

static void test_a_yes_given_while_paused_attaches_nothing(void **state)
{
    uint64_t prompt;

    (void) state;

    rig_set_rules(&rig, ASK);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    prompt = open_prompt();
    pause_for(MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_PAUSED);

    rig_pass(&rig, USEC_PER_SEC);
    answer_prompt(prompt, PROMPT_YES);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_PAUSED);
    assert_int_equal(last_outcome()->when_usec, rig.now.realtime_usec);
}

static void test_a_target_that_starts_while_paused_gets_nothing(void **state)
{
    (void) state;

    rig_set_rules(&rig, "w: allow block to work when-running\n");
    begin_bare("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);

    pause_for(MINUTE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_PAUSED);

    manager_resume(rig.manager, rig.now);
    see_block_attach();
}

/* resume */

static void test_a_pause_ends_by_itself(void **state)
{
    (void) state;

    pause_for(MINUTE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_PAUSED);
    rig_pass(&rig, MINUTE - 1);
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, 1);
    assert_int_equal(manager_paused_until(rig.manager), 0);
    see_block_attach();
}

/* The person took sdb away, and said no to sda. */
static void take_away_and_refuse(void)
{
    attach_bare("sdb");
    assert_int_equal(detach("sdb"), 0);
    finish_detach();
    rig_set_rules(&rig, ASK);
    refuse("sda");
    rig_set_rules(&rig, RULES);
}

static void test_a_pause_that_runs_out_forgets_no_no_and_no_detach(void **state)
{
    (void) state;

    take_away_and_refuse();
    pause_for(MINUTE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sdb"), STATUS_PAUSED);
    rig_pass(&rig, MINUTE);
    assert_int_equal(manager_paused_until(rig.manager), 0);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_DENIED_BY_USER);
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sdb"),
                     STATUS_DETACHED_BY_USER);
}

static void test_nor_does_one_that_runs_out_while_the_daemon_is_down(
    void **state)
{
    (void) state;

    take_away_and_refuse();
    pause_for(MINUTE);
    rig.now.boottime_usec += MINUTE;
    rig_restart(&rig);
    manager_on_time(rig.manager, rig.now);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell(RECORD_PRESENT, "sda"), STATUS_DENIED_BY_USER);
    assert_int_equal(rig_tell(&rig, usb, RECORD_PRESENT, "sdb"),
                     STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_what_a_pause_did_not_hold_up_is_not_decided_when_it_runs_out(
    void **state)
{
    uint64_t prompt;

    (void) state;

    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &prompt);
    rig_pass(&rig, MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    pause_for(MINUTE);
    rig_pass(&rig, MINUTE);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_APPROVAL_TIMEOUT);
}

/* It is queued behind the Detach of the plug before, which ends last. */
static void test_what_a_pause_held_up_is_decided_whatever_came_then(
    void **state)
{
    uint64_t call;

    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    pause_for(MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_PAUSED);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED);

    rig_pass(&rig, MINUTE);
    see_block_attach();
}

/* It was attached, and so its record was not held up from anything. */
static void test_what_is_taken_away_in_a_pause_does_not_come_back_with_its_end(
    void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_DENIED_BY_RULE);
    pause_for(MINUTE);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), STATUS_PAUSED);
    detach_by_person("sda");
    /* of the whole USB device it is forgotten, but this is about 2-1 */
    assert_int_equal(retry("2-1"), STATUS_DENIED_BY_RULE);
    rig_pass(&rig, MINUTE);
    assert_true(rig_is_quiet(&rig));
}

static void test_the_time_that_the_computer_sleeps_counts(void **state)
{
    (void) state;

    pause_for(MINUTE);
    rig.now.boottime_usec += MINUTE;
    manager_on_time(rig.manager, rig.now);
    assert_int_equal(manager_paused_until(rig.manager), 0);
}

static void test_a_pause_for_ever_ends_only_by_resume(void **state)
{
    (void) state;

    manager_pause(rig.manager, MANAGER_PAUSE_FOREVER, rig.now);
    rig_pass(&rig, 1000000 * MINUTE);
    assert_int_equal(manager_paused_until(rig.manager), MANAGER_PAUSE_FOREVER);
    manager_resume(rig.manager, rig.now);
    assert_int_equal(manager_paused_until(rig.manager), 0);
}

static void test_to_resume_without_a_pause_does_nothing(void **state)
{
    (void) state;

    attach_bare("sda");
    manager_resume(rig.manager, rig.now);
    assert_true(rig_is_quiet(&rig));
}

static void test_resume_forgets_a_no_and_a_detach(void **state)
{
    uint64_t prompt;

    (void) state;

    attach_bare("sdb");
    assert_int_equal(detach("sdb"), 0);
    finish_detach();
    rig_set_rules(&rig, ASK);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    prompt = open_prompt();
    answer_prompt(prompt, PROMPT_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);

    pause_for(MINUTE);
    rig_set_rules(&rig, RULES);
    manager_resume(rig.manager, rig.now);
    for (size_t i = 0; i < 2; i++)
        serve_block_attach();
    assert_true(rig_is_quiet(&rig));
}

static void test_resume_decides_in_the_order_of_coming(void **state)
{
    AdminRequest request;

    (void) state;

    pause_for(MINUTE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_PAUSED);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda1"), STATUS_PAUSED);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sdb"), STATUS_PAUSED);
    manager_resume(rig.manager, rig.now);
    (void) rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.port.s, "sda");
    (void) rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.port.s, "sdb");
    assert_true(rig_is_quiet(&rig));
}

/* retry */

static void test_a_retry_asks_again_after_a_no(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    answer_prompt(open_prompt(), PROMPT_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sda"),
                     STATUS_DENIED_BY_USER);

    assert_int_equal(retry("sda"), 0);
    answer_prompt(open_prompt(), PROMPT_YES);
    finish_block_attach();
}

/* The disk and its partition are one plug; so are two disks of one reader. */
static void test_a_retry_forgets_the_detach_of_a_sibling(void **state)
{
    Record a = rig_record(RECORD_ADD, "sda"), b = rig_record(RECORD_ADD, "sdb");

    (void) state;

    a.parent_class = b.parent_class = DEVICE_CLASS_USB;
    assert_true(device_name_parse(&a.parent, DEVICE_CLASS_USB, "2-1", 3));
    b.parent = a.parent;
    assert_int_equal(rig_tell_record(&rig, usb, &a), 0);
    finish_block_attach();
    assert_int_equal(detach("sda"), 0);
    finish_detach();
    assert_int_equal(rig_tell_record(&rig, usb, &b), STATUS_DETACHED_BY_USER);

    assert_int_equal(retry("sdb"), 0);
    finish_block_attach();
}

static void test_a_retry_tells_at_once_what_needs_no_call(void **state)
{
    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "2-1"),
                     STATUS_DENIED_BY_RULE);
    assert_int_equal(retry("2-1"), STATUS_DENIED_BY_RULE);
    pause_for(MINUTE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_PAUSED);
    assert_int_equal(retry("sda"), STATUS_PAUSED);
}

static void test_no_act_on_what_is_not_plugged_in(void **state)
{
    (void) state;

    assert_int_equal(retry("sda"), STATUS_NO_SUCH_DEVICE);
    assert_int_equal(detach("sda"), STATUS_NO_SUCH_DEVICE);
    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    /* it is only kept until it is detached */
    assert_int_equal(retry("sda"), STATUS_NO_SUCH_DEVICE);
    assert_int_equal(detach("sda"), STATUS_NO_SUCH_DEVICE);
}

static void test_an_asker_that_went_gets_no_answer(void **state)
{
    uint64_t asker;

    (void) state;

    attach_bare("sda");
    asker = manager_new_asker(rig.manager);
    assert_int_equal(detach_as(asker, "sda"), 0);
    manager_drop_asker(rig.manager, asker);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), 0);
}

static void test_an_act_is_not_refused_for_what_a_source_does(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sdb"), 0);
    for (size_t i = 0; i < SOURCE_JOBS_MAX; i++)
        (void) rig_tell(&rig, usb, RECORD_CHANGE, "sdb");
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sdb"),
                     STATUS_TOO_MANY);
    assert_int_equal(retry("sdb"), 0);
    assert_int_equal(detach("sda"), 0);
}

/* detach */

static void test_what_was_detached_is_left_alone_until_replugged(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(detach("sda"), 0);
    finish_detach();
    assert_int_equal(last_outcome()->status, STATUS_DETACHED);
    assert_string_equal(last_outcome()->target, "work");
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sda"),
                     STATUS_DETACHED_BY_USER);

    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_DETACHED);
    attach_bare("sda");
}

static void test_the_event_of_our_own_detach_changes_nothing(void **state)
{
    (void) state;

    attach_bare("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_int_equal(detach("sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED);
}

static void test_what_a_person_attached_can_be_detached(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    assert_int_equal(detach("sda"), 0);
    call = rig_call_to(&rig, ADMIN_DETACH, &request);
    assert_string_equal(request.dest.s, "vault");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

static void test_a_detach_that_failed_makes_nothing_ours(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    assert_int_equal(detach("sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    assert_int_equal(last_outcome()->status, STATUS_TIMEOUT);
    /* when it is unplugged it is not ours to detach */
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_detach_that_failed_keeps_what_is_ours(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(detach("sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    finish_detach();
}

static void test_a_detach_undoes_an_attach_in_work(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half_bare("sda");
    assert_int_equal(detach("sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    finish_detach();
    assert_true(rig_is_quiet(&rig));
}

static void test_a_detach_takes_the_place_of_a_look(void **state)
{
    uint64_t look;

    (void) state;

    attach_bare("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    look = rig_call(&rig, ADMIN_ATTACHED);
    assert_int_equal(detach("sda"), 0);
    rig_reply(&rig, look, answer_listed(NULL));
    finish_detach();
}

static void test_a_detach_of_what_nobody_has_makes_no_call(void **state)
{
    (void) state;

    rig_set_rules(&rig, "disks: allow block to work if-running\n");
    begin_bare("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_TARGET_NOT_RUNNING);
    assert_int_equal(detach("sda"), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED);
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sda"),
                     STATUS_DETACHED_BY_USER);
}

/* No rule has asked for it, and no event has told of it. */
static void begin_detach_of_unknown(void)
{
    rig_set_rules(&rig, "");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_NO_RULE);
    assert_int_equal(detach("sda"), 0);
}

static void test_a_detach_finds_who_has_it(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    begin_detach_of_unknown();
    call = rig_call(&rig, ADMIN_AVAILABLE);
    /* it is attached while qubesd is asked */
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_reply(&rig, call, answer_listed(NULL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("vault"));
    call = rig_call_to(&rig, ADMIN_DETACH, &request);
    assert_string_equal(request.dest.s, "vault");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_string_equal(last_outcome()->target, "vault");
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sda"), STATUS_NO_RULE);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_detach_finds_that_nobody_has_it(void **state)
{
    (void) state;

    begin_detach_of_unknown();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* What the person attaches then is no echo of a detach. */
static void test_a_detach_that_finds_nothing_detaches_no_port(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(detach("2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_int_equal(retry("2-1"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    rig_set_rules(&rig, RULES);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_ATTACHED_ELSEWHERE);
}

/* Its target is stopped before qubesd can be reached; what comes back at the
 * port long after that, but soon after the end of the job, is another plug. */
static void test_a_detach_told_long_ago_is_not_of_now(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    attach("2-1");
    assert_int_equal(detach("2-1"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_pass(&rig, JOB_OFFLINE_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);

    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
}

static void test_a_detach_waits_for_qubesd(void **state)
{
    (void) state;

    begin_detach_of_unknown();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_EMPTY));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    assert_true(rig_is_quiet(&rig));
    reconnect();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("vault"));
    /* it is pulled out before it is detached from there */
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

static void test_what_goes_before_it_is_found_is_not_detached(void **state)
{
    (void) state;

    begin_detach_of_unknown();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_DETACHED);
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    assert_int_equal(last_outcome()->status, STATUS_SUPERSEDED);
    rig_pass(&rig, JOB_OFFLINE_USEC);
    assert_true(rig_is_quiet(&rig));
}

/* What the device calls itself makes its line unreadable. */
static void test_a_detach_that_cannot_find_it_says_so(void **state)
{
    AdminAnswer unknown = answer_listed(NULL);

    (void) state;

    unknown.listing.attachment = ATTACHMENT_UNKNOWN;
    begin_detach_of_unknown();
    rig_serve(&rig, ADMIN_AVAILABLE, unknown);
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    assert_int_equal(last_outcome()->status, STATUS_QUBESD_REFUSED);

    assert_int_equal(detach("sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_GARBAGE));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    assert_int_equal(last_outcome()->status, STATUS_QUBESD_REFUSED);
    assert_true(rig_is_quiet(&rig));
}

/* Taken out by the person, it still runs until the stick is unplugged. */
static void test_a_disposable_is_closed_only_when_it_is_unplugged(void **state)
{
    (void) state;

    rig_set_rules(&rig, "d: allow block to @dispvm:media close\n");
    begin_bare("sda");
    serve_disposable();
    finish_block_attach();

    assert_int_equal(detach("sda"), 0);
    finish_detach();
    assert_true(rig_is_quiet(&rig));

    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    rig_serve(&rig, ADMIN_SHUTDOWN, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

/* A job that was not to start it waits for qubesd's list. */
static void test_a_retry_starts_the_target_that_was_stopped(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow block to work\n");
    attach("sda");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK)); /* not listed yet */
    assert_int_equal(retry("sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED); /* the record */
    serve_block_not_running();
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
}

/* Our Attach is out when the person has it detached from another qube. */
static void test_a_detach_during_our_attach_is_from_who_has_it(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "r: allow block to work\n");
    call = attach_half("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "other");
    assert_int_equal(detach("sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED_BY_USER);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    assert_int_equal(rig_answer(&rig), 0);
    call = rig_call_to(&rig, ADMIN_DETACH, &request);
    assert_string_equal(request.dest.s, "other");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* The plug before is being detached from its target. */
static uint64_t next_plug_is_attached_to(const char *other)
{
    const Record next = rig_record_at(RECORD_ADD, "sda", "2-1", "B");
    uint64_t call;

    rig_set_rules(&rig, "a: allow block to work\n");
    attach("sda");
    rig_set_rules(&rig, "a: allow block serial A to work\n");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    assert_int_equal(rig_tell_record(&rig, usb, &next), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", other);
    return call;
}

static void test_a_detach_of_the_next_plug_is_not_that_of_the_last(void **state)
{
    const uint64_t first = next_plug_is_attached_to("other");
    AdminRequest request;
    uint64_t call;

    (void) state;

    assert_int_equal(detach("sda"), 0);
    rig_reply(&rig, first, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED); /* the record */
    assert_int_equal(rig_answer(&rig), 0);
    call = rig_call_to(&rig, ADMIN_DETACH, &request);
    assert_string_equal(request.dest.s, "other");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

static void test_what_is_attached_after_the_detach_stays(void **state)
{
    const uint64_t call = next_plug_is_attached_to("other");

    (void) state;

    assert_int_equal(detach("sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "other");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_detach_of_the_next_plug_asks_who_has_it(void **state)
{
    const Record next = rig_record_at(RECORD_ADD, "sda", "2-2", "B");
    AdminRequest request;
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "a: allow block to work\n");
    attach("sda");
    rig_set_rules(&rig, "a: allow block serial A to work\n");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    call = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(rig_tell_record(&rig, usb, &next), STATUS_NO_RULE);
    reconnect(); /* meanwhile she has attached it to "other" */
    assert_int_equal(detach("sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED); /* the record */
    assert_int_equal(rig_answer(&rig), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("other"));
    (void) rig_call_to(&rig, ADMIN_DETACH, &request);
    assert_string_equal(request.dest.s, "other");
}

static void test_a_pause_may_end_while_an_attach_is_out(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half_bare("sda");
    pause_for(MINUTE);
    rig_pass(&rig, MINUTE);
    assert_int_equal(manager_paused_until(rig.manager), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

int main(void)
{
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        WITH_RIG(test_while_paused_no_call_is_made),
        WITH_RIG(test_while_paused_what_no_rule_wants_is_told_so),
        WITH_RIG(test_a_pause_ends_what_is_looked_at),
        WITH_RIG(test_a_pause_ends_an_attach_that_was_not_sent),
        WITH_RIG(test_an_attach_that_was_sent_goes_on),
        WITH_RIG(test_while_paused_no_target_is_started),
        WITH_RIG(test_while_paused_an_attach_is_not_tried_again),
        WITH_RIG(test_a_pause_ends_a_job_that_waits_for_another),
        WITH_RIG(test_while_paused_an_unplugged_device_is_detached),
        WITH_RIG(test_a_disposable_made_when_the_pause_came_is_done_away),
        WITH_RIG(test_a_yes_given_while_paused_attaches_nothing),
        WITH_RIG(test_a_target_that_starts_while_paused_gets_nothing),
        WITH_RIG(test_a_pause_ends_by_itself),
        WITH_RIG(test_a_pause_that_runs_out_forgets_no_no_and_no_detach),
        WITH_RIG(test_nor_does_one_that_runs_out_while_the_daemon_is_down),
        WITH_RIG(
            test_what_a_pause_did_not_hold_up_is_not_decided_when_it_runs_out),
        WITH_RIG(test_what_a_pause_held_up_is_decided_whatever_came_then),
        WITH_RIG(
            test_what_is_taken_away_in_a_pause_does_not_come_back_with_its_end),
        WITH_RIG(test_the_time_that_the_computer_sleeps_counts),
        WITH_RIG(test_a_pause_for_ever_ends_only_by_resume),
        WITH_RIG(test_to_resume_without_a_pause_does_nothing),
        WITH_RIG(test_resume_forgets_a_no_and_a_detach),
        WITH_RIG(test_resume_decides_in_the_order_of_coming),
        WITH_RIG(test_a_retry_asks_again_after_a_no),
        WITH_RIG(test_a_retry_forgets_the_detach_of_a_sibling),
        WITH_RIG(test_a_retry_tells_at_once_what_needs_no_call),
        WITH_RIG(test_no_act_on_what_is_not_plugged_in),
        WITH_RIG(test_an_asker_that_went_gets_no_answer),
        WITH_RIG(test_an_act_is_not_refused_for_what_a_source_does),
        WITH_RIG(test_what_was_detached_is_left_alone_until_replugged),
        WITH_RIG(test_the_event_of_our_own_detach_changes_nothing),
        WITH_RIG(test_what_a_person_attached_can_be_detached),
        WITH_RIG(test_a_detach_that_failed_makes_nothing_ours),
        WITH_RIG(test_a_detach_that_failed_keeps_what_is_ours),
        WITH_RIG(test_a_detach_undoes_an_attach_in_work),
        WITH_RIG(test_a_detach_takes_the_place_of_a_look),
        WITH_RIG(test_a_detach_of_what_nobody_has_makes_no_call),
        WITH_RIG(test_a_detach_finds_who_has_it),
        WITH_RIG(test_a_detach_finds_that_nobody_has_it),
        WITH_RIG(test_a_detach_that_finds_nothing_detaches_no_port),
        WITH_RIG(test_a_detach_told_long_ago_is_not_of_now),
        WITH_RIG(test_a_detach_waits_for_qubesd),
        WITH_RIG(test_what_goes_before_it_is_found_is_not_detached),
        WITH_RIG(test_a_detach_that_cannot_find_it_says_so),
        WITH_RIG(test_a_disposable_is_closed_only_when_it_is_unplugged),
        WITH_RIG(test_a_retry_starts_the_target_that_was_stopped),
        WITH_RIG(test_a_detach_during_our_attach_is_from_who_has_it),
        WITH_RIG(test_a_detach_of_the_next_plug_is_not_that_of_the_last),
        WITH_RIG(test_what_is_attached_after_the_detach_stays),
        WITH_RIG(test_a_detach_of_the_next_plug_asks_who_has_it),
        WITH_RIG(test_a_pause_may_end_while_an_attach_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
