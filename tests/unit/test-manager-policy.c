/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The policy daemon gives no answer: what comes of the devices by then? */

#include <stdio.h>

#include "dom0/core/source.h"

#define RULES                               \
    "disks: allow block name sd* to work\n" \
    "slots: ask block name hd* to work\n"   \
    "others: allow block to { home vault }\n"
#define MINUTE  (60 * USEC_PER_SEC)
#define N_DISKS (SOURCE_JOBS_MAX + 10U)

#include "tests/support/manager-fixture.h"

static const PolicyAnswer no_answers[] = { POLICY_SILENT, POLICY_UNREACHABLE,
                                           POLICY_TIMED_OUT };

static bool next_question(uint64_t *ret_id)
{
    PolicyQuestion question;

    return manager_next_question(rig.manager, ret_id, &question);
}

static bool asks_nothing(void)
{
    uint64_t id;

    return !next_question(&id);
}

/* The next question gets this answer. */
static void judge(PolicyAnswer answer)
{
    uint64_t id;

    assert_true(next_question(&id));
    manager_on_verdict(rig.manager, id, answer, rig.now);
}

/* So do all that follow; how many those are. */
static size_t judge_all(PolicyAnswer answer)
{
    size_t n = 0;
    uint64_t id;

    for (; next_question(&id); n++)
        manager_on_verdict(rig.manager, id, answer, rig.now);
    return n;
}

/* It is plugged in, and nobody says whether it may be attached. */
static void plug_unanswered(const char *device, PolicyAnswer answer)
{
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, device), 0);
    judge(answer);
    assert_int_not_equal(rig_answer(&rig), 0);
    assert_true(asks_nothing());
}

static uint64_t pause_usec(void)
{
    return manager_next_usec(rig.manager) - rig.now.monotonic_usec;
}

static uint64_t n_outcomes(void)
{
    return history_last_serial(manager_history(rig.manager));
}

/* An update has restarted it just as the stick was plugged in. */
static void test_what_had_no_answer_is_decided_once_there_is_one(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(no_answers); i++) {
        plug_unanswered("sda", no_answers[i]);
        assert_int_equal(pause_usec(), MANAGER_POLICY_USEC);
        rig_pass(&rig, MANAGER_POLICY_USEC);
        judge(POLICY_YES); /* the question of our own */
        judge(POLICY_YES);
        see_block_attach();
        assert_true(rig_is_quiet(&rig));
        assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);

        (void) rig_tell(&rig, usb, RECORD_REMOVE, "sda");
        finish_detach();
        rig_pass(&rig, 2 * MINUTE);
        assert_true(asks_nothing());
    }
}

static void test_the_policy_daemon_is_asked_less_and_less(void **state)
{
    static const uint64_t pauses[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
    uint64_t n_before;

    (void) state;

    plug_unanswered("sda", POLICY_UNREACHABLE);
    plug_unanswered("sdb", POLICY_SILENT);
    plug_unanswered("sdc", POLICY_TIMED_OUT);
    n_before = n_outcomes();
    for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
        assert_int_equal(pause_usec(), pauses[i] * USEC_PER_SEC);
        rig_pass(&rig, pauses[i] * USEC_PER_SEC - 1);
        assert_true(asks_nothing());
        rig_pass(&rig, 1);
        judge(POLICY_UNREACHABLE);
        assert_true(asks_nothing()); /* one question for all of them */
    }
    assert_int_equal(n_outcomes(), n_before);
    rig_pass(&rig, MINUTE);
    judge(POLICY_NO);
    assert_int_equal(judge_all(POLICY_YES), 3);
}

/* While it is asked it is not asked again. */
static void test_one_question_at_a_time_asks_for_an_answer(void **state)
{
    uint64_t id;

    (void) state;

    plug_unanswered("sda", POLICY_TIMED_OUT);
    rig_pass(&rig, MANAGER_POLICY_USEC);
    assert_true(next_question(&id));
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
    rig_pass(&rig, MINUTE);
    assert_true(asks_nothing());
    manager_on_verdict(rig.manager, id, POLICY_TIMED_OUT, rig.now);
    assert_int_equal(pause_usec(), 2 * MANAGER_POLICY_USEC);
}

/* Trouble that comes later is another one. */
static void test_the_pauses_begin_anew(void **state)
{
    (void) state;

    plug_unanswered("sda", POLICY_UNREACHABLE);
    for (size_t i = 0; i < 3; i++) {
        rig_pass(&rig, pause_usec());
        judge(i < 2 ? POLICY_UNREACHABLE : POLICY_YES);
    }
    assert_int_equal(judge_all(POLICY_YES), 1);
    rig_pass(&rig, 2 * MINUTE);
    plug_unanswered("sdb", POLICY_UNREACHABLE);
    assert_int_equal(pause_usec(), MANAGER_POLICY_USEC);
}

static void test_an_answer_to_another_job_calls_for_a_decision(void **state)
{
    (void) state;

    plug_unanswered("sda", POLICY_UNREACHABLE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sdb"), 0);
    judge(POLICY_YES);
    judge(POLICY_YES);
    see_block_attach();
    see_block_attach();
    assert_false(manager_has_jobs(rig.manager, 1));
}

static void test_an_answer_to_explain_calls_for_a_decision(void **state)
{
    (void) state;

    plug_unanswered("sda", POLICY_SILENT);
    manager_note_policy(rig.manager, POLICY_UNREACHABLE, rig.now);
    assert_true(asks_nothing());
    manager_note_policy(rig.manager, POLICY_NO, rig.now);
    judge(POLICY_YES);
    see_block_attach();
}

static void test_a_no_of_the_policy_is_final(void **state)
{
    (void) state;

    plug_unanswered("sda", POLICY_UNREACHABLE);
    rig_pass(&rig, MANAGER_POLICY_USEC);
    assert_int_equal(judge_all(POLICY_NO), 3); /* our own, and the job's two */
    assert_int_equal(last_outcome()->status, STATUS_DENIED_BY_POLICY);
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
    manager_note_policy(rig.manager, POLICY_YES, rig.now);
    assert_true(asks_nothing());
}

static void test_nothing_is_asked_for_what_is_gone(void **state)
{
    (void) state;

    plug_unanswered("sda", POLICY_UNREACHABLE);
    plug_unanswered("sdb", POLICY_UNREACHABLE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_DETACHED);
    assert_int_equal(pause_usec(), MANAGER_POLICY_USEC);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sdb"),
                     STATUS_DETACHED);
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
    rig_pass(&rig, MINUTE);
    assert_true(asks_nothing());
}

