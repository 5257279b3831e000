/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>

#include "sysusb/core/export.h"
#include "tests/support/test.h"
#include "tests/support/udev-table.h"

#define BLOCK(name, ...) \
    block((name), TABLE("DEVTYPE=disk", "size:2048", "dev:8:0", __VA_ARGS__))
#define USB(name, ...)                                                    \
    usb((name),                                                           \
        TABLE("DEVTYPE=usb_device", "idVendor:1050", "ID_VENDOR_ID=1050", \
              "ID_USB_INTERFACES=:030101:", __VA_ARGS__))

static Export block(const char *name, const char **lines)
{
    UdevNode node = table_node("block", name, lines);
    UdevView view = { .self = &node };

    return export_decide(&view, false);
}

static Export usb(const char *name, const char **lines)
{
    UdevNode node = table_node("usb", name, lines);
    UdevView view = { .self = &node };

    return export_decide(&view, false);
}

static void test_a_disk_is_offered(void **state)
{
    (void) state;

    assert_int_equal(BLOCK("sda", "MAJOR=8"), EXPORT_OFFERED);
    assert_int_equal(BLOCK("nvme0n1p2", "MAJOR=259"), EXPORT_OFFERED);
    assert_int_equal(BLOCK("sr0", "ID_TYPE=cd", "ID_CDROM_MEDIA=1"),
                     EXPORT_OFFERED);
    assert_int_equal(BLOCK("dm-0", "DM_NAME=luks-1"), EXPORT_OFFERED);
    assert_int_equal(BLOCK("loop0", "MAJOR=7", "loop/backing_file:/a"),
                     EXPORT_OFFERED);
    assert_int_equal(BLOCK("nbd0", "MAJOR=43", "pid:12"), EXPORT_OFFERED);
}

static void test_what_qubes_rules_skip_is_left_out(void **state)
{
    (void) state;

    assert_int_equal(BLOCK("sda", "UDISKS_IGNORE=1"), EXPORT_UDISKS_IGNORE);
    assert_int_equal(BLOCK("sda", "QUBES_EXPORT_BLOCK_DEVICE=0"),
                     EXPORT_EXCLUDED);
    assert_int_equal(BLOCK("xvdi", "MAJOR=202"), EXPORT_XEN_FRONTEND);
    assert_int_equal(BLOCK("zram0", "MAJOR=254"), EXPORT_ZRAM);
    assert_int_equal(BLOCK("dm-0", "MAJOR=253"), EXPORT_DM_INTERNAL);
    assert_int_equal(BLOCK("dm-0", "DM_NAME="), EXPORT_DM_INTERNAL);
    assert_int_equal(BLOCK("dm-0", "DM_NAME=snapshot-1"), EXPORT_DM_INTERNAL);
    assert_int_equal(BLOCK("dm-0", "DM_NAME=origin-1"), EXPORT_DM_INTERNAL);
    assert_int_equal(
        BLOCK("dm-0", "DM_NAME=a", "DM_UDEV_DISABLE_DISK_RULES_FLAG=1"),
        EXPORT_DM_DISABLED);
    assert_int_equal(BLOCK("sd_a", "MAJOR=8"), EXPORT_NAME);
    assert_int_equal(BLOCK("mmcblk0boot10", "MAJOR=179"), EXPORT_NAME);
}

static void test_an_explicit_export_overrides_device_mapper(void **state)
{
    (void) state;

    assert_int_equal(BLOCK("dm-0", "DM_NAME=a",
                           "DM_UDEV_DISABLE_DISK_RULES_FLAG=1",
                           "QUBES_EXPORT_BLOCK_DEVICE=1"),
                     EXPORT_OFFERED);
}

/* Qubes' rules set UDISKS_IGNORE on each of them, after having looked at it. */
static void test_udisks_says_nothing_of_loop_devices(void **state)
{
    (void) state;

    assert_int_equal(
        BLOCK("loop0", "MAJOR=7", "UDISKS_IGNORE=1", "loop/backing_file:/a"),
        EXPORT_OFFERED);
}

static void test_what_is_empty_is_not_there(void **state)
{
    (void) state;

    assert_int_equal(BLOCK("sr0", "ID_TYPE=cd"), EXPORT_NO_MEDIUM);
    assert_int_equal(BLOCK("sr0", "ID_TYPE=cd", "ID_CDROM_MEDIA=0"),
                     EXPORT_NO_MEDIUM);
    assert_int_equal(BLOCK("loop0", "MAJOR=7"), EXPORT_LOOP_EMPTY);
    assert_int_equal(BLOCK("nbd0", "MAJOR=43"), EXPORT_NBD_EMPTY);
    assert_int_equal(block("sdz", TABLE("DEVTYPE=disk", "size:0")),
                     EXPORT_NO_MEDIUM);
    assert_int_equal(block("sda", TABLE("DEVTYPE=disk")), EXPORT_GONE);
}

