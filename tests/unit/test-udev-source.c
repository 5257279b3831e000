/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * When the source enumerates, and what it makes of a device that udevd is at.
 * Runs below umockdev-wrapper.
 */

#include <stdlib.h>
#include <string.h>
#include <umockdev.h>

#include "sysusb/io/udev-source.h"
#include "tests/support/test.h"

#define DEADLINE_USEC UINT64_C(60000000)
/* more than are dealt with in one turn of the loop */
#define N_EVENTS 100U

#define DISK "/sys/devices/virtual/block/sdx"
#define DESCRIPTION                                                    \
    "P: /devices/virtual/block/sdx\nN: sdx\nE: SUBSYSTEM=block\n"      \
    "E: DEVTYPE=disk\nE: MAJOR=8\nE: MINOR=0\nE: USEC_INITIALIZED=1\n" \
    "E: DEVNAME=/dev/sdx\nA: size=8\\n\nA: dev=8:0\\n\n"
#define PART_PATH DISK "/sdx1"
#define PART                                                            \
    "P: /devices/virtual/block/sdx/sdx1\nN: sdx1\nE: SUBSYSTEM=block\n" \
    "E: DEVTYPE=partition\nE: PARTN=1\nE: MAJOR=8\nE: MINOR=1\n"        \
    "E: USEC_INITIALIZED=1\nE: DEVNAME=/dev/sdx1\nA: size=8\\n\n"       \
    "A: dev=8:1\\n\n"

#define MAPPED_PATH "/sys/devices/virtual/block/dm-0"
#define MAPPED                                                           \
    "P: /devices/virtual/block/dm-0\nN: dm-0\nE: SUBSYSTEM=block\n"      \
    "E: DEVTYPE=disk\nE: MAJOR=253\nE: MINOR=0\nE: USEC_INITIALIZED=1\n" \
    "E: DM_NAME=luks\nE: DEVNAME=/dev/dm-0\nA: size=8\\n\nA: dev=253:0\\n\n"

typedef struct Fixture {
    UMockdevTestbed *testbed;
    sd_event *event;
    UdevSource *source;
    unsigned int n_looks;
    unsigned int n_begun, n_ended;
    unsigned int n_looks_before; /* the enumeration */
    Presence disk, part;         /* as they were looked at last */
    bool mapped;                 /* was looked at */
} Fixture;

/* So often the first event is there again, before what is queued behind it:
 * umockdev's own queue has little room. */
static unsigned int n_copies;

struct udev_device *__real_udev_monitor_receive_device(
    struct udev_monitor *monitor);
struct udev_device *__wrap_udev_monitor_receive_device(
    struct udev_monitor *monitor);

struct udev_device *__wrap_udev_monitor_receive_device(
    struct udev_monitor *monitor)
{
    static struct udev_device *first;
    struct udev_device *device;

    if (n_copies > 0 && first) {
        n_copies--;
        return n_copies > 0 ? udev_device_ref(first) : TAKE_PTR(first);
    }
    device = __real_udev_monitor_receive_device(monitor);
    if (device && n_copies > 0)
        first = udev_device_ref(device);
    return device;
}

static void on_look(const UdevLook *look, void *userdata)
{
    Fixture *fixture = userdata;

    if (strcmp(look->record.device.s, "sdx") == 0)
        fixture->disk = export_presence(look->export);
    else if (strcmp(look->record.device.s, "sdx1") == 0)
        fixture->part = export_presence(look->export);
    else
        fixture->mapped = true;
    if (fixture->n_looks++ == 0 && n_copies > 0)
        assert_return_code(udev_source_enumerate_soon(fixture->source), 0);
}

static void on_begin(void *userdata)
{
    Fixture *fixture = userdata;

    fixture->n_begun++;
    fixture->n_looks_before = fixture->n_looks;
}

static void on_end(void *userdata)
{
    Fixture *fixture = userdata;

    fixture->n_ended++;
}

static const UdevSourceOps ops = {
    .on_look = on_look,
    .on_enumerate_begin = on_begin,
    .on_enumerate_end = on_end,
};

