/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/record.h"
#include "tests/support/test.h"

/* The table of DESIGN 3, written down a second time. */
static const struct {
    PropertyKey key;
    const char *name;
    PropertyForm form;
    size_t max; /* of texts, in bytes */
} expected[] = {
    { PROPERTY_VENDOR_ID, "vendor_id", PROPERTY_FORM_HEX4_LOWER, 4 },
    { PROPERTY_PRODUCT_ID, "product_id", PROPERTY_FORM_HEX4_LOWER, 4 },
    { PROPERTY_REVISION, "revision", PROPERTY_FORM_HEX4, 4 },
    { PROPERTY_SERIAL, "serial", PROPERTY_FORM_TEXT, 126 },
    { PROPERTY_VENDOR, "vendor", PROPERTY_FORM_TEXT, 126 },
    { PROPERTY_MODEL, "model", PROPERTY_FORM_TEXT, 126 },
    { PROPERTY_INTERFACES, "interfaces", PROPERTY_FORM_INTERFACES, 0 },
    { PROPERTY_PATH, "path", PROPERTY_FORM_TEXT, 255 },
    { PROPERTY_DEVTYPE, "devtype", PROPERTY_FORM_DEVTYPE, 0 },
    { PROPERTY_PARTITION, "partition", PROPERTY_FORM_NUMBER, 0 },
    { PROPERTY_FS_TYPE, "fs_type", PROPERTY_FORM_TEXT, 255 },
    { PROPERTY_FS_UUID, "fs_uuid", PROPERTY_FORM_TEXT, 255 },
    { PROPERTY_FS_LABEL, "fs_label", PROPERTY_FORM_TEXT, 255 },
    { PROPERTY_PART_TABLE, "part_table", PROPERTY_FORM_TEXT, 255 },
    { PROPERTY_PART_UUID, "part_uuid", PROPERTY_FORM_TEXT, 255 },
    { PROPERTY_PART_LABEL, "part_label", PROPERTY_FORM_TEXT, 255 },
    { PROPERTY_SIZE, "size", PROPERTY_FORM_NUMBER, 0 },
    { PROPERTY_REMOVABLE, "removable", PROPERTY_FORM_BOOL, 0 },
    { PROPERTY_READ_ONLY, "read_only", PROPERTY_FORM_BOOL, 0 },
    { PROPERTY_DISKSEQ, "diskseq", PROPERTY_FORM_NUMBER, 0 },
};

static bool sets(PropertyKey key, const char *text)
{
    Properties properties = {};
    bool good = properties_set_text(&properties, key, text, strlen(text));

    assert_int_equal(properties_have(&properties, key), good);
    if (good)
        assert_string_equal(properties_get_text(&properties, key), text);
    return good;
}

static bool sets_number(PropertyKey key, int64_t number)
{
    Properties properties = {};
    bool good = properties_set_number(&properties, key, number);

    assert_int_equal(properties_have(&properties, key), good);
    if (good)
        assert_int_equal(properties_get_number(&properties, key), number);
    return good;
}

static void test_the_properties_are_those_of_the_design(void **state)
{
    (void) state;

    assert_int_equal(N_PROPERTIES, ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        assert_string_equal(property_name(expected[i].key), expected[i].name);
        assert_int_equal(property_from_name(expected[i].name), expected[i].key);
        assert_int_equal(property_form(expected[i].key), expected[i].form);
        assert_int_equal(property_text_max(expected[i].key), expected[i].max);
    }
    assert_int_equal(property_from_name("usb_version"), N_PROPERTIES);
    assert_int_equal(property_from_name("Serial"), N_PROPERTIES);
    assert_int_equal(property_from_name(""), N_PROPERTIES);
}

static void test_actions_have_their_words(void **state)
{
    static const char *const words[] = { "present", "add", "change", "remove" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        RecordAction action = record_action_from_string(words[i]);

        assert_int_equal(action, RECORD_PRESENT + i);
        assert_string_equal(record_action_to_string(action), words[i]);
    }
    assert_int_equal(record_action_from_string("bind"), RECORD_ACTION_INVALID);
    assert_int_equal(record_action_from_string(""), RECORD_ACTION_INVALID);
}

