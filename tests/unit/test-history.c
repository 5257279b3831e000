/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/history.h"
#include "tests/support/test.h"

static void test_entries_are_kept_in_order_and_the_oldest_goes(void **state)
{
    (void) state;

    for (size_t capacity = 1; capacity <= 5; capacity++) {
        _cleanup_(history_freep) History *history = NULL;

        assert_int_equal(history_new(&history, capacity), 0);
        assert_int_equal(history_count(history), 0);
        assert_int_equal(history_last_serial(history), 0);
        for (size_t n = 1; n <= 3 * capacity; n++) {
            const HistoryEntry entry = { .status = STATUS_ATTACHED,
                                         .when_usec = n };
            size_t n_kept = n < capacity ? n : capacity;

            history_add(history, &entry);
            assert_int_equal(history_count(history), n_kept);
            assert_int_equal(history_dropped(history), n - n_kept);
            assert_int_equal(history_last_serial(history), n);
            for (size_t i = 0; i < n_kept; i++) {
                const HistoryEntry *got = history_get(history, i);

                assert_int_equal(got->serial, n - n_kept + 1 + i);
                assert_int_equal(got->when_usec, got->serial);
            }
        }
    }
}

static void test_only_what_is_kept_is_found(void **state)
{
    _cleanup_(history_freep) History *history = NULL;
    const HistoryEntry entry = { .status = STATUS_ATTACHED };

    (void) state;

    assert_int_equal(history_new(&history, 2), 0);
    assert_null(history_find(history, 0));
    assert_null(history_find(history, 1));
    for (size_t n = 1; n <= 4; n++)
        history_add(history, &entry);
    assert_null(history_find(history, 0));
    assert_null(history_find(history, 2));
    assert_int_equal(history_find(history, 3)->serial, 3);
    assert_int_equal(history_find(history, 4)->serial, 4);
    assert_null(history_find(history, 5));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_are_kept_in_order_and_the_oldest_goes),
        cmocka_unit_test(test_only_what_is_kept_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
