/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "sysusb/core/sent.h"
#include "tests/support/test.h"

static DeviceName name_of(const char *text)
{
    DeviceName name;

    assert_true(
        device_name_parse(&name, DEVICE_CLASS_BLOCK, text, strlen(text)));
    return name;
}

static void test_an_answer_finds_its_device(void **state)
{
    DeviceName sda = name_of("sda"), sdb = name_of("sdb");
    Sent sent = {};

    (void) state;

    assert_int_equal(sent_next(&sent, &sda), 1);
    assert_int_equal(sent_next(&sent, &sdb), 2);
    assert_string_equal(sent_device(&sent, 1)->s, "sda");
    assert_string_equal(sent_device(&sent, 2)->s, "sdb");
}

static void test_what_was_never_sent_is_not_found(void **state)
{
    DeviceName sda = name_of("sda");
    Sent sent = {};

    (void) state;

    (void) sent_next(&sent, &sda);
    assert_null(sent_device(&sent, 0));
    assert_null(sent_device(&sent, -1));
    assert_null(sent_device(&sent, 2));
    assert_null(sent_device(&sent, 1 + SENT_MAX));
    assert_null(sent_device(&sent, INT64_MAX));
}

static void test_the_oldest_is_forgotten(void **state)
{
    DeviceName sda = name_of("sda"), sdb = name_of("sdb");
    Sent sent = {};

    (void) state;

    (void) sent_next(&sent, &sda);
    for (unsigned int i = 0; i < SENT_MAX; i++)
        (void) sent_next(&sent, &sdb);
    assert_null(sent_device(&sent, 1));
    assert_string_equal(sent_device(&sent, 2)->s, "sdb");
    assert_string_equal(sent_device(&sent, SENT_MAX + 1)->s, "sdb");
}

static void test_a_new_connection_counts_from_one(void **state)
{
    DeviceName sda = name_of("sda");
    Sent sent = {};

    (void) state;

    (void) sent_next(&sent, &sda);
    sent_reset(&sent);
    assert_null(sent_device(&sent, 1));
    assert_int_equal(sent_next(&sent, &sda), 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_finds_its_device),
        cmocka_unit_test(test_what_was_never_sent_is_not_found),
        cmocka_unit_test(test_the_oldest_is_forgotten),
        cmocka_unit_test(test_a_new_connection_counts_from_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
