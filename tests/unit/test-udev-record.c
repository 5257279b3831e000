/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "sysusb/core/udev-record.h"
#include "tests/support/test.h"
#include "tests/support/udev-table.h"

static const char *const usb_lines[] = {
    "DEVTYPE=usb_device",
    "ID_VENDOR_ID=0781",
    "ID_MODEL_ID=5581",
    "ID_REVISION=0100",
    "ID_SERIAL_SHORT=4C530001",
    "ID_VENDOR_ENC=SanDisk\\x20\\x20",
    "ID_MODEL_ENC=\\x20Ultra\\x20Fit",
    "ID_USB_INTERFACES=:080650:030101:",
    "ID_PATH=pci-0000:00:06.0-usb-0:1",
    NULL,
};

static UdevNode usb_node(void)
{
    return table_node("usb", "2-1", (const char **) (uintptr_t) usb_lines);
}

/* The properties of one node without relatives. */
static Properties properties_of(const char *subsystem,
                                const char *name,
                                const char **lines)
{
    UdevNode node = table_node(subsystem, name, lines);
    UdevView view = { .self = &node };
    Record record;

    assert_true(udev_record_build(&record, &view));
    assert_int_equal(record.action, RECORD_PRESENT);
    return record.properties;
}

#define BLOCK(...) properties_of("block", "sda", TABLE(__VA_ARGS__))
#define USB(...)   properties_of("usb", "2-1", TABLE(__VA_ARGS__))

#define assert_text(properties, key, expected)                         \
    do {                                                               \
        assert_true(properties_have(&(properties), (key)));            \
        assert_string_equal(properties_get_text(&(properties), (key)), \
                            (expected));                               \
    } while (0)
#define assert_absent(properties, key) \
    assert_false(properties_have(&(properties), (key)))

static void test_a_usb_device_is_told_with_all_its_properties(void **state)
{
    UdevNode node = usb_node();
    UdevView view = { .self = &node };
    Properties p;
    Record record;

    (void) state;

    assert_true(udev_record_build(&record, &view));
    p = record.properties;
    assert_int_equal(record.class, DEVICE_CLASS_USB);
    assert_string_equal(record.device.s, "2-1");
    assert_int_equal(record.parent_class, DEVICE_CLASS_INVALID);
    assert_text(p, PROPERTY_DEVTYPE, "usb_device");
    assert_text(p, PROPERTY_VENDOR_ID, "0781");
    assert_text(p, PROPERTY_PRODUCT_ID, "5581");
    assert_text(p, PROPERTY_REVISION, "0100");
    assert_text(p, PROPERTY_SERIAL, "4C530001");
    assert_text(p, PROPERTY_VENDOR, "SanDisk");
    assert_text(p, PROPERTY_MODEL, "Ultra Fit");
    assert_text(p, PROPERTY_PATH, "pci-0000:00:06.0-usb-0:1");
    assert_int_equal(p.n_interfaces, 2);
    assert_string_equal(p.interfaces[0].s, "080650");
    assert_string_equal(p.interfaces[1].s, "030101");
    assert_absent(p, PROPERTY_SIZE);
}

static void test_a_disk_has_the_identity_of_its_usb_device(void **state)
{
    UdevNode usb = usb_node();
    UdevNode self =
        table_node("block", "sda",
                   TABLE("DEVTYPE=disk", "ID_VENDOR_ID=dead",
                         "ID_MODEL_ENC=ATA\\x20Bridge", "ID_SERIAL_SHORT=WD-1",
                         "ID_PATH=pci-0000:00:06.0-usb-0:1:1.0-scsi-0:0:0:0",
                         "ID_REVISION=9999", "DISKSEQ=24", "size:2048",
                         "removable:1", "ro:0"));
    UdevView view = { .self = &self, .usb = &usb };
    Properties p;
    Record record;

    (void) state;

    assert_true(udev_record_build(&record, &view));
    p = record.properties;
    assert_int_equal(record.parent_class, DEVICE_CLASS_USB);
    assert_string_equal(record.parent.s, "2-1");
    assert_text(p, PROPERTY_DEVTYPE, "disk");
    assert_text(p, PROPERTY_VENDOR_ID, "0781");
    assert_text(p, PROPERTY_SERIAL, "4C530001");
    assert_text(p, PROPERTY_MODEL, "Ultra Fit");
    assert_text(p, PROPERTY_REVISION, "0100");
    assert_text(p, PROPERTY_PATH, "pci-0000:00:06.0-usb-0:1");
    assert_int_equal(p.n_interfaces, 2);
    assert_int_equal(properties_get_number(&p, PROPERTY_SIZE), 1048576);
    assert_int_equal(properties_get_number(&p, PROPERTY_DISKSEQ), 24);
    assert_true(properties_get_bool(&p, PROPERTY_REMOVABLE));
    assert_false(properties_get_bool(&p, PROPERTY_READ_ONLY));
}

