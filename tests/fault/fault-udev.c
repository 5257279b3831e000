/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each system call, each allocation and each answer of libudev's fails once
 * while devices are looked at: nothing is left open, a device that is there is
 * never told to be gone, and the next look finds it. Runs below
 * umockdev-wrapper.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <umockdev.h>

#include "sysusb/io/udev-find.h"
#include "sysusb/io/udev-source.h"
#include "tests/support/call-fault.h"
#include "tests/support/fault.h"
#include "tests/support/forwarder-rig.h"
#include "tests/support/test.h"

#define DEADLINE_USEC UINT64_C(60000000)

#define DISK   "/sys/devices/virtual/block/sdx"
#define PART   DISK "/sdx1"
#define MAPPED "/sys/devices/virtual/block/dm-0"
#define MOUSE  "/sys/devices/pci0000:00/0000:00:05.0/usb1/1-1"
#define STICK  MOUSE "/1-1:1.1/host0/target0:0:0/0:0:0:0/block/sdu"
#define BLOCK(path, name, devtype, number)                            \
    "P: /devices/" path "\nN: " name "\nE: SUBSYSTEM=block\n"         \
    "E: DEVTYPE=" devtype "\nE: MAJOR=8\nE: MINOR=" number "\n"       \
    "E: USEC_INITIALIZED=1\nE: DEVNAME=/dev/" name "\nA: size=8\\n\n" \
    "A: ro=0\\n\nA: removable=1\\n\nE: ID_PATH=x\n"
#define NUMBER(number) "A: dev=8:" number "\\n\n"
/* a mouse with a disk in it; its descriptors are read, too */
#define USB                                                               \
    "P: /devices/pci0000:00/0000:00:05.0/usb1/1-1\nN: bus/usb/001/002\n"  \
    "E: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: MAJOR=189\nE: MINOR=1\n" \
    "E: USEC_INITIALIZED=1\nE: DEVNAME=/dev/bus/usb/001/002\n"            \
    "E: ID_VENDOR_ID=0627\nE: ID_USB_INTERFACES=:030102:\n"               \
    "A: idVendor=0627\\n\n"                                               \
    "H: descriptors=120100020000004027060100000001020301"                 \
    "09021900010100a032090400000103010200\n\n"

enum { SDX, SDX1, DM0, SDU, SDM, LOOP0, USB1, N_DEVICES };

/* "dm-0" lies on "sdx", and "sdm" is mounted. */
static const struct {
    const char *name;
    Presence presence;
    const char *description;
} devices[N_DEVICES] = {
    [SDX] = { "sdx", PRESENCE_OFFERED,
              BLOCK("virtual/block/sdx", "sdx", "disk", "0") NUMBER("0") },
    [SDX1] = { "sdx1", PRESENCE_OFFERED,
               BLOCK("virtual/block/sdx/sdx1", "sdx1", "partition", "1")
                   NUMBER("1") },
    [DM0] = { "dm-0", PRESENCE_OFFERED,
              BLOCK("virtual/block/dm-0",
                    "dm-0",
                    "disk",
                    "16") "E: DM_NAME=x\nA: slaves/sdx=\n" NUMBER("16") },
    [SDU] = { "sdu", PRESENCE_OFFERED,
              BLOCK("pci0000:00/0000:00:05.0/usb1/1-1/1-1:1.1/host0/"
                    "target0:0:0/0:0:0:0/block/sdu",
                    "sdu",
                    "disk",
                    "32") NUMBER("32") },
    /* its number, that of what is mounted here, is to follow */
    [SDM] = { "sdm", PRESENCE_IN_USE,
              BLOCK("virtual/block/sdm", "sdm", "disk", "48") },
    [LOOP0] = { "loop0", PRESENCE_OFFERED,
                BLOCK("virtual/block/loop0", "loop0", "disk", "64") "A: "
                                                                    "loop/"
                                                                    "backing_"
                                                                    "file=/"
                                                                    "nowhere/"
                                                                    "at/"
                                                                    "all\\n"
                                                                    "\n" NUMBER(
                                                                        "64") },
    [USB1] = { "1-1", PRESENCE_OFFERED, USB },
};

static const int errors[] = { EINTR, EAGAIN, EIO, EMFILE, ENFILE, ENOMEM };
/* where there is much to look at: the others are as the second */
static const int lacks[] = { EINTR, EMFILE };

static UMockdevTestbed *testbed;
static sd_event *event;
static unsigned int n_ended, n_seen[N_DEVICES];

static void add(const char *description)
{
    assert_true(umockdev_testbed_add_from_string(testbed, description, NULL));
}

static void add_mounted(void)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char number[32], description[1024];

    assert_non_null(mounts);
    assert_int_equal(fscanf(mounts, "%*s %*s %31s", number), 1);
    assert_int_equal(fclose(mounts), 0);
    (void) snprintf(description, sizeof(description), "%sA: dev=%s\\n\n\n",
                    devices[SDM].description, number);
    add(description);
}

static int set_up(void **state)
{
    (void) state;

    assert_int_equal(setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1), 0);
    testbed = umockdev_testbed_new();
    add(devices[USB1].description);
    for (size_t i = 0; i < N_DEVICES; i++)
        if (i != SDM && i != USB1)
            add(devices[i].description);
    add_mounted();
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

static void must_find(const char *path, size_t device)
{
    UdevLook look;

    assert_int_equal(udev_find(&look, path, false), 0);
    assert_int_equal(export_presence(look.export), devices[device].presence);
    assert_string_equal(look.record.device.s, devices[device].name);
}

/* Not a lack of anything: a file of the kernel's is broken. */
static bool is_broken(int error)
{
    return error == EAGAIN || error == EIO;
}

