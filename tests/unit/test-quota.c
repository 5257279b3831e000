/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "common/rate.h"
#include "dom0/core/quota.h"
#include "tests/support/random.h"
#include "tests/support/test.h"

#define SPAN_USEC (60 * USEC_PER_SEC)
#define MAX       3U

static const QuotaLimit limit = { .max = MAX, .span_usec = SPAN_USEC };

static void test_so_many_are_granted_in_a_span(void **state)
{
    uint64_t times[MAX] = { 0 }, when_usec, now_usec = 1000 * USEC_PER_SEC;
    Quota quota = {};

    (void) state;

    assert_true(quota_is_idle(&quota, times, &limit, now_usec));
    for (size_t i = 0; i < MAX; i++) {
        assert_true(quota_peek(&quota, times, &limit, now_usec, &when_usec));
        assert_int_equal(when_usec, now_usec);
        quota_take(&quota, times, &limit, now_usec);
        now_usec += USEC_PER_SEC;
    }
    assert_false(quota_peek(&quota, times, &limit, now_usec, &when_usec));
    assert_int_equal(when_usec, now_usec - MAX * USEC_PER_SEC + SPAN_USEC);
    assert_false(quota_peek(&quota, times, &limit, when_usec - 1, &when_usec));
    assert_true(quota_peek(&quota, times, &limit, when_usec, &when_usec));
    assert_false(quota_is_idle(&quota, times, &limit,
                               now_usec - USEC_PER_SEC + SPAN_USEC - 1));
    assert_true(quota_is_idle(&quota, times, &limit,
                              now_usec - USEC_PER_SEC + SPAN_USEC));
}

static void test_no_window_holds_more(void **state)
{
    uint64_t times[MAX] = { 0 }, when_usec, now_usec = USEC_PER_SEC;
    uint64_t granted[1024];
    Random random = random_begin();
    Quota quota = {};
    size_t n = 0;

    (void) state;

    while (n < ARRAY_SIZE(granted)) {
        now_usec += random_below(&random, 30 * USEC_PER_SEC);
        if (!quota_peek(&quota, times, &limit, now_usec, &when_usec)) {
            assert_true(when_usec > now_usec);
            if (random_bool(&random))
                now_usec = when_usec;
            continue;
        }
        quota_take(&quota, times, &limit, now_usec);
        granted[n++] = now_usec;
        if (n > MAX)
            assert_true(granted[n - 1] - granted[n - 1 - MAX] >= SPAN_USEC);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_so_many_are_granted_in_a_span),
        cmocka_unit_test(test_no_window_holds_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
