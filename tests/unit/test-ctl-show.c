/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <locale.h>
#include <string.h>

#include "common/rate.h"
#include "dom0/ctl/errors-view.h"
#include "dom0/ctl/show.h"
#include "tests/support/test.h"

static void assert_shown(const char *text, bool utf8, const char *wanted)
{
    ShowText shown;

    assert_string_equal(show_text(&shown, text, utf8), wanted);
}

static void test_plain_text_stays_as_it_is(void **state)
{
    (void) state;
    assert_shown("SanDisk Ultra", true, "SanDisk Ultra");
    assert_shown("Gerät 日本", true, "Gerät 日本");
    assert_shown("", true, "");
    assert_shown(NULL, true, "");
}

static void test_nothing_reaches_the_terminal_that_it_acts_upon(void **state)
{
    (void) state;
    assert_shown("\033[31m", true, "\\u{1b}[31m");
    assert_shown("a\nb\tc\rd", true, "a\\nb\\u{9}c\\u{d}d");
    assert_shown("\xc2\x9b", true, "\\u{9b}");
    assert_shown("\x7f", true, "\\u{7f}");
    assert_shown("\xe2\x80\xae", true, "\\u{202e}");
    assert_shown("\xe2\x80\x8b", true, "\\u{200b}");
    assert_shown("\xff", true, "\\xff");
}

/* A mark would change the letter before it, even if that is our quote. */
static void test_what_has_no_width_is_escaped(void **state)
{
    (void) state;
    assert_shown("a\xcc\x81", true, "a\\u{301}");
    assert_shown("\xf3\xa0\x84\x80", true, "\\u{e0100}");
}

static void test_escaping_twice_is_escaping_once(void **state)
{
    ShowText once, twice;

    (void) state;
    show_text(&once, "\\u{202e} \\\\ \033 \xff", true);
    assert_string_equal(once.s, "\\u{202e} \\\\ \\u{1b} \\xff");
    assert_string_equal(show_text(&twice, once.s, true), once.s);
}

static void test_without_utf8_all_is_ascii(void **state)
{
    (void) state;
    assert_shown("Gerät 日", false, "Ger\\u{e4}t \\u{65e5}");
}

static void test_quotes_cannot_be_ended_from_within(void **state)
{
    ShowText shown;

    (void) state;
    assert_string_equal(show_quoted(&shown, "x\": attached to \"vault", true),
                        "\"x\\\": attached to \\\"vault\"");
    assert_string_equal(show_quoted(&shown, NULL, true), "\"\"");
}

/* What looks like one of our escapes is none. */
static void test_a_backslash_in_quotes_escapes_nothing(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        { "V\\", "\"V\\\\\"" },
        { "4C53\\\" (checked by dom0)", "\"4C53\\\\\\\" (checked by dom0)\"" },
        { "\\u{202e}", "\"\\\\u{202e}\"" },
        { "\xe2\x80\xae", "\"\\u{202e}\"" },
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ShowText shown;

        assert_string_equal(show_quoted(&shown, cases[i].text, true),
                            cases[i].wanted);
    }
}

static void test_what_is_escaped_is_not_escaped_again_in_quotes(void **state)
{
    ShowText shown;

    (void) state;
    assert_string_equal(
        show_quoted_escaped(&shown, "V\\\\u{202e} \\\\\" x", true),
        "\"V\\\\u{202e} \\\\\\\" x\"");
}

static void test_a_long_text_is_cut_between_characters(void **state)
{
    char text[SHOW_TEXT_MAX * 2];
    ShowText shown;
    size_t len;

    (void) state;
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "日", 4);
    show_quoted(&shown, text, true);
    len = strlen(shown.s);
    assert_true(len <= SHOW_TEXT_MAX && len > SHOW_TEXT_MAX - 4);
    assert_string_equal(shown.s + len - 4, "...\"");
    assert_int_equal((len - 5) % 3, 0);
    /* what it is made of has its width still */
    assert_int_equal(show_width(shown.s), (len - 5) / 3 * 2 + 5);
}

static void test_widths_are_those_of_a_terminal(void **state)
{
    (void) state;
    assert_int_equal(show_width(""), 0);
    assert_int_equal(show_width("abc"), 3);
    assert_int_equal(show_width("Gerät"), 5);
    assert_int_equal(show_width("日本"), 4);
    assert_int_equal(show_fit("日本", 3), 3);
    assert_int_equal(show_fit("日本", 4), 6);
    assert_int_equal(show_fit("abc", 2), 2);
    assert_int_equal(show_fit("abc", SIZE_MAX), 3);
}

static void test_the_width_of_a_beginning_is_of_what_is_shown(void **state)
{
    (void) state;
    assert_int_equal(show_width_of("日本x", 2, true), 4);
    assert_int_equal(show_width_of("日本x", 2, false), 2 * strlen("\\u{65e5}"));
    assert_int_equal(show_width_of("e\xcc\x81x", 2, true), strlen("e\\u{301}"));
    assert_int_equal(show_width_of("ab", 5, true), 2);
}