/* What could not be read is an error. What is broken may be as if it was not
 * there, but is not taken for harmless. */
static void check_found(const UdevLook *look, size_t device, int r, int error)
{
    if (r < 0) {
        assert_true(r == -ENOMEM || r == -error ||
                    (is_broken(error) && r == -ENODEV));
        return;
    }
    if (is_broken(error) && export_presence(look->export) == PRESENCE_NONE)
        return;
    assert_string_equal(look->record.device.s, devices[device].name);
    if (!is_broken(error))
        assert_int_equal(export_presence(look->export),
                         devices[device].presence);
}

static void find(const char *name, size_t device)
{
    size_t n_faults = 0, n_before;

    must_find(name, device);
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
            check_found(&look, device, r, errors[i]);
            assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
            must_find(name, device);
        }
    FAULT_LOOP(n) {
        UdevLook look;
        int r = udev_find(&look, name, false);

        if (!fault_end())
            break;
        n_faults++;
        check_found(&look, device, r, ENOMEM);
        assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
        must_find(name, device);
    }
    assert_true(n_faults >= 4 * ARRAY_SIZE(errors));
}

static void test_a_device_is_found_or_not(void **state)
{
    (void) state;

    find("sdx", SDX);
}

static void test_a_part_is_found_or_not(void **state)
{
    (void) state;

    find("sdx1", SDX1);
}

static void test_a_device_node_is_found_or_not(void **state)
{
    (void) state;

    find("/dev/sdx", SDX);
}

static void test_a_usb_device_is_found_or_not(void **state)
{
    (void) state;

    find("1-1", USB1);
}

static void test_a_usb_disk_is_known_with_its_usb_device(void **state)
{
    (void) state;

    find("sdu", SDU);
}

static void test_a_disk_in_use_is_not_found_free(void **state)
{
    (void) state;

    find("sdm", SDM);
}

static void test_a_loop_device_is_found_or_not(void **state)
{
    (void) state;

    find("loop0", LOOP0);
}

static void on_look(const UdevLook *look, void *userdata)
{
    (void) userdata;

    for (size_t i = 0; i < N_DEVICES; i++) {
        if (strcmp(look->record.device.s, devices[i].name) != 0)
            continue;
        assert_int_equal(export_presence(look->export), devices[i].presence);
        n_seen[i]++;
    }
}

static void on_begin(void *userdata)
{
    (void) userdata;

    memset(n_seen, 0, sizeof(n_seen));
}

static void on_end(void *userdata)
{
    (void) userdata;

    /* what was not looked at by now is gone */
    for (size_t i = 0; i < N_DEVICES; i++)
        assert_int_equal(n_seen[i], 1);
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
    for (size_t i = 0; i < ARRAY_SIZE(lacks); i++) {
        for (size_t n = 0;; n++) {
            call_fault_begin(n, lacks[i]);
            (void) look_at_all();
            if (!call_fault_end())
                break;
            n_faults++;
            assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
        }
        assert_int_equal(look_at_all(), 0);
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

/* An event; until @wanted[0] and, if given, @wanted[1] were looked at for it,
 * or all anew. */
static void see_event(const char *path, const size_t wanted[static 2])
{
    n_ended = 0;
    memset(n_seen, 0, sizeof(n_seen));
    umockdev_testbed_uevent(testbed, path, "change");
    while (n_ended == 0 && (n_seen[wanted[0]] == 0 || n_seen[wanted[1]] == 0))
        assert_true(sd_event_run(event, DEADLINE_USEC) > 0);
    /* to the end of what is asked for by now */
    while (sd_event_run(event, 0) > 0)
        ;
}

/*
 * As if the kernel had dropped the event: everything is looked at anew. Answers
 * how often that was so, of each call that failed.
 */
static size_t fail_each_of_an_event(const char *path,
                                    const size_t wanted[static 2])
{
    _cleanup_(udev_source_freep) UdevSource *source = NULL;
    size_t n_anew = 0, n_before;

    assert_int_equal(udev_source_new(&source, event, false, &ops, NULL), 0);
    see_event(path, wanted);
    assert_int_equal(n_ended, 0);
    n_before = n_descriptors();
    for (size_t n = 0;; n++) {
        call_fault_begin(n, EMFILE);
        see_event(path, wanted);
        if (!call_fault_end())
            break;
        n_anew += n_ended;
        assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
    }
    return n_anew;
}

static void test_an_event_that_is_not_told_is_not_lost(void **state)
{
    (void) state;

    assert_true(fail_each_of_an_event(MOUSE, (size_t[]){ USB1, USB1 }) >= 20);
    assert_true(fail_each_of_an_event(STICK, (size_t[]){ SDU, SDU }) >= 20);
}

static void test_nor_what_was_to_be_looked_at_beside_it(void **state)
{
    (void) state;

    assert_true(fail_each_of_an_event(PART, (size_t[]){ SDX1, SDX }) >= 20);
    assert_true(fail_each_of_an_event(MAPPED, (size_t[]){ DM0, SDX }) >= 20);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_device_is_found_or_not),
        TEST(test_a_part_is_found_or_not),
        TEST(test_a_device_node_is_found_or_not),
        TEST(test_a_usb_device_is_found_or_not),
        TEST(test_a_usb_disk_is_known_with_its_usb_device),
        TEST(test_a_disk_in_use_is_not_found_free),
        TEST(test_a_loop_device_is_found_or_not),
        TEST(test_a_device_that_cannot_be_looked_at_is_not_gone),
        TEST(test_an_event_that_is_not_told_is_not_lost),
        TEST(test_nor_what_was_to_be_looked_at_beside_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
