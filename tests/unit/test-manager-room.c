/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A source is at one of its limits: who is told, and what comes of it later? */

#include <stdio.h>

#include "dom0/core/source.h"

#define RULES "disks: allow block type disk to work\n"

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

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_a_device_too_many_is_in_the_history),
        WITH_RIG(test_a_record_too_many_is_in_the_history),
        WITH_RIG(test_a_remove_too_many_is_in_the_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
