/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "common/rate.h"
#include "dom0/core/target-start.h"
#include "tests/support/test.h"

#define BEGIN_USEC (UINT64_C(86400) * USEC_PER_SEC)

static TargetStarts *starts;
static const QubeName work = { "work" };

static int set_up(void **state)
{
    (void) state;

    return target_starts_new(&starts, false);
}

static int tear_down(void **state)
{
    (void) state;

    starts = target_starts_free(starts);
    return 0;
}

static Status want(const QubeName *target, uint64_t now_usec)
{
    const char *detail = NULL;
    Status status = target_starts_want(starts, target, true, now_usec, &detail);

    if (status != STATUS_INVALID)
        assert_string_not_equal(detail, "");
    return status;
}

/* The call that is to be made, answered at once. */
static void serve(const QubeName *target, uint64_t call)
{
    const AdminAnswer answer = { .result = ADMIN_OK };
    AdminRequest request;
    QubeName started;

    assert_true(target_starts_next_call(starts, call, &request));
    assert_int_equal(request.method, ADMIN_START);
    assert_string_equal(request.dest.s, target->s);
    assert_false(target_starts_next_call(starts, call + 1, &request));
    assert_false(target_starts_on_answer(starts, call + 1, &answer, BEGIN_USEC,
                                         &started));
    assert_true(
        target_starts_on_answer(starts, call, &answer, BEGIN_USEC, &started));
    assert_string_equal(started.s, target->s);
    assert_false(
        target_starts_on_answer(starts, call, &answer, BEGIN_USEC, &started));
}

static void test_who_comes_while_it_starts_joins(void **state)
{
    (void) state;

    for (size_t i = 0; i < 100; i++)
        assert_int_equal(want(&work, BEGIN_USEC), STATUS_INVALID);
    serve(&work, 7);
}

static void test_three_starts_in_ten_minutes_and_no_more(void **state)
{
    uint64_t now_usec = BEGIN_USEC;

    (void) state;

    for (uint64_t call = 1; call <= 3; call++) {
        assert_int_equal(want(&work, now_usec), STATUS_INVALID);
        serve(&work, call);
        now_usec += USEC_PER_SEC;
    }
    assert_int_equal(want(&work, now_usec), STATUS_START_FAILED);
    assert_int_equal(want(&work, BEGIN_USEC + TARGET_STARTS_USEC - 1),
                     STATUS_START_FAILED);
    assert_int_equal(want(&work, BEGIN_USEC + TARGET_STARTS_USEC),
                     STATUS_INVALID);
    serve(&work, 4);
}

static void test_a_start_that_is_not_limited_is_not_counted(void **state)
{
    const char *detail;

    (void) state;

    for (uint64_t call = 1; call <= 10; call++) {
        assert_int_equal(
            target_starts_want(starts, &work, false, BEGIN_USEC, &detail),
            STATUS_INVALID);
        serve(&work, call);
    }
    assert_int_equal(want(&work, BEGIN_USEC), STATUS_INVALID);
}

static void test_unlimited_means_it(void **state)
{
    (void) state;

    target_starts_free(starts);
    assert_int_equal(target_starts_new(&starts, true), 0);
    for (uint64_t call = 1; call <= 100; call++) {
        assert_int_equal(want(&work, BEGIN_USEC), STATUS_INVALID);
        serve(&work, call);
    }
}

static void test_so_many_targets_are_remembered(void **state)
{
    (void) state;

    for (size_t i = 0; i < TARGETS_MAX; i++) {
        QubeName target;

        (void) snprintf(target.s, sizeof(target.s), "qube-%zu", i);
        assert_int_equal(want(&target, BEGIN_USEC), STATUS_INVALID);
        serve(&target, i + 1);
    }
    assert_int_equal(want(&work, BEGIN_USEC), STATUS_START_FAILED);
    /* what limits nothing any more is forgotten */
    assert_int_equal(want(&work, BEGIN_USEC + TARGET_STARTS_USEC),
                     STATUS_INVALID);
}

static void test_every_answer_to_start_has_its_outcome(void **state)
{
    static const struct {
        AdminResult result;
        Status status;
    } cases[] = {
        { ADMIN_UNREACHABLE, STATUS_UNAVAILABLE },
        { ADMIN_TIMED_OUT, STATUS_TIMEOUT },
        { ADMIN_EMPTY, STATUS_ATTACHED }, /* the Attach will tell */
        { ADMIN_GARBAGE, STATUS_QUBESD_REFUSED },
        { ADMIN_EXCEPTION, STATUS_START_FAILED },
        { ADMIN_OK, STATUS_ATTACHED },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const AdminAnswer answer = { .result = cases[i].result };

        assert_int_equal(target_start_outcome(&answer), cases[i].status);
    }
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_who_comes_while_it_starts_joins),
        test(test_three_starts_in_ten_minutes_and_no_more),
        test(test_a_start_that_is_not_limited_is_not_counted),
        test(test_unlimited_means_it),
        test(test_so_many_targets_are_remembered),
        test(test_every_answer_to_start_has_its_outcome),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
