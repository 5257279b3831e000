/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/wire/line-buffer.h"
#include "tests/support/test.h"

#define MAX 8U

static void fill(LineBuffer *buffer, const char *bytes, size_t len)
{
    size_t size;
    char *space = line_buffer_space(buffer, &size);

    assert_true(len <= size);
    memcpy(space, bytes, len);
    line_buffer_filled(buffer, len);
}

static void assert_line(LineBuffer *buffer, const char *expected)
{
    const char *line;
    size_t len;

    assert_int_equal(line_buffer_next(buffer, &line, &len), LINE_GOOD);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(line, expected, len);
}

static LineResult next(LineBuffer *buffer)
{
    const char *line;
    size_t len;

    return line_buffer_next(buffer, &line, &len);
}

static void test_lines_come_one_by_one_without_their_newline(void **state)
{
    _cleanup_(line_buffer_freep) LineBuffer *buffer = NULL;

    (void) state;

    assert_int_equal(line_buffer_new(&buffer, MAX), 0);
    assert_int_equal(next(buffer), LINE_NONE);
    fill(buffer, "ab\n\ncd\ne", 8);
    assert_line(buffer, "ab");
    assert_line(buffer, "");
    assert_line(buffer, "cd");
    assert_int_equal(next(buffer), LINE_NONE);
    assert_true(line_buffer_has_partial(buffer));
    fill(buffer, "f\n", 2);
    assert_line(buffer, "ef");
    assert_int_equal(next(buffer), LINE_NONE);
    assert_false(line_buffer_has_partial(buffer));
}

static void test_the_longest_line_is_good(void **state)
{
    _cleanup_(line_buffer_freep) LineBuffer *buffer = NULL;

    (void) state;

    assert_int_equal(line_buffer_new(&buffer, MAX), 0);
    fill(buffer, "12345678", 8);
    assert_int_equal(next(buffer), LINE_NONE);
    fill(buffer, "\n", 1);
    assert_line(buffer, "12345678");
}

static void test_one_byte_too_many_is_found_before_the_line_ends(void **state)
{
    _cleanup_(line_buffer_freep) LineBuffer *buffer = NULL;
    size_t size;

    (void) state;

    assert_int_equal(line_buffer_new(&buffer, MAX), 0);
    fill(buffer, "12345678", 8);
    assert_int_equal(next(buffer), LINE_NONE);
    (void) line_buffer_space(buffer, &size);
    assert_int_equal(size, 1);
    fill(buffer, "9", 1);
    assert_int_equal(next(buffer), LINE_TOO_LONG);
    assert_int_equal(next(buffer), LINE_TOO_LONG);
}

static void test_good_lines_before_a_too_long_one_are_given(void **state)
{
    _cleanup_(line_buffer_freep) LineBuffer *buffer = NULL;

    (void) state;

    assert_int_equal(line_buffer_new(&buffer, MAX), 0);
    fill(buffer, "ab\n123456", 9);
    assert_line(buffer, "ab");
    assert_int_equal(next(buffer), LINE_NONE);
    fill(buffer, "789", 3);
    assert_int_equal(next(buffer), LINE_TOO_LONG);
}

static void test_there_is_always_room_for_more_of_a_line(void **state)
{
    _cleanup_(line_buffer_freep) LineBuffer *buffer = NULL;

    (void) state;

    assert_int_equal(line_buffer_new(&buffer, MAX), 0);
    for (unsigned int i = 0; i < 100; i++) {
        size_t size;

        (void) line_buffer_space(buffer, &size);
        assert_true(size >= 1 && size <= MAX + 1);
        fill(buffer, i % 9 == 8 ? "\n" : "x", 1);
        assert_int_equal(next(buffer), i % 9 == 8 ? LINE_GOOD : LINE_NONE);
    }
}

static void test_nul_bytes_are_bytes_of_the_line(void **state)
{
    _cleanup_(line_buffer_freep) LineBuffer *buffer = NULL;
    const char *line;
    size_t len;

    (void) state;

    assert_int_equal(line_buffer_new(&buffer, MAX), 0);
    fill(buffer, "a\0b\n", 4);
    assert_int_equal(line_buffer_next(buffer, &line, &len), LINE_GOOD);
    assert_int_equal(len, 3);
    assert_memory_equal(line, "a\0b", 3);
}

static void test_freeing_nothing_is_fine(void **state)
{
    (void) state;

    assert_null(line_buffer_free(NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_come_one_by_one_without_their_newline),
        cmocka_unit_test(test_the_longest_line_is_good),
        cmocka_unit_test(test_one_byte_too_many_is_found_before_the_line_ends),
        cmocka_unit_test(test_good_lines_before_a_too_long_one_are_given),
        cmocka_unit_test(test_there_is_always_room_for_more_of_a_line),
        cmocka_unit_test(test_nul_bytes_are_bytes_of_the_line),
        cmocka_unit_test(test_freeing_nothing_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
