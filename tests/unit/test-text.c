/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "common/text.h"
#include "tests/support/test.h"

#define ESCAPED_MAX 64U

static bool is_plain(const char *text)
{
    return text_is_plain(text, strlen(text));
}

static void assert_escaped(const char *text, size_t len, const char *expected)
{
    char escaped[ESCAPED_MAX];

    assert_ptr_equal(text_escape(escaped, sizeof(escaped), text, len), escaped);
    assert_string_equal(escaped, expected);
}

static void test_text_of_every_length_of_sequence_is_plain(void **state)
{
    (void) state;

    assert_true(text_is_plain("", 0));
    assert_true(is_plain(" ~"));
    assert_true(is_plain("\u00a0\u07ff"));
    assert_true(is_plain("\u0800\xed\x9f\xbf\ue000\uffff"));
    assert_true(is_plain("\U00010000\U0010ffff"));
}

static void test_every_control_character_is_refused(void **state)
{
    (void) state;

    for (unsigned int c = 0; c < 0x100; c++) {
        bool is_control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
        char text[2] = { (char) c };
        size_t len = 1;

        if (c >= 0x80) {
            text[0] = (char) (0xc0 | c >> 6);
            text[1] = (char) (0x80 | (c & 0x3f));
            len = 2;
        }
        assert_int_equal(text_is_plain(text, len), !is_control);
    }
}

static void test_what_is_not_utf8_is_refused(void **state)
{
    static const char *const bad[] = {
        "\x80",             /* continuation alone */
        "\xbf",             /* the same */
        "\xc3",             /* truncated */
        "\xe2\x82",         /* truncated */
        "\xf0\x9f\x98",     /* truncated */
        "\xc3(",            /* no continuation */
        "\xe2\x82(",        /* no continuation at the end */
        "\xc0\x80",         /* overlong NUL */
        "\xc0\xaf",         /* overlong slash */
        "\xc1\xbf",         /* overlong, the last */
        "\xe0\x9f\xbf",     /* overlong U+07FF */
        "\xf0\x8f\xbf\xbf", /* overlong U+FFFF */
        "\xed\xa0\x80",     /* the first surrogate */
        "\xed\xbf\xbf",     /* the last surrogate */
        "\xf4\x90\x80\x80", /* U+110000 */
        "\xf5\x80\x80\x80", /* beyond */
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint32_t code_point;

        assert_int_equal(text_decode_utf8(&code_point, bad[i], strlen(bad[i])),
                         0);
        assert_false(is_plain(bad[i]));
    }
}

static void test_nothing_behind_the_length_is_read(void **state)
{
    uint32_t code_point;

    (void) state;

    assert_int_equal(text_decode_utf8(&code_point, "\u20ac", 2), 0);
    assert_int_equal(text_decode_utf8(&code_point, "\u20ac", 3), 3);
    assert_int_equal(code_point, 0x20ac);
    assert_int_equal(text_decode_utf8(&code_point, "a", 0), 0);
    assert_true(text_is_plain("a\n", 1));
}

static void test_hex_is_told_by_case(void **state)
{
    (void) state;

    assert_true(text_is_hex("0123456789abcdef", 16, true));
    assert_false(text_is_hex("A", 1, true));
    assert_true(text_is_hex("ABCDEFabcdef09", 14, false));
    assert_false(text_is_hex("g", 1, false));
    assert_false(text_is_hex("G", 1, false));
    assert_false(text_is_hex("/", 1, false));
    assert_false(text_is_hex(":", 1, false));
    assert_false(text_is_hex("@", 1, false));
    assert_false(text_is_hex("`", 1, false));
    assert_false(text_is_hex("0\0", 2, false));
    assert_true(text_is_hex("", 0, true));
}

static void test_bidi_and_zero_width_characters_are_deceptive(void **state)
{
    static const uint32_t deceptive[] = {
        0x00ad, 0x061c, 0x200b, 0x200c, 0x200d, 0x200e,  0x200f,  0x2028,
        0x2029, 0x202a, 0x202e, 0x2060, 0x2066, 0x2069,  0xfeff,  0xfe0f,
        0xe000, 0xf8ff, 0xfff9, 0xfffb, 0x180e, 0xe0001, 0xe007f, 0x10ffff,
    };
    static const uint32_t honest[] = {
        ' ', 'a', 0xe9, 0x3b1, 0x5d0, 0x627, 0x4e2d, 0xfffd, 0x1f600,
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(deceptive); i++)
        assert_true(text_is_deceptive(deceptive[i]));
    for (size_t i = 0; i < ARRAY_SIZE(honest); i++)
        assert_false(text_is_deceptive(honest[i]));
}

static void test_what_is_unsafe_to_show_is_escaped(void **state)
{
    (void) state;

    assert_escaped("plain \u00e9 \U0001f600", 13, "plain \u00e9 \U0001f600");
    assert_escaped("a\\b", 3, "a\\\\b");
    assert_escaped("a\nb", 3, "a\\nb");
    assert_escaped("\x1b[2J", 4, "\\u{1b}[2J");
    assert_escaped("\0", 1, "\\u{0}");
    assert_escaped("\x7f", 1, "\\u{7f}");
    assert_escaped("\xc2\x9b", 2, "\\u{9b}");
    assert_escaped("\u202eexe", 6, "\\u{202e}exe");
    assert_escaped("\U0010ffff", 4, "\\u{10ffff}");
    assert_escaped("\xff\xc3", 2, "\\xff\\xc3");
    assert_escaped("", 0, "");
}