static void test_ids_are_four_hex_digits_in_lower_case(void **state)
{
    static const PropertyKey keys[] = { PROPERTY_VENDOR_ID,
                                        PROPERTY_PRODUCT_ID };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        assert_true(sets(keys[i], "0781"));
        assert_true(sets(keys[i], "abcf"));
        assert_false(sets(keys[i], "ABCF"));
        assert_false(sets(keys[i], "078"));
        assert_false(sets(keys[i], "07811"));
        assert_false(sets(keys[i], "078g"));
        assert_false(sets(keys[i], "0x78"));
        assert_false(sets(keys[i], ""));
    }
}

static void test_a_revision_may_be_in_either_case(void **state)
{
    (void) state;

    assert_true(sets(PROPERTY_REVISION, "01aB"));
    assert_false(sets(PROPERTY_REVISION, "01a"));
    assert_false(sets(PROPERTY_REVISION, "01a.0"));
}

static void test_texts_reach_from_one_byte_to_their_limit(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        char text[RECORD_LONG_MAX + 2] = {};

        if (expected[i].form != PROPERTY_FORM_TEXT)
            continue;
        memset(text, 'x', expected[i].max);
        assert_false(sets(expected[i].key, ""));
        assert_true(sets(expected[i].key, "x"));
        assert_true(sets(expected[i].key, text));
        text[expected[i].max] = 'x';
        assert_false(sets(expected[i].key, text));
        assert_false(sets(expected[i].key, "a\nb"));
        assert_false(sets(expected[i].key, "a\xff"));
    }
}

static void test_a_shorter_text_leaves_nothing_of_the_longer_one(void **state)
{
    Properties a = {}, b = {};

    (void) state;

    assert_true(properties_set_text(&a, PROPERTY_SERIAL, "longer", 6));
    assert_true(properties_set_text(&a, PROPERTY_SERIAL, "ab", 2));
    assert_true(properties_set_text(&b, PROPERTY_SERIAL, "ab", 2));
    assert_memory_equal(a.serial, b.serial, sizeof(a.serial));
    assert_true(properties_equal(&a, &b));
}

static void test_a_refused_value_changes_nothing(void **state)
{
    Properties properties = {}, before;

    (void) state;

    assert_true(properties_set_text(&properties, PROPERTY_MODEL, "Ultra", 5));
    assert_true(properties_set_text(&properties, PROPERTY_DEVTYPE, "disk", 4));
    assert_true(properties_set_number(&properties, PROPERTY_SIZE, 5));
    assert_true(properties_add_interface(&properties, "080650", 6));
    before = properties;
    assert_false(properties_set_text(&properties, PROPERTY_MODEL, "\n", 1));
    assert_false(properties_set_text(&properties, PROPERTY_DEVTYPE, "tape", 4));
    assert_false(properties_set_number(&properties, PROPERTY_SIZE, -1));
    assert_false(properties_set_number(&properties, PROPERTY_PARTITION, 0));
    assert_false(properties_add_interface(&properties, "08065", 5));
    assert_memory_equal(&properties, &before, sizeof(before));
}

static void test_a_form_without_text_takes_no_text(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        if (expected[i].form == PROPERTY_FORM_INTERFACES ||
            expected[i].form == PROPERTY_FORM_NUMBER ||
            expected[i].form == PROPERTY_FORM_BOOL)
            assert_false(sets(expected[i].key, "1"));
}

