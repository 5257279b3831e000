/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/core/rule-filter.h"
#include "dom0/core/ruleset.h"
#include "tests/support/test.h"

static void set(Record *record, PropertyKey key, const char *text)
{
    assert_true(
        properties_set_text(&record->properties, key, text, strlen(text)));
}

static Record stick(const char *vendor, const char *product, const char *serial)
{
    Record record = { .action = RECORD_ADD,
                      .class = DEVICE_CLASS_BLOCK,
                      .device = { "sda" } };

    if (vendor) {
        set(&record, PROPERTY_VENDOR_ID, vendor);
        set(&record, PROPERTY_PRODUCT_ID, product);
    }
    if (serial)
        set(&record, PROPERTY_SERIAL, serial);
    return record;
}

/* Whether a rule with these conditions lets the record through, and whether it
 * matches: nothing may match that is not let through. */
static bool lets_through(const char *conditions, Record record, bool matches)
{
    static const QubeName source = { "sys-usb" };
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    RuleFilter of_rule, of_record = rule_filter_of_record(&record);
    char text[256];

    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_new(&ruleset), 0);
    (void) snprintf(text, sizeof(text), "r: deny block %s\n", conditions);
    assert_int_equal(
        ruleset_add_file(ruleset, "f", text, strlen(text), diagnostics), 0);
    assert_int_equal(ruleset_count(ruleset), 1);
    of_rule = rule_filter_of_rule(ruleset_get(ruleset, 0));
    assert_int_equal(ruleset_match(ruleset, &source, &record) != NULL, matches);
    return rule_filter_lets_through(&of_rule, &of_record);
}

static void test_what_matches_is_let_through(void **state)
{
    (void) state;

    assert_true(lets_through("", stick(NULL, NULL, NULL), true));
    assert_true(lets_through("id 0781:55ab", stick("0781", "55ab", "x"), true));
    assert_true(lets_through("id 0781:55AB", stick("0781", "55ab", "x"), true));
    assert_true(lets_through("id 0781:*", stick("0781", "55ab", "x"), true));
    assert_true(lets_through("id { 1234:5678 0781:55ab }",
                             stick("0781", "55ab", "x"), true));
    assert_true(
        lets_through("not id 1234:5678", stick("0781", "55ab", "x"), true));
    assert_true(
        lets_through("not id 1234:5678", stick(NULL, NULL, NULL), true));
    assert_true(
        lets_through("serial \"A b\"", stick("0781", "55ab", "A b"), true));
    assert_true(
        lets_through("serial \"A\\*\"", stick("0781", "55ab", "A*"), true));
    assert_true(
        lets_through("serial \"A*\"", stick("0781", "55ab", "A b"), true));
    assert_true(lets_through("id 0781:55ab serial \"A b\"",
                             stick("0781", "55ab", "A b"), true));
    assert_true(lets_through("serial { \"x*y\" \"*A b\" }",
                             stick("0781", "55ab", "A b"), true));
    assert_true(lets_through("serial \"[A]?[a-c]\"",
                             stick("0781", "55ab", "A b"), true));
    assert_true(lets_through("serial \"\xc3\x84*\xe2\x82\xac\"",
                             stick("0781", "55ab", "\xc3\x84-\xe2\x82\xac"),
                             true));
    assert_true(lets_through("name \"sd[a-z]\"", stick(NULL, NULL, NULL),
                             true));
}

static Record with_interfaces(void)
{
    Record record = stick("0781", "55ab", "x");

    assert_true(properties_add_interface(&record.properties, "080650", 6));
    assert_true(properties_add_interface(&record.properties, "030101", 6));
    return record;
}

static void test_one_of_the_interfaces_is_enough(void **state)
{
    (void) state;

    assert_true(lets_through("interface 03*", with_interfaces(), true));
    assert_true(lets_through("interface { ff* 03* }", with_interfaces(), true));
    assert_true(lets_through("only-interface { 03* 08* }", with_interfaces(),
                             true));
    assert_false(lets_through("interface ff*", with_interfaces(), false));
}

static void test_the_case_of_hex_digits_makes_no_difference(void **state)
{
    Record record = stick(NULL, NULL, NULL);

    (void) state;

    set(&record, PROPERTY_FS_UUID, "3F2A-91C0");
    assert_true(lets_through("fs-uuid 3f2a-91c0", record, true));
    assert_true(lets_through("fs-uuid 3F2A-*", record, true));
    set(&record, PROPERTY_FS_UUID, "3f2a-91c0");
    assert_true(lets_through("fs-uuid 3F2A-91C0", record, true));
}

static void test_what_a_pattern_does_not_take_is_mostly_not(void **state)
{
    static const char *const patterns[] = { "*XQ*", "Z*", "*-W", "?KJ*", "a*" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
        char condition[64];

        (void) snprintf(condition, sizeof(condition), "serial \"%s\"",
                        patterns[i]);
        assert_false(
            lets_through(condition, stick("0781", "55ab", "A bc d"), false));
    }
    /* as none of the values is */
    assert_false(lets_through("serial { \"A b*XQ\" \"*XQ d\" }",
                              stick("0781", "55ab", "A bc d"), false));
}

static void test_what_is_of_another_id_or_serial_is_not(void **state)
{
    (void) state;

    assert_false(
        lets_through("id 0781:55ab", stick("0781", "55ac", "x"), false));
    assert_false(lets_through("id 0781:55ab", stick(NULL, NULL, NULL), false));
    assert_false(lets_through("serial A", stick("0781", "55ab", "a"), false));
    assert_false(lets_through("serial A", stick("0781", "55ab", NULL), false));
    assert_false(lets_through("id 0781:55ab serial A",
                              stick("0781", "55ab", "B"), false));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_matches_is_let_through),
        cmocka_unit_test(test_one_of_the_interfaces_is_enough),
        cmocka_unit_test(test_the_case_of_hex_digits_makes_no_difference),
        cmocka_unit_test(test_what_a_pattern_does_not_take_is_mostly_not),
        cmocka_unit_test(test_what_is_of_another_id_or_serial_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