static void test_what_has_no_width_of_its_own_is_escaped(void **state)
{
    static const uint32_t marks[] = {
        0x300,  0x338,  0x36f,   0x483,   0x489,   0x5b0,   0x64b,
        0x941,  0xe31,  0x1161,  0x11ff,  0x20dd,  0x302a,  0xd7b0,
        0xd7fb, 0xfe20, 0x101fd, 0x13430, 0x13438, 0x1e944, 0x1e94a,
    };
    static const uint32_t letters[] = {
        ' ',    'a',    0xe9,   0x2ff,  0x370,   0x482,   0x48a,
        0x5d0,  0x627,  0x905,  0x93f,  0xe32,   0x115e,  0x1200,
        0x309b, 0xac00, 0xd7a3, 0x4e2d, 0x1342f, 0x1e94b, 0x1f600,
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
        assert_true(text_is_mark(marks[i]));
    for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
        assert_false(text_is_mark(letters[i]));
    assert_escaped("b\u0338c", 4, "b\\u{338}c");
    assert_escaped("\u0489", 2, "\\u{489}");
    assert_escaped("\U00013430", 4, "\\u{13430}");
}

/* Nothing is escaped that a terminal gives a column. */
static void test_no_mark_has_a_width(void **state)
{
    (void) state;

    /* part of glibc */
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    for (uint32_t c = 0; c <= 0x10ffff; c++)
        if (text_is_mark(c) && wcwidth((wchar_t) c) > 0)
            fail_msg("U+%x", c);
}

static void test_what_does_not_fit_is_left_out_and_marked(void **state)
{
    char small[8];

    (void) state;

    assert_string_equal(text_escape(small, 8, "1234567", 7), "1234567");
    assert_string_equal(text_escape(small, 8, "12345678", 8), "1234...");
    /* an escape is never cut in two */
    assert_string_equal(text_escape(small, 8, "12\n\n\n\n", 6), "12\\n...");
    assert_string_equal(text_escape(small, 8, "123\u20ac\u20ac", 9), "123...");
    assert_string_equal(text_escape(small, 4, "12345", 5), "...");
    assert_string_equal(text_escape(small, 3, "12345", 5), "12");
    assert_string_equal(text_escape(small, 1, "12345", 5), "");
}

static void test_escaped_text_stays_within_any_size(void **state)
{
    static const char text[] = "a\n\u20ac\xff\u202e\\\0\U0010ffff...z";

    (void) state;

    for (size_t size = 1; size <= ESCAPED_MAX; size++) {
        char escaped[ESCAPED_MAX + 1];

        memset(escaped, '#', sizeof(escaped));
        (void) text_escape(escaped, size, text, sizeof(text) - 1);
        assert_true(strlen(escaped) < size);
        assert_int_equal(escaped[size], '#');
        assert_true(is_plain(escaped));
    }
}

static void test_no_byte_needs_more_than_the_factor(void **state)
{
    (void) state;

    for (uint32_t code_point = 0; code_point <= 0x10ffff; code_point++) {
        char text[4], escaped[ESCAPED_MAX];
        size_t len = 1;

        text[0] = (char) code_point;
        if (code_point > 0xff) {
            len = 4;
            text[0] = (char) (0xf0 | code_point >> 18);
            for (unsigned int i = 1; i < 4; i++)
                text[i] = (char) (0x80 | (code_point >> (18 - 6 * i) & 0x3f));
        }
        (void) text_escape(escaped, sizeof(escaped), text, len);
        assert_true(strlen(escaped) <= len * TEXT_ESCAPE_FACTOR);
        assert_true(is_plain(escaped));
    }
}

static void test_formatting_cuts_what_does_not_fit(void **state)
{
    char small[4];

    (void) state;

    assert_int_equal(text_format(small, sizeof(small), "%i", 123), 3);
    assert_string_equal(small, "123");
    assert_int_equal(text_format(small, sizeof(small), "%i", 1234), 3);
    assert_string_equal(small, "123");
    assert_int_equal(text_format(small, 1, "%i", 1234), 0);
    assert_string_equal(small, "");
}

static void test_formatting_cuts_at_a_character(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        { "1234\u20ac", "1234" },
        { "123\u20ac", "123" },
        { "12\u20ac4", "12" },
        { "1\u20ac4", "1\u20ac" },
        { "\U0001f50c4", "\U0001f50c" },
        { "1\U0001f50c", "1" },
        /* what is no character cannot be halved */
        { "123\x80\x80", "123\x80" },
        { "1\x80\x80\x80\x80", "1\x80\x80\x80" },
        { "123\xff\xff", "123\xff" },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char small[5];

        assert_int_equal(text_format(small, sizeof(small), "%s", cases[i].text),
                         strlen(cases[i].wanted));
        assert_string_equal(small, cases[i].wanted);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_every_length_of_sequence_is_plain),
        cmocka_unit_test(test_every_control_character_is_refused),
        cmocka_unit_test(test_what_is_not_utf8_is_refused),
        cmocka_unit_test(test_nothing_behind_the_length_is_read),
        cmocka_unit_test(test_hex_is_told_by_case),
        cmocka_unit_test(test_bidi_and_zero_width_characters_are_deceptive),
        cmocka_unit_test(test_what_is_unsafe_to_show_is_escaped),
        cmocka_unit_test(test_what_has_no_width_of_its_own_is_escaped),
        cmocka_unit_test(test_no_mark_has_a_width),
        cmocka_unit_test(test_what_does_not_fit_is_left_out_and_marked),
        cmocka_unit_test(test_escaped_text_stays_within_any_size),
        cmocka_unit_test(test_no_byte_needs_more_than_the_factor),
        cmocka_unit_test(test_formatting_cuts_what_does_not_fit),
        cmocka_unit_test(test_formatting_cuts_at_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
