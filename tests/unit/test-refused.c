/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "sysusb/core/refused.h"
#include "tests/support/test.h"

static Record usb(unsigned int port)
{
    Record record = { .class = DEVICE_CLASS_USB };
    char name[16];

    (void) snprintf(name, sizeof(name), "1-%u", port);
    assert_true(device_name_parse(&record.device, DEVICE_CLASS_USB, name,
                                  strlen(name)));
    return record;
}

static void test_a_device_is_new_once(void **state)
{
    Refused refused = {};
    Record one = usb(1), other = usb(2);

    (void) state;

    assert_true(refused_note(&refused, &one));
    assert_true(refused_note(&refused, &other));
    assert_false(refused_note(&refused, &one));
    assert_false(refused_note(&refused, &other));
}

static void test_after_it_went_the_next_one_is_new(void **state)
{
    Refused refused = {};
    Record one = usb(1), other = usb(2);

    (void) state;

    refused_forget(&refused, &one); /* never known */
    assert_true(refused_note(&refused, &one));
    assert_true(refused_note(&refused, &other));
    refused_forget(&refused, &one);
    assert_true(refused_note(&refused, &one));
    assert_false(refused_note(&refused, &other));
}

static void test_what_a_sweep_does_not_find_is_forgotten(void **state)
{
    Refused refused = {};
    Record one = usb(1), other = usb(2);

    (void) state;

    assert_true(refused_note(&refused, &one));
    assert_true(refused_note(&refused, &other));
    refused_sweep_begin(&refused);
    assert_false(refused_note(&refused, &one));
    refused_sweep_end(&refused);
    assert_false(refused_note(&refused, &one));
    assert_true(refused_note(&refused, &other));
}

static void test_when_it_is_full_the_oldest_is_forgotten(void **state)
{
    Refused refused = {};
    Record first;

    (void) state;

    for (unsigned int i = 1; i <= REFUSED_MAX + 1; i++) {
        Record record = usb(i);

        assert_true(refused_note(&refused, &record));
    }
    for (unsigned int i = 2; i <= REFUSED_MAX + 1; i++) {
        Record record = usb(i);

        assert_false(refused_note(&refused, &record));
    }
    first = usb(1);
    assert_true(refused_note(&refused, &first));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_is_new_once),
        cmocka_unit_test(test_after_it_went_the_next_one_is_new),
        cmocka_unit_test(test_what_a_sweep_does_not_find_is_forgotten),
        cmocka_unit_test(test_when_it_is_full_the_oldest_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
