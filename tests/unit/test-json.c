/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/wire/json.h"
#include "tests/support/test.h"

#define DEEP 8192U

static int parse(const char *text, size_t len)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    int r = json_parse_object(&json, text, len);

    assert_int_equal(json != NULL, r == 0);
    return r;
}

static void test_one_object_is_taken(void **state)
{
    static const char *const good[] = {
        "{}",
        " {\t} \r",
        "{\"a\":[1,-2.5,true,null,{\"b\":\"\\u20ac\"}]}",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(parse(good[i], strlen(good[i])), 0);
}

static void test_whatever_is_not_one_object_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "null",
        "1",
        "\"a\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{}{}",
        "{} x",
        "{},",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":1e999}",
        "{\"a\":9223372036854775808}",
        "{\"a\":tru}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u00g0\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc0\x80\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":1}//",
        "\xef\xbb\xbf{}",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(parse(bad[i], strlen(bad[i])), -EBADMSG);
}

static void test_duplicate_keys_are_refused_at_every_depth(void **state)
{
    static const char *const bad[] = {
        "{\"a\":1,\"a\":1}",         "{\"a\":1,\"b\":2,\"a\":3}",
        "{\"a\":{\"b\":1,\"b\":1}}", "{\"a\":[{\"b\":1,\"b\":1}]}",
        "{\"a\":1,\"\\u0061\":1}",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(parse(bad[i], strlen(bad[i])), -EBADMSG);
}

static void test_nul_bytes_are_refused_raw_and_escaped(void **state)
{
    (void) state;

    assert_int_equal(parse("{}\0", 3), -EBADMSG);
    assert_int_equal(parse("\0{}", 3), -EBADMSG);
    assert_int_equal(parse("{\"a\":\"\0\"}", 9), -EBADMSG);
    assert_int_equal(parse("{\"a\":\"\\u0000\"}", 14), -EBADMSG);
    assert_int_equal(parse("{\"\\u0000\":1}", 12), -EBADMSG);
}

static void test_nothing_behind_the_length_is_read(void **state)
{
    (void) state;

    assert_int_equal(parse("{}{", 2), 0);
    assert_int_equal(parse("{}", 1), -EBADMSG);
}

static void test_deep_nesting_is_refused(void **state)
{
    static const char *const openings[] = { "[", "{\"a\":" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(openings); i++) {
        char text[DEEP];
        size_t len = 0, n = strlen(openings[i]);

        memcpy(text, "{\"a\":", 5);
        for (len = 5; len + n <= sizeof(text); len += n)
            memcpy(text + len, openings[i], n);
        assert_int_equal(parse(text, len), -EBADMSG);
    }
}

static void test_a_line_is_compact_and_ends_with_one_newline(void **state)
{
    _cleanup_(freep) char *text = NULL;
    size_t len;

    (void) state;

    assert_int_equal(
        json_to_line(&text, &len, json_pack("{s:i,s:[s,n]}", "b", 1, "a", "x")),
        0);
    /* in the order in which the keys were put in */
    assert_string_equal(text, "{\"b\":1,\"a\":[\"x\",null]}\n");
    assert_int_equal(len, strlen(text));
}

static void test_the_length_of_a_line_need_not_be_asked(void **state)
{
    _cleanup_(freep) char *text = NULL;

    (void) state;

    assert_int_equal(json_to_line(&text, NULL, json_object()), 0);
    assert_string_equal(text, "{}\n");
}

static void test_no_value_means_no_memory(void **state)
{
    char *text = NULL;

    (void) state;

    assert_int_equal(json_to_line(&text, NULL, NULL), -ENOMEM);
    assert_null(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_object_is_taken),
        cmocka_unit_test(test_whatever_is_not_one_object_is_refused),
        cmocka_unit_test(test_duplicate_keys_are_refused_at_every_depth),
        cmocka_unit_test(test_nul_bytes_are_refused_raw_and_escaped),
        cmocka_unit_test(test_nothing_behind_the_length_is_read),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_a_line_is_compact_and_ends_with_one_newline),
        cmocka_unit_test(test_the_length_of_a_line_need_not_be_asked),
        cmocka_unit_test(test_no_value_means_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
