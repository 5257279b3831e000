/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each system call, each allocation and each answer of libudev's fails once
 * while devices are looked at: nothing is left open, a device that is there is
 * never told to be gone, and the next look finds it. Runs below
 * umockdev-wrapper.
 */

#include <errno.h>
#include <string.h>
#include <umockdev.h>

#include "sysusb/io/udev-find.h"
#include "sysusb/io/udev-source.h"
#include "tests/support/call-fault.h"
#include "tests/support/fault.h"
#include "tests/support/forwarder-rig.h"
#include "tests/support/test.h"

#define DEADLINE_USEC UINT64_C(60000000)

#define DISK  "/sys/devices/virtual/block/sdx"
#define MOUSE "/sys/devices/pci0000:00/0000:00:05.0/usb1/1-1"
#define DESCRIPTION                                                    \
    "P: /devices/virtual/block/sdx\nN: sdx\nE: SUBSYSTEM=block\n"      \
    "E: DEVTYPE=disk\nE: MAJOR=8\nE: MINOR=0\nE: USEC_INITIALIZED=1\n" \
    "E: DEVNAME=/dev/sdx\nA: size=8\\n\nA: dev=8:0\\n\n"
#define PART                                                            \
    "P: /devices/virtual/block/sdx/sdx1\nN: sdx1\nE: SUBSYSTEM=block\n" \
    "E: DEVTYPE=partition\nE: PARTN=1\nE: MAJOR=8\nE: MINOR=1\n"        \
    "E: USEC_INITIALIZED=1\nE: DEVNAME=/dev/sdx1\nA: size=8\\n\n"       \
    "A: dev=8:1\\n\n"
/* a mouse; its descriptors are read, too */
#define USB                                                               \
    "P: /devices/pci0000:00/0000:00:05.0/usb1/1-1\nN: bus/usb/001/002\n"  \
    "E: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: MAJOR=189\nE: MINOR=1\n" \
    "E: USEC_INITIALIZED=1\nE: DEVNAME=/dev/bus/usb/001/002\n"            \
    "E: ID_VENDOR_ID=0627\nE: ID_USB_INTERFACES=:030102:\n"               \
    "A: idVendor=0627\\n\n"                                               \
    "H: descriptors=120100020000004027060100000001020301"                 \
    "09021900010100a032090400000103010200\n\n"

static const int errors[] = { EINTR, EAGAIN, EIO, EMFILE, ENFILE, ENOMEM };

static UMockdevTestbed *testbed;
static sd_event *event;
static unsigned int n_begun, n_ended, n_disks, n_parts, n_mice;

static int set_up(void **state)
{
    (void) state;

    assert_int_equal(setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1), 0);
    testbed = umockdev_testbed_new();
    assert_true(umockdev_testbed_add_from_string(testbed, DESCRIPTION, NULL));
    assert_true(umockdev_testbed_add_from_string(testbed, PART, NULL));
    assert_true(umockdev_testbed_add_from_string(testbed, USB, NULL));
    assert_return_code(sd_event_new(&event), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    event = sd_event_unref(event);
    g_object_unref(testbed);
    return 0;
}

static void must_find(const char *name)
{
    UdevLook look;

    assert_int_equal(udev_find(&look, name, false), 0);
    assert_int_equal(export_presence(look.export), PRESENCE_OFFERED);
    assert_string_equal(look.record.device.s, name);
}

/* One that could not be read is no device to be sent. */
static void check_found(const UdevLook *look,
                        const char *name,
                        int r,
                        int error)
{
    if (r < 0) {
        assert_true(r == -ENODEV || r == -ENOMEM || r == -error);
        return;
    }
    assert_string_equal(look->record.device.s, name);
    /* a file of the kernel's that is broken is not taken for harmless */
    if (error == EINTR || error == EAGAIN || error == EIO)
        assert_true(export_is_refused(look->export) ||
                    look->export == EXPORT_OFFERED);
    else
        assert_int_equal(look->export, EXPORT_OFFERED);
}

static void find(const char *name)
{
    size_t n_faults = 0, n_before;

    must_find(name);
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            UdevLook look;
            int r;

            call_fault_begin(n, errors[i]);
            r = udev_find(&look, name, false);
            if (!call_fault_end()) {
                assert_int_equal(r, 0);
                break;
            }
            n_faults++;
            check_found(&look, name, r, errors[i]);
            assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
            must_find(name);
        }
    FAULT_LOOP(n) {
        UdevLook look;
        int r = udev_find(&look, name, false);

        if (!fault_end())
            break;
        n_faults++;
        check_found(&look, name, r, ENOMEM);
        assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
        must_find(name);
    }
    assert_true(n_faults >= 4 * ARRAY_SIZE(errors));
}

