/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who has what was attached while nobody heard of it, and no rule takes? */

#include <stdio.h>

#include "dom0/core/source.h"

#define RULES "never: deny block fs-label x\n"

#include "tests/support/manager-fixture.h"

/* The place of the only device, or of the first one. */
static const char *shown_at(void)
{
    static ReportDevice device;
    DeviceCursor cursor = {};

    assert_true(manager_next_device(rig.manager, &cursor, &device));
    return device.attached_to.s;
}

static void be_there(const char *device)
{
    assert_int_equal(tell(RECORD_PRESENT, device), STATUS_NO_RULE);
}

/* It is asked for once what qubesd says can be relied on. */
static void wait_for_census(void)
{
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, manager_next_usec(rig.manager) - rig.now.monotonic_usec);
}

static size_t serve_all(void)
{
    AdminRequest request;
    uint64_t call;
    size_t n = 0;

    for (; manager_next_call(rig.manager, &call, &request); n++) {
        uint64_t other;

        assert_int_equal(request.method, ADMIN_AVAILABLE);
        assert_false(manager_next_call(rig.manager, &other, &request));
        rig_reply(&rig, call, answer_listed(NULL));
    }
    return n;
}

static void test_what_others_had_attached_before_is_found(void **state)
{
    const DeviceRef ref = rig_ref("sys-usb", "sda");
    ReportDevice found;
    Report report = {};

    (void) state;

    be_there("sda");
    assert_string_equal(shown_at(), "");
    wait_for_census();
    be_counted("work");
    assert_string_equal(shown_at(), "work");
    assert_true(manager_find_attached(rig.manager, &ref, NULL, &found));
    manager_report(rig.manager, &report, rig.now);
    assert_int_equal(report.n_attached, 1);
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

static void test_what_others_have_attached_in_a_gap_is_found(void **state)
{
    (void) state;

    be_there("sda");
    wait_for_census();
    be_counted(NULL);
    assert_string_equal(shown_at(), "");
    reconnect();
    wait_for_census();
    be_counted("vault");
    assert_string_equal(shown_at(), "vault");
    /* where it was is not where it is */
    reconnect();
    assert_string_equal(shown_at(), "");
    wait_for_census();
    be_counted(NULL);
}

static void test_so_it_is_after_a_restart(void **state)
{
    (void) state;

    be_there("sda");
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    be_there("sda");
    wait_for_census();
    be_counted("work");
    assert_string_equal(shown_at(), "work");
}

static void test_nothing_is_asked_of_what_is_plugged_in_now(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_string_equal(shown_at(), "work");
    assert_true(rig_is_quiet(&rig));
}

static void test_nothing_is_asked_of_what_a_job_looks_up(void **state)
{
    (void) state;

    rig_set_rules(&rig, "disks: allow block to work\n");
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
    assert_string_equal(shown_at(), "vault");
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

static void test_it_is_asked_one_by_one_and_not_too_fast(void **state)
{
    char name[8];

    (void) state;

    for (size_t i = 0; i < MANAGER_CENSUS_BURST + 2; i++) {
        (void) snprintf(name, sizeof(name), "sd%c%c", (char) ('a' + i / 26),
                        (char) ('a' + i % 26));
        be_there(name);
    }
    wait_for_census();
    assert_int_equal(serve_all(), MANAGER_CENSUS_BURST);
    for (size_t i = 0; i < 2; i++) {
        rig_pass(&rig, USEC_PER_SEC - 1);
        assert_int_equal(serve_all(), 0);
        rig_pass(&rig, 1);
        assert_int_equal(serve_all(), 1);
    }
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

static void test_what_is_to_be_asked_is_not_counted_twice(void **state)
{
    (void) state;

    be_there("sda");
    be_there("sdb");
    wait_for_census();
    for (size_t i = 0; i <= MANAGER_CENSUS_BURST; i++)
        rig_pass(&rig, 0);
    assert_int_equal(serve_all(), 2);
}

static void test_each_source_has_its_turn(void **state)
{
    const uint64_t other = rig_connect(&rig, "usb-too", 'b');
    AdminRequest request;

    (void) state;

    be_there("sda");
    be_there("sdb");
    assert_int_equal(rig_tell(&rig, other, RECORD_PRESENT, "sda"),
                     STATUS_NO_RULE);
    wait_for_census();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.dest.s, "usb-too");
}

/* What was read before may be of before the event. */
static void test_an_event_meanwhile_counts_more(void **state)
{
    uint64_t call;

    (void) state;

    be_there("sda");
    wait_for_census();
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_listed("work"));
    assert_string_equal(shown_at(), "");
    be_counted(NULL);
    assert_string_equal(shown_at(), "");
}

static void test_what_is_detached_is_not_shown_any_more(void **state)
{
    (void) state;

    be_there("sda");
    wait_for_census();
    be_counted("work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_string_equal(shown_at(), "");
    assert_true(rig_is_quiet(&rig));
}

static void test_a_qube_that_has_stopped_has_nothing(void **state)
{
    uint64_t call;

    (void) state;

    be_there("sda");
    wait_for_census();
    be_counted("work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    assert_string_equal(shown_at(), "");

    be_there("sdb");
    call = rig_call(&rig, ADMIN_AVAILABLE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "vault");
    rig_reply(&rig, call, answer_listed("vault"));
    be_counted(NULL);
}

/* For another second qubesd lists it as attached. */
static void test_a_usb_device_that_was_just_detached_is_free(void **state)
{
    (void) state;

    be_there("2-1");
    rig_pass(&rig, JOB_PORT_STALE_USEC - 1);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_pass(&rig, 1);
    be_counted("work");
    assert_string_equal(shown_at(), "");
}

static void test_a_qubesd_that_is_busy_is_asked_again(void **state)
{
    (void) state;

    be_there("sda");
    wait_for_census();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(manager_next_usec(rig.manager),
                     rig.now.monotonic_usec + JOB_OFFLINE_USEC);
    rig_pass(&rig, JOB_OFFLINE_USEC);
    be_counted("work");
    assert_string_equal(shown_at(), "work");
}

/* It is not asked for ever what nobody tells. */
static void test_an_answer_that_makes_no_sense_is_the_last(void **state)
{
    (void) state;

    be_there("sda");
    wait_for_census();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_GARBAGE));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

static void test_what_goes_meanwhile_is_forgotten(void **state)
{
    uint64_t call;

    (void) state;

    be_there("sda");
    wait_for_census();
    call = rig_call(&rig, ADMIN_AVAILABLE);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    rig_reply(&rig, call, answer_listed("work"));
    assert_string_equal(shown_at(), "");
    assert_true(rig_is_quiet(&rig));
}

/* It is shown only: what is decided looks for itself. */
static void test_what_was_found_decides_nothing(void **state)
{
    (void) state;

    be_there("sda");
    wait_for_census();
    be_counted("vault");
    rig_set_rules(&rig, "disks: allow block to work\n");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    finish_block_attach();
    assert_string_equal(shown_at(), "work");
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_RIG(test_what_others_had_attached_before_is_found),
        WITH_RIG(test_what_others_have_attached_in_a_gap_is_found),
        WITH_RIG(test_so_it_is_after_a_restart),
        WITH_RIG(test_nothing_is_asked_of_what_is_plugged_in_now),
        WITH_RIG(test_nothing_is_asked_of_what_a_job_looks_up),
        WITH_RIG(test_it_is_asked_one_by_one_and_not_too_fast),
        WITH_RIG(test_each_source_has_its_turn),
        WITH_RIG(test_what_is_to_be_asked_is_not_counted_twice),
        WITH_RIG(test_an_event_meanwhile_counts_more),
        WITH_RIG(test_what_is_detached_is_not_shown_any_more),
        WITH_RIG(test_a_qube_that_has_stopped_has_nothing),
        WITH_RIG(test_a_usb_device_that_was_just_detached_is_free),
        WITH_RIG(test_a_qubesd_that_is_busy_is_asked_again),
        WITH_RIG(test_an_answer_that_makes_no_sense_is_the_last),
        WITH_RIG(test_what_goes_meanwhile_is_forgotten),
        WITH_RIG(test_what_was_found_decides_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