static void test_devtypes_are_three_words(void **state)
{
    /* no NUL behind the length */
    static const char padded[] = { 'd', 'i', 's', 'k', 's' };
    Properties properties = {};

    (void) state;

    assert_true(sets(PROPERTY_DEVTYPE, "disk"));
    assert_true(sets(PROPERTY_DEVTYPE, "partition"));
    assert_true(sets(PROPERTY_DEVTYPE, "usb_device"));
    assert_false(sets(PROPERTY_DEVTYPE, "usb_interface"));
    assert_false(sets(PROPERTY_DEVTYPE, "dis"));
    assert_false(sets(PROPERTY_DEVTYPE, ""));
    assert_true(properties_set_text(&properties, PROPERTY_DEVTYPE, padded, 4));
    assert_false(properties_set_text(&properties, PROPERTY_DEVTYPE, padded, 5));
    assert_false(
        properties_set_text(&properties, PROPERTY_DEVTYPE, "disk\0x", 6));
    assert_int_equal(properties.devtype, DEVICE_TYPE_DISK);
}

static void test_numbers_stay_within_their_bounds(void **state)
{
    (void) state;

    assert_false(sets_number(PROPERTY_PARTITION, 0));
    assert_true(sets_number(PROPERTY_PARTITION, 1));
    assert_true(sets_number(PROPERTY_PARTITION, 255));
    assert_false(sets_number(PROPERTY_PARTITION, 256));
    assert_false(sets_number(PROPERTY_PARTITION, 257));
    assert_false(sets_number(PROPERTY_SIZE, -1));
    assert_true(sets_number(PROPERTY_SIZE, 0));
    assert_true(sets_number(PROPERTY_SIZE, INT64_MAX));
    assert_false(sets_number(PROPERTY_DISKSEQ, INT64_MIN));
    assert_true(sets_number(PROPERTY_DISKSEQ, 0));
    assert_true(sets_number(PROPERTY_DISKSEQ, INT64_MAX));
}

static void test_size_and_diskseq_do_not_mix(void **state)
{
    Properties properties = {};

    (void) state;

    assert_true(properties_set_number(&properties, PROPERTY_SIZE, 5));
    assert_true(properties_set_number(&properties, PROPERTY_DISKSEQ, 6));
    assert_true(properties_set_number(&properties, PROPERTY_PARTITION, 7));
    properties_set_bool(&properties, PROPERTY_REMOVABLE, true);
    properties_set_bool(&properties, PROPERTY_READ_ONLY, false);
    assert_int_equal(properties_get_number(&properties, PROPERTY_SIZE), 5);
    assert_int_equal(properties_get_number(&properties, PROPERTY_DISKSEQ), 6);
    assert_int_equal(properties_get_number(&properties, PROPERTY_PARTITION), 7);
    assert_true(properties_get_bool(&properties, PROPERTY_REMOVABLE));
    assert_false(properties_get_bool(&properties, PROPERTY_READ_ONLY));
}

static void test_there_are_at_most_32_interfaces(void **state)
{
    Properties properties = {};

    (void) state;

    assert_false(properties_add_interface(&properties, "0806500", 7));
    assert_false(properties_add_interface(&properties, "08065g", 6));
    assert_false(properties_have(&properties, PROPERTY_INTERFACES));
    for (unsigned int i = 0; i < 32; i++)
        assert_true(properties_add_interface(&properties, "0806Fa", 6));
    assert_false(properties_add_interface(&properties, "080650", 6));
    assert_int_equal(properties.n_interfaces, 32);
    assert_string_equal(properties.interfaces[31].s, "0806Fa");
}

static void test_every_single_difference_makes_unequal(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        Properties a = {}, b = {}, none = {};
        PropertyKey key = expected[i].key;

        switch (expected[i].form) {
        case PROPERTY_FORM_HEX4_LOWER:
        case PROPERTY_FORM_HEX4:
        case PROPERTY_FORM_TEXT:
            assert_true(properties_set_text(&a, key, "0001", 4));
            assert_true(properties_set_text(&b, key, "0002", 4));
            break;
        case PROPERTY_FORM_INTERFACES:
            assert_true(properties_add_interface(&a, "080650", 6));
            assert_true(properties_add_interface(&b, "080651", 6));
            break;
        case PROPERTY_FORM_DEVTYPE:
            assert_true(properties_set_text(&a, key, "disk", 4));
            assert_true(properties_set_text(&b, key, "partition", 9));
            break;
        case PROPERTY_FORM_NUMBER:
            assert_true(properties_set_number(&a, key, 1));
            assert_true(properties_set_number(&b, key, 2));
            break;
        case PROPERTY_FORM_BOOL:
            properties_set_bool(&a, key, true);
            properties_set_bool(&b, key, false);
            break;
        }
        assert_true(properties_equal(&a, &a));
        assert_false(properties_equal(&a, &b));
        assert_false(properties_equal(&a, &none));
        assert_false(properties_equal(&none, &b));
    }
}