static void test_what_the_usb_device_lacks_is_not_taken_elsewhere(void **state)
{
    UdevNode usb = table_node("usb", "2-1", TABLE("ID_VENDOR_ID=0781"));
    UdevNode self = table_node(
        "block", "sda",
        TABLE("ID_SERIAL_SHORT=WD-1", "ID_PATH=p", "ID_MODEL_ID=5581"));
    UdevView view = { .self = &self, .usb = &usb };
    Record record;

    (void) state;

    assert_true(udev_record_build(&record, &view));
    assert_absent(record.properties, PROPERTY_SERIAL);
    assert_absent(record.properties, PROPERTY_PATH);
    assert_absent(record.properties, PROPERTY_PRODUCT_ID);
}

static void test_a_disk_without_usb_has_only_its_own_path(void **state)
{
    Properties p = BLOCK("ID_PATH=pci-0000:00:17.0-ata-1", "ID_VENDOR_ID=0781",
                         "ID_SERIAL_SHORT=WD-1", "ID_MODEL_ENC=Disk");

    (void) state;

    assert_text(p, PROPERTY_PATH, "pci-0000:00:17.0-ata-1");
    assert_absent(p, PROPERTY_VENDOR_ID);
    assert_absent(p, PROPERTY_SERIAL);
    assert_absent(p, PROPERTY_MODEL);
}

static void test_a_partition_hangs_on_its_disk(void **state)
{
    UdevNode usb = usb_node();
    UdevNode disk = table_node("block", "sda",
                               TABLE("DISKSEQ=24", "removable:1", "ro:0",
                                     "size:99", "ID_FS_LABEL=of-the-disk"));
    UdevNode self = table_node(
        "block", "sda1",
        TABLE("DEVTYPE=partition", "PARTN=1", "ID_PART_TABLE_TYPE=gpt",
              "ID_PART_ENTRY_NAME=My\\x20data", "ID_PART_ENTRY_UUID=7f3a-01",
              "ID_FS_TYPE=ext4", "size:10", "ro:1"));
    UdevView view = { .self = &self, .disk = &disk, .usb = &usb };
    Properties p;
    Record record;

    (void) state;

    assert_true(udev_record_build(&record, &view));
    p = record.properties;
    assert_int_equal(record.parent_class, DEVICE_CLASS_BLOCK);
    assert_string_equal(record.parent.s, "sda");
    assert_text(p, PROPERTY_DEVTYPE, "partition");
    assert_int_equal(properties_get_number(&p, PROPERTY_PARTITION), 1);
    assert_text(p, PROPERTY_PART_TABLE, "gpt");
    assert_text(p, PROPERTY_PART_LABEL, "My data");
    assert_text(p, PROPERTY_PART_UUID, "7f3a-01");
    assert_text(p, PROPERTY_FS_TYPE, "ext4");
    assert_text(p, PROPERTY_VENDOR_ID, "0781");
    assert_int_equal(properties_get_number(&p, PROPERTY_DISKSEQ), 24);
    assert_int_equal(properties_get_number(&p, PROPERTY_SIZE), 5120);
    assert_true(properties_get_bool(&p, PROPERTY_REMOVABLE));
    assert_true(properties_get_bool(&p, PROPERTY_READ_ONLY));
    assert_absent(p, PROPERTY_FS_LABEL);
}

static void test_encoded_labels_are_preferred(void **state)
{
    Properties p = BLOCK("ID_FS_LABEL=A_B", "ID_FS_LABEL_ENC=A\\x20B",
                         "ID_FS_UUID=1_2", "ID_FS_UUID_ENC=1\\x2f2");

    (void) state;

    assert_text(p, PROPERTY_FS_LABEL, "A B");
    assert_text(p, PROPERTY_FS_UUID, "1/2");
    p = BLOCK("ID_FS_LABEL=plain", "ID_FS_UUID=1234-ABCD");
    assert_text(p, PROPERTY_FS_LABEL, "plain");
    assert_text(p, PROPERTY_FS_UUID, "1234-ABCD");
}

