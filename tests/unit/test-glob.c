/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/glob.h"
#include "tests/support/test.h"

static const char *normalize(char ret[GLOB_MAX + 1],
                             const char *pattern,
                             bool fold)
{
    size_t offset;

    return glob_normalize(ret, pattern, strlen(pattern), fold, &offset);
}

static bool match(const char *pattern, const char *text, bool fold)
{
    char normal[GLOB_MAX + 1];

    assert_null(normalize(normal, pattern, fold));
    return glob_match(normal, text, fold);
}

static void test_characters_are_code_points(void **state)
{
    (void) state;

    assert_true(match("?", "\u2603", false));
    assert_true(match("[\u00e0-\u00ff]", "\u00e9", false));
    assert_false(match("[\u00e0-\u00ff]", "e", false));
    assert_true(match("[!a]", "\U0001f600", false));
    assert_false(match("??", "\u2603", false));
    assert_true(match("*\u2603*", "a\u2603b", false));
}

static void test_a_byte_that_is_no_character_is_one_of_its_own(void **state)
{
    (void) state;

    assert_true(match("?", "\xff", false));
    assert_true(match("a?b",
                      "a\xc3"
                      "b",
                      false));
    assert_false(match("?", "\xff\xfe", false));
    assert_false(match("[\u00f0-\u00ff]", "\xff", false));
    assert_false(match("\u00ff", "\xff", false));
}

static void test_only_ascii_is_folded(void **state)
{
    (void) state;

    assert_true(match("ABC", "abc", true));
    assert_true(match("[A-C]x", "bX", true));
    assert_false(match("[!A-C]", "b", true));
    assert_false(match("\u00c4", "\u00e4", true));
    assert_false(match("abc", "aBc", false));
}

static void test_different_spellings_have_one_normal_form(void **state)
{
    static const char *const pairs[][2] = {
        { "a", "\\a" },   { "a*", "a***" },     { "a\\*", "a\\*" },
        { "\\]", "]" },   { "[a\\-]", "[a-]" }, { "[\\!a]", "[\\!a]" },
        { "\\\"", "\"" }, { "\\[", "\\[" },     { "[b\\]]", "[\\b\\]]" },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        char a[GLOB_MAX + 1], b[GLOB_MAX + 1];

        assert_null(normalize(a, pairs[i][0], false));
        assert_null(normalize(b, pairs[i][1], false));
        assert_string_equal(a, b);
    }
}

static void test_a_pattern_without_wildcards_is_a_literal(void **state)
{
    char normal[GLOB_MAX + 1], literal[GLOB_MAX + 1];

    (void) state;

    assert_null(normalize(normal, "a\\*b\\\\\"", false));
    assert_true(glob_to_literal(literal, normal));
    assert_string_equal(literal, "a*b\\\"");
    assert_false(glob_to_literal(literal, "a*"));
    assert_false(glob_to_literal(literal, "[a]"));
    assert_false(glob_to_literal(literal, "a?"));
}

static void test_the_limit_is_255_bytes_as_written_and_in_normal_form(
    void **state)
{
    char pattern[GLOB_MAX + 2], normal[GLOB_MAX + 1];

    (void) state;

    memset(pattern, 'x', sizeof(pattern));
    pattern[GLOB_MAX] = '\0';
    assert_null(normalize(normal, pattern, false));
    pattern[GLOB_MAX] = 'x';
    pattern[GLOB_MAX + 1] = '\0';
    assert_non_null(normalize(normal, pattern, false));

    /* it would grow: a '-' at the end of a set is quoted in normal form */
    memcpy(pattern + GLOB_MAX - 4, "[a-]", 5);
    assert_non_null(normalize(normal, pattern, false));
    memcpy(pattern + GLOB_MAX - 5, "[a-]", 5);
    assert_null(normalize(normal, pattern, false));
}

static void test_an_error_says_where(void **state)
{
    static const struct {
        const char *pattern;
        size_t offset;
    } bad[] = {
        { "", GLOB_WHOLE }, { "ab[c", 2 },    { "ab\\", 2 },   { "[]", 0 },
        { "x[^a]", 2 },     { "x[az-b]", 3 }, { "x[a\\]", 1 }, { "x[a-", 1 },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char normal[GLOB_MAX + 1];
        size_t offset;

        assert_non_null(glob_normalize(normal, bad[i].pattern,
                                       strlen(bad[i].pattern), false, &offset));
        assert_int_equal(offset, bad[i].offset);
    }
}

static void test_many_stars_take_no_time(void **state)
{
    char pattern[GLOB_MAX + 1] = "", text[GLOB_MAX + 1];

    (void) state;

    for (size_t i = 0; i + 1 < GLOB_MAX; i += 2)
        memcpy(pattern + i, "*a", 3);
    pattern[GLOB_MAX - 1] = 'b';
    memset(text, 'a', GLOB_MAX);
    text[GLOB_MAX] = '\0';

    /* an exponential matcher would not come back from one of these */
    for (size_t i = 0; i < 100; i++)
        assert_false(match(pattern, text, true));
}

static void test_the_least_length_counts_all_but_stars(void **state)
{
    bool open;

    (void) state;

    assert_int_equal(glob_min_length("ab?[c-d\\]]\\*", &open), 5);
    assert_false(open);
    assert_int_equal(glob_min_length("*\u2603*", &open), 1);
    assert_true(open);
}

static void test_a_quoted_text_matches_itself(void **state)
{
    static const char *const texts[] = {
        "plain",   "a*b?c[d]e\\f\"g", "{#}",  "\u2603",
        "a\u200b", "\u202egnp.exe",   "-!^]", " two  blanks ",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char quoted[GLOB_MAX + 1], normal[GLOB_MAX + 1];

        glob_quote(quoted, texts[i]);
        assert_null(normalize(normal, quoted, false));
        assert_string_equal(normal, quoted);
        assert_true(glob_match(quoted, texts[i], false));
        assert_null(strstr(quoted, "\u200b"));
        assert_null(strstr(quoted, "\u202e"));
    }
}

static void test_a_quoted_text_without_room_ends_in_a_star(void **state)
{
    char text[GLOB_MAX + 1], quoted[GLOB_MAX + 1], normal[GLOB_MAX + 1];

    (void) state;

    for (size_t n = 1; n <= GLOB_MAX; n++) {
        memset(text, '*', n);
        text[n] = '\0';
        glob_quote(quoted, text);
        assert_null(normalize(normal, quoted, false));
        assert_true(glob_match(quoted, text, false));
        assert_int_equal(glob_match(quoted, "**********", false), n == 10);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters_are_code_points),
        cmocka_unit_test(test_a_byte_that_is_no_character_is_one_of_its_own),
        cmocka_unit_test(test_only_ascii_is_folded),
        cmocka_unit_test(test_different_spellings_have_one_normal_form),
        cmocka_unit_test(test_a_pattern_without_wildcards_is_a_literal),
        cmocka_unit_test(
            test_the_limit_is_255_bytes_as_written_and_in_normal_form),
        cmocka_unit_test(test_an_error_says_where),
        cmocka_unit_test(test_many_stars_take_no_time),
        cmocka_unit_test(test_the_least_length_counts_all_but_stars),
        cmocka_unit_test(test_a_quoted_text_matches_itself),
        cmocka_unit_test(test_a_quoted_text_without_room_ends_in_a_star),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
