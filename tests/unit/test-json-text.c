/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/wire/json-text.h"
#include "tests/support/test.h"

/* Every character that JSON has an escape for, and some beside. */
#define ODD "\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\xf0\x9f\x90\x98"

static void test_it_writes_what_jansson_writes(void **state)
{
    _cleanup_(freep) char *text = NULL, *wanted = NULL;
    JsonText json = {};
    json_t *same;
    size_t len;

    (void) state;

    json_text_open(&json, NULL, '{');
    json_text_string(&json, "text", ODD);
    json_text_string(&json, "empty", "");
    json_text_number(&json, "largest", INT64_MAX);
    json_text_number(&json, "smallest", INT64_MIN);
    json_text_bool(&json, "yes", true);
    json_text_bool(&json, "no", false);
    json_text_null(&json, "null");
    json_text_open(&json, "list", '[');
    json_text_string(&json, NULL, "one");
    json_text_open(&json, NULL, '{');
    json_text_close(&json, '}');
    json_text_number(&json, NULL, 0);
    json_text_close(&json, ']');
    json_text_number(&json, "behind", 1);
    json_text_close(&json, '}');
    assert_int_equal(json_text_end(&json, &text, &len), 0);
    assert_int_equal(len, strlen(text));

    same = json_pack("{s:s, s:s, s:I, s:I, s:b, s:b, s:n, s:[s, {}, i], s:i}",
                     "text", ODD, "empty", "", "largest",
                     (json_int_t) INT64_MAX, "smallest", (json_int_t) INT64_MIN,
                     "yes", 1, "no", 0, "null", "list", "one", 0, "behind", 1);
    assert_non_null(same);
    wanted = json_dumps(same, JSON_COMPACT);
    json_decref(same);
    assert_string_equal(text, wanted);
}

static void test_lines_follow_one_another(void **state)
{
    _cleanup_(freep) char *text = NULL;
    JsonText json = {};
    size_t len;

    (void) state;

    json_text_raw(&json, "head", sizeof("head"));
    for (int i = 0; i < 2; i++) {
        json_text_open(&json, NULL, '{');
        json_text_number(&json, "n", i);
        json_text_close(&json, '}');
        json_text_newline(&json);
    }
    assert_int_equal(json_text_end(&json, &text, &len), 0);
    assert_int_equal(len, sizeof("head\0{\"n\":0}\n{\"n\":1}\n") - 1);
    assert_memory_equal(text, "head\0{\"n\":0}\n{\"n\":1}\n", len);
    assert_int_equal(text[len], '\0');
}

static void test_it_grows_with_what_is_written(void **state)
{
    /* every length around the sizes that the buffer takes */
    for (size_t n = 1; n < 5000; n++) {
        _cleanup_(freep) char *text = NULL;
        char value[5000];
        JsonText json = {};
        size_t len;

        memset(value, 'x', n);
        value[n] = '\0';
        json_text_string(&json, NULL, value);
        assert_int_equal(json_text_end(&json, &text, &len), 0);
        assert_int_equal(len, n + 2);
        assert_memory_equal(text + 1, value, n);
        assert_int_equal(text[len], '\0');
    }
    (void) state;
}

static void test_nothing_is_a_text_too(void **state)
{
    _cleanup_(freep) char *text = NULL;
    JsonText json = {};

    (void) state;

    assert_int_equal(json_text_end(&json, &text, NULL), 0);
    assert_string_equal(text, "");
}

/* More than any memory has: nothing of it is read. */
static void test_what_is_too_long_is_not_begun(void **state)
{
    volatile size_t len = SIZE_MAX / 2;
    JsonText json = {};
    char *text;

    (void) state;

    json_text_raw(&json, "x", len);
    json_text_raw(&json, "x", 1);
    assert_int_equal(json_text_end(&json, &text, NULL), -ENOMEM);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_writes_what_jansson_writes),
        cmocka_unit_test(test_lines_follow_one_another),
        cmocka_unit_test(test_it_grows_with_what_is_written),
        cmocka_unit_test(test_nothing_is_a_text_too),
        cmocka_unit_test(test_what_is_too_long_is_not_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
