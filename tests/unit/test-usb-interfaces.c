/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "sysusb/core/usb-interfaces.h"
#include "tests/support/test.h"
#include "tests/support/udev-table.h"

/* bLength, bDescriptorType, ... */
#define DEVICE 18, 1, 0, 2, 0, 0, 0, 64, 0x27, 6, 1, 0, 0, 0, 1, 2, 3, 1

#define CONFIGURATION(number) 9, 2, 0xff, 0, 1, number, 0, 0xa0, 50
#define INTERFACE(class, subclass, protocol) \
    9, 4, 0, 0, 1, class, subclass, protocol, 0
#define ENDPOINT     7, 5, 0x81, 3, 8, 0, 10
#define BYTES(...)   ((const uint8_t[]){ __VA_ARGS__ })
#define N_BYTES(...) sizeof(BYTES(__VA_ARGS__))

/* room for a list of so many, and for the name of the property */
#define LIST_MAX  80U
#define LIST_SIZE (32 + LIST_MAX * 7)

static UsbInterfaces take_both(Properties *ret,
                               const char *list,
                               const uint8_t *descriptors,
                               size_t len)
{
    UdevNode node = table_node("usb", "2-1", list ? TABLE(list) : TABLE("A=b"));
    UdevView view = { .self = &node,
                      .descriptors = descriptors,
                      .descriptors_len = len };

    *ret = (Properties){};
    return usb_interfaces_take(ret, &view);
}

#define TAKE(ret, list, ...) \
    take_both((ret), (list), BYTES(__VA_ARGS__), N_BYTES(__VA_ARGS__))

