/* SPDX-License-Identifier: GPL-2.0-or-later */

/* An Attach that was told as failed and has gone well after all, and what a
 * rule is known to have attached. */

#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES                    \
    "ports: allow usb to work\n" \
    "disks: allow block type disk to work\n"
#define OTHER "others: allow block type disk to vault\n"

#include "tests/support/manager-fixture.h"

#define LATE "later than its time allowed"

/* Whether `wait` for @rule would end now. */
static bool has_attached(const char *rule)
{
    ReportDevice unused;

    return manager_find_attached(rig.manager, NULL, rule, &unused);
}

static void assert_notified(const char *rule, const char *target, bool failed)
{
    Notification notification;

    assert_true(manager_next_notification(rig.manager, &notification));
    assert_string_equal(notification.rule.s, rule);
    assert_string_equal(notification.target, target);
    assert_int_equal(notification.failed, failed);
}

static void assert_attached_late(const char *rule,
                                 const char *target,
                                 const char *detail)
{
    Notification unused;

    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
    assert_string_equal(last_outcome()->rule.s, rule);
    assert_string_equal(last_outcome()->target, target);
    assert_string_equal(last_outcome()->detail, detail);
    assert_true(has_attached(rule));
    assert_notified(rule, target, false);
    assert_false(manager_next_notification(rig.manager, &unused));
    assert_true(rig_is_quiet(&rig));
}

/* Its Attach is not answered in time. */
static void time_out(const char *rule, const char *target)
{
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(last_outcome()->status, STATUS_TIMEOUT);
    assert_notified(rule, target, true);
    assert_false(has_attached(rule));
}

static void test_an_attach_of_a_disk_that_is_told_late_is_an_outcome(
    void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    time_out("disks", "work");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_attached_late("disks", "work", LATE);
    /* it is told once */
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_int_equal(history_count(manager_history(rig.manager)), 2);
}

static void test_it_is_of_the_rule_that_wanted_it_then(void **state)
{
    (void) state;

    attach("sda");
    assert_notified("disks", "work", false);
    detach_by_person("sda");
    rig_set_rules(&rig, OTHER);
    assert_int_equal(retry("sda"), 0);
    time_out("others", "vault");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    assert_attached_late("others", "vault", LATE);
    assert_false(has_attached("disks"));
}

static void test_so_is_one_that_a_look_finds(void **state)
{
    AdminAnswer there = answer_of(ADMIN_OK);

    (void) state;

    there.listing.listed = true;
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    time_out("disks", "work");
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, there);
    assert_attached_late("disks", "work", LATE);
}

/* The event of its Attach has come, and that of the person's detach. */
static void test_none_is_told_of_what_was_taken_away_since(void **state)
{
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(last_outcome()->status, STATUS_TIMEOUT);
    assert_false(has_attached("disks"));
    be_found_detached();
}

/* What came of its Attach could not be seen. */
static void test_so_is_one_of_which_nothing_was_known(void **state)
{
    (void) state;

    attach_unsure();
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_GARBAGE));
    assert_int_equal(last_outcome()->status, STATUS_QUBESD_REFUSED);
    assert_notified("disks", "work", true);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_attached_late("disks", "work", "known only now");
}

/* The answer is late, the event was not. */
static void test_so_is_one_that_was_told_before_its_time_was_over(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_reply(&rig, call, answer_of(ADMIN_TIMED_OUT));
    assert_notified("disks", "work", true);
    assert_attached_late("disks", "work", LATE);
    assert_int_equal(history_count(manager_history(rig.manager)), 2);
}

static void test_a_retry_that_finds_it_there_says_so_itself(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    time_out("disks", "work");
    assert_int_equal(retry("sda"), 0);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    assert_int_equal(last_outcome()->status, STATUS_ALREADY_ATTACHED);
    assert_int_equal(history_count(manager_history(rig.manager)), 2);
    assert_true(has_attached("disks"));
}

static void test_a_usb_attach_that_ends_late_is_told_to_the_person(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_without_end(RULES);
    assert_notified("ports", "work", true);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_attached_late("ports", "work", LATE);
}

static void test_a_quiet_rule_is_quiet_also_late(void **state)
{
    Notification unused;

    (void) state;

    rig_set_rules(&rig, "disks: allow block to work quiet\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_TIMED_OUT));
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
    assert_false(manager_next_notification(rig.manager, &unused));
}

/* A Detach that was not answered is no Attach. */
static void test_what_could_not_be_detached_is_not_told_as_attached(
    void **state)
{
    AdminAnswer there = answer_of(ADMIN_OK);

    (void) state;

    there.listing.listed = true;
    attach("sda");
    assert_int_equal(detach("sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(last_outcome()->status, STATUS_TIMEOUT);
    reconnect();
    rig_serve(&rig, ADMIN_ATTACHED, there);
    assert_int_equal(last_outcome()->status, STATUS_TIMEOUT);
}

/* By the person, but it is where the rule wants it. */
static void test_what_is_there_already_is_what_a_wait_for_the_rule_is_for(
    void **state)
{
    (void) state;

    come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
    assert_true(has_attached("disks"));
    assert_false(has_attached("ports"));

    detach_by_person("sda");
    assert_false(has_attached("disks"));
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    assert_false(has_attached("disks"));

    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "vault");
    rig_set_rules(&rig, "disks: deny block\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_DENIED_BY_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    assert_false(has_attached("disks"));
}

static void test_a_wait_does_not_end_with_what_an_earlier_run_knew(void **state)
{
    const DeviceRef ref = rig_ref("sys-usb", "sda");
    AdminAnswer there = answer_of(ADMIN_OK);
    ReportDevice unused;

    (void) state;

    there.listing.listed = true;
    attach("sda");
    rig_restart(&rig);
    assert_false(has_attached("disks"));
    assert_false(manager_find_attached(rig.manager, &ref, NULL, &unused));
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_false(has_attached("disks"));

    /* nor with the record, as long as it is looked at */
    assert_int_equal(tell(RECORD_PRESENT, "sda"), 0);
    assert_false(has_attached("disks"));
    rig_serve(&rig, ADMIN_ATTACHED, there);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    assert_true(has_attached("disks"));
    assert_true(manager_find_attached(rig.manager, &ref, NULL, &unused));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_an_attach_of_a_disk_that_is_told_late_is_an_outcome),
        TEST(test_it_is_of_the_rule_that_wanted_it_then),
        TEST(test_so_is_one_that_a_look_finds),
        TEST(test_none_is_told_of_what_was_taken_away_since),
        TEST(test_so_is_one_of_which_nothing_was_known),
        TEST(test_so_is_one_that_was_told_before_its_time_was_over),
        TEST(test_a_retry_that_finds_it_there_says_so_itself),
        TEST(test_a_usb_attach_that_ends_late_is_told_to_the_person),
        TEST(test_a_quiet_rule_is_quiet_also_late),
        TEST(test_what_could_not_be_detached_is_not_told_as_attached),
        TEST(test_what_is_there_already_is_what_a_wait_for_the_rule_is_for),
        TEST(test_a_wait_does_not_end_with_what_an_earlier_run_knew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
