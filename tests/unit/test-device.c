/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/device.h"
#include "tests/support/test.h"

static bool parses(DeviceClass class, const char *text)
{
    DeviceName name = { "untouched" };
    bool good = device_name_parse(&name, class, text, strlen(text));

    assert_string_equal(name.s, good ? text : "untouched");
    return good;
}

static DeviceName block(const char *text)
{
    DeviceName name;

    assert_true(
        device_name_parse(&name, DEVICE_CLASS_BLOCK, text, strlen(text)));
    return name;
}

static void test_block_names_are_those_that_qubesd_accepts(void **state)
{
    static const char *const good[] = {
        "sda",  "sda1",   "nvme0n1p2", "mmcblk0p15",   "sr0",
        "dm-3", "loop12", "s",         "123456789012",
    };
    static const char *const bad[] = {
        "",           "1234567890123", "sd a", "sda/", "../sda",
        "SDA",        "sd_a",          "sda.", "sd+a", "sda\n",
        "sd\xc3\xa4", "sda'",          "sda:",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(parses(DEVICE_CLASS_BLOCK, good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(parses(DEVICE_CLASS_BLOCK, bad[i]));
}

static void test_usb_names_are_bus_and_ports(void **state)
{
    static const char *const good[] = {
        "2-1",
        "12-34",
        "2-1.4",
        "2-1.4.4.1.2",
        "1-1.2.3.4.5.6.7.8.9.10.11.12.1",
    };
    static const char *const bad[] = {
        "",        "2",     "2-",     "-1",    "2-1.",   "2-.1",    "2-1..4",
        "2.1",     "2-1-4", "2_1",    "2-1_4", "usb1",   "2-1.4 ",  " 2-1",
        "2-1:1.0", "2-a",   "../2-1", "2-1\n", "2-1.4.", "1-1.2-3", "0x1-1",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(parses(DEVICE_CLASS_USB, good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(parses(DEVICE_CLASS_USB, bad[i]));
}

static void test_a_usb_name_has_at_most_31_bytes(void **state)
{
    (void) state;

    assert_true(parses(DEVICE_CLASS_USB, "1-12345678901234567890123456789"));
    assert_false(parses(DEVICE_CLASS_USB, "1-123456789012345678901234567890"));
}

static void test_a_nul_inside_a_name_is_refused(void **state)
{
    DeviceName name;

    (void) state;

    assert_false(device_name_parse(&name, DEVICE_CLASS_BLOCK, "sda\0", 4));
    assert_false(device_name_parse(&name, DEVICE_CLASS_USB, "2-1\0", 4));
}

static void test_only_the_length_counts_not_what_follows(void **state)
{
    DeviceName name;

    (void) state;

    assert_true(device_name_parse(&name, DEVICE_CLASS_BLOCK, "sda1 x", 4));
    assert_string_equal(name.s, "sda1");
}

static void test_no_class_has_no_names(void **state)
{
    (void) state;

    assert_false(parses(DEVICE_CLASS_INVALID, "sda"));
    assert_null(device_class_to_string(DEVICE_CLASS_INVALID));
}

static void test_a_name_of_any_class_tells_its_class(void **state)
{
    DeviceName name;

    (void) state;

    assert_int_equal(device_name_parse_any(&name, "2-1", 3), DEVICE_CLASS_USB);
    assert_int_equal(device_name_parse_any(&name, "2-1.4", 5),
                     DEVICE_CLASS_USB);
    assert_int_equal(device_name_parse_any(&name, "dm-1", 4),
                     DEVICE_CLASS_BLOCK);
    assert_string_equal(name.s, "dm-1");
    assert_int_equal(device_name_parse_any(&name, "s a", 3),
                     DEVICE_CLASS_INVALID);
    assert_int_equal(device_name_parse_any(&name, "", 0), DEVICE_CLASS_INVALID);
}

static void test_classes_have_their_words(void **state)
{
    (void) state;

    assert_string_equal(device_class_to_string(DEVICE_CLASS_BLOCK), "block");
    assert_string_equal(device_class_to_string(DEVICE_CLASS_USB), "usb");
    assert_int_equal(device_class_from_string("block"), DEVICE_CLASS_BLOCK);
    assert_int_equal(device_class_from_string("usb"), DEVICE_CLASS_USB);
    assert_int_equal(device_class_from_string("any"), DEVICE_CLASS_INVALID);
    assert_int_equal(device_class_from_string("Block"), DEVICE_CLASS_INVALID);
    assert_int_equal(device_class_from_string(""), DEVICE_CLASS_INVALID);
}

static void test_partitions_are_told_from_disks_by_name(void **state)
{
    static const struct {
        const char *partition, *disk;
        bool is;
    } cases[] = {
        { "sda1", "sda", true },
        { "sda12", "sda", true },
        { "nvme0n1p2", "nvme0n1", true },
        { "mmcblk0p1", "mmcblk0", true },
        { "sda", "sda", false },
        { "sdaa1", "sda", false },
        { "sdb1", "sda", false },
        { "nvme0n12", "nvme0n1", false },
        { "nvme0n1p", "nvme0n1", false },
        { "sda1x", "sda", false },
        { "sda", "sda1", false },
        { "loop01", "loop0", false },
        { "mmcblk0boot0", "mmcblk0", false },
    };
    DeviceName none = {};
    DeviceName sda1 = block("sda1");

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        DeviceName partition = block(cases[i].partition);
        DeviceName disk = block(cases[i].disk);

        assert_int_equal(device_name_is_partition_of(&partition, &disk),
                         cases[i].is);
    }
    assert_false(device_name_is_partition_of(&sda1, &none));
}

static void test_names_are_equal_by_their_bytes(void **state)
{
    DeviceName a = block("sda"), b = block("sda"), c = block("sdb");

    (void) state;

    assert_true(device_name_equal(&a, &b));
    assert_false(device_name_equal(&a, &c));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_names_are_those_that_qubesd_accepts),
        cmocka_unit_test(test_usb_names_are_bus_and_ports),
        cmocka_unit_test(test_a_usb_name_has_at_most_31_bytes),
        cmocka_unit_test(test_a_nul_inside_a_name_is_refused),
        cmocka_unit_test(test_only_the_length_counts_not_what_follows),
        cmocka_unit_test(test_no_class_has_no_names),
        cmocka_unit_test(test_a_name_of_any_class_tells_its_class),
        cmocka_unit_test(test_classes_have_their_words),
        cmocka_unit_test(test_partitions_are_told_from_disks_by_name),
        cmocka_unit_test(test_names_are_equal_by_their_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