static void test_a_device_is_found_or_not(void **state)
{
    (void) state;

    find("sdx");
}

static void test_a_usb_device_is_found_or_not(void **state)
{
    (void) state;

    find("1-1");
}

static void on_look(const UdevLook *look, void *userdata)
{
    (void) userdata;

    assert_int_equal(export_presence(look->export), PRESENCE_OFFERED);
    if (strcmp(look->record.device.s, "sdx") == 0)
        n_disks++;
    else if (strcmp(look->record.device.s, "sdx1") == 0)
        n_parts++;
    else
        n_mice++;
}

static void on_begin(void *userdata)
{
    (void) userdata;

    n_begun++;
    n_disks = n_parts = n_mice = 0;
}

static void on_end(void *userdata)
{
    (void) userdata;

    /* what was not looked at by now is gone */
    assert_int_equal(n_disks, 1);
    assert_int_equal(n_parts, 1);
    assert_int_equal(n_mice, 1);
    n_ended++;
}

static const UdevSourceOps ops = { .on_look = on_look,
                                   .on_enumerate_begin = on_begin,
                                   .on_enumerate_end = on_end };

/* The whole picture, or an error; the source may be made or not. */
static int look_at_all(void)
{
    _cleanup_(udev_source_freep) UdevSource *source = NULL;
    int r;

    n_ended = 0;
    r = udev_source_new(&source, event, false, &ops, NULL);
    assert_int_equal(r >= 0, source != NULL);
    if (r >= 0)
        r = udev_source_enumerate(source);
    assert_int_equal(r >= 0, n_ended == 1);
    return r;
}

static void test_a_device_that_cannot_be_looked_at_is_not_gone(void **state)
{
    size_t n_faults = 0, n_before;

    (void) state;

    assert_int_equal(look_at_all(), 0);
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        /* what libudev says of a device that has gone meanwhile */
        if (errors[i] == EINTR || errors[i] == EAGAIN || errors[i] == EIO)
            continue;
        for (size_t n = 0;; n++) {
            call_fault_begin(n, errors[i]);
            (void) look_at_all();
            if (!call_fault_end())
                break;
            n_faults++;
            assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
            assert_int_equal(look_at_all(), 0);
        }
    }
    FAULT_LOOP(n) {
        (void) look_at_all();
        if (!fault_end())
            break;
        n_faults++;
        assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
        assert_int_equal(look_at_all(), 0);
    }
    assert_true(n_faults >= 10);
}

/* As if the kernel had dropped it: everything is looked at anew. */
static void test_an_event_without_memory_is_not_lost(void **state)
{
    _cleanup_(udev_source_freep) UdevSource *source = NULL;
    size_t n = 0;
    bool delivered;

    (void) state;

    assert_int_equal(udev_source_new(&source, event, false, &ops, NULL), 0);
    do {
        n_ended = n_disks = 0;
        call_fault_begin(n++, ENOMEM);
        umockdev_testbed_uevent(testbed, DISK, "change");
        while (n_disks == 0 && sd_event_get_state(event) == SD_EVENT_INITIAL)
            assert_true(sd_event_run(event, DEADLINE_USEC) > 0);
        delivered = call_fault_end();
        if (delivered &&
            strcmp(call_fault_name(), "udev_monitor_receive_device") == 0) {
            while (n_ended == 0)
                assert_true(sd_event_run(event, DEADLINE_USEC) > 0);
            return;
        }
    } while (delivered);
    fail_msg("no event failed");
}

static void test_an_event_of_what_cannot_be_read_is_not_lost(void **state)
{
    _cleanup_(udev_source_freep) UdevSource *source = NULL;
    size_t n = 0;
    bool delivered;

    (void) state;

    assert_int_equal(udev_source_new(&source, event, false, &ops, NULL), 0);
    do {
        n_ended = n_mice = 0;
        call_fault_begin(n++, EMFILE);
        umockdev_testbed_uevent(testbed, MOUSE, "change");
        while (n_mice == 0 && sd_event_get_state(event) == SD_EVENT_INITIAL)
            assert_true(sd_event_run(event, DEADLINE_USEC) > 0);
        delivered = call_fault_end();
        if (delivered && strcmp(call_fault_name(), "open") == 0) {
            assert_int_equal(n_ended, 1);
            return;
        }
    } while (delivered);
    fail_msg("no file was opened");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_device_is_found_or_not),
        TEST(test_a_usb_device_is_found_or_not),
        TEST(test_a_device_that_cannot_be_looked_at_is_not_gone),
        TEST(test_an_event_without_memory_is_not_lost),
        TEST(test_an_event_of_what_cannot_be_read_is_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