/* Only an empty slot has size 0; a partition goes with its own event. */
static void test_an_empty_partition_is_there(void **state)
{
    UdevNode disk = table_node("block", "sda", TABLE("MAJOR=8", "size:9"));
    UdevNode self = table_node("block", "sda1", TABLE("MAJOR=8", "size:0"));
    UdevView view = { .self = &self, .disk = &disk };

    (void) state;

    assert_int_equal(export_decide(&view, false), EXPORT_OFFERED);
}

static void test_a_file_in_a_hidden_folder_is_left_out(void **state)
{
    UdevNode node = table_node(
        "block", "loop0", TABLE("MAJOR=7", "size:1", "loop/backing_file:/a"));
    UdevView view = { .self = &node, .loop_hidden = true };

    (void) state;

    assert_int_equal(export_decide(&view, false), EXPORT_LOOP_HIDDEN);
}

static void test_what_is_in_use_is_there_but_not_offered(void **state)
{
    static const struct {
        UdevUse use;
        Export export;
    } cases[] = {
        { UDEV_USE_MOUNTED, EXPORT_IN_USE_MOUNTED },
        { UDEV_USE_SWAP, EXPORT_IN_USE_SWAP },
        { UDEV_USE_HELD, EXPORT_IN_USE_HELD },
    };
    UdevNode node = table_node("block", "sda", TABLE("MAJOR=8", "size:1"));

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        UdevView view = { .self = &node, .use = cases[i].use };

        assert_int_equal(export_decide(&view, false), cases[i].export);
        assert_int_equal(export_presence(cases[i].export), PRESENCE_IN_USE);
    }
    assert_int_equal(export_presence(EXPORT_PENDING), PRESENCE_PENDING);
}

static void test_only_ports_with_a_device_are_offered(void **state)
{
    (void) state;

    assert_int_equal(USB("2-1.4", "TYPE=0/0/0"), EXPORT_OFFERED);
    assert_int_equal(USB("2-1.4", "TYPE=239/2/1"), EXPORT_OFFERED);
    assert_int_equal(USB("2-1", "TYPE=9/0/1"), EXPORT_HUB);
    assert_int_equal(USB("2-1", "TYPE=90/0/1"), EXPORT_OFFERED);
    assert_int_equal(USB("usb2", "TYPE=9/0/3"), EXPORT_HUB);
    assert_int_equal(USB("2-1", "QUBES_EXPORT_USB_DEVICE=0"), EXPORT_EXCLUDED);
    assert_int_equal(USB("2-1:1.0", "TYPE=0/0/0"), EXPORT_NAME);
    assert_int_equal(
        usb("2-1:1.0", TABLE("DEVTYPE=usb_interface", "TYPE=0/0/0")),
        EXPORT_NO_DEVICE);
}

/* As udev tells of it: without ID_VENDOR_ID and the like. */
static void test_what_was_pulled_before_udev_looked_is_gone(void **state)
{
    (void) state;

    assert_int_equal(
        usb("2-1", TABLE("DEVTYPE=usb_device", "TYPE=0/0/0", "PRODUCT=46f4/1/0",
                         "ID_PATH=pci-0000:00:05.0")),
        EXPORT_GONE);
}

/* "unbind" of the one before; what sysfs has is the next one's. */
static void test_what_was_swapped_before_udev_looked_is_gone(void **state)
{
    (void) state;

    assert_int_equal(
        usb("2-1", TABLE("DEVTYPE=usb_device", "TYPE=0/0/0", "idVendor:46f4",
                         "PRODUCT=46f4/1/0", "ID_PATH=pci-0000:00:05.0")),
        EXPORT_GONE);
}

/* A mouse is pulled and a keyboard plugged in: udev comes to "unbind" of the
 * mouse, and looks the rest up in sysfs. */
static void test_an_event_of_the_one_before_does_not_tell_of_the_next(
    void **state)
{
    (void) state;

    assert_int_equal(USB("1-4", "DEVNUM=024", "devnum:25"), EXPORT_GONE);
    assert_int_equal(USB("1-4", "DEVNUM=002", "devnum:20"), EXPORT_GONE);
    assert_int_equal(USB("1-4", "DEVNUM=025", "devnum:25"), EXPORT_OFFERED);
    assert_int_equal(USB("1-4", "DEVNUM=120", "devnum:120"), EXPORT_OFFERED);
    assert_int_equal(USB("1-4", "DEVNUM=025"), EXPORT_OFFERED);
    assert_int_equal(USB("1-4", "devnum:25"), EXPORT_OFFERED);
}

static void test_devices_of_other_qubes_are_left_out(void **state)
{
    UdevNode node = table_node(
        "usb", "3-1",
        TABLE("DEVTYPE=usb_device", "idVendor:0781", "ID_VENDOR_ID=0781"));
    UdevView view = { .self = &node };

    (void) state;

    node.devpath = "/devices/platform/vhci_hcd.0/usb3/3-1";
    assert_int_equal(export_decide(&view, false), EXPORT_VHCI);
}

