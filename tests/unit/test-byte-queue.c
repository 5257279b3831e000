/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/byte-queue.h"
#include "tests/support/test.h"

static void test_what_goes_in_comes_out_in_its_order(void **state)
{
    ByteQueue queue = { .max = 6 };

    (void) state;
    assert_int_equal(byte_queue_append(&queue, "abcd", 4), 0);
    byte_queue_drop(&queue, 2);
    /* there is room only once the rest is moved to the front */
    assert_int_equal(byte_queue_append(&queue, "efgh", 4), 0);
    assert_int_equal(byte_queue_len(&queue), 6);
    assert_memory_equal(byte_queue_data(&queue), "cdefgh", 6);
    byte_queue_clear(&queue);
}

static void test_it_takes_no_more_than_its_maximum(void **state)
{
    ByteQueue queue = { .max = 10000 };
    char bytes[10001] = "";
    char *space;

    (void) state;
    assert_int_equal(byte_queue_append(&queue, bytes, 6000), 0);
    assert_int_equal(byte_queue_append(&queue, bytes, 4001), -ENOBUFS);
    assert_int_equal(byte_queue_len(&queue), 6000);
    assert_int_equal(byte_queue_space(&queue, &space, 5000), 4000);
    byte_queue_filled(&queue, 4000);
    assert_int_equal(byte_queue_space(&queue, &space, 1), 0);
    byte_queue_drop(&queue, 1);
    assert_int_equal(byte_queue_append(&queue, bytes, 1), 0);
    assert_true(queue.size <= queue.max);
    byte_queue_clear(&queue);
}

static void test_it_holds_no_memory_when_it_is_empty(void **state)
{
    ByteQueue queue = { .max = 100 };

    (void) state;
    assert_int_equal(byte_queue_append(&queue, "ab", 2), 0);
    byte_queue_drop(&queue, 1);
    assert_non_null(queue.data);
    byte_queue_drop(&queue, 1);
    assert_null(queue.data);
    assert_int_equal(queue.max, 100);
    assert_string_equal(byte_queue_data(&queue), "");
}

static void test_an_empty_one_can_be_cleared(void **state)
{
    ByteQueue queue = { .max = 1 };

    (void) state;
    byte_queue_clear(&queue);
    assert_int_equal(byte_queue_len(&queue), 0);
    assert_int_equal(byte_queue_append(&queue, "", 0), 0);
    assert_int_equal(byte_queue_len(&queue), 0);
    byte_queue_clear(&queue);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out_in_its_order),
        cmocka_unit_test(test_it_takes_no_more_than_its_maximum),
        cmocka_unit_test(test_it_holds_no_memory_when_it_is_empty),
        cmocka_unit_test(test_an_empty_one_can_be_cleared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
