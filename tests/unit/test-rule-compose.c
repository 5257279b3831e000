/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-compose.h"
#include "dom0/core/rule-suggest.h"
#include "tests/support/test.h"

static const Target to_work = { TARGET_QUBE, { "work" } };

static void set(Record *record, PropertyKey key, const char *text)
{
    assert_true(
        properties_set_text(&record->properties, key, text, strlen(text)));
}

static Record stick(void)
{
    Record record = { .action = RECORD_ADD,
                      .class = DEVICE_CLASS_BLOCK,
                      .device = { "sda" } };

    set(&record, PROPERTY_VENDOR_ID, "0781");
    set(&record, PROPERTY_PRODUCT_ID, "5581");
    set(&record, PROPERTY_SERIAL, "4C*[\"\\");
    set(&record, PROPERTY_DEVTYPE, "disk");
    assert_true(properties_add_interface(&record.properties, "08065A", 6));
    assert_true(properties_add_interface(&record.properties, "08065a", 6));
    assert_true(properties_add_interface(&record.properties, "FF0001", 6));
    return record;
}

static void expect(const Record *record,
                   const ConditionKey *keys,
                   size_t n_keys,
                   const char *text)
{
    const RuleSpec spec = {
        .name = { "n" },
        .action = RULE_ALLOW,
        .keys = keys,
        .n_keys = n_keys,
        .source = { "sys-usb" },
        .targets = &to_work,
        .n_targets = 1,
        .options = { .timeout_usec = RULE_TIMEOUT_DEFAULT_USEC,
                     .start = RULE_WHEN_RUNNING,
                     .read_only = record->class == DEVICE_CLASS_BLOCK },
    };
    char *made = rule_compose(&spec, record);

    assert_non_null(made);
    assert_string_equal(made, text);
    free(made);
}

#define EXPECT(record, text, ...)                         \
    do {                                                  \
        const ConditionKey _keys_[] = { __VA_ARGS__ };    \
        expect(record, _keys_, ARRAY_SIZE(_keys_), text); \
    } while (false)

static void test_what_a_pattern_would_read_otherwise_is_quoted(void **state)
{
    const Record record = stick();

    (void) state;

    EXPECT(
        &record,
        "n: allow block id 0781:5581 serial \"4C\\*\\[\\\"\\\\\" from sys-usb "
        "to work read-only when-running",
        CONDITION_ID, CONDITION_SERIAL);
}

static void test_interfaces_are_written_once_each(void **state)
{
    Record record = stick();

    (void) state;

    record.class = DEVICE_CLASS_USB;
    EXPECT(&record,
           "n: allow usb only-interface { 08065a ff0001 } from sys-usb to work "
           "when-running",
           CONDITION_ONLY_INTERFACE);
}

static void test_of_a_partition_its_number_is_asked_for(void **state)
{
    Record record = stick();

    (void) state;

    set(&record, PROPERTY_DEVTYPE, "partition");
    EXPECT(&record,
           "n: allow block id 0781:5581 type partition from sys-usb to work "
           "read-only when-running",
           CONDITION_ID);
    assert_true(
        properties_set_number(&record.properties, PROPERTY_PARTITION, 3));
    EXPECT(&record,
           "n: allow block id 0781:5581 partition 3 from sys-usb to work "
           "read-only when-running",
           CONDITION_ID);
    /* but not if the person asks for all of them */
    EXPECT(&record,
           "n: allow block id 0781:5581 type partition from sys-usb to work "
           "read-only when-running",
           CONDITION_ID, CONDITION_TYPE);
}

static void test_what_the_device_lacks_is_no_condition(void **state)
{
    Record record = stick();
    Record bare = { .class = DEVICE_CLASS_USB, .device = { "2-1" } };

    (void) state;

    assert_true(rule_compose_has(CONDITION_ID, &record));
    assert_true(rule_compose_has(CONDITION_TYPE, &record));
    assert_false(rule_compose_has(CONDITION_PATH, &record));
    assert_false(rule_compose_has(CONDITION_PARTITION, &record));
    for (size_t i = 0; i < N_CONDITION_KEYS; i++)
        assert_false(rule_compose_has((ConditionKey) i, &bare));
    /* a disk with the number of a partition is of no type */
    assert_true(
        properties_set_number(&record.properties, PROPERTY_PARTITION, 1));
    assert_false(rule_compose_has(CONDITION_TYPE, &record));
}

static bool is_taken(const char *name, const void *userdata)
{
    const char *const *names = userdata;

    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static void test_a_name_that_is_taken_gets_a_number(void **state)
{
    const char *const names[] = { "a", "a-2", "a-4", NULL };
    RuleName name;

    (void) state;

    rule_compose_name(&name, "b", is_taken, names);
    assert_string_equal(name.s, "b");
    rule_compose_name(&name, "a", is_taken, names);
    assert_string_equal(name.s, "a-3");
}

static void test_suggestions_are_for_what_the_device_is(void **state)
{
    RuleSuggestion suggestions[RULE_SUGGESTIONS_MAX];
    Record record = stick();
    Record bare = { .class = DEVICE_CLASS_USB, .device = { "2-1" } };
    size_t n;

    (void) state;

    n = rule_suggest(&record, suggestions);
    assert_int_equal(n, 3);
    assert_string_equal(suggestions[0].name, "this-one");
    assert_string_equal(suggestions[1].name, "this-kind");
    assert_string_equal(suggestions[2].name, "any-disk");

    set(&record, PROPERTY_PATH, "pci-1");
    set(&record, PROPERTY_FS_UUID, "1");
    set(&record, PROPERTY_DEVTYPE, "partition");
    n = rule_suggest(&record, suggestions);
    assert_int_equal(n, 8);
    assert_string_equal(suggestions[0].name, "this-one-here");
    assert_string_equal(suggestions[7].name, "any-part");

    record.class = DEVICE_CLASS_USB;
    n = rule_suggest(&record, suggestions);
    assert_string_equal(suggestions[n - 1].name, "this-function");

    n = rule_suggest(&bare, suggestions);
    assert_int_equal(n, 1);
    assert_int_equal(suggestions[0].n_keys, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_pattern_would_read_otherwise_is_quoted),
        cmocka_unit_test(test_interfaces_are_written_once_each),
        cmocka_unit_test(test_of_a_partition_its_number_is_asked_for),
        cmocka_unit_test(test_what_the_device_lacks_is_no_condition),
        cmocka_unit_test(test_a_name_that_is_taken_gets_a_number),
        cmocka_unit_test(test_suggestions_are_for_what_the_device_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