static void test_bad_text_is_left_out_and_never_repaired(void **state)
{
    static const char *const bad[] = {
        "ID_FS_LABEL_ENC=a\\x00b",     "ID_FS_LABEL_ENC=a\\x1b[0m",
        "ID_FS_LABEL_ENC=a\\x7f",      "ID_FS_LABEL_ENC=a\\xff",
        "ID_FS_LABEL_ENC=a\\xc2\\x85", "ID_FS_LABEL_ENC=a\\",
        "ID_FS_LABEL_ENC=a\\x",        "ID_FS_LABEL_ENC=a\\x4",
        "ID_FS_LABEL_ENC=a\\xg0",      "ID_FS_LABEL_ENC=a\\n",
        "ID_FS_LABEL_ENC=a\nb",        "ID_FS_LABEL_ENC=\\x20\\x20",
        "ID_FS_LABEL_ENC=\xc0\x80",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        Properties p = BLOCK(bad[i], "ID_FS_LABEL=repaired_by_udev", "ro:0");

        assert_absent(p, PROPERTY_FS_LABEL);
        assert_true(properties_have(&p, PROPERTY_READ_ONLY));
    }
}

static void test_text_over_its_limit_is_left_out(void **state)
{
    char label[16 + 4 * RECORD_LONG_MAX + 8] = "ID_FS_LABEL_ENC=";
    size_t start = strlen(label);
    Properties p;

    (void) state;

    for (size_t i = 0; i < RECORD_LONG_MAX; i++)
        memcpy(label + start + 4 * i, "\\x41", 4);
    p = BLOCK(label);
    assert_int_equal(strlen(properties_get_text(&p, PROPERTY_FS_LABEL)),
                     RECORD_LONG_MAX);
    strcat(label, "B");
    p = BLOCK(label);
    assert_absent(p, PROPERTY_FS_LABEL);

    memset(label + start, 'C', RECORD_LONG_MAX + 1);
    label[start + RECORD_LONG_MAX + 1] = '\0';
    p = BLOCK(label);
    assert_absent(p, PROPERTY_FS_LABEL);
}

static void test_numbers_out_of_bounds_are_left_out(void **state)
{
    static const char *const bad[] = {
        "",     "-1", "1 ", " 1", "0x1", "1e3", "+1", "99999999999999999999",
        "1\n2", "2.5"
    };
    Properties none;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char size[64], seq[64], part[64];
        Properties p;

        strcat(strcpy(size, "size:"), bad[i]);
        strcat(strcpy(seq, "DISKSEQ="), bad[i]);
        strcat(strcpy(part, "PARTN="), bad[i]);
        p = BLOCK(size, seq, part);
        assert_int_equal(p.present, 0);
    }
    assert_int_equal(BLOCK("PARTN=0", "removable:2", "ro:").present, 0);
    assert_int_equal(BLOCK("PARTN=256").present, 0);
    none = BLOCK("size:0");
    assert_true(properties_have(&none, PROPERTY_SIZE));
    /* more bytes than a number holds */
    assert_int_equal(BLOCK("size:18014398509481984").present, 0);
    assert_int_equal(BLOCK("size:18014398509481983").size,
                     INT64_MAX - INT64_MAX % 512);
}

static void test_ids_that_are_none_are_left_out(void **state)
{
    Properties p = USB("ID_VENDOR_ID=078", "ID_MODEL_ID=558G",
                       "ID_REVISION=1.00", "ID_SERIAL_SHORT=", "DEVTYPE=fish");

    (void) state;

    assert_int_equal(p.present, 0);
    p = USB("ID_VENDOR_ID=07AB");
    assert_absent(p, PROPERTY_VENDOR_ID);
}

static void test_what_has_no_name_for_dom0_is_no_record(void **state)
{
    static const char *const names[][2] = {
        { "block", "sd_a" }, { "block", "" },      { "block", "cciss!c0d0" },
        { "usb", "usb2" },   { "usb", "2-1:1.0" }, { "net", "eth0" },
    };
    UdevNode nothing = table_node(NULL, "sda", TABLE("A=b"));
    Record record;

    (void) state;

    assert_false(udev_record_name(&record, &nothing));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        UdevNode node = table_node(names[i][0], names[i][1], TABLE("A=b"));
        UdevView view = { .self = &node };

        assert_false(udev_record_build(&record, &view));
        assert_false(udev_record_name(&record, &node));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_usb_device_is_told_with_all_its_properties),
        cmocka_unit_test(test_a_disk_has_the_identity_of_its_usb_device),
        cmocka_unit_test(test_what_the_usb_device_lacks_is_not_taken_elsewhere),
        cmocka_unit_test(test_a_disk_without_usb_has_only_its_own_path),
        cmocka_unit_test(test_a_partition_hangs_on_its_disk),
        cmocka_unit_test(test_encoded_labels_are_preferred),
        cmocka_unit_test(test_bad_text_is_left_out_and_never_repaired),
        cmocka_unit_test(test_text_over_its_limit_is_left_out),
        cmocka_unit_test(test_numbers_out_of_bounds_are_left_out),
        cmocka_unit_test(test_ids_that_are_none_are_left_out),
        cmocka_unit_test(test_what_has_no_name_for_dom0_is_no_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
