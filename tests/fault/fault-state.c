/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each allocation fails once while the state is saved, written, read and taken,
 * and while messages of the control socket are taken apart and made: -ENOMEM,
 * nothing is left behind, and the next try is whole.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/state-keeper.h"
#include "dom0/wire/control-methods.h"
#include "dom0/wire/device-wire.h"
#include "dom0/wire/report-wire.h"
#include "dom0/wire/state-wire.h"
#include "tests/support/fault.h"
#include "tests/support/manager-rig.h"
#include "tests/support/test.h"

#define RULES                                \
    "disks: allow block type disk to work\n" \
    "sticks: allow usb to vault\n"
#define CALL                                                  \
    "{\"method\":\"org.qubes-contrib.autoattach.GetStatus\"," \
    "\"parameters\":{}}"
#define WRONG_CALL                                            \
    "{\"method\":\"org.qubes-contrib.autoattach.GetStatus\"," \
    "\"parameters\":{\"nonsense\":[1,2,{\"a\":null}]}}"
#define REPLY "{\"parameters\":{\"a\":[\"b\",1.5,true]},\"continues\":true}"

static ManagerRig rig;

/* What is worth keeping: a disk and a USB device that are attached, others that
 * were, more than the first room is for. */
static int set_up(void **state)
{
    uint64_t usb;

    (void) state;

    json_set_alloc_funcs(malloc, free);
    rig_begin(&rig, RULES);
    usb = rig_connect(&rig, "sys-usb", 'a');
    for (char letter = 'a'; letter <= 'l'; letter++) {
        const char disk[] = { 's', 'd', letter, '\0' };

        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, disk), 0);
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
        assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    rig_end(&rig);
    return 0;
}

static State *saved(void)
{
    State *state;

    assert_int_equal(manager_save(rig.manager, &state), 0);
    return state;
}

static void test_a_state_is_saved_or_not(void **unused)
{
    size_t n_faults = 0;

    (void) unused;

    FAULT_LOOP(n) {
        State *state = NULL;
        int r = manager_save(rig.manager, &state);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            assert_int_equal(state->sources[0].n_plugs, 12);
            state_free(state);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(state);
        n_faults++;
    }
    assert_true(n_faults >= 3); /* the state, its list, and more room */
}

static void test_a_state_is_written_or_not(void **unused)
{
    _cleanup_(state_freep) State *state = saved();
    size_t n_faults = 0;

    (void) unused;

    FAULT_LOOP(n) {
        char *text = NULL;
        size_t len = 0;
        int r = state_encode(&text, &len, state);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            free(text);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(text);
        n_faults++;
    }
    assert_true(n_faults >= 4);
}

static void test_a_state_is_read_or_not(void **unused)
{
    _cleanup_(state_freep) State *state = saved();
    _cleanup_(freep) char *text = NULL;
    size_t n_faults = 0, len;

    (void) unused;

    assert_int_equal(state_encode(&text, &len, state), 0);
    FAULT_LOOP(n) {
        State *again = NULL;
        int r = state_decode(&again, text, len, NULL, NULL);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            assert_int_equal(again->sources[0].n_plugs, 12);
            state_free(again);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(again);
        n_faults++;
    }
    assert_true(n_faults >= 10);
}

static StatePlug find_plug(const State *state, uint64_t plug)
{
    for (size_t i = 0; i < state->sources[0].n_plugs; i++)
        if (state->sources[0].plugs[i].plug == plug)
            return state->sources[0].plugs[i];
    fail_msg("a plug is not there");
    return (StatePlug){};
}

/* What @manager would save is what the rig's would. */
static void assert_same(const Manager *manager)
{
    _cleanup_(state_freep) State *one = saved(), *other = NULL;

    assert_int_equal(manager_save(manager, &other), 0);
    assert_int_equal(other->n_sources, 1);
    assert_int_equal(other->sources[0].n_plugs, one->sources[0].n_plugs);
    for (size_t i = 0; i < one->sources[0].n_plugs; i++) {
        const StatePlug *a = &one->sources[0].plugs[i];
        const StatePlug b = find_plug(other, a->plug);

        assert_true(record_equal(&a->record, &b.record));
        assert_int_equal(a->holding, b.holding);
        assert_string_equal(a->held_by.s, b.held_by.s);
    }
}