static UsbInterfaces take_list(const char *list)
{
    Properties p;
    UsbInterfaces result = take_both(&p, list, NULL, 0);

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

    assert_int_equal(
        take_both(&p, "ID_USB_INTERFACES=:080650:030101:", NULL, 0),
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
    assert_int_equal(TAKE(&p, list, DEVICE, CONFIGURATION(1),
                          INTERFACE(8, 6, 0x50), ENDPOINT),
                     USB_INTERFACES_WHOLE);
    assert_int_equal(p.n_interfaces, 1);
}

static void assert_mouse_is_found(UsbInterfaces result, const Properties *p)
{
    assert_int_equal(result, USB_INTERFACES_WHOLE);
    assert_int_equal(p->n_interfaces, 2);
    assert_string_equal(p->interfaces[0].s, "ff0000");
    assert_string_equal(p->interfaces[1].s, "030102");
}

/* udev-builtin-usb_id.c */
static void test_what_udev_overlooks_is_added(void **state)
{
    static const char list[] = "ID_USB_INTERFACES=:ff0000:";
    uint8_t paged[4096 + 18] = { DEVICE, CONFIGURATION(1),
                                 INTERFACE(0xff, 0, 0) };
    static const uint8_t mouse[] = { INTERFACE(3, 1, 2), ENDPOINT };
    size_t at = 18 + 9 + 9;
    Properties p;

    (void) state;

    /* behind a descriptor of two bytes */
    assert_mouse_is_found(TAKE(&p, list, DEVICE, CONFIGURATION(1),
                               INTERFACE(0xff, 0, 0), 2, 0xff,
                               INTERFACE(3, 1, 2), ENDPOINT),
                          &p);
    /* at the very end */
    assert_mouse_is_found(TAKE(&p, list, DEVICE, CONFIGURATION(1),
                               INTERFACE(0xff, 0, 0), INTERFACE(3, 1, 2)),
                          &p);
    /* behind a device descriptor that lies about its length */
    assert_mouse_is_found(TAKE(&p, list, 27, 1, 0, 2, 0, 0, 0, 64, 0x27, 6, 1,
                               0, 0, 0, 1, 2, 3, 1, CONFIGURATION(1),
                               INTERFACE(0xff, 0, 0), ENDPOINT,
                               INTERFACE(3, 1, 2), ENDPOINT),
                          &p);
    /* in another configuration */
    assert_mouse_is_found(TAKE(&p, list, DEVICE, CONFIGURATION(1),
                               INTERFACE(0xff, 0, 0), CONFIGURATION(2),
                               INTERFACE(3, 1, 2), ENDPOINT),
                          &p);

    /* behind the first page */
    for (; at < 4096; at += paged[at]) {
        paged[at] = at + 255 < 4096 ? 200 : (uint8_t) (4096 - at);
        paged[at + 1] = 0xff;
    }
    memcpy(paged + at, mouse, sizeof(mouse));
    assert_mouse_is_found(take_both(&p, list, paged, at + sizeof(mouse)), &p);
    /* udev has nothing to say */
    assert_int_equal(
        TAKE(&p, NULL, DEVICE, CONFIGURATION(1), INTERFACE(3, 1, 2), ENDPOINT),
        USB_INTERFACES_WHOLE);
    assert_string_equal(p.interfaces[0].s, "030102");
}

static void test_what_is_added_counts(void **state)
{
    char list[LIST_SIZE];
    Properties p;

    (void) state;

    make_list(list, RECORD_INTERFACES_MAX);
    assert_int_equal(
        TAKE(&p, list, DEVICE, CONFIGURATION(1), INTERFACE(3, 1, 2)),
        USB_INTERFACES_WHOLE);
    assert_int_equal(
        TAKE(&p, list, DEVICE, CONFIGURATION(1), INTERFACE(3, 1, 1)),
        USB_INTERFACES_TOO_MANY);
    assert_int_equal(p.n_interfaces, 0);
}

static void test_descriptors_that_are_no_chain_are_unsure(void **state)
{
    static const char list[] = "ID_USB_INTERFACES=:ff0000:";
    static const uint8_t unread[1];
    Properties p;

    (void) state;

    assert_int_equal(take_both(&p, list, unread, 0), USB_INTERFACES_UNSURE);
    assert_int_equal(TAKE(&p, list, 18, 1, 0, 2), USB_INTERFACES_UNSURE);
    assert_int_equal(TAKE(&p, list, DEVICE, 1), USB_INTERFACES_UNSURE);
    assert_int_equal(TAKE(&p, list, DEVICE, 1, 4), USB_INTERFACES_UNSURE);
    assert_int_equal(TAKE(&p, list, DEVICE, 0, 4), USB_INTERFACES_UNSURE);
    assert_int_equal(TAKE(&p, list, DEVICE, 9, 4, 0), USB_INTERFACES_UNSURE);
    /* an interface that does not say of what class it is */
    assert_int_equal(TAKE(&p, list, DEVICE, 5, 4, 0, 0, 0),
                     USB_INTERFACES_UNSURE);
    assert_int_equal(p.n_interfaces, 0);
}

/* sysfs gives no more; what follows may be anything. */
static void test_descriptors_that_may_be_cut_are_unsure(void **state)
{
    static uint8_t bytes[USB_DESCRIPTORS_MAX] = { DEVICE };
    size_t at = 18;
    Properties p;

    (void) state;

    for (; at + 3 < sizeof(bytes); at += 2)
        bytes[at] = 2;
    bytes[at] = (uint8_t) (sizeof(bytes) - at);
    assert_int_equal(take_both(&p, "ID_USB_INTERFACES=:ff0000:", bytes, at),
                     USB_INTERFACES_WHOLE);
    assert_int_equal(
        take_both(&p, "ID_USB_INTERFACES=:ff0000:", bytes, sizeof(bytes)),
        USB_INTERFACES_UNSURE);
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
        cmocka_unit_test(test_what_udev_overlooks_is_added),
        cmocka_unit_test(test_what_is_added_counts),
        cmocka_unit_test(test_descriptors_that_are_no_chain_are_unsure),
        cmocka_unit_test(test_descriptors_that_may_be_cut_are_unsure),
        cmocka_unit_test(test_a_disk_has_those_of_its_usb_device),
        cmocka_unit_test(test_a_usb_device_has_not_those_of_its_hub),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
