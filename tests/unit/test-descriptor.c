/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/wire/descriptor.h"
#include "tests/support/test.h"

#define BYTES(literal) literal, sizeof(literal) - 1

static DescriptorResult decode(const char *bytes, size_t n, size_t *ret_len)
{
    QubeName source = { "untouched" };
    DescriptorResult result;

    *ret_len = 4711;
    result = descriptor_decode(&source, ret_len, bytes, n);
    if (result != DESCRIPTOR_GOOD) {
        assert_string_equal(source.s, "untouched");
        assert_int_equal(*ret_len, 4711);
    } else {
        assert_string_not_equal(source.s, "untouched");
    }
    return result;
}

static const struct {
    const char *bytes;
    size_t len;
    const char *source;
} good[] = {
    { BYTES("autoattach.Event+ sys-usb name dom0\0"), "sys-usb" },
    { BYTES("autoattach.Event+ sys-usb keyword adminvm\0"), "sys-usb" },
    { BYTES("autoattach.Event+ a keyword adminvm\0"), "a" },
    /* the longest */
    { BYTES("autoattach.Event+ a234567890123456789012345678901 keyword "
            "adminvm\0"),
      "a234567890123456789012345678901" },
};

static void test_both_forms_name_the_source(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        QubeName source = {};
        size_t len = 0;

        assert_int_equal(
            descriptor_decode(&source, &len, good[i].bytes, good[i].len),
            DESCRIPTOR_GOOD);
        assert_string_equal(source.s, good[i].source);
        assert_int_equal(len, good[i].len);
    }
}

static void test_a_descriptor_is_incomplete_at_every_byte(void **state)
{
    size_t len;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        for (size_t n = 0; n < good[i].len; n++)
            assert_int_equal(decode(good[i].bytes, n, &len),
                             DESCRIPTOR_INCOMPLETE);
}

static void test_what_follows_is_left_alone(void **state)
{
    static const char joined[] =
        "autoattach.Event+ sys-usb name dom0\0{\"type\":\"hello\"\0";
    size_t len;

    (void) state;

    for (size_t n = 36; n < sizeof(joined); n++) {
        assert_int_equal(decode(joined, n, &len), DESCRIPTOR_GOOD);
        assert_int_equal(len, 36);
    }
}

static void test_anything_else_is_bad(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { BYTES("\0") },
        { BYTES("autoattach.Event+\0") },
        { BYTES("autoattach.Event+ \0") },
        { BYTES("autoattach.Event+ sys-usb\0") },
        { BYTES("autoattach.Event+ sys-usb \0") },
        { BYTES("autoattach.Event+ sys-usb name\0") },
        { BYTES("autoattach.Event+ sys-usb name \0") },
        { BYTES("autoattach.Event+ sys-usb name dom\0") },
        { BYTES("autoattach.Event+ sys-usb name dom00\0") },
        { BYTES("autoattach.Event+ sys-usb name dom0 \0") },
        { BYTES("autoattach.Event+ sys-usb name adminvm\0") },
        { BYTES("autoattach.Event+ sys-usb keyword dom0\0") },
        { BYTES("autoattach.Event+ sys-usb  name dom0\0") },
        { BYTES("autoattach.Event+  sys-usb name dom0\0") },
        { BYTES("autoattach.Event+ sys usb name dom0\0") },
        { BYTES("autoattach.Event+arg sys-usb name dom0\0") },
        { BYTES("autoattach.Event sys-usb name dom0\0") },
        { BYTES("autoattach.Events+ sys-usb name dom0\0") },
        { BYTES("autoattach.Attach+ sys-usb name dom0\0") },
        { BYTES("Autoattach.Event+ sys-usb name dom0\0") },
        { BYTES(" autoattach.Event+ sys-usb name dom0\0") },
        { BYTES("autoattach.Event+ sys-usb name dom0\n\0") },
        { BYTES("autoattach.Event+ dom0 name dom0\0") },
        { BYTES("autoattach.Event+ 1usb name dom0\0") },
        { BYTES("autoattach.Event+ sys/usb name dom0\0") },
        { BYTES("autoattach.Event+ a2345678901234567890123456789012 name "
                "dom0\0") },
    };
    size_t len;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(decode(cases[i].bytes, cases[i].len, &len),
                         DESCRIPTOR_BAD);
}

static void test_without_a_nul_it_is_bad_at_its_limit(void **state)
{
    char bytes[DESCRIPTOR_MAX + 64];
    size_t len;

    (void) state;

    memset(bytes, 'a', sizeof(bytes));
    for (size_t n = 0; n <= sizeof(bytes); n++)
        assert_int_equal(decode(bytes, n, &len), n < DESCRIPTOR_MAX
                                                     ? DESCRIPTOR_INCOMPLETE
                                                     : DESCRIPTOR_BAD);
    /* a NUL behind the limit comes too late */
    bytes[DESCRIPTOR_MAX] = '\0';
    assert_int_equal(decode(bytes, sizeof(bytes), &len), DESCRIPTOR_BAD);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_forms_name_the_source),
        cmocka_unit_test(test_a_descriptor_is_incomplete_at_every_byte),
        cmocka_unit_test(test_what_follows_is_left_alone),
        cmocka_unit_test(test_anything_else_is_bad),
        cmocka_unit_test(test_without_a_nul_it_is_bad_at_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
