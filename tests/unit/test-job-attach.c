/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What an Attach leaves behind, also when its device has gone already. */

#include <string.h>

#include "common/text.h"
#include "tests/support/manager-rig.h"
#include "tests/support/test.h"

#define RULES "disks: allow block type disk to work\n"

static ManagerRig rig;
static uint64_t usb;

static int set_up(void **state)
{
    (void) state;

    rig_begin(&rig, RULES);
    usb = rig_connect(&rig, "sys-usb", 'a');
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    rig_end(&rig);
    return 0;
}

static const StatePlug *find_held(const State *state)
{
    for (size_t i = 0; i < state->n_sources; i++)
        for (size_t j = 0; j < state->sources[i].n_plugs; j++)
            if (state->sources[i].plugs[j].holding != HOLDING_NOTHING)
                return &state->sources[i].plugs[j];
    return NULL;
}

static void assert_nothing_is_held(void)
{
    _cleanup_(state_freep) State *state = NULL;

    assert_int_equal(manager_save(rig.manager, &state), 0);
    assert_null(find_held(state));
}

/* Plug in, and pull out while the Attach is under way. */
static uint64_t begin_overdue(void)
{
    uint64_t call;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    return call;
}

static void drain_answers(void)
{
    while (rig_answer(&rig) != 0)
        ;
}

static void test_what_was_refused_needs_no_detach(void **state)
{
    static const AdminError refusals[] = {
        ADMIN_ERROR_NOT_RUNNING,
        ADMIN_ERROR_NO_SUCH_QUBE,
        ADMIN_ERROR_VALUE,
        ADMIN_ERROR_PERMISSION,
        ADMIN_ERROR_USB_PROXY,
        ADMIN_ERROR_PROTOCOL,
        ADMIN_ERROR_ALREADY_ATTACHED,
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        rig_reply(&rig, begin_overdue(), answer_error(refusals[i]));
        assert_true(rig_is_quiet(&rig));
        drain_answers();
        assert_nothing_is_held();
        rig_pass(&rig, 60 * USEC_PER_SEC);
    }
}

static void test_what_may_have_been_attached_is_detached(void **state)
{
    const AdminAnswer answers[] = {
        answer_of(ADMIN_OK),
        answer_of(ADMIN_EMPTY),
        answer_of(ADMIN_GARBAGE),
        answer_of(ADMIN_TIMED_OUT),
        answer_error(ADMIN_ERROR_OTHER),
        answer_error(ADMIN_ERROR_NOT_ATTACHED),
        answer_error(ADMIN_ERROR_NOT_STARTED),
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        rig_reply(&rig, begin_overdue(), answers[i]);
        /* it may be another's, where it may well have failed */
        if (answers[i].result == ADMIN_EMPTY ||
            answers[i].result == ADMIN_EXCEPTION)
            rig_serve(&rig, ADMIN_ATTACHED, answer_listed("work"));
        rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
        assert_true(rig_is_quiet(&rig));
        drain_answers();
        assert_nothing_is_held();
        rig_pass(&rig, 60 * USEC_PER_SEC);
    }
}

static void test_what_was_refused_at_once_is_not_held(void **state)
{
    static const AdminError refusals[] = {
        ADMIN_ERROR_NO_SUCH_QUBE,
        ADMIN_ERROR_VALUE,
        ADMIN_ERROR_PERMISSION,
        ADMIN_ERROR_USB_PROXY,
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        rig_serve(&rig, ADMIN_ATTACH, answer_error(refusals[i]));
        assert_true(rig_answer(&rig) >= STATUS_INTERNAL);
        assert_nothing_is_held();
        /* and so there is nothing to detach */
        assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                         STATUS_DETACHED);
        assert_true(rig_is_quiet(&rig));
        rig_pass(&rig, 60 * USEC_PER_SEC);
    }
}

/* Our words are put before them, so that they are cut. */
static void test_words_of_qubesd_are_cut_at_a_character(void **state)
{
    static const char sign[] = "\u20ac";

    (void) state;

    for (size_t shift = 0; shift < strlen(sign); shift++) {
        AdminAnswer answer = answer_error(ADMIN_ERROR_PERMISSION);
        const History *history = manager_history(rig.manager);
        const HistoryEntry *entry;

        memset(answer.detail, 'x', shift);
        for (size_t i = shift; i + strlen(sign) <= ADMIN_DETAIL_MAX;
             i += strlen(sign))
            memcpy(answer.detail + i, sign, sizeof(sign));
        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        rig_serve(&rig, ADMIN_ATTACH, answer);
        assert_int_equal(rig_answer(&rig), STATUS_QUBESD_REFUSED);
        entry = history_find(history, history_last_serial(history));
        assert_true(text_is_plain(entry->detail, strlen(entry->detail)));
        assert_true(strlen(entry->detail) > HISTORY_DETAIL_MAX - strlen(sign));
        rig_pass(&rig, 60 * USEC_PER_SEC);
    }
}

static AdminAnswer answer_to(const AdminRequest *request)
{
    AdminAnswer answer = answer_of(ADMIN_OK);

    if (request->method == ADMIN_CREATE_DISPOSABLE)
        answer.qube = rig_qube("disp7");
    else if (request->method == ADMIN_ATTACH)
        answer = answer_of(ADMIN_TIMED_OUT);
    else if (request->method == ADMIN_AVAILABLE)
        answer = answer_listed(NULL);
    else if (request->method == ADMIN_CURRENT_STATE)
        answer = answer_power(POWER_RUNNING);
    return answer;
}

/* What is done away with holds nothing, whatever its Attach has done. */
static void test_a_disposable_that_was_killed_holds_nothing(void **state)
{
    AdminRequest request;
    PolicyQuestion question;
    bool killed = false;
    Status status = 0;
    uint64_t id;

    (void) state;

    rig_set_rules(&rig, "d: allow block type disk to @dispvm:media-dvm\n");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    for (size_t i = 0; i < 100 && !(killed && status != 0); i++) {
        while (manager_next_question(rig.manager, &id, &question))
            manager_on_verdict(rig.manager, id, POLICY_YES, rig.now);
        while (manager_next_call(rig.manager, &id, &request)) {
            killed |= request.method == ADMIN_KILL;
            rig_reply(&rig, id, answer_to(&request));
        }
        if (status == 0)
            status = rig_answer(&rig);
        rig_pass(&rig, USEC_PER_SEC);
    }
    assert_int_equal(status, STATUS_TIMEOUT);
    assert_true(killed);
    assert_nothing_is_held();
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_what_was_refused_needs_no_detach),
        TEST(test_what_may_have_been_attached_is_detached),
        TEST(test_what_was_refused_at_once_is_not_held),
        TEST(test_words_of_qubesd_are_cut_at_a_character),
        TEST(test_a_disposable_that_was_killed_holds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
