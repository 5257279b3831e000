/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/identity.h"
#include "tests/support/test.h"

static bool parse(DeviceIdentity *ret, const char *devid)
{
    return identity_parse(ret, devid, strlen(devid));
}

static void test_a_safe_identity_takes_the_form_of_the_wire(void **state)
{
    static const char *const cases[][2] = {
        { "0781:5581:4C53:u080650", "0781+5581+4C53+u080650" },
        { ":None", "+None" },
        { "0000:0000::?******:1", "0000+0000++_______+1" },
        { "?******?******", "______________" },
        { "a.b_c-D9", "a.b_c-D9" },
    };
    DeviceIdentity identity;
    char text[IDENTITY_SAFE_MAX + 1];

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_true(parse(&identity, cases[i][0]));
        assert_string_equal(identity.s, cases[i][0]);
        assert_true(identity_is_safe(&identity));
        identity_encode(text, &identity);
        assert_string_equal(text, cases[i][1]);
    }
}

static bool is_safe(const char *devid)
{
    DeviceIdentity identity;

    assert_true(parse(&identity, devid));
    assert_string_equal(identity.s, devid);
    return identity_is_safe(&identity);
}

static void test_with_every_other_byte_it_is_not_safe(void **state)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:._-";

    (void) state;

    for (int c = 1; c <= 255; c++) {
        const char text[4] = { 'a', (char) c, 'b' };

        assert_int_equal(is_safe(text), strchr(good, c) != NULL);
    }
    assert_false(is_safe("?*****"));
    assert_false(is_safe("?*****a"));
    assert_false(is_safe("b******"));
    assert_false(is_safe("?******?"));
    assert_false(identity_is_safe(&(DeviceIdentity){}));
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
    assert_false(identity_parse(&identity, "a\0b", 3));

    for (size_t n = IDENTITY_SAFE_MAX; n <= IDENTITY_SAFE_MAX + 1; n++) {
        assert_true(identity_parse(&identity, text, n));
        assert_int_equal(identity_is_safe(&identity), n == IDENTITY_SAFE_MAX);
    }
}

static void test_a_refused_identity_changes_nothing(void **state)
{
    DeviceIdentity identity, other;

    (void) state;

    assert_true(parse(&identity, "0781:5581"));
    assert_false(identity_parse(&identity, "0781:5582\0", 10));
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

static bool hash_is_of_another(const DeviceIdentity *a, const DeviceIdentity *b)
{
    const uint64_t one = identity_hash(a), other = identity_hash(b);

    return one != 0 && other != 0 && one != other;
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
        { "0781:5581:00:11:u080650", "0781:5581:00:12:u080650", true },
        { "0781:5581:00:11:u080650", "0781:5581:00:11:u080650:1.0", false },
        { "0781:5581:00:11:u080650", "0781:5581:00:11:?******", false },
        { "0781:5581:u080650:a:u080650", "0781:5581:u080650:b:u080650", true },
        { "0781:5581:it's:u08", "0781:5581:its:u08", true },
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
        assert_int_equal(hash_is_of_another(&a, &b), cases[i].other);
    }
}

static void test_with_ids_and_known_interfaces_it_is_whole(void **state)
{
    static const struct {
        const char *identity;
        bool whole;
    } cases[] = {
        { "0781:5581:4C53:u080650", true },
        { "0781:5581", true },
        { "0781:5581:4C53:?******", false },
        { "0781:5581:4C53:u080650?******", false },
        { "0000:0000:4C53:u080650", false },
        { ":None", false },
        { "", false },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const DeviceIdentity identity = identity_of(cases[i].identity);

        assert_int_equal(identity_is_whole(&identity), cases[i].whole);
    }
}

static void test_only_what_tells_something_has_a_hash(void **state)
{
    const DeviceIdentity a = identity_of("ABCD:EF01:4C53:u080650");
    const DeviceIdentity b = identity_of("abcd:ef01:4C53:u030101:1.0");
    const DeviceIdentity c = identity_of("abcd:ef01:4c53:u080650");
    const DeviceIdentity none = identity_of("0000:0000:4C53:u080650");

    (void) state;

    assert_true(identity_hash(&a) == identity_hash(&b));
    assert_true(identity_hash(&a) != identity_hash(&c));
    assert_true(identity_hash(&none) == 0);
}

static void test_an_interface_of_another_kind_contradicts(void **state)
{
    static const struct {
        const char *identity;
        bool contradicts; /* 080650 and 030101 */
    } cases[] = {
        { "0781:5581:4C53:u080650u030101", false },
        { "0781:5581::u030101u080650u030101", false },
        { "0781:5581:a:u080650:u030101u080650", false },
        { "0781:5581:4C53:u080650", false },
        { "0781:5581:4C53:u080651", true },
        { "0781:5581:4C53:u080650u030101u0e0100", true },
        /* whatever stands before */
        { "0000:0000::u080650", false },
        { "0000:0000::u0e0100", true },
        { "0781:5581:it's = odd:u080650", false },
        { "0781:5581:it's = odd:u0e0100", true },
        { "0781:5581:u080650:u0e0100", true },
        /* that cannot be read */
        { "0781:5581:4C53:u080650u03010", true },
        { "0781:5581:4C53:u080650030101", true },
        { "0781:5581:4C53:u08065gu030101", true },
        { "0781:5581:4C53:p080650", true },
        { "0781:5581:4C53:?*****", true },
        /* that qubesd does not know */
        { "0781:5581:4C53:", false },
        { "0781:5581:4C53:?******", false },
        { "0781:5581:4C53:?******u080650", false },
        { "0781:5581:4C53:?******u0e0100", true },
        { "", false },
    };
    static const InterfaceCode codes[] = { { "080650" }, { "030101" } };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const DeviceIdentity identity = identity_of(cases[i].identity);

        if (identity_contradicts_interfaces(&identity, codes, 2) !=
            cases[i].contradicts)
            print_message("%s\n", cases[i].identity);
        assert_int_equal(identity_contradicts_interfaces(&identity, codes, 2),
                         cases[i].contradicts);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_safe_identity_takes_the_form_of_the_wire),
        cmocka_unit_test(test_with_every_other_byte_it_is_not_safe),
        cmocka_unit_test(test_an_identity_may_be_so_long),
        cmocka_unit_test(test_a_refused_identity_changes_nothing),
        cmocka_unit_test(test_only_known_numbers_can_contradict),
        cmocka_unit_test(test_with_ids_and_known_interfaces_it_is_whole),
        cmocka_unit_test(test_only_what_tells_something_has_a_hash),
        cmocka_unit_test(test_an_interface_of_another_kind_contradicts),
        cmocka_unit_test(
            test_another_device_has_other_numbers_or_another_serial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