/* What the person is asked about meanwhile is asked once. */
static void test_a_prompt_is_not_shown_twice_for_that(void **state)
{
    uint64_t window;
    Prompt prompt;

    (void) state;

    plug_unanswered("hda", POLICY_UNREACHABLE);
    rig_pass(&rig, MANAGER_POLICY_USEC);
    judge(POLICY_YES);
    judge(POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    window = window_opens(1, &prompt);
    plug_unanswered("sdb", POLICY_UNREACHABLE);
    rig_pass(&rig, pause_usec());
    assert_int_equal(judge_all(POLICY_YES), 2);
    see_block_attach();
    answer_prompt(window, PROMPT_NO);
    assert_int_equal(last_outcome()->status, STATUS_DENIED_BY_USER);
    rig_pass(&rig, 2 * MINUTE);
    assert_true(asks_nothing());
    assert_true(rig_is_quiet(&rig));
}

/* The other question of its job is answered: it and one like it must not call
 * for one another for ever. */
static void test_a_question_that_is_never_answered_does_no_harm(void **state)
{
    size_t n = 0;
    uint64_t id;

    (void) state;

    plug_unanswered("sda", POLICY_UNREACHABLE); /* a job with others to come */
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "vda"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "vdb"), 0);
    for (unsigned int second = 0; second < 600; second++) {
        PolicyQuestion question;

        for (; manager_next_question(rig.manager, &id, &question); n++)
            manager_on_verdict(rig.manager, id,
                               strcmp(question.target.name.s, "vault") == 0
                                   ? POLICY_SILENT
                                   : POLICY_NO,
                               rig.now);
        rig_pass(&rig, USEC_PER_SEC);
    }
    assert_in_range(n, 1, 100);
}

static void test_many_devices_are_decided_as_there_is_room(void **state)
{
    char name[8];

    (void) state;

    for (size_t i = 0; i < N_DISKS; i++) {
        (void) snprintf(name, sizeof(name), "sd%c%c", (char) ('a' + i / 26),
                        (char) ('a' + i % 26));
        plug_unanswered(name, POLICY_UNREACHABLE);
    }
    rig_pass(&rig, MANAGER_POLICY_USEC);
    judge(POLICY_YES);
    assert_false(manager_has_jobs(rig.manager, SOURCE_JOBS_MAX + 1));
    assert_int_equal(judge_all(POLICY_NO), 2 * N_DISKS);
    assert_false(manager_has_jobs(rig.manager, 1));
}

/* Its next record had no answer, and then the person takes it away. */
static void test_nothing_is_asked_for_what_is_left_alone(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    judge(POLICY_YES);
    finish_block_attach();
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    judge(POLICY_SILENT);
    detach_by_person("sda");
    rig_pass(&rig, MANAGER_POLICY_USEC);
    assert_true(asks_nothing());
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

static void test_policy_is_not_blamed_where_the_source_is_the_only_target(
    void **state)
{
    (void) state;

    rig_set_rules(&rig, "disks: allow block to sys-usb\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    assert_true(asks_nothing());
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_POLICY);
    assert_string_equal(last_outcome()->detail,
                        "sys-usb has the device itself: name another qube "
                        "behind 'to'");

    rig_set_rules(&rig, "disks: allow block to { sys-usb work }\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    judge(POLICY_NO);
    judge(POLICY_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_POLICY);
    assert_string_equal(last_outcome()->detail, "");
}

/* The disposable that had it was shut down, and no other is made by itself. */
static void test_nor_where_it_is_beside_a_disposable_that_was_shut_down(
    void **state)
{
    (void) state;

    rig_set_rules(&rig, "disks: allow block to { sys-usb @dispvm:media }\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    judge(POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    serve_disposable();
    (void) judge_all(POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) judge_all(POLICY_YES);
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "disp1");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_RIG(test_what_had_no_answer_is_decided_once_there_is_one),
        WITH_RIG(test_the_policy_daemon_is_asked_less_and_less),
        WITH_RIG(test_one_question_at_a_time_asks_for_an_answer),
        WITH_RIG(test_the_pauses_begin_anew),
        WITH_RIG(test_an_answer_to_another_job_calls_for_a_decision),
        WITH_RIG(test_an_answer_to_explain_calls_for_a_decision),
        WITH_RIG(test_a_no_of_the_policy_is_final),
        WITH_RIG(test_nothing_is_asked_for_what_is_gone),
        WITH_RIG(test_nothing_is_asked_for_what_is_left_alone),
        WITH_RIG(test_a_prompt_is_not_shown_twice_for_that),
        WITH_RIG(test_policy_is_not_blamed_where_the_source_is_the_only_target),
        WITH_RIG(test_nor_where_it_is_beside_a_disposable_that_was_shut_down),
        WITH_RIG(test_a_question_that_is_never_answered_does_no_harm),
        WITH_RIG(test_many_devices_are_decided_as_there_is_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
