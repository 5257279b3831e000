/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "sysusb/core/usb-interfaces.h"
#include "tests/support/test.h"
#include "tests/support/udev-table.h"

/* room for a list of so many, and for the name of the property */
#define LIST_MAX  80U
#define LIST_SIZE (32 + LIST_MAX * 7)

static UsbInterfaces take(Properties *ret, const char *list)
{
    UdevNode node = table_node("usb", "2-1", list ? TABLE(list) : TABLE("A=b"));
    UdevView view = { .self = &node };

    *ret = (Properties){};
    return usb_interfaces_take(ret, &view);
}

static UsbInterfaces take_list(const char *list)
{
    Properties p;
    UsbInterfaces result = take(&p, list);

    assert_int_equal(result == USB_INTERFACES_WHOLE, p.n_interfaces > 0);
    assert_int_equal(result == USB_INTERFACES_WHOLE,
                     properties_have(&p, PROPERTY_INTERFACES));
    return result;
}

/* A mouse and @n - 1 of the vendor's. */
static void make_list(char ret[static LIST_SIZE], unsigned int n)
{
    char *at = ret + sprintf(ret, "ID_USB_INTERFACES=:030102:");

    assert_true(n <= LIST_MAX);
    for (unsigned int i = 1; i < n; i++)
        at += sprintf(at, "ff00%02x:", i);
}

static void test_the_list_of_udev_is_taken_in_its_order(void **state)
{
    Properties p;

    (void) state;

    assert_int_equal(take(&p, "ID_USB_INTERFACES=:080650:030101:"),
                     USB_INTERFACES_WHOLE);
    assert_int_equal(p.n_interfaces, 2);
    assert_string_equal(p.interfaces[0].s, "080650");
    assert_string_equal(p.interfaces[1].s, "030101");
}

static void test_a_malformed_or_missing_list_is_unsure(void **state)
{
    static const char *const bad[] = {
        "ID_USB_INTERFACES=",
        "ID_USB_INTERFACES=:",
        "ID_USB_INTERFACES=080650",
        "ID_USB_INTERFACES=080650:",
        /* as udev leaves it at a corrupt descriptor */
        "ID_USB_INTERFACES=:080650",
        "ID_USB_INTERFACES=:080650:03:",
        "ID_USB_INTERFACES=:080650::",
        "ID_USB_INTERFACES=::080650:",
        "ID_USB_INTERFACES=:08065x:",
        "ID_USB_INTERFACES=:080650:0301012:",
    };

    (void) state;

    assert_int_equal(take_list(NULL), USB_INTERFACES_UNSURE);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(take_list(bad[i]), USB_INTERFACES_UNSURE);
}

static void test_over_32_kinds_are_too_many(void **state)
{
    char list[LIST_SIZE];

    (void) state;

    make_list(list, RECORD_INTERFACES_MAX);
    assert_int_equal(take_list(list), USB_INTERFACES_WHOLE);
    make_list(list, RECORD_INTERFACES_MAX + 1);
    assert_int_equal(take_list(list), USB_INTERFACES_TOO_MANY);
    /* where udev stops */
    make_list(list, 72);
    assert_int_equal(take_list(list), USB_INTERFACES_TOO_MANY);
}

static void test_each_kind_counts_once(void **state)
{
    char list[LIST_SIZE] = "ID_USB_INTERFACES=:";
    Properties p;

    (void) state;

    for (unsigned int i = 0; i < LIST_MAX; i++)
        strcat(list, "080650:");
    assert_int_equal(take(&p, list), USB_INTERFACES_WHOLE);
    assert_int_equal(p.n_interfaces, 1);
}

static void test_a_disk_has_those_of_its_usb_device(void **state)
{
    UdevNode disk =
        table_node("block", "sda", TABLE("ID_USB_INTERFACES=:ffffff:"));
    UdevNode usb =
        table_node("usb", "2-1", TABLE("ID_USB_INTERFACES=:080650:"));
    UdevView view = { .self = &disk, .usb = &usb };
    Properties p = {};

    (void) state;

    assert_int_equal(usb_interfaces_take(&p, &view), USB_INTERFACES_WHOLE);
    assert_int_equal(p.n_interfaces, 1);
    assert_string_equal(p.interfaces[0].s, "080650");

    /* what is in no USB device has none, and that is all there is to tell */
    p = (Properties){};
    view.usb = NULL;
    assert_int_equal(usb_interfaces_take(&p, &view), USB_INTERFACES_WHOLE);
    assert_int_equal(p.present, 0);
}

/* A USB device hangs on a hub, whose interfaces are not its own. */
static void test_a_usb_device_has_not_those_of_its_hub(void **state)
{
    UdevNode self =
        table_node("usb", "2-1.1", TABLE("ID_USB_INTERFACES=:030102:"));
    UdevNode hub =
        table_node("usb", "2-1", TABLE("ID_USB_INTERFACES=:090000:"));
    UdevView view = { .self = &self, .usb = &hub };
    Properties p = {};

    (void) state;

    assert_int_equal(usb_interfaces_take(&p, &view), USB_INTERFACES_WHOLE);
    assert_int_equal(p.n_interfaces, 1);
    assert_string_equal(p.interfaces[0].s, "030102");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_list_of_udev_is_taken_in_its_order),
        cmocka_unit_test(test_a_malformed_or_missing_list_is_unsure),
        cmocka_unit_test(test_over_32_kinds_are_too_many),
        cmocka_unit_test(test_each_kind_counts_once),
        cmocka_unit_test(test_a_disk_has_those_of_its_usb_device),
        cmocka_unit_test(test_a_usb_device_has_not_those_of_its_hub),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
