/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/identity.h"
#include "tests/support/test.h"

static bool parse(DeviceIdentity *ret, const char *devid)
{
    return identity_parse(ret, devid, strlen(devid));
}

static void test_an_identity_takes_the_form_of_the_wire(void **state)
{
    static const char *const cases[][2] = {
        { "0781:5581:4C53:u080650", "0781+5581+4C53+u080650" },
        { ":None", "+None" },
        { "0000:0000::?******:1", "0000+0000++_______+1" },
        { "?******?******", "______________" },
        { "a.b_c-D9", "a.b_c-D9" },
    };
    DeviceIdentity identity;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_true(parse(&identity, cases[i][0]));
        assert_string_equal(identity.s, cases[i][1]);
    }
}

static void test_every_other_byte_is_refused(void **state)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:._-";
    DeviceIdentity identity;

    (void) state;

    for (int c = 0; c <= 255; c++) {
        char text[3] = { 'a', (char) c, 'b' };

        assert_int_equal(identity_parse(&identity, text, 3),
                         c != 0 && strchr(good, c) != NULL);
    }
    assert_false(parse(&identity, "?*****"));
    assert_false(parse(&identity, "?*****a"));
    assert_false(parse(&identity, "b******"));
    assert_false(parse(&identity, "?******?"));
}

static void test_an_identity_may_be_so_long(void **state)
{
    char text[IDENTITY_MAX + 1];
    DeviceIdentity identity;

    (void) state;

    memset(text, 'a', sizeof(text));
    assert_false(identity_parse(&identity, text, 0));
    assert_true(identity_parse(&identity, text, IDENTITY_MAX));
    assert_int_equal(strlen(identity.s), IDENTITY_MAX);
    assert_false(identity_parse(&identity, text, IDENTITY_MAX + 1));
}

static void test_a_refused_identity_changes_nothing(void **state)
{
    DeviceIdentity identity, other;

    (void) state;

    assert_true(parse(&identity, "0781:5581"));
    assert_false(parse(&identity, "0781:5582 "));
    assert_true(parse(&other, "0781:5581"));
    assert_true(identity_equal(&identity, &other));
    assert_true(parse(&other, "0781:5582"));
    assert_false(identity_equal(&identity, &other));
}

static void test_only_known_numbers_can_contradict(void **state)
{
    static const struct {
        const char *devid;
        const char *vendor;
        const char *product;
        bool contradicts;
    } cases[] = {
        { "0781:5581:a:u0", "0781", "5581", false },
        { "0781:5581", "0781", "5581", false },
        { "0781:5581:a:u0", "0781", "5582", true },
        { "0781:5581", "0782", "5581", true },
        { "ABCD:EF01:a", "abcd", "ef01", false },
        { "0781:5581:a", "", "5582", false },
        { "0781:5581:a", "0782", "", false },
        { "0000:0000:a", "0781", "5581", false },
        { "0000:0001:a", "0781", "5581", true },
        { ":None", "0781", "5581", false },
        { "0781:558", "0782", "5581", false },
        { "0781:55811:a", "0782", "5581", false },
        { "078g:5581:a", "0781", "5581", false },
        { "0781.5581:a", "0782", "5581", false },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        DeviceIdentity identity;

        assert_true(parse(&identity, cases[i].devid));
        assert_int_equal(
            identity_contradicts(&identity, cases[i].vendor, cases[i].product),
            cases[i].contradicts);
    }
}

static DeviceIdentity identity_of(const char *devid)
{
    DeviceIdentity identity = {};

    assert_true(*devid == '\0' ||
                identity_parse(&identity, devid, strlen(devid)));
    return identity;
}

static void test_another_device_has_other_numbers_or_another_serial(
    void **state)
{
    static const struct {
        const char *a, *b;
        bool other;
    } cases[] = {
        { "0781:5581:4C53:u08", "0781:5581:4C53:u08", false },
        { "0781:5581:4C53:u08", "0781:5581:4C53:u08:1.0", false },
        { "0781:5581:4C53:u08", "0781:5581:4C53:?******", false },
        { "0781:5581:4C53:u08", "0781:5581:4C53", false },
        { "0781:55ab:4C53", "0781:55AB:4C53", false },
        { "0781:5581:4C53:u08", "0781:5581:4C54:u08", true },
        { "0781:5581:4C53:u08", "0781:5581:4c53:u08", true },
        { "0781:5581:4C53:u08", "0781:5581:4C5:u08", true },
        { "0781:5581:4C53:u08", "0781:5581::u08", true },
        { "0781:5581:4C53", "0781:5581", true },
        { "0781:5581", "0781:5581", false },
        { "0781:5581:", "0781:5581", false },
        { "0781:5581::u08", "0781:5581", false },
        { "0781:5581:4C53", "0781:5582:4C53", true },
        { "0781:5581:4C53", "0782:5581:4C53", true },
        { "0781:5581:4C53", "0000:0000::?******:1", false },
        { "0781:5581:4C53", ":None", false },
        { "0781:5581:4C53", "0781:55812:4C53", false },
        { "0781:5581:4C53", "078g:5581:4C53", false },
        { "0781:5581:4C53", "0781.5581:4C53", false },
        { "0781:5581:4C53", "", false },
        { "", "", false },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const DeviceIdentity a = identity_of(cases[i].a);
        const DeviceIdentity b = identity_of(cases[i].b);

        assert_int_equal(identity_is_of_another(&a, &b), cases[i].other);
        assert_int_equal(identity_is_of_another(&b, &a), cases[i].other);
    }
}

static void test_interfaces_are_known_all_or_not_at_all(void **state)
{
    static const struct {
        const char *identity;
        bool known;
        bool contradicts; /* 080650 and 030101 */
    } cases[] = {
        { "0781:5581:4C53:u080650u030101", true, false },
        { "0781:5581::u030101u080650u030101", true, false },
        { "0781:5581:a:u080650:u030101u080650", true, false },
        { "0781:5581:4C53:u080650", true, false },
        { "0781:5581:4C53:u080651", true, true },
        { "0781:5581:4C53:u080650u030101u0e0100", true, true },
        { "0781:5581:4C53:u080650u03010", false, false },
        { "0781:5581:4C53:u080650030101", false, false },
        { "0781:5581:4C53:u08065gu030101", false, false },
        { "0781:5581:4C53:", false, false },
        { "0781:5581:4C53", false, false },
        { "0781:5581:4C53:?******", false, false },
        { "0781:5581:4C53:u080650:1.0", false, false },
        { ":None", false, false },
        { "", false, false },
    };
    static const InterfaceCode codes[] = { { "080650" }, { "030101" } };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const DeviceIdentity identity = identity_of(cases[i].identity);

        assert_int_equal(identity_has_interfaces(&identity), cases[i].known);
        assert_int_equal(identity_contradicts_interfaces(&identity, codes, 2),
                         cases[i].contradicts);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_identity_takes_the_form_of_the_wire),
        cmocka_unit_test(test_every_other_byte_is_refused),
        cmocka_unit_test(test_an_identity_may_be_so_long),
        cmocka_unit_test(test_a_refused_identity_changes_nothing),
        cmocka_unit_test(test_only_known_numbers_can_contradict),
        cmocka_unit_test(test_interfaces_are_known_all_or_not_at_all),
        cmocka_unit_test(
            test_another_device_has_other_numbers_or_another_serial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
