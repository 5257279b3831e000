/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What goes and comes: which is the same plug, and what then still holds. */

#include <stdio.h>
#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES                    \
    "ports: allow usb to work\n" \
    "disks: allow block type disk to work\n"
#define ASK    "disks: ask block type disk to work timeout 60s\n"
#define MINUTE (60 * USEC_PER_SEC)

#include "tests/support/manager-fixture.h"

/* Whether it is being attached: the record was not answered at once. */
static void assert_attaches(Status status)
{
    assert_int_equal(status, 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_answer(&rig);
}

/* The person detaches @device; qubesd says so, and one look agrees. */
static void detach_by_person_and_rest(const char *device)
{
    detach_by_person(device);
    assert_true(rig_is_quiet(&rig));
}

/* a detach by the person, and the kernel's new probe after it */

static void test_its_disks_are_left_alone_with_it(void **state)
{
    (void) state;

    attach_and_rest("2-1");
    detach_by_person_and_rest("2-1");
    /* the disk comes back to sys-usb */
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DETACHED_BY_USER);
    assert_int_equal(tell(RECORD_CHANGE, "2-1"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_disks_that_come_and_go_do_not_end_it(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_set_rules(&rig, "disks: allow block type disk to work\n");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    rig_pass(&rig, JOB_APPEAR_USEC);
    assert_int_equal(rig_answer(&rig), STATUS_NO_SUCH_DEVICE);
    attach_and_rest("sda");
    detach_by_person_and_rest("sda");
    for (unsigned int i = 0; i < 20; i++) {
        const char *name = i % 2 ? "sda" : "sdb";

        assert_int_equal(tell(RECORD_REMOVE, i % 2 ? "sdb" : "sda"),
                         STATUS_DETACHED);
        rig_pass(&rig, MINUTE);
        assert_int_equal(tell(RECORD_ADD, name), STATUS_DETACHED_BY_USER);
    }
    assert_true(rig_is_quiet(&rig));
}

static void test_a_real_unplug_ends_it(void **state)
{
    (void) state;

    attach_and_rest("2-1");
    detach_by_person_and_rest("2-1");
    rig_pass(&rig, PLUG_REPROBE_USEC + 1);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_attaches(tell(RECORD_ADD, "2-1"));
}

static void test_what_comes_back_within_3_s_of_the_detach_is_the_same(void **s)
{
    (void) s;

    attach_and_rest("2-1");
    detach_by_person_and_rest("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, PLUG_REPROBE_USEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_DETACHED_BY_USER);
    /* also what needs longer to come back than the USB device itself */
    rig_pass(&rig, MINUTE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_another_device_in_that_port_is_another_plug(void **state)
{
    (void) state;

    attach_and_rest("2-1");
    detach_by_person_and_rest("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_attaches(plug("2-1", "B"));
}

/* And the first, when it comes back behind it, as quick as that may be. */
static void test_after_another_device_the_first_is_a_new_plug(void **state)
{
    const Record gone = rig_record_at(RECORD_REMOVE, "2-1", "2-1", "B");

    (void) state;

    attach_and_rest("2-1");
    detach_by_person_and_rest("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_attaches(plug("2-1", "B"));
    assert_int_equal(rig_tell_record(&rig, usb, &gone), STATUS_DETACHED);
    assert_attaches(tell(RECORD_ADD, "2-1"));
}

static void test_it_may_go_before_the_look_has_answered(void **state)
{
    uint64_t look;

    (void) state;

    attach_and_rest("2-1");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    look = rig_call(&rig, ADMIN_ATTACHED);
    (void) tell(RECORD_REMOVE, "2-1");
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    /* it is detached once more, to be sure */
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_it_may_go_and_come_before_the_event(void **state)
{
    uint64_t detach;

    (void) state;

    attach_and_rest("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    detach = rig_call(&rig, ADMIN_DETACH);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_reply(&rig, detach, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

static void test_the_event_may_be_the_last_to_tell(void **state)
{
    (void) state;

    attach_and_rest("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
}

static void test_a_quick_replug_by_hand_is_no_detach_by_the_person(void **s)
{
    (void) s;

    attach_and_rest("2-1");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "2-1", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_attaches(tell(RECORD_ADD, "2-1"));
}

/* Right after a USB detach qubesd may still list it as attached (WIRE 1). */
static void test_one_old_look_does_not_belie_the_event(void **state)
{
    (void) state;

    attach_and_rest("2-1");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, USEC_PER_SEC);
    be_found_detached();
}

/* a no */

static void test_a_no_outlives_a_new_probe_under_another_name(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    refuse("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "sdb"), STATUS_DENIED_BY_USER);
    /* but not a replug */
    assert_int_equal(tell(RECORD_REMOVE, "sdb"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_attaches(tell(RECORD_ADD, "sda"));
}

static void test_a_no_outlives_a_suspend(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    refuse("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, 10 * USEC_PER_SEC);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    rig_pass(&rig, PLUG_RESUME_USEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DENIED_BY_USER);
}

/* The disk had gone long before, but its USB device comes back. */
static void test_a_no_outlives_the_suspend_of_its_usb_device(void **state)
{
    const Record gone = rig_record_at(RECORD_REMOVE, "2-2", "2-2", "B");

    (void) state;

    rig_set_rules(&rig, ASK);
    assert_int_equal(plug("2-2", "B"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    refuse("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_pass(&rig, 10 * MINUTE);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_int_equal(rig_tell_record(&rig, usb, &gone), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DENIED_BY_USER);
}

static void test_it_may_be_back_before_the_qube_has_resumed(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    refuse("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_pass(&rig, 2 * USEC_PER_SEC);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(last_outcome()->status, STATUS_DENIED_BY_USER);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
}

static void test_long_after_a_suspend_it_is_another_plug(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    refuse("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    rig_pass(&rig, PLUG_RESUME_USEC + 1);
    assert_attaches(tell(RECORD_ADD, "sda"));
}

static void test_what_went_long_before_a_suspend_is_another_plug(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    refuse("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_pass(&rig, PLUG_RESUME_USEC + 1);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_attaches(tell(RECORD_ADD, "sda"));
}

static void test_a_new_boot_forgets_every_plug(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    refuse("sda");
    manager_disconnect(rig.manager, usb, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'b');
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_NO_RULE);
    assert_attaches(tell(RECORD_PRESENT, "sda"));
}

static void test_a_retry_is_meant_for_what_comes_back_too(void **state)
{
    (void) state;

    attach_and_rest("2-1");
    detach_by_person_and_rest("2-1");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DETACHED_BY_USER);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_set_rules(&rig, "disks: allow block type disk to work\n");
    assert_int_equal(retry_as(0, "2-1"), STATUS_NO_RULE);
    assert_attaches(tell(RECORD_ADD, "sda"));
}

/* a target that was stopped */

static void stop_work(void)
{
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_true(rig_is_quiet(&rig));
}

static void test_a_target_that_was_stopped_is_not_started_again(void **state)
{
    (void) state;

    attach_and_rest("2-1");
    stop_work();
    /* the new probe after the detach */
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, USEC_PER_SEC);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_pass(&rig, PLUG_REPROBE_USEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
}

static void test_the_device_comes_back_with_its_target(void **state)
{
    (void) state;

    test_a_target_that_was_stopped_is_not_started_again(state);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    see_usb_attach();

    /* and that is over with it: another plug may start the target */
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "2-1", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, MINUTE);
    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    (void) rig_call(&rig, ADMIN_START);
}

static void test_a_disposable_that_was_closed_is_not_made_again(void **state)
{
    (void) state;

    attach_to_disposable("disks: allow block to @dispvm:media\n");

    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "disp1");
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
    /* a replug is another matter */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_pass(&rig, MINUTE);
    assert_attaches(tell(RECORD_ADD, "sda"));
}

/* Another connection has told of sdb, and goes on. */
static uint64_t begin_second_picture(void)
{
    const uint64_t second = rig_connect(&rig, "sys-usb", 'a');
    const Record present = rig_record_at(RECORD_PRESENT, "sdb", "2-1", "A");

    rig_set_rules(&rig, "");
    assert_int_equal(rig_tell_record(&rig, second, &present), STATUS_NO_RULE);
    return second;
}

/* The forwarder was killed and started anew, and the lines that the first one
 * had still to say are read last: a third one has to tell. */
static void test_a_remove_that_crosses_the_picture_asks_for_another(void **s)
{
    const uint64_t second = begin_second_picture();
    uint64_t closed;

    (void) s;

    assert_int_equal(tell(RECORD_REMOVE, "sdb"), STATUS_DETACHED);
    assert_false(manager_next_close(rig.manager, &closed));
    manager_synced(rig.manager, second, rig.now);
    assert_true(manager_next_close(rig.manager, &closed));
    assert_int_equal(closed, second);
}

/* What they tell of last was in the place of what is there now. */
static void test_a_device_that_crosses_the_picture_asks_for_another(void **s)
{
    const uint64_t second = begin_second_picture();
    const Record before = rig_record_at(RECORD_ADD, "sdb", "2-1", "B");
    uint64_t closed;

    (void) s;

    assert_int_equal(rig_tell_record(&rig, usb, &before), STATUS_NO_RULE);
    manager_synced(rig.manager, second, rig.now);
    assert_true(manager_next_close(rig.manager, &closed));
    assert_int_equal(closed, second);
}

/* It was killed twice, and the end of the first picture is read late. */
static void test_an_old_picture_that_crosses_a_newer_asks_for_another(void **s)
{
    const uint64_t second = begin_second_picture();
    uint64_t closed;
    Report report = {};

    (void) s;

    manager_synced(rig.manager, usb, rig.now);
    manager_synced(rig.manager, second, rig.now);
    assert_true(manager_next_close(rig.manager, &closed));
    assert_int_equal(closed, second);
    assert_true(manager_next_close(rig.manager, &closed));
    assert_int_equal(closed, usb);
    manager_report(rig.manager, &report, rig.now);
    assert_int_equal(report.sources[0].n_devices, 0);
}

static void test_an_old_picture_after_a_newer_takes_nothing_away(void **state)
{
    const uint64_t second = begin_second_picture();
    uint64_t closed;
    Report report = {};

    (void) state;

    manager_synced(rig.manager, second, rig.now);
    manager_synced(rig.manager, usb, rig.now);
    assert_true(manager_next_close(rig.manager, &closed));
    assert_int_equal(closed, usb);
    assert_false(manager_next_close(rig.manager, &closed));
    manager_report(rig.manager, &report, rig.now);
    assert_int_equal(report.sources[0].n_devices, 1);
}

/* limits */

static void test_what_is_remembered_is_bounded(void **state)
{
    char path[32], device[16];

    (void) state;

    rig_set_rules(&rig, "all: allow block to work\n");
    for (unsigned int i = 0; i < PLUG_MEMORIES_MAX + 100; i++) {
        Record record;

        (void) snprintf(device, sizeof(device), "sd%c%c", (char) ('a' + i / 26),
                        (char) ('a' + i % 26));
        (void) snprintf(path, sizeof(path), "2-%u", i + 1);
        record = rig_record_at(RECORD_ADD, device, path, "A");
        record.parent_class = DEVICE_CLASS_INVALID;
        record.parent = (DeviceName){};
        assert_int_equal(rig_tell_record(&rig, usb, &record), 0);
        be_found_at("work", STATUS_ALREADY_ATTACHED);
        rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", device, "work");
        record.action = RECORD_REMOVE;
        assert_int_equal(rig_tell_record(&rig, usb, &record), STATUS_DETACHED);
    }
    assert_true(rig_is_quiet(&rig));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_its_disks_are_left_alone_with_it),
        TEST(test_disks_that_come_and_go_do_not_end_it),
        TEST(test_a_real_unplug_ends_it),
        TEST(test_what_comes_back_within_3_s_of_the_detach_is_the_same),
        TEST(test_another_device_in_that_port_is_another_plug),
        TEST(test_after_another_device_the_first_is_a_new_plug),
        TEST(test_it_may_go_before_the_look_has_answered),
        TEST(test_it_may_go_and_come_before_the_event),
        TEST(test_the_event_may_be_the_last_to_tell),
        TEST(test_a_quick_replug_by_hand_is_no_detach_by_the_person),
        TEST(test_one_old_look_does_not_belie_the_event),
        TEST(test_a_no_outlives_a_new_probe_under_another_name),
        TEST(test_a_no_outlives_a_suspend),
        TEST(test_a_no_outlives_the_suspend_of_its_usb_device),
        TEST(test_it_may_be_back_before_the_qube_has_resumed),
        TEST(test_long_after_a_suspend_it_is_another_plug),
        TEST(test_what_went_long_before_a_suspend_is_another_plug),
        TEST(test_a_new_boot_forgets_every_plug),
        TEST(test_a_retry_is_meant_for_what_comes_back_too),
        TEST(test_a_target_that_was_stopped_is_not_started_again),
        TEST(test_the_device_comes_back_with_its_target),
        TEST(test_a_disposable_that_was_closed_is_not_made_again),
        TEST(test_a_remove_that_crosses_the_picture_asks_for_another),
        TEST(test_a_device_that_crosses_the_picture_asks_for_another),
        TEST(test_an_old_picture_that_crosses_a_newer_asks_for_another),
        TEST(test_an_old_picture_after_a_newer_takes_nothing_away),
        TEST(test_what_is_remembered_is_bounded),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
