/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sysusb/core/backoff.h"
#include "tests/support/test.h"

static void test_waits_double_up_to_a_minute(void **state)
{
    static const uint64_t least_usec[] = {
        500000,   1000000,  2000000,  4000000,  8000000,
        16000000, 32000000, 40000000, 40000000,
    };
    Backoff low = {}, high = {};

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(least_usec); i++) {
        uint64_t most_usec = least_usec[i] + least_usec[i] / 2;

        assert_int_equal(backoff_next(&low, 0, false, 0), least_usec[i]);
        assert_int_equal(backoff_next(&high, 0, false, least_usec[i] / 2),
                         most_usec);
        assert_in_range(most_usec, BACKOFF_MIN_USEC, BACKOFF_MAX_USEC);
    }
}

static void test_any_chance_stays_within_the_limits(void **state)
{
    Backoff backoff = {};

    (void) state;

    for (uint64_t i = 0; i < 1000; i++)
        assert_in_range(
            backoff_next(&backoff, 0, false, i * UINT64_C(0x9e3779b97f4a7c15)),
            BACKOFF_MIN_USEC, BACKOFF_MAX_USEC);
}

static void test_a_call_that_lived_makes_the_next_wait_short(void **state)
{
    Backoff backoff = {};

    (void) state;

    for (int i = 0; i < 5; i++)
        (void) backoff_next(&backoff, 0, false, 0);
    assert_int_equal(backoff_next(&backoff, BACKOFF_STABLE_USEC - 1, false, 0),
                     16000000);
    assert_int_equal(backoff_next(&backoff, BACKOFF_STABLE_USEC, false, 0),
                     BACKOFF_MIN_USEC);
}

static void test_a_refusal_waits_ten_minutes(void **state)
{
    Backoff backoff = {};

    (void) state;

    (void) backoff_next(&backoff, 0, false, 0);
    assert_int_equal(backoff_next(&backoff, 0, true, 12345), 600000000);
    assert_int_equal(backoff_next(&backoff, 0, false, 0), BACKOFF_MIN_USEC);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_double_up_to_a_minute),
        cmocka_unit_test(test_any_chance_stays_within_the_limits),
        cmocka_unit_test(test_a_call_that_lived_makes_the_next_wait_short),
        cmocka_unit_test(test_a_refusal_waits_ten_minutes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
