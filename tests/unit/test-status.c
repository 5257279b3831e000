/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "common/status.h"
#include "common/text.h"
#include "tests/support/test.h"

#include <string.h>

/* The table of DESIGN 3, written down a second time. */
static const struct {
    int number;
    const char *name;
    int told;
    int exit;
} expected[] = {
    { 200, "attached", 200, 0 },
    { 201, "already-attached", 201, 0 },
    { 203, "detached", 203, 0 },
    { 300, "not-attached", 300, 3 },
    { 301, "no-rule", 300, 3 },
    { 302, "denied-by-rule", 300, 3 },
    { 303, "denied-by-policy", 300, 3 },
    { 304, "denied-by-user", 300, 3 },
    { 305, "approval-timeout", 300, 3 },
    { 306, "target-not-running", 300, 3 },
    { 307, "waiting-for-target", 300, 3 },
    { 308, "detached-by-user", 300, 3 },
    { 309, "paused", 300, 3 },
    { 310, "attached-elsewhere", 300, 3 },
    { 311, "superseded", 300, 3 },
    { 312, "quiet", 300, 3 },
    { 400, "malformed", 400, 4 },
    { 401, "unsupported-version", 401, 4 },
    { 404, "no-such-device", 300, 4 },
    { 413, "too-large", 413, 4 },
    { 429, "too-many", 429, 4 },
    { 500, "internal", 300, 5 },
    { 502, "qubesd-refused", 300, 5 },
    { 503, "unavailable", 300, 5 },
    { 504, "timeout", 300, 5 },
    { 520, "start-failed", 300, 5 },
    { 521, "attach-failed", 300, 5 },
};

static void test_the_table_is_the_one_of_the_design(void **state)
{
    (void) state;

    assert_int_equal(status_count(), ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        Status status = status_at(i);

        assert_int_equal(status, expected[i].number);
        assert_string_equal(status_name(status), expected[i].name);
        assert_int_equal(status_told(status), expected[i].told);
        assert_int_equal(status_exit(status), expected[i].exit);
    }
}

static void test_no_number_outside_the_table_is_a_status(void **state)
{
    size_t n_known = 0;

    (void) state;

    for (int64_t number = -1000; number <= 1000; number++) {
        Status status = status_from_number(number);

        if (status == STATUS_INVALID)
            continue;
        assert_int_equal(status, number);
        n_known++;
    }
    assert_int_equal(n_known, ARRAY_SIZE(expected));
    assert_int_equal(status_from_number((INT64_C(1) << 32) + 200),
                     STATUS_INVALID);
    assert_int_equal(status_from_number(INT64_MIN), STATUS_INVALID);
}

static void test_only_2xx_is_success(void **state)
{
    (void) state;

    assert_false(status_is_success(STATUS_INVALID));
    for (size_t i = 0; i < status_count(); i++)
        assert_int_equal(status_is_success(status_at(i)),
                         status_exit(status_at(i)) == 0);
}

static void test_what_is_told_hides_everything_of_dom0(void **state)
{
    static const Status open[] = {
        STATUS_ATTACHED,  STATUS_ALREADY_ATTACHED,    STATUS_DETACHED,
        STATUS_MALFORMED, STATUS_UNSUPPORTED_VERSION, STATUS_TOO_LARGE,
        STATUS_TOO_MANY,  STATUS_NOT_ATTACHED,
    };

    (void) state;

    for (size_t i = 0; i < status_count(); i++) {
        Status told = status_told(status_at(i));
        bool is_open = false;

        for (size_t k = 0; k < ARRAY_SIZE(open); k++)
            is_open = is_open || told == open[k];
        assert_true(is_open);
        assert_int_equal(status_told(told), told);
    }
}

static void test_every_status_has_a_sentence_without_full_stop(void **state)
{
    (void) state;

    for (size_t i = 0; i < status_count(); i++) {
        const char *sentence = status_sentence(status_at(i));
        size_t len = strlen(sentence);

        assert_true(len > 0);
        assert_true(text_is_plain(sentence, len));
        assert_int_not_equal(sentence[len - 1], '.');
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_the_one_of_the_design),
        cmocka_unit_test(test_no_number_outside_the_table_is_a_status),
        cmocka_unit_test(test_only_2xx_is_success),
        cmocka_unit_test(test_what_is_told_hides_everything_of_dom0),
        cmocka_unit_test(test_every_status_has_a_sentence_without_full_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
