/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/wire/device-wire.h"
#include "tests/support/test.h"

static const Rule rule = {
    .name = { "stick" },
    .action = RULE_ASK,
    .class = RULE_CLASS_BLOCK,
    .file = "/rules/a.rules",
    .line = 3,
    .text = "stick: ask block",
};

static void set(Record *record, PropertyKey key, const char *text)
{
    assert_true(
        properties_set_text(&record->properties, key, text, strlen(text)));
}

static void expect(json_t *json, const char *wanted)
{
    char *text = json_dumps(json, JSON_COMPACT);

    assert_non_null(text);
    assert_string_equal(text, wanted);
    free(text);
    json_decref(json);
}

static void test_a_device_is_told_with_all_that_is_known(void **state)
{
    const HistoryEntry outcome = { .detail = "no memory" };
    Record record = { .class = DEVICE_CLASS_BLOCK,
                      .device = { "sda" },
                      .parent_class = DEVICE_CLASS_USB,
                      .parent = { "2-1" } };
    const ReportDevice device = {
        .source = { "sys-usb" },
        .record = &record,
        .attached_to = { "work" },
        .attached_by = { "stick" },
        .rule = &rule,
        .state = "checking",
        .status = STATUS_START_FAILED,
        .status_usec = 5,
        .outcome = &outcome,
    };

    (void) state;

    set(&record, PROPERTY_VENDOR, "SanDisk");
    set(&record, PROPERTY_DEVTYPE, "disk");
    assert_true(properties_add_interface(&record.properties, "080650", 6));
    assert_true(
        properties_set_number(&record.properties, PROPERTY_SIZE, 16384));
    properties_set_bool(&record.properties, PROPERTY_REMOVABLE, false);
    expect(
        device_to_json(&device),
        "{\"source\":\"sys-usb\",\"class\":\"block\",\"device\":\"sda\","
        "\"parent\":\"2-1\","
        "\"properties\":{\"vendor\":\"SanDisk\",\"interfaces\":[\"080650\"],"
        "\"devtype\":\"disk\",\"size\":16384,\"removable\":false},"
        "\"label\":\"SanDisk\",\"size\":16384,\"attached_to\":\"work\","
        "\"attached_by\":\"stick\",\"rule\":{\"name\":\"stick\",\"action\":"
        "\"ask\","
        "\"file\":\"/rules/a.rules\",\"line\":3},\"state\":\"checking\","
        "\"last\":{\"time_usec\":5,\"code\":520,\"status\":\"start-failed\","
        "\"sentence\":\"the target did not start\",\"detail\":\"no memory\"}}");
}

static void test_what_is_not_known_of_a_device_is_null(void **state)
{
    const Record record = { .class = DEVICE_CLASS_USB, .device = { "2-1" } };
    const ReportDevice device = { .source = { "sys-usb" }, .record = &record };

    (void) state;

    expect(
        device_to_json(&device),
        "{\"source\":\"sys-usb\",\"class\":\"usb\",\"device\":\"2-1\","
        "\"parent\":null,"
        "\"properties\":{},\"label\":null,\"size\":null,\"attached_to\":null,"
        "\"attached_by\":null,\"rule\":null,\"state\":null,\"last\":null}");
}

static void test_who_has_a_device_is_told(void **state)
{
    Record record = { .class = DEVICE_CLASS_USB, .device = { "2-1" } };
    ReportDevice device = { .source = { "sys-usb" },
                            .record = &record,
                            .attached_to = { "work" } };

    (void) state;

    expect(attached_to_json(&device),
           "{\"source\":\"sys-usb\",\"class\":\"usb\",\"device\":\"2-1\","
           "\"label\":null,"
           "\"target\":\"work\",\"rule\":null}");
    set(&record, PROPERTY_MODEL, "Ultra");
    device.attached_by = rule.name;
    expect(attached_to_json(&device),
           "{\"source\":\"sys-usb\",\"class\":\"usb\",\"device\":\"2-1\","
           "\"label\":\"Ultra\","
           "\"target\":\"work\",\"rule\":\"stick\"}");
}

static void test_a_rule_is_told_with_its_hits(void **state)
{
    const ReportRule report = { .rule = &rule, .n_hits = 2 };

    (void) state;

    expect(
        rule_to_json(&report),
        "{\"name\":\"stick\",\"action\":\"ask\",\"class\":\"block\","
        "\"file\":\"/rules/a.rules\",\"line\":3,\"text\":\"stick: ask block\","
        "\"n_hits\":2}");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_is_told_with_all_that_is_known),
        cmocka_unit_test(test_what_is_not_known_of_a_device_is_null),
        cmocka_unit_test(test_who_has_a_device_is_told),
        cmocka_unit_test(test_a_rule_is_told_with_its_hits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