static void test_qemu_is_left_out_unless_asked_for(void **state)
{
    UdevNode node = table_node(
        "usb", "1-1",
        TABLE("DEVTYPE=usb_device", "ID_VENDOR=QEMU", "ID_VENDOR_ID=46f4",
              "ID_USB_INTERFACES=:080650:", "idVendor:46f4"));
    UdevView view = { .self = &node };

    (void) state;

    assert_int_equal(export_decide(&view, false), EXPORT_QEMU);
    assert_int_equal(export_decide(&view, true), EXPORT_OFFERED);
}

/* Else a rule that keeps keyboards away would not know one. */
static void test_a_usb_device_whose_interfaces_are_not_sure_is_refused(
    void **state)
{
    static const char *lines[] = { "DEVTYPE=usb_device", "idVendor:1050",
                                   "ID_VENDOR_ID=1050", NULL, NULL };
    UdevNode usb = table_node("usb", "2-1", lines);
    UdevNode disk = table_node("block", "sda", TABLE("MAJOR=8", "size:9"));
    UdevNode part = table_node("block", "sda1", TABLE("MAJOR=8", "size:9"));
    UdevView usb_view = { .self = &usb };
    UdevView disk_view = { .self = &disk, .usb = &usb };
    UdevView part_view = { .self = &part, .disk = &disk, .usb = &usb };
    char many[32 + 33 * 7] = "ID_USB_INTERFACES=:";
    const struct {
        const char *list;
        Export export;
    } cases[] = {
        { NULL, EXPORT_INTERFACES_UNSURE },
        { "ID_USB_INTERFACES=:0806:", EXPORT_INTERFACES_UNSURE },
        { many, EXPORT_INTERFACES_MANY },
        { "ID_USB_INTERFACES=:080650:", EXPORT_OFFERED },
    };

    (void) state;

    for (unsigned int i = 0; i < 33; i++)
        (void) sprintf(many + strlen(many), "ff00%02x:", i);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        lines[3] = cases[i].list;
        assert_int_equal(export_decide(&usb_view, false), cases[i].export);
        assert_int_equal(export_decide(&disk_view, false), cases[i].export);
        assert_int_equal(export_decide(&part_view, false), cases[i].export);
        assert_int_equal(export_is_refused(cases[i].export),
                         cases[i].export != EXPORT_OFFERED);
    }

    /* also if it is in use, so that it goes if it was known */
    lines[3] = many;
    disk_view.use = UDEV_USE_MOUNTED;
    assert_int_equal(export_decide(&disk_view, false), EXPORT_INTERFACES_MANY);
    /* but what is not there is not refused */
    disk.device = TABLE("MAJOR=8", "size:0");
    assert_int_equal(export_decide(&disk_view, false), EXPORT_NO_MEDIUM);
}

static void test_only_what_is_offered_or_in_use_is_there(void **state)
{
    (void) state;

    for (unsigned int i = 0; i < N_EXPORTS; i++) {
        Presence presence = export_presence((Export) i);

        assert_non_null(export_reason((Export) i));
        assert_int_equal(presence == PRESENCE_OFFERED, i == EXPORT_OFFERED);
        assert_int_equal(presence == PRESENCE_IN_USE,
                         i == EXPORT_IN_USE_MOUNTED ||
                             i == EXPORT_IN_USE_SWAP ||
                             i == EXPORT_IN_USE_HELD);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_disk_is_offered),
        cmocka_unit_test(test_what_qubes_rules_skip_is_left_out),
        cmocka_unit_test(test_an_explicit_export_overrides_device_mapper),
        cmocka_unit_test(test_udisks_says_nothing_of_loop_devices),
        cmocka_unit_test(test_what_is_empty_is_not_there),
        cmocka_unit_test(test_an_empty_partition_is_there),
        cmocka_unit_test(test_a_file_in_a_hidden_folder_is_left_out),
        cmocka_unit_test(test_what_is_in_use_is_there_but_not_offered),
        cmocka_unit_test(test_only_ports_with_a_device_are_offered),
        cmocka_unit_test(test_what_was_pulled_before_udev_looked_is_gone),
        cmocka_unit_test(test_what_was_swapped_before_udev_looked_is_gone),
        cmocka_unit_test(
            test_an_event_of_the_one_before_does_not_tell_of_the_next),
        cmocka_unit_test(test_devices_of_other_qubes_are_left_out),
        cmocka_unit_test(test_qemu_is_left_out_unless_asked_for),
        cmocka_unit_test(
            test_a_usb_device_whose_interfaces_are_not_sure_is_refused),
        cmocka_unit_test(test_only_what_is_offered_or_in_use_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
