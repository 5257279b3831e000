/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A source is at one of its limits: who is told, and what comes of it later? */

#include <stdio.h>

#include "dom0/core/source.h"

#define RULES   "disks: allow block type disk to work\n"
#define MORE    44U
#define N_DISKS (SOURCE_JOBS_MAX + MORE)

#include "tests/support/manager-fixture.h"

static void name_disk(char ret[8], size_t i)
{
    (void) snprintf(ret, 8, "sd%c%c", (char) ('a' + i / 26),
                    (char) ('a' + i % 26));
}

static Status tell_disk(RecordAction action, size_t i)
{
    char name[8];

    name_disk(name, i);
    return rig_tell(&rig, usb, action, name);
}

static size_t count_outcomes(Status status)
{
    const History *history = manager_history(rig.manager);
    size_t n = 0;

    for (size_t i = 0; i < history_count(history); i++)
        n += history_get(history, i)->status == status;
    return n;
}

/* The job of the disk ends, as qubesd's answer makes no sense. */
static void end_job(void)
{
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_GARBAGE));
}

static size_t end_all_jobs(void)
{
    size_t n = 0;

    for (; manager_has_jobs(rig.manager, 1); n++)
        end_job();
    return n;
}

/* A person has to see what has become of the stick that was plugged in. */
static void test_a_device_too_many_is_in_the_history(void **state)
{
    ReportDevice found;
    DeviceRef ref = rig_ref("sys-usb", "sr0");

    (void) state;

    rig_set_rules(&rig, "");
    for (size_t i = 0; i < SOURCE_DEVICES_MAX; i++)
        assert_int_equal(tell_disk(RECORD_ADD, i), STATUS_NO_RULE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sr0"), STATUS_TOO_MANY);
    assert_int_equal(last_outcome()->status, STATUS_TOO_MANY);
    assert_string_equal(last_outcome()->source.s, "sys-usb");
    assert_string_equal(last_outcome()->device.s, "sr0");
    assert_string_not_equal(last_outcome()->detail, "");
    assert_false(manager_find_attached(rig.manager, &ref, NULL, &found));
}

static void test_a_source_with_as_many_devices_as_may_be_is_full(void **state)
{
    Report report = {};

    (void) state;

    rig_set_rules(&rig, "");
    for (size_t i = 1; i < SOURCE_DEVICES_MAX; i++)
        assert_int_equal(tell_disk(RECORD_ADD, i), STATUS_NO_RULE);
    manager_report(rig.manager, &report, rig.now);
    assert_false(report.sources[0].is_full);
    assert_int_equal(tell_disk(RECORD_ADD, 0), STATUS_NO_RULE);
    report = (Report){};
    manager_report(rig.manager, &report, rig.now);
    assert_true(report.sources[0].is_full);
}

/* What is known of its device is not touched by that. */
static void test_a_record_too_many_is_in_the_history(void **state)
{
    DeviceCursor cursor = {};
    ReportDevice device;

    (void) state;

    assert_int_equal(tell_disk(RECORD_ADD, 0), 0);
    for (size_t i = 1; i < SOURCE_JOBS_MAX; i++)
        assert_int_equal(tell_disk(RECORD_CHANGE, 0), 0);
    assert_int_equal(tell_disk(RECORD_CHANGE, 0), STATUS_TOO_MANY);
    assert_int_equal(last_outcome()->status, STATUS_TOO_MANY);
    assert_true(manager_next_device(rig.manager, &cursor, &device));
    assert_int_equal(device.status, STATUS_INVALID);
}

static void test_a_remove_too_many_is_in_the_history(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sdb"), 0);
    for (size_t i = 1; i < SOURCE_JOBS_MAX; i++)
        assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sdb"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_TOO_MANY);
    assert_int_equal(last_outcome()->status, STATUS_TOO_MANY);
    assert_string_equal(last_outcome()->device.s, "sda");
}

/* All of them were plugged in while it was paused. */
static void test_what_finds_no_room_when_resumed_is_decided_later(void **state)
{
    (void) state;

    manager_pause(rig.manager, MANAGER_PAUSE_FOREVER, rig.now);
    for (size_t i = 0; i < N_DISKS; i++)
        assert_int_equal(tell_disk(RECORD_ADD, i), STATUS_PAUSED);
    manager_resume(rig.manager, rig.now);
    assert_int_equal(count_outcomes(STATUS_TOO_MANY), MORE);
    assert_false(manager_has_jobs(rig.manager, SOURCE_JOBS_MAX + 1));

    assert_int_equal(end_all_jobs(), N_DISKS);
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

/* The one that came first is the next. */
static void test_what_finds_no_room_is_decided_when_a_job_has_ended(void **s)
{
    AdminRequest request;
    uint64_t call;

    (void) s;

    attach_bare("sdz"); /* its Detach is a job as well */
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sdz"), 0);
    for (size_t i = 1; i < SOURCE_JOBS_MAX; i++)
        (void) tell_disk(RECORD_ADD, i);
    call = rig_call(&rig, ADMIN_DETACH);
    /* nobody waits for them any more */
    manager_disconnect(rig.manager, usb, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell_disk(RECORD_ADD, N_DISKS - 1), STATUS_TOO_MANY);
    assert_int_equal(last_outcome()->status, STATUS_TOO_MANY);
    assert_int_equal(tell_disk(RECORD_ADD, 0), STATUS_TOO_MANY);

    rig_reply(&rig, call, answer_of(ADMIN_OK));
    for (size_t i = 1; i < SOURCE_JOBS_MAX; i++)
        end_job();
    (void) rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.port.s, "sdln");
    (void) rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.port.s, "sdaa");
}

