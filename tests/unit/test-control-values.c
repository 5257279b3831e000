/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/wire/control-values.h"
#include "tests/support/test.h"

/* A call with these; NULL for one that is not given. */
static ControlCall call_with(const char *source,
                             const char *device,
                             const char *rule)
{
    return (ControlCall){
        .parameters = json_pack("{s:s*, s:s*, s:s*}", "source", source,
                                "device", device, "rule", rule),
    };
}

static void expect_bad(const char *source, const char *device, const char *bad)
{
    ControlCall call = call_with(source, device, NULL);
    DeviceRef ref = {};

    assert_string_equal(control_device_decode(&ref, &call), bad);
    assert_string_equal(ref.source.s, "");
    control_call_clear(&call);
}

static void expect_device(const char *source,
                          const char *device,
                          DeviceClass class)
{
    ControlCall call = call_with(source, device, NULL);
    DeviceRef ref = {};

    assert_null(control_device_decode(&ref, &call));
    assert_string_equal(ref.source.s, source);
    assert_string_equal(ref.device.s, device);
    assert_int_equal(ref.class, class);
    control_call_clear(&call);
}

static void test_a_device_has_its_class_by_its_name(void **state)
{
    (void) state;

    expect_device("sys-usb", "sda1", DEVICE_CLASS_BLOCK);
    expect_device("sys-usb", "2-1.3", DEVICE_CLASS_USB);
}

static void test_the_parameter_that_is_bad_is_named(void **state)
{
    (void) state;

    expect_bad(NULL, "sda", "source");
    expect_bad("2x", "sda", "source");
    expect_bad("", NULL, "source");
    expect_bad("sys-usb", NULL, "device");
    expect_bad("sys-usb", "", "device");
    expect_bad("sys-usb", "/dev/sda", "device");
}

/* What is waited for, or the parameter that is bad. */
static void expect_awaited(ControlCall call, const char *bad, const char *rule)
{
    DeviceRef ref = {};
    RuleName name;
    const char *found = control_awaited_decode(&ref, &name, &call);

    if (bad)
        assert_string_equal(found, bad);
    else
        assert_null(found);
    assert_string_equal(name.s, rule);
    control_call_clear(&call);
}

static void test_a_device_or_a_rule_is_waited_for(void **state)
{
    (void) state;

    expect_awaited(call_with("sys-usb", "sda", NULL), NULL, "");
    expect_awaited(call_with("sys-usb", NULL, NULL), "device", "");
    expect_awaited(call_with(NULL, NULL, "stick"), NULL, "stick");
    /* which no rule can be called */
    expect_awaited(call_with(NULL, NULL, "a stick"), NULL, "");
    expect_awaited(call_with(NULL, NULL, ""), "rule", "");
    expect_awaited(call_with("sys-usb", NULL, "stick"), "rule", "");
    expect_awaited(call_with(NULL, "sda", "stick"), "rule", "");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_has_its_class_by_its_name),
        cmocka_unit_test(test_the_parameter_that_is_bad_is_named),
        cmocka_unit_test(test_a_device_or_a_rule_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
