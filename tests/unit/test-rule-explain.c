/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-explain.h"
#include "dom0/core/ruleset.h"
#include "tests/support/test.h"

static Record stick(void)
{
    static const struct {
        PropertyKey key;
        const char *text;
    } texts[] = {
        { PROPERTY_VENDOR_ID, "0781" },   { PROPERTY_PRODUCT_ID, "5581" },
        { PROPERTY_REVISION, "0100" },    { PROPERTY_SERIAL, "4C53" },
        { PROPERTY_VENDOR, "SanDisk" },   { PROPERTY_MODEL, "Ultra" },
        { PROPERTY_PATH, "pci-1" },       { PROPERTY_DEVTYPE, "disk" },
        { PROPERTY_FS_TYPE, "vfat" },     { PROPERTY_FS_UUID, "3F2A-91C0" },
        { PROPERTY_FS_LABEL, "DATA" },    { PROPERTY_PART_UUID, "ab-01" },
        { PROPERTY_PART_LABEL, "first" },
    };
    Record record = { .action = RECORD_ADD,
                      .class = DEVICE_CLASS_BLOCK,
                      .device = { "sda" } };
    Properties *properties = &record.properties;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_true(properties_set_text(properties, texts[i].key, texts[i].text,
                                        strlen(texts[i].text)));
    assert_true(properties_add_interface(properties, "080650", 6));
    assert_true(properties_add_interface(properties, "ff0001", 6));
    assert_true(properties_set_number(properties, PROPERTY_SIZE, 16384));
    properties_set_bool(properties, PROPERTY_REMOVABLE, true);
    return record;
}

static Ruleset *ruleset_of(const char *text)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    Ruleset *ruleset;

    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(
        ruleset_add_file(ruleset, "a.rules", text, strlen(text), diagnostics),
        0);
    if (diagnostics_count(diagnostics) > 0)
        fail_msg("%s: %s", text, diagnostics_get(diagnostics, 0)->message);
    return ruleset;
}

static void expect(const Record *record,
                   const char *rule,
                   RuleMismatch mismatch,
                   unsigned int column,
                   const char *found)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = ruleset_of(rule);
    const QubeName source = { "sys-usb" };
    RuleReason reason;

    rule_explain(&reason, ruleset_get(ruleset, 0), &source, record);
    if (reason.mismatch != mismatch || reason.at.column != column ||
        strcmp(reason.untrusted_found, found) != 0)
        fail_msg("%s: %s at %u, \"%s\"", rule,
                 rule_mismatch_to_string(reason.mismatch), reason.at.column,
                 reason.untrusted_found);
    assert_int_equal(reason.at.line, 1);
    assert_int_equal(reason.condition != NULL, mismatch == RULE_CONDITION);
}

static void test_the_first_thing_in_the_way_is_told(void **state)
{
    Record record = stick();

    (void) state;

    expect(&record, "a: deny any\n", RULE_MATCHES, 1, "");
    expect(&record, " a: deny usb serial x\n", RULE_OTHER_CLASS, 2, "block");
    expect(&record, "a: deny block serial x from sys-net\n", RULE_OTHER_SOURCE,
           1, "sys-usb");
    expect(&record, "a: deny block serial 4C* vendor x model y\n",
           RULE_CONDITION, 26, "SanDisk");
    expect(&record, "a: deny block not serial 4C*\n", RULE_CONDITION, 19,
           "4C53");
}

static void test_what_the_device_has_is_told_for_each_condition(void **state)
{
    static const struct {
        const char *rule;
        const char *found;
    } cases[] = {
        { "a: deny block id 1050:*\n", "0781:5581" },
        { "a: deny block serial x\n", "4C53" },
        { "a: deny block vendor x\n", "SanDisk" },
        { "a: deny block model x\n", "Ultra" },
        { "a: deny block revision 0200\n", "0100" },
        { "a: deny block path x\n", "pci-1" },
        { "a: deny block interface 03*\n", "080650 ff0001" },
        { "a: deny block only-interface 08*\n", "080650 ff0001" },
        { "a: deny block name sdb\n", "sda" },
        { "a: deny block type partition\n", "disk" },
        { "a: deny block partition 1\n", "" },
        { "a: deny block fs-type ext4\n", "vfat" },
        { "a: deny block fs-uuid x\n", "3F2A-91C0" },
        { "a: deny block fs-label x\n", "DATA" },
        { "a: deny block part-uuid x\n", "ab-01" },
        { "a: deny block part-label x\n", "first" },
        { "a: deny block removable no\n", "yes" },
        { "a: deny block min-size 1M\n", "16384" },
        { "a: deny block max-size 1K\n", "16384" },
    };
    Record record = stick();
    Record bare = { .action = RECORD_ADD,
                    .class = DEVICE_CLASS_BLOCK,
                    .device = { "sda" } };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        expect(&record, cases[i].rule, RULE_CONDITION, 15, cases[i].found);
        if (!strstr(cases[i].rule, "name"))
            expect(&bare, cases[i].rule, RULE_CONDITION, 15, "");
    }
    /* every condition was looked at */
    assert_int_equal(ARRAY_SIZE(cases), N_CONDITION_KEYS);
}

static void test_a_partition_is_told_from_a_disk(void **state)
{
    Record record = stick(), disk = stick();

    (void) state;

    assert_true(properties_set_number(&disk.properties, PROPERTY_PARTITION, 3));
    expect(&disk, "a: deny block type disk\n", RULE_CONDITION, 15,
           "disk with partition 3");
    assert_true(properties_set_text(&record.properties, PROPERTY_DEVTYPE,
                                    "partition", strlen("partition")));
    expect(&record, "a: ask block serial 4C53 to work\n", RULE_IMPLICIT_DISK, 1,
           "partition");
    assert_true(
        properties_set_number(&record.properties, PROPERTY_PARTITION, 3));
    expect(&record, "a: ask block serial 4C53 to work\n", RULE_IMPLICIT_DISK, 1,
           "partition 3");
    expect(&record, "a: deny block partition 1\n", RULE_CONDITION, 15, "3");
}

static void test_the_longest_values_have_room(void **state)
{
    Record record = stick();
    char label[RECORD_LONG_MAX + 1];
    RuleReason reason;
    _cleanup_(ruleset_unrefp) Ruleset *ruleset =
        ruleset_of("a: deny block fs-label x\nb: deny usb interface 03*\n");
    const QubeName source = { "sys-usb" };

    (void) state;

    memset(label, 'x', RECORD_LONG_MAX);
    label[RECORD_LONG_MAX] = '\0';
    assert_true(properties_set_text(&record.properties, PROPERTY_FS_LABEL,
                                    label, RECORD_LONG_MAX));
    rule_explain(&reason, ruleset_get(ruleset, 0), &source, &record);
    assert_string_equal(reason.untrusted_found, label);

    record.class = DEVICE_CLASS_USB;
    while (record.properties.n_interfaces < RECORD_INTERFACES_MAX)
        assert_true(properties_add_interface(&record.properties, "0e0100", 6));
    rule_explain(&reason, ruleset_get(ruleset, 1), &source, &record);
    assert_int_equal(strlen(reason.untrusted_found),
                     RECORD_INTERFACES_MAX * 7 - 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_thing_in_the_way_is_told),
        cmocka_unit_test(test_what_the_device_has_is_told_for_each_condition),
        cmocka_unit_test(test_a_partition_is_told_from_a_disk),
        cmocka_unit_test(test_the_longest_values_have_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
