/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "common/rate.h"
#include "tests/support/random.h"
#include "tests/support/test.h"

#define N_ROUNDS 2000U
#define N_STEPS  50U

static const RateLimit limit = { .interval_usec = 10, .burst = 3 };

static void test_a_zeroed_bucket_is_full(void **state)
{
    Rate rate = {};
    uint64_t when;

    (void) state;

    assert_true(rate_is_full(&rate, &limit, 0));
    assert_true(rate_peek(&rate, &limit, 0, &when));
    assert_int_equal(when, 0);
}

static void test_the_burst_is_given_at_once_and_no_more(void **state)
{
    Rate rate = {};

    (void) state;

    for (uint32_t i = 0; i < limit.burst; i++)
        assert_true(rate_take(&rate, &limit, 100));
    assert_false(rate_take(&rate, &limit, 100));
    assert_false(rate_take(&rate, &limit, 109));
    assert_true(rate_take(&rate, &limit, 110));
    assert_false(rate_take(&rate, &limit, 119));
    assert_true(rate_take(&rate, &limit, 120));
}

static void test_peeking_takes_nothing_and_tells_when(void **state)
{
    Rate rate = {};
    uint64_t when;

    (void) state;

    for (uint32_t i = 0; i < limit.burst; i++)
        assert_true(rate_take(&rate, &limit, 100));
    for (unsigned int i = 0; i < 5; i++) {
        assert_false(rate_peek(&rate, &limit, 104, &when));
        assert_int_equal(when, 110);
    }
    assert_true(rate_peek(&rate, &limit, when, &when));
    assert_int_equal(when, 110);
    assert_true(rate_take(&rate, &limit, when));
}

static void test_a_part_of_an_interval_is_not_lost(void **state)
{
    Rate rate = {};

    (void) state;

    for (uint32_t i = 0; i < limit.burst; i++)
        assert_true(rate_take(&rate, &limit, 100));
    for (uint64_t now = 101; now < 110; now++)
        assert_false(rate_take(&rate, &limit, now));
    assert_true(rate_take(&rate, &limit, 119));
    assert_true(rate_take(&rate, &limit, 120));
}

static void test_the_bucket_never_holds_more_than_the_burst(void **state)
{
    Rate rate = {};
    unsigned int n = 0;

    (void) state;

    assert_true(rate_take(&rate, &limit, 0));
    while (rate_take(&rate, &limit, UINT64_MAX / 2))
        n++;
    assert_int_equal(n, limit.burst);
}

static void test_it_is_full_again_when_all_came_back(void **state)
{
    Rate rate = {};

    (void) state;

    assert_true(rate_take(&rate, &limit, 100));
    assert_true(rate_take(&rate, &limit, 100));
    assert_false(rate_is_full(&rate, &limit, 119));
    assert_true(rate_is_full(&rate, &limit, 120));
}

static void test_no_interval_means_no_limit(void **state)
{
    static const RateLimit none = { .interval_usec = 0, .burst = 1 };
    Rate rate = {};
    uint64_t when;

    (void) state;

    for (unsigned int i = 0; i < 1000; i++)
        assert_true(rate_take(&rate, &none, 5));
    assert_true(rate_peek(&rate, &none, 5, &when));
    assert_int_equal(when, 5);
    assert_true(rate_is_full(&rate, &none, 5));
}

static void test_a_clock_that_goes_back_gives_nothing(void **state)
{
    Rate rate = {};

    (void) state;

    for (uint32_t i = 0; i < limit.burst; i++)
        assert_true(rate_take(&rate, &limit, 1000));
    assert_false(rate_take(&rate, &limit, 10));
    assert_false(rate_take(&rate, &limit, 1009));
    assert_true(rate_take(&rate, &limit, 1010));
}

/*
 * Random walks: between any two moments never more than burst + elapsed /
 * interval tokens, and one that is told as due is there.
 */
static void test_no_walk_gets_more_than_burst_and_elapsed(void **state)
{
    Random random = random_begin();

    (void) state;

    for (size_t round = 0; round < N_ROUNDS; round++) {
        const uint64_t seed = random.state;
        RateLimit some = { .interval_usec = 1 + random_below(&random, 1000),
                           .burst = 1 + (uint32_t) random_below(&random, 20) };
        uint64_t now = random_next(&random) >> 8, times[N_STEPS];
        size_t n_taken = 0;
        Rate rate = {};

        for (size_t step = 0; step < N_STEPS; step++) {
            uint64_t when;
            bool due = rate_peek(&rate, &some, now, &when);

            if (rate_take(&rate, &some, now) != due)
                fail_msg("take is not peek: " RANDOM_SEED_FORMAT, seed);
            if (due)
                times[n_taken++] = now;
            else if (random_bool(&random))
                now = when;
            now += random_below(&random, 2 * some.interval_usec);
        }
        for (size_t i = 0; i < n_taken; i++)
            for (size_t k = i; k < n_taken; k++)
                if (k - i + 1 >
                    some.burst + (times[k] - times[i]) / some.interval_usec)
                    fail_msg("too many: " RANDOM_SEED_FORMAT, seed);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_zeroed_bucket_is_full),
        cmocka_unit_test(test_the_burst_is_given_at_once_and_no_more),
        cmocka_unit_test(test_peeking_takes_nothing_and_tells_when),
        cmocka_unit_test(test_a_part_of_an_interval_is_not_lost),
        cmocka_unit_test(test_the_bucket_never_holds_more_than_the_burst),
        cmocka_unit_test(test_it_is_full_again_when_all_came_back),
        cmocka_unit_test(test_no_interval_means_no_limit),
        cmocka_unit_test(test_a_clock_that_goes_back_gives_nothing),
        cmocka_unit_test(test_no_walk_gets_more_than_burst_and_elapsed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
