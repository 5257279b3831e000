/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sysusb/core/mounts.h"
#include "tests/support/test.h"

static const char mountinfo[] =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "36 35 8:17 / /mnt/a\\040b rw,noatime master:1 - ext4 /dev/sdb1 rw\n"
    "37 35 0:45 /@ /home rw shared:2 master:3 - btrfs /dev/sdc2 rw,space\n"
    "38 35 0:46 / /odd rw - tmpfs - rw\n"
    "39 35 253:0 / / rw - ext4 /dev/mapper/dmroot rw";

static BlockNumber number_of(const char *text, const char *name)
{
    BlockNumber number = { .name = name };

    assert_true(block_number_parse(&number, text));
    return number;
}

static bool is_mounted(const char *text, const char *name)
{
    BlockNumber number = number_of(text, name);

    return mounts_have(mountinfo, &number);
}

static void test_a_mount_is_found_by_its_number(void **state)
{
    (void) state;

    assert_true(is_mounted("8:17", "sdb1"));
    assert_true(is_mounted("253:0", "dm-0"));
    assert_false(is_mounted("8:1", "sda1"));
    assert_false(is_mounted("8:18", "sdb2"));
    assert_false(is_mounted("17:8", "other"));
}

static void test_a_mount_over_several_devices_is_found_by_name(void **state)
{
    (void) state;

    assert_true(is_mounted("8:34", "sdc2"));
    assert_false(is_mounted("8:32", "sdc"));
    assert_false(is_mounted("8:35", "sdc22"));
}

static void test_a_cut_table_is_no_danger(void **state)
{
    BlockNumber number = number_of("8:99", "sdg3");

    (void) state;

    for (size_t i = 0; i < sizeof(mountinfo); i++)
        assert_false(mounts_have(mountinfo + i, &number));
}

static void test_swap_is_found(void **state)
{
    static const char swaps[] =
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/dev/sda2                               partition\t1\t0\t-2\n"
        "/dev/dm-3\tpartition\t1\t0\t-2\n";
    BlockNumber sda2 = number_of("8:2", "sda2");
    BlockNumber sda = number_of("8:0", "sda");
    BlockNumber dm = number_of("253:3", "dm-3");

    (void) state;

    assert_true(swaps_have(swaps, &sda2));
    assert_true(swaps_have(swaps, &dm));
    assert_false(swaps_have(swaps, &sda));
}

static void test_numbers_are_strict(void **state)
{
    static const char *const bad[] = {
        "", "8", "8:", ":1", "8:1 ", "a:1", "8:-1", "8:1:2", "4294967296:0",
    };
    BlockNumber number = {};

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(block_number_parse(&number, bad[i]));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_mount_is_found_by_its_number),
        cmocka_unit_test(test_a_mount_over_several_devices_is_found_by_name),
        cmocka_unit_test(test_a_cut_table_is_no_danger),
        cmocka_unit_test(test_swap_is_found),
        cmocka_unit_test(test_numbers_are_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
