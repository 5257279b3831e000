/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/diagnostic.h"
#include "tests/support/test.h"

static int setup(void **state)
{
    return diagnostics_new((Diagnostics **) state);
}

static int teardown(void **state)
{
    diagnostics_free(*state);
    return 0;
}

static void add(Diagnostics *diagnostics,
                unsigned int line,
                unsigned int column,
                const char *source_line)
{
    assert_int_equal(diagnostics_add(diagnostics, DIAGNOSTIC_ERROR,
                                     "10-a.rules", line, column, source_line,
                                     source_line ? strlen(source_line) : 0,
                                     "message"),
                     0);
}

static void assert_format(const Diagnostics *diagnostics,
                          size_t index,
                          const char *expected)
{
    char *text = diagnostic_format(diagnostics_get(diagnostics, index));

    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void test_the_caret_stands_under_the_column(void **state)
{
    Diagnostics *diagnostics = *state;

    add(diagnostics, 3, 1, "abc");
    add(diagnostics, 3, 3, "abc");
    add(diagnostics, 3, 4, "abc");
    add(diagnostics, 3, 1, "");
    assert_format(diagnostics, 0, "10-a.rules:3:1: message\n    abc\n    ^\n");
    assert_format(diagnostics, 1,
                  "10-a.rules:3:3: message\n    abc\n      ^\n");
    assert_format(diagnostics, 2,
                  "10-a.rules:3:4: message\n    abc\n       ^\n");
    assert_format(diagnostics, 3, "10-a.rules:3:1: message\n    \n    ^\n");
}

static void test_the_caret_follows_what_characters_are_shown_as(void **state)
{
    Diagnostics *diagnostics = *state;

    add(diagnostics, 1, 3, "\u00e4\u2603x");
    add(diagnostics, 1, 3, "\t\tx");
    add(diagnostics, 1, 3, "\x01\u202ex");
    add(diagnostics, 1, 3, "\xff\\x");
    assert_int_equal(diagnostics_get(diagnostics, 0)->caret, 3);
    assert_format(diagnostics, 1,
                  "10-a.rules:1:3: message\n      x\n      ^\n");
    assert_format(diagnostics, 2,
                  "10-a.rules:1:3: message\n"
                  "    \\u{1}\\u{202e}x\n"
                  "                 ^\n");
    assert_format(diagnostics, 3,
                  "10-a.rules:1:3: message\n"
                  "    \\xff\\x\n"
                  "         ^\n");
}

static void test_parts_that_are_unknown_are_left_out(void **state)
{
    Diagnostics *diagnostics = *state;

    add(diagnostics, 0, 0, NULL);
    add(diagnostics, 7, 0, NULL);
    add(diagnostics, 7, 0, "line");
    assert_format(diagnostics, 0, "10-a.rules: message\n");
    assert_format(diagnostics, 1, "10-a.rules:7: message\n");
    assert_format(diagnostics, 2, "10-a.rules:7: message\n    line\n");
}

static void test_a_warning_says_so_and_is_counted_apart(void **state)
{
    Diagnostics *diagnostics = *state;

    add(diagnostics, 1, 0, NULL);
    assert_int_equal(diagnostics_add(diagnostics, DIAGNOSTIC_WARNING, "f", 2, 0,
                                     NULL, 0, "careful"),
                     0);
    assert_format(diagnostics, 1, "f:2: warning: careful\n");
    assert_int_equal(diagnostics_count(diagnostics), 2);
    assert_int_equal(diagnostics_count_level(diagnostics, DIAGNOSTIC_ERROR), 1);
    assert_int_equal(diagnostics_count_level(diagnostics, DIAGNOSTIC_WARNING),
                     1);
}

static void test_names_and_messages_are_escaped(void **state)
{
    Diagnostics *diagnostics = *state;

    assert_int_equal(diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, "a\nb", 0,
                                     0, NULL, 0, "x\x1b[2Jy"),
                     0);
    assert_format(diagnostics, 0, "a\\nb: x\\u{1b}[2Jy\n");
}

static void test_a_long_message_is_cut_with_a_mark(void **state)
{
    Diagnostics *diagnostics = *state;
    char message[2 * DIAGNOSTIC_MESSAGE_MAX];
    const char *kept;

    memset(message, 'm', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    assert_int_equal(diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, "f", 0, 0,
                                     NULL, 0, message),
                     0);
    kept = diagnostics_get(diagnostics, 0)->message;
    assert_int_equal(strlen(kept), DIAGNOSTIC_MESSAGE_MAX);
    assert_string_equal(kept + DIAGNOSTIC_MESSAGE_MAX - 4, "m...");
}

/* Wherever the caret is in a line of any length, it is under its character. */
static void test_the_caret_is_right_in_lines_of_any_length(void **state)
{
    static char line[3000];
    Diagnostics *diagnostics = *state;
    size_t n = 0;

    memset(line, '.', sizeof(line) - 1);
    for (unsigned int column = 1; column < sizeof(line); column += 13) {
        const Diagnostic *kept;

        line[column - 1] = 'X';
        add(diagnostics, 1, column, line);
        line[column - 1] = '.';

        kept = diagnostics_get(diagnostics, n++);
        assert_true(strlen(kept->source_line) <= DIAGNOSTIC_SOURCE_LINE_MAX);
        assert_int_equal(kept->source_line[kept->caret - 1], 'X');
    }
}

static void test_beyond_the_limit_they_are_counted_not_kept(void **state)
{
    Diagnostics *diagnostics = *state;

    for (unsigned int i = 0; i < DIAGNOSTICS_MAX + 5; i++)
        add(diagnostics, i + 1, 1, "x");
    assert_int_equal(diagnostics_count(diagnostics), DIAGNOSTICS_MAX);
    assert_int_equal(diagnostics_count_level(diagnostics, DIAGNOSTIC_ERROR),
                     DIAGNOSTICS_MAX + 5);
}

static void test_sorting_leaves_earlier_files_alone(void **state)
{
    static const unsigned int expected[][2] = {
        { 9, 1 }, { 1, 2 }, { 1, 5 }, { 2, 1 }, { 2, 3 },
    };
    Diagnostics *diagnostics = *state;

    add(diagnostics, 9, 1, NULL);
    add(diagnostics, 2, 1, NULL);
    add(diagnostics, 1, 5, NULL);
    add(diagnostics, 2, 3, NULL);
    add(diagnostics, 1, 2, NULL);
    diagnostics_sort(diagnostics, 1);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        assert_int_equal(diagnostics_get(diagnostics, i)->line, expected[i][0]);
        assert_int_equal(diagnostics_get(diagnostics, i)->column,
                         expected[i][1]);
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_the_caret_stands_under_the_column),
        TEST(test_the_caret_follows_what_characters_are_shown_as),
        TEST(test_parts_that_are_unknown_are_left_out),
        TEST(test_a_warning_says_so_and_is_counted_apart),
        TEST(test_names_and_messages_are_escaped),
        TEST(test_a_long_message_is_cut_with_a_mark),
        TEST(test_the_caret_is_right_in_lines_of_any_length),
        TEST(test_beyond_the_limit_they_are_counted_not_kept),
        TEST(test_sorting_leaves_earlier_files_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