static int setup(void **state)
{
    Fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    assert_int_equal(setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1), 0);
    fixture->testbed = umockdev_testbed_new();
    assert_true(
        umockdev_testbed_add_from_string(fixture->testbed, DESCRIPTION, NULL));
    assert_return_code(sd_event_new(&fixture->event), 0);
    assert_int_equal(
        udev_source_new(&fixture->source, fixture->event, false, &ops, fixture),
        0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    Fixture *fixture = *state;

    udev_source_free(fixture->source);
    sd_event_unref(fixture->event);
    g_object_unref(fixture->testbed);
    free(fixture);
    return 0;
}

/* Else a "remove" that is still queued would undo what was seen. */
static void test_it_looks_anew_after_all_events_that_are_queued(void **state)
{
    Fixture *fixture = *state;

    n_copies = N_EVENTS - 2;
    for (unsigned int i = 0; i < 2; i++)
        umockdev_testbed_uevent(fixture->testbed, DISK, "change");
    while (fixture->n_ended == 0)
        assert_true(sd_event_run(fixture->event, DEADLINE_USEC) > 0);
    assert_int_equal(fixture->n_begun, 1);
    assert_int_equal(fixture->n_looks_before, N_EVENTS);
}

/* The programs of its rules have not run yet: of what they tell dom0 nothing
 * is there. */
static void test_what_udevd_is_at_is_offered_again_once_it_is_done(void **state)
{
    Fixture *fixture = *state;

    assert_true(umockdev_testbed_add_from_string(fixture->testbed, PART, NULL));
    umockdev_testbed_set_property(fixture->testbed, DISK, "ID_PROCESSING", "1");
    assert_int_equal(udev_source_enumerate(fixture->source), 0);
    assert_int_equal(fixture->disk, PRESENCE_PENDING);
    assert_int_equal(fixture->part, PRESENCE_OFFERED);

    /* nor does an event of its partition change that */
    fixture->n_looks = 0;
    fixture->disk = PRESENCE_NONE;
    umockdev_testbed_uevent(fixture->testbed, PART_PATH, "change");
    while (fixture->n_looks == 0)
        assert_true(sd_event_run(fixture->event, DEADLINE_USEC) > 0);
    assert_int_equal(fixture->disk, PRESENCE_NONE);

    umockdev_testbed_set_property(fixture->testbed, DISK, "ID_PROCESSING", "0");
    umockdev_testbed_uevent(fixture->testbed, DISK, "add");
    while (fixture->disk == PRESENCE_NONE)
        assert_true(sd_event_run(fixture->event, DEADLINE_USEC) > 0);
    assert_int_equal(fixture->disk, PRESENCE_OFFERED);
}

static void make_folder(const Fixture *fixture, const char *path)
{
    char *root = umockdev_testbed_get_root_dir(fixture->testbed);
    char *folder = g_build_filename(root, path, NULL);

    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    g_free(folder);
    g_free(root);
}

/* Else it would not be known to be free again, as it never was in use. */
static void test_what_something_lies_on_is_in_use_from_then_on(void **state)
{
    Fixture *fixture = *state;

    assert_true(umockdev_testbed_add_from_string(fixture->testbed, PART, NULL));
    while (fixture->n_looks == 0)
        assert_true(sd_event_run(fixture->event, DEADLINE_USEC) > 0);
    while (sd_event_run(fixture->event, 0) > 0)
        ;
    assert_int_equal(fixture->disk, PRESENCE_OFFERED);
    assert_int_equal(fixture->part, PRESENCE_OFFERED);

    make_folder(fixture, PART_PATH "/holders/dm-0");
    make_folder(fixture, MAPPED_PATH "/slaves/sdx1");
    assert_true(
        umockdev_testbed_add_from_string(fixture->testbed, MAPPED, NULL));
    while (!fixture->mapped)
        assert_true(sd_event_run(fixture->event, DEADLINE_USEC) > 0);
    assert_int_equal(fixture->disk, PRESENCE_IN_USE);
    assert_int_equal(fixture->part, PRESENCE_IN_USE);
}

#define with_fixture(test) \
    cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        with_fixture(test_it_looks_anew_after_all_events_that_are_queued),
        with_fixture(test_what_udevd_is_at_is_offered_again_once_it_is_done),
        with_fixture(test_what_something_lies_on_is_in_use_from_then_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