static void test_the_caret_stands_under_wide_and_narrow_letters(void **state)
{
    struct {
        char line[16];
        unsigned int caret;
        const char *wanted;
    } cases[] = {
        { "abc", 3, "\n      ^\n" },
        { "日本x", 3, "\n        ^\n" },
        { "日e\xcc\x81x", 4, "\n       ^\n" },
        { "日", 2, "\n      ^\n" },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const Diagnostic diagnostic = {
            .file = (char[]){ "a.rules" },
            .line = 1,
            .column = cases[i].caret,
            .message = (char[]){ "x" },
            .source_line = cases[i].line,
            .caret = cases[i].caret,
        };
        _cleanup_(freep) char *text = errors_format(&diagnostic);

        assert_non_null(text);
        assert_non_null(strstr(text, cases[i].wanted));
    }
}

static void assert_span(uint64_t usec, const char *wanted)
{
    ShowText shown;

    assert_string_equal(show_span(&shown, usec), wanted);
}

static void test_spans_have_the_unit_that_fits(void **state)
{
    const uint64_t min = 60 * USEC_PER_SEC, h = 60 * min;

    (void) state;
    assert_span(0, "0 s");
    assert_span(1999999, "1 s");
    assert_span(2 * min - 1, "119 s");
    assert_span(2 * min, "2 min");
    assert_span(2 * h - 1, "119 min");
    assert_span(2 * h, "2 h");
    assert_span(48 * h - 1, "47 h");
    assert_span(48 * h, "2 days");
    assert_span(UINT64_MAX, "213503982 days");
}

static void test_a_time_that_was_given_is_told_as_long_as_it_is(void **state)
{
    static const struct {
        uint64_t n_seconds;
        const char *wanted;
    } cases[] = { { 1, "1 s" },         { 60, "60 s" },
                  { 150, "150 s" },     { 300, "5 min" },
                  { 3600, "60 min" },   { 210 * 60, "210 min" },
                  { 7200, "2 h" },      { 30 * 3600, "30 h" },
                  { 172800, "2 days" }, { 172801, "172801 s" } };
    ShowText shown;

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(
            show_exact_span(&shown, cases[i].n_seconds * USEC_PER_SEC),
            cases[i].wanted);
}

static void test_ages_survive_a_clock_that_was_set_back(void **state)
{
    ShowText shown;

    (void) state;
    assert_string_equal(show_age(&shown, 5 * USEC_PER_SEC, 2 * USEC_PER_SEC),
                        "3 s ago");
    assert_string_equal(show_age(&shown, 5, 5), "just now");
    assert_string_equal(show_age(&shown, 5, 10 * USEC_PER_SEC), "just now");
}

static void test_sizes_and_counts(void **state)
{
    ShowText shown;

    (void) state;
    assert_string_equal(show_bytes(&shown, 0), "0.0 KiB");
    assert_string_equal(show_bytes(&shown, 1536), "1.5 KiB");
    assert_string_equal(show_bytes(&shown, 2200000), "2.0 MiB");
    assert_string_equal(show_bytes(&shown, UINT64_C(3) << 40), "3.0 TiB");
    assert_string_equal(show_count(&shown, 0, "error"), "no errors");
    assert_string_equal(show_count(&shown, 1, "error"), "1 error");
    assert_string_equal(show_count(&shown, 2, "error"), "2 errors");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text_stays_as_it_is),
        cmocka_unit_test(test_nothing_reaches_the_terminal_that_it_acts_upon),
        cmocka_unit_test(test_what_has_no_width_is_escaped),
        cmocka_unit_test(test_escaping_twice_is_escaping_once),
        cmocka_unit_test(test_without_utf8_all_is_ascii),
        cmocka_unit_test(test_quotes_cannot_be_ended_from_within),
        cmocka_unit_test(test_a_backslash_in_quotes_escapes_nothing),
        cmocka_unit_test(test_what_is_escaped_is_not_escaped_again_in_quotes),
        cmocka_unit_test(test_a_long_text_is_cut_between_characters),
        cmocka_unit_test(test_widths_are_those_of_a_terminal),
        cmocka_unit_test(test_the_width_of_a_beginning_is_of_what_is_shown),
        cmocka_unit_test(test_the_caret_stands_under_wide_and_narrow_letters),
        cmocka_unit_test(test_spans_have_the_unit_that_fits),
        cmocka_unit_test(test_a_time_that_was_given_is_told_as_long_as_it_is),
        cmocka_unit_test(test_ages_survive_a_clock_that_was_set_back),
        cmocka_unit_test(test_sizes_and_counts),
    };

    /* part of glibc */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