static void test_a_manager_takes_a_state_or_not(void **unused)
{
    _cleanup_(state_freep) State *state = saved();
    size_t n_faults = 0;

    (void) unused;

    FAULT_LOOP(n) {
        _cleanup_(manager_freep) Manager *manager = NULL;
        int r;

        fault_hold(true);
        assert_int_equal(manager_new(&manager, false), 0);
        fault_hold(false);
        r = manager_restore(manager, state);
        if (!fault_end()) {
            assert_int_equal(r, 0);
            assert_same(manager);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        n_faults++;
    }
    assert_true(n_faults >= 12);
}

/* What has gone, and may come back. */
static void test_what_is_remembered_is_taken_or_not(void **unused)
{
    _cleanup_(state_freep) State *state = saved();
    size_t n_faults = 0;

    (void) unused;

    state->sources[0].plugs[0].plug = 0; /* nothing is plugged in */
    FAULT_LOOP(n) {
        _cleanup_(manager_freep) Manager *manager = NULL;
        int r;

        fault_hold(true);
        assert_int_equal(manager_new(&manager, false), 0);
        fault_hold(false);
        r = manager_restore(manager, state);
        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        n_faults++;
    }
    assert_true(n_faults >= 12);
}

static bool is_there(const char *folder, const char *name)
{
    char path[96];
    struct stat st;

    (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
    return stat(path, &st) == 0;
}

/* A lack of memory is no reason to forget what is attached. */
static void test_no_good_file_is_set_aside_without_memory(void **unused)
{
    char folder[] = "/tmp/fault-state-XXXXXX", path[96];
    size_t n_faults = 0;

    (void) unused;

    assert_non_null(mkdtemp(folder));
    FAULT_LOOP(n) {
        _cleanup_(state_keeper_freep) StateKeeper *keeper = NULL;
        _cleanup_(manager_freep) Manager *manager = NULL;
        bool failed;
        int r;

        fault_hold(true);
        assert_int_equal(state_keeper_new(&keeper, folder), 0);
        fault_hold(false);
        /* what cannot be written is written the next time */
        state_keeper_save(keeper, rig.manager);
        failed = fault_end();
        state_keeper_save(keeper, rig.manager);
        assert_true(is_there(folder, "state"));

        fault_begin(n);
        r = state_keeper_restore(keeper, &manager, false);
        failed |= fault_end();
        assert_false(is_there(folder, "state.bad"));
        assert_true(r == 0 || r == -ENOMEM);
        if (r == 0)
            assert_same(manager);
        if (!failed)
            break;
        n_faults++;
        (void) snprintf(path, sizeof(path), "%s/state", folder);
        assert_int_equal(unlink(path), 0);
    }
    assert_true(n_faults >= 40);
    (void) unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

static void test_a_control_message_is_taken_or_not(void **unused)
{
    static const char *const calls[] = { CALL, WRONG_CALL };
    size_t n_faults = 0;

    (void) unused;

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        FAULT_LOOP(n) {
            ControlMethod method = CONTROL_METHOD_INVALID;
            json_t *answer = NULL;
            ControlCall call;
            int r = control_call_decode(&call, calls[i], strlen(calls[i]));

            if (r == 0) {
                r = control_call_route(&method, &answer, &call);
                if (r == 0 && answer) {
                    char *text = NULL;
                    size_t len;

                    r = control_message_encode(&text, &len, answer,
                                               CONTROL_REPLY_MAX);
                    free(text);
                }
                control_call_clear(&call);
            }
            if (!fault_end()) {
                assert_int_equal(r, 0);
                assert_int_equal(method, i == 0 ? CONTROL_GET_STATUS
                                                : CONTROL_METHOD_INVALID);
                break;
            }
            assert_int_equal(r, -ENOMEM);
            n_faults++;
        }
    assert_true(n_faults >= 10);
}

static void test_a_control_reply_is_taken_or_not(void **unused)
{
    size_t n_faults = 0;

    (void) unused;

    FAULT_LOOP(n) {
        char *text = NULL;
        ControlReply reply;
        size_t len;
        int r = control_reply_decode(&reply, REPLY, strlen(REPLY));

        if (r == 0) {
            r = control_message_encode(
                &text, &len, control_reply_to_json(&reply), CONTROL_REPLY_MAX);
            control_reply_clear(&reply);
        }
        if (!fault_end()) {
            assert_int_equal(r, 0);
            assert_string_equal(text, REPLY);
            free(text);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(text);
        n_faults++;
    }
    assert_true(n_faults >= 5);
}

static char *report_text(size_t fault, bool *ret_failed)
{
    Report report = { .version = "1.0.0", .rules_dir = "/rules" };
    char *text = NULL;
    json_t *json;

    manager_report(rig.manager, &report, rig.now);
    fault_begin(fault);
    json = report_to_json(&report, rig.now.realtime_usec);
    *ret_failed = fault_end();
    if (json)
        text = json_dumps(json, 0);
    json_decref(json);
    return text;
}

static void test_there_is_a_whole_report_or_none(void **unused)
{
    bool failed = true;
    _cleanup_(freep) char *whole = report_text(SIZE_MAX, &failed);
    size_t n_none = 0;

    (void) unused;

    assert_non_null(whole);
    assert_non_null(strstr(whole, "sdl"));
    for (size_t n = 0;; n++) {
        _cleanup_(freep) char *text = report_text(n, &failed);

        if (!failed)
            break;
        if (text)
            assert_string_equal(text, whole);
        else
            n_none++;
    }
    assert_true(n_none >= 50);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_state_is_saved_or_not),
        TEST(test_a_state_is_written_or_not),
        TEST(test_a_state_is_read_or_not),
        TEST(test_a_manager_takes_a_state_or_not),
        TEST(test_what_is_remembered_is_taken_or_not),
        TEST(test_no_good_file_is_set_aside_without_memory),
        TEST(test_a_control_message_is_taken_or_not),
        TEST(test_a_control_reply_is_taken_or_not),
        TEST(test_there_is_a_whole_report_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
