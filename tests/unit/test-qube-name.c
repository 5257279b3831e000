/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/qube-name.h"
#include "tests/support/test.h"

static bool parses(const char *text)
{
    QubeName name = { "untouched" };
    bool good = qube_name_parse(&name, text, strlen(text));

    assert_string_equal(name.s, good ? text : "untouched");
    return good;
}

static void test_names_begin_with_a_letter(void **state)
{
    (void) state;

    assert_true(parses("work"));
    assert_true(parses("W"));
    assert_true(parses("sys-usb_2.old"));
    assert_false(parses(""));
    assert_false(parses("2work"));
    assert_false(parses("-work"));
    assert_false(parses(".work"));
    assert_false(parses("_work"));
    assert_false(parses("@dispvm"));
}

static void test_every_other_byte_is_refused(void **state)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

    (void) state;

    for (unsigned int c = 0; c < 0x100; c++) {
        char text[3] = { 'a', (char) c, 'b' };
        QubeName name;

        assert_int_equal(qube_name_parse(&name, text, sizeof(text)),
                         c != 0 && strchr(legal, (int) c) != NULL);
    }
}

static void test_a_name_has_at_most_31_bytes(void **state)
{
    (void) state;

    assert_true(parses("a234567890123456789012345678901"));
    assert_false(parses("a2345678901234567890123456789012"));
}

static void test_names_are_equal_by_their_bytes(void **state)
{
    QubeName a, b, c;

    (void) state;

    assert_true(qube_name_parse(&a, "work", 4));
    assert_true(qube_name_parse(&b, "work!", 4));
    assert_true(qube_name_parse(&c, "Work", 4));
    assert_true(qube_name_equal(&a, &b));
    assert_false(qube_name_equal(&a, &c));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_begin_with_a_letter),
        cmocka_unit_test(test_every_other_byte_is_refused),
        cmocka_unit_test(test_a_name_has_at_most_31_bytes),
        cmocka_unit_test(test_names_are_equal_by_their_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