/* Nor is one that went meanwhile. */
static void test_what_found_no_room_and_went_is_forgotten(void **state)
{
    (void) state;

    for (size_t i = 0; i < SOURCE_JOBS_MAX; i++)
        assert_int_equal(tell_disk(RECORD_ADD, i), 0);
    manager_disconnect(rig.manager, usb, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell_disk(RECORD_ADD, N_DISKS), STATUS_TOO_MANY);
    assert_int_equal(tell_disk(RECORD_REMOVE, N_DISKS), STATUS_DETACHED);
    assert_int_equal(end_all_jobs(), SOURCE_JOBS_MAX);
}

/* As many calls as may be are out, and one more waits, of the first disk: the
 * others ask for theirs. Answers the call of disk @i. */
static uint64_t fill_calls(size_t i)
{
    uint64_t first = 0, found = 0;

    for (size_t disk = 0; disk <= SOURCE_CALLS_MAX; disk++) {
        assert_int_equal(tell_disk(RECORD_ADD, disk), 0);
        if (disk < SOURCE_CALLS_MAX) {
            const uint64_t call = rig_call(&rig, ADMIN_AVAILABLE);

            first = disk == 0 ? call : first;
            found = disk == i ? call : found;
        }
    }
    rig_reply(&rig, first, answer_of(ADMIN_EMPTY));
    (void) rig_call(&rig, ADMIN_AVAILABLE); /* of the last one */
    rig_pass(&rig, JOB_RETRY_USEC(0));
    assert_true(rig_is_quiet(&rig));
    return found;
}

/* The next free place is the first disk's: what disk @i wants has to wait. */
static uint64_t take_turn(size_t i)
{
    const uint64_t call = fill_calls(i);

    rig_reply(&rig, call, answer_listed(NULL));
    return rig_call(&rig, ADMIN_AVAILABLE);
}

static void test_no_attach_is_sent_that_the_rules_forbid_by_then(void **state)
{
    const uint64_t call = take_turn(20);

    (void) state;

    assert_true(rig_is_quiet(&rig));
    rig_set_rules(&rig, "all: deny any\n");
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(last_outcome()->status, STATUS_DENIED_BY_RULE);
    rig_reply(&rig, call, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
}

static void test_what_waits_to_be_sent_is_sent_by_rules_that_say_so(void **s)
{
    const uint64_t call = take_turn(20);

    (void) s;

    assert_true(rig_is_quiet(&rig));
    rig_set_rules(&rig, "no: deny usb\n" RULES);
    assert_int_equal(rig_answer(&rig), 0);
    rig_reply(&rig, call, answer_of(ADMIN_GARBAGE));
    (void) rig_call(&rig, ADMIN_ATTACH);
}

static void test_no_attach_is_sent_that_a_pause_forbids_by_then(void **state)
{
    const uint64_t call = take_turn(20);

    (void) state;

    assert_true(rig_is_quiet(&rig));
    manager_pause(rig.manager, MANAGER_PAUSE_FOREVER, rig.now);
    rig_reply(&rig, call, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(count_outcomes(STATUS_PAUSED), SOURCE_CALLS_MAX + 1);
}

static void test_no_disposable_is_made_that_the_rules_forbid_by_then(void **s)
{
    uint64_t call;

    (void) s;

    rig_set_rules(&rig, "disks: allow block type disk to @dispvm:media\n");
    call = take_turn(20);
    assert_true(rig_is_quiet(&rig));
    rig_set_rules(&rig, "all: deny any\n");
    rig_reply(&rig, call, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
}

/* Its Attach was sent before the rules changed. */
static void test_no_target_is_started_that_the_rules_forbid_by_then(void **s)
{
    uint64_t call;

    (void) s;

    assert_int_equal(tell_disk(RECORD_ADD, 0), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_set_rules(&rig, "all: deny any\n");
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_DENIED_BY_RULE);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_a_device_too_many_is_in_the_history),
        WITH_RIG(test_a_source_with_as_many_devices_as_may_be_is_full),
        WITH_RIG(test_a_record_too_many_is_in_the_history),
        WITH_RIG(test_a_remove_too_many_is_in_the_history),
        WITH_RIG(test_what_finds_no_room_when_resumed_is_decided_later),
        WITH_RIG(test_what_finds_no_room_is_decided_when_a_job_has_ended),
        WITH_RIG(test_what_found_no_room_and_went_is_forgotten),
        WITH_RIG(test_no_attach_is_sent_that_the_rules_forbid_by_then),
        WITH_RIG(test_what_waits_to_be_sent_is_sent_by_rules_that_say_so),
        WITH_RIG(test_no_attach_is_sent_that_a_pause_forbids_by_then),
        WITH_RIG(test_no_disposable_is_made_that_the_rules_forbid_by_then),
        WITH_RIG(test_no_target_is_started_that_the_rules_forbid_by_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