static void test_a_longer_list_of_interfaces_is_not_equal(void **state)
{
    Properties a = {}, b;

    (void) state;

    assert_true(properties_add_interface(&a, "080650", 6));
    b = a;
    assert_true(properties_add_interface(&b, "080650", 6));
    assert_false(properties_equal(&a, &b));
}

static void test_records_differ_by_each_of_their_parts(void **state)
{
    Record a = { .action = RECORD_ADD, .class = DEVICE_CLASS_BLOCK }, b;

    (void) state;

    strcpy(a.device.s, "sda");
    b = a;
    assert_true(record_equal(&a, &b));
    b.action = RECORD_CHANGE;
    assert_false(record_equal(&a, &b));
    b = a;
    b.class = DEVICE_CLASS_USB;
    assert_false(record_equal(&a, &b));
    b = a;
    strcpy(b.device.s, "sdb");
    assert_false(record_equal(&a, &b));
    b = a;
    b.parent_class = DEVICE_CLASS_USB;
    assert_false(record_equal(&a, &b));
    b = a;
    strcpy(b.parent.s, "2-1");
    assert_false(record_equal(&a, &b));
    b = a;
    properties_set_bool(&b.properties, PROPERTY_REMOVABLE, false);
    assert_false(record_equal(&a, &b));
}

static void test_another_plug_is_told_by_five_properties(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        PropertyKey key = expected[i].key;
        bool tells = key == PROPERTY_VENDOR_ID || key == PROPERTY_PRODUCT_ID ||
                     key == PROPERTY_SERIAL || key == PROPERTY_PATH ||
                     key == PROPERTY_DISKSEQ;
        Record a = {}, b = {};

        if (expected[i].form == PROPERTY_FORM_NUMBER)
            assert_true(properties_set_number(&a.properties, key, 1));
        else if (expected[i].form == PROPERTY_FORM_BOOL)
            properties_set_bool(&a.properties, key, true);
        else if (expected[i].form == PROPERTY_FORM_INTERFACES)
            assert_true(properties_add_interface(&a.properties, "080650", 6));
        else if (expected[i].form == PROPERTY_FORM_DEVTYPE)
            assert_true(properties_set_text(&a.properties, key, "disk", 4));
        else
            assert_true(properties_set_text(&a.properties, key, "0001", 4));

        assert_true(record_same_plug(&a, &a));
        assert_int_equal(record_same_plug(&a, &b), !tells);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_properties_are_those_of_the_design),
        cmocka_unit_test(test_actions_have_their_words),
        cmocka_unit_test(test_ids_are_four_hex_digits_in_lower_case),
        cmocka_unit_test(test_a_revision_may_be_in_either_case),
        cmocka_unit_test(test_texts_reach_from_one_byte_to_their_limit),
        cmocka_unit_test(test_a_shorter_text_leaves_nothing_of_the_longer_one),
        cmocka_unit_test(test_a_refused_value_changes_nothing),
        cmocka_unit_test(test_a_form_without_text_takes_no_text),
        cmocka_unit_test(test_devtypes_are_three_words),
        cmocka_unit_test(test_numbers_stay_within_their_bounds),
        cmocka_unit_test(test_size_and_diskseq_do_not_mix),
        cmocka_unit_test(test_there_are_at_most_32_interfaces),
        cmocka_unit_test(test_every_single_difference_makes_unequal),
        cmocka_unit_test(test_a_longer_list_of_interfaces_is_not_equal),
        cmocka_unit_test(test_records_differ_by_each_of_their_parts),
        cmocka_unit_test(test_another_plug_is_told_by_five_properties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
