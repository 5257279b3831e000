/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dom0/wire/control-buffer.h"
#include "dom0/wire/control-methods.h"
#include "tests/support/test.h"

#define GET_STATUS "org.qubes-contrib.autoattach.GetStatus"

static ControlCall decode(const char *text)
{
    ControlCall call = {};

    assert_int_equal(control_call_decode(&call, text, strlen(text)), 0);
    return call;
}

static void refuse(const char *text)
{
    ControlCall call = {};

    assert_int_equal(control_call_decode(&call, text, strlen(text)), -EBADMSG);
    assert_null(call.parameters);
}

/* The answer to a call that needs no daemon, as text. */
static char *answer(const char *text)
{
    ControlCall call = decode(text);
    ControlMethod method;
    json_t *message;
    char *encoded;
    size_t len;

    assert_int_equal(control_call_route(&method, &message, &call), 0);
    assert_int_equal(method, CONTROL_METHOD_INVALID);
    assert_non_null(message);
    assert_int_equal(
        control_message_encode(&encoded, &len, message, CONTROL_REPLY_MAX), 0);
    assert_int_equal(len, strlen(encoded) + 1);
    control_call_clear(&call);
    return encoded;
}

static void assert_answer(const char *text, const char *wanted)
{
    char *encoded = answer(text);

    assert_string_equal(encoded, wanted);
    free(encoded);
}

static void test_a_call_is_taken_apart(void **state)
{
    ControlCall call =
        decode("{\"method\":\"" GET_STATUS "\",\"parameters\":{\"a\":1},"
               "\"more\":true,\"oneway\":false,\"upgrade\":true}");

    (void) state;
    assert_string_equal(call.method.s, GET_STATUS);
    assert_int_equal(json_object_size(call.parameters), 1);
    assert_true(call.more);
    assert_true(call.upgrade);
    assert_false(call.oneway);
    control_call_clear(&call);
}

static void test_parameters_may_be_left_out(void **state)
{
    ControlCall call = decode("{\"method\":\"" GET_STATUS "\"}");

    (void) state;
    assert_true(json_is_object(call.parameters));
    assert_int_equal(json_object_size(call.parameters), 0);
    control_call_clear(&call);
}

static void test_what_is_no_call_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"parameters\":{}}",
        "{\"method\":1}",
        "{\"method\":\"\"}",
        "{\"method\":\"GetStatus\"}",
        "{\"method\":\"autoattach.GetStatus\"}",
        "{\"method\":\"a..b.C\"}",
        "{\"method\":\".a.b.C\"}",
        "{\"method\":\"a.b.\"}",
        "{\"method\":\"a.b-.C\"}",
        "{\"method\":\"a.-b.C\"}",
        "{\"method\":\"a.b.C D\"}",
        "{\"method\":\"a.b.C\\u0000\"}",
        "{\"method\":\"a.b.C\\n\"}",
        "{\"method\":\"a.b.\xc3\xa4\"}",
        "{\"method\":\"a.b.C\",\"parameters\":null}",
        "{\"method\":\"a.b.C\",\"parameters\":[]}",
        "{\"method\":\"a.b.C\",\"more\":1}",
        "{\"method\":\"a.b.C\",\"oneway\":\"true\"}",
        "{\"method\":\"a.b.C\",\"upgrade\":null}",
        "{\"method\":\"a.b.C\",\"oneway\":true,\"more\":true}",
        "{\"method\":\"a.b.C\",\"oneway\":true,\"upgrade\":true}",
        "{\"method\":\"a.b.C\",\"other\":1}",
        "{\"method\":\"a.b.C\",\"method\":\"a.b.D\"}",
        "{\"method\":\"a.b.C\",\"parameters\":{\"a\":1,\"a\":1}}",
        "{\"method\":\"a.b.C\"} x",
        "{\"method\":\"a.b.C\",\"parameters\":{\"a\":\"\xff\"}}",
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        refuse(texts[i]);
}

/* A call of @len bytes. */
static char *make_call(size_t len)
{
    static const char head[] = "{\"method\":\"a.b.C\",\"parameters\":{\"x\":\"";
    static const char tail[] = "\"}}";
    char *text = malloc(len + 1);

    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, head, strlen(head));
    memcpy(text + len - strlen(tail), tail, sizeof(tail));
    return text;
}

static void test_a_call_may_be_so_long_and_no_longer(void **state)
{
    char *longest = make_call(CONTROL_CALL_MAX);
    char *longer = make_call(CONTROL_CALL_MAX + 1);
    ControlCall call = decode(longest);

    (void) state;
    refuse(longer);
    control_call_clear(&call);
    free(longest);
    free(longer);
}

static void test_a_name_may_be_so_long_and_no_longer(void **state)
{
    char text[CONTROL_NAME_MAX + 2];
    ControlName name;

    (void) state;
    memset(text, 'a', sizeof(text));
    memcpy(text, "a.b.", 4);
    assert_true(control_name_parse(&name, text, CONTROL_NAME_MAX));
    assert_int_equal(strlen(name.s), CONTROL_NAME_MAX);
    assert_false(control_name_parse(&name, text, CONTROL_NAME_MAX + 1));
}

static void test_each_byte_of_a_name_is_looked_at(void **state)
{
    static const char within[] = "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    char text[] = "a.b.C?d";
    ControlName name;

    (void) state;
    for (int c = 0; c < 256; c++) {
        text[5] = (char) c;
        assert_int_equal(control_name_parse(&name, text, strlen("a.b.C?d")),
                         c != 0 && strchr(within, c));
    }
}

static void test_no_part_of_a_name_is_empty_or_ends_in_a_dash(void **state)
{
    static const char *const bad[] = { "",       "C",      "b.C",    ".b.C",
                                       "a..C",   "a.b.",   "-a.b.C", "a.-b.C",
                                       "a-.b.C", "a.b-.C", "a.b.-C", "a.b.C-" };
    ControlName name;

    (void) state;
    assert_true(control_name_parse(&name, "a-b.c--d.E-f", 12));
    assert_string_equal(name.s, "a-b.c--d.E-f");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(control_name_parse(&name, bad[i], strlen(bad[i])));
}

static void test_deep_nesting_is_refused(void **state)
{
    char text[CONTROL_CALL_MAX];
    size_t len = (size_t) snprintf(
        text, sizeof(text), "{\"method\":\"a.b.C\",\"parameters\":{\"x\":");
    ControlCall call;

    (void) state;
    memset(text + len, '[', sizeof(text) - len);
    assert_int_equal(control_call_decode(&call, text, sizeof(text)), -EBADMSG);
}

static void test_a_status_call_is_for_the_daemon(void **state)
{
    ControlCall call = decode("{\"method\":\"" GET_STATUS "\"}");
    ControlMethod method;
    json_t *message;

    (void) state;
    assert_int_equal(control_call_route(&method, &message, &call), 0);
    assert_int_equal(method, CONTROL_GET_STATUS);
    assert_null(message);
    control_call_clear(&call);
}

static void test_info_names_the_interfaces(void **state)
{
    char *encoded = answer("{\"method\":\"org.varlink.service.GetInfo\"}");
    ControlReply reply;
    json_t *info;

    (void) state;
    assert_int_equal(control_reply_decode(&reply, encoded, strlen(encoded)), 0);
    info = reply.parameters;
    assert_string_equal(json_string_value(json_object_get(info, "product")),
                        "qubes-autoattach");
    assert_string_equal(json_string_value(json_object_get(info, "version")),
                        AUTOATTACH_VERSION);
    assert_true(json_is_string(json_object_get(info, "vendor")));
    assert_true(json_is_string(json_object_get(info, "url")));
    info = json_object_get(info, "interfaces");
    assert_int_equal(json_array_size(info), 2);
    assert_string_equal(json_string_value(json_array_get(info, 0)),
                        "org.varlink.service");
    assert_string_equal(json_string_value(json_array_get(info, 1)),
                        "org.qubes-contrib.autoattach");
    control_reply_clear(&reply);
    free(encoded);
}

/* What is told of an interface is the file in the source tree. */
static void check_description(const char *interface)
{
    char path[512], text[16384], request[256];
    ControlReply reply;
    const char *told;
    char *encoded;
    size_t len;
    FILE *file;

    (void) snprintf(path, sizeof(path),
                    TESTS_SOURCE_DIR "/../dom0/wire/%s.varlink", interface);
    file = fopen(path, "re");
    assert_non_null(file);
    len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    assert_int_equal(fclose(file), 0);

    (void) snprintf(request, sizeof(request),
                    "{\"method\":\"org.varlink.service."
                    "GetInterfaceDescription\",\"parameters\":{\"interface\":"
                    "\"%s\"}}",
                    interface);
    encoded = answer(request);
    assert_int_equal(control_reply_decode(&reply, encoded, strlen(encoded)), 0);
    told = json_string_value(json_object_get(reply.parameters, "description"));
    assert_non_null(told);
    assert_string_equal(told, text);
    for (; *told; told++)
        assert_in_range(*told, 1, 126);
    control_reply_clear(&reply);
    free(encoded);
}

static void test_a_description_is_the_interface_file(void **state)
{
    (void) state;
    check_description("org.varlink.service");
    check_description("org.qubes-contrib.autoattach");
}

static void test_what_is_not_known_gets_its_standard_error(void **state)
{
    (void) state;
    assert_answer("{\"method\":\"org.example.Nothing\"}",
                  "{\"error\":\"org.varlink.service.InterfaceNotFound\","
                  "\"parameters\":{\"interface\":\"org.example\"}}");
    assert_answer("{\"method\":\"org.qubes-contrib.autoattach.Nothing\"}",
                  "{\"error\":\"org.varlink.service.MethodNotFound\","
                  "\"parameters\":{\"method\":"
                  "\"org.qubes-contrib.autoattach.Nothing\"}}");
    assert_answer("{\"method\":\"org.varlink.service."
                  "GetInterfaceDescription\",\"parameters\":{\"interface\":"
                  "\"\xe2\x80\xae\"}}",
                  "{\"error\":\"org.varlink.service.InterfaceNotFound\","
                  "\"parameters\":{\"interface\":\"\\u202E\"}}");
}

static void assert_invalid(const char *call, const char *parameter)
{
    char wanted[256];

    (void) snprintf(wanted, sizeof(wanted),
                    "{\"error\":\"org.varlink.service.InvalidParameter\","
                    "\"parameters\":{\"parameter\":\"%s\"}}",
                    parameter);
    assert_answer(call, wanted);
}

static void test_bad_parameters_are_named(void **state)
{
#define DESCRIBE "{\"method\":\"org.varlink.service.GetInterfaceDescription\""
    (void) state;
    assert_invalid(DESCRIBE "}", "interface");
    assert_invalid(DESCRIBE ",\"parameters\":{\"interface\":1}}", "interface");
    assert_invalid(DESCRIBE ",\"parameters\":{\"interface\":\"a\",\"b\":1}}",
                   "b");
    assert_invalid(
        "{\"method\":\"" GET_STATUS "\",\"parameters\":{\"all\":true}}", "all");
    assert_invalid("{\"method\":\"" GET_STATUS "\",\"upgrade\":true}",
                   "upgrade");
}

static void test_every_standard_error_is_one_of_the_interface(void **state)
{
    static const char *const errors[] = {
        CONTROL_ERROR_INTERFACE_NOT_FOUND,    CONTROL_ERROR_METHOD_NOT_FOUND,
        CONTROL_ERROR_METHOD_NOT_IMPLEMENTED, CONTROL_ERROR_INVALID_PARAMETER,
        CONTROL_ERROR_PERMISSION_DENIED,      CONTROL_ERROR_EXPECTED_MORE,
    };
    const char *text = control_interface_text(CONTROL_SERVICE_INTERFACE);

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        char line[128];
        ControlReply reply;
        char *encoded;
        size_t len;

        (void) snprintf(line, sizeof(line), "\nerror %s (",
                        strrchr(errors[i], '.') + 1);
        assert_non_null(strstr(text, line));

        assert_int_equal(
            control_message_encode(&encoded, &len,
                                   control_error_new(errors[i], json_object()),
                                   CONTROL_REPLY_MAX),
            0);
        assert_int_equal(control_reply_decode(&reply, encoded, len - 1), 0);
        assert_string_equal(reply.error.s, errors[i]);
        control_reply_clear(&reply);
        free(encoded);
    }
}

static void test_replies_are_ascii_and_end_in_nul(void **state)
{
    char *encoded;
    size_t len;

    (void) state;
    assert_int_equal(
        control_message_encode(
            &encoded, &len,
            control_reply_new(json_pack("{s:s}", "a", "\xe2\x80\xae\xc3\xa4"),
                              true),
            CONTROL_REPLY_MAX),
        0);
    assert_string_equal(encoded, "{\"parameters\":{\"a\":\"\\u202E\\u00E4\"},"
                                 "\"continues\":true}");
    assert_int_equal(len, strlen(encoded) + 1);
    free(encoded);
}

static void test_a_message_without_memory_is_none(void **state)
{
    char *encoded;
    size_t len;

    (void) state;
    assert_null(control_reply_new(NULL, false));
    assert_null(control_error_new(CONTROL_ERROR_EXPECTED_MORE, NULL));
    assert_int_equal(control_message_encode(&encoded, &len, NULL, 1), -ENOMEM);
}

static void test_a_message_is_not_longer_than_it_may_be(void **state)
{
    char *encoded;
    size_t len;

    (void) state;
    assert_int_equal(
        control_message_encode(&encoded, &len, json_pack("{s:i}", "a", 1), 7),
        0);
    assert_int_equal(len, 8);
    free(encoded);
    assert_int_equal(
        control_message_encode(&encoded, &len, json_pack("{s:i}", "a", 1), 6),
        -EMSGSIZE);
}

static void test_what_is_no_reply_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"continues\":1}",
        "{\"error\":\"x\"}",
        "{\"error\":\"a.b.C\",\"continues\":true}",
        "{\"parameters\":1}",
        "{\"other\":1}",
    };
    ControlReply reply;

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_int_equal(
            control_reply_decode(&reply, texts[i], strlen(texts[i])), -EBADMSG);
}

/* All splits of two messages and the beginning of a third. */
static void test_a_buffer_finds_messages_in_any_pieces(void **state)
{
    static const char bytes[] = "one\0two\0thr";
    const size_t len = sizeof(bytes) - 1;

    (void) state;
    for (size_t chunk = 1; chunk <= len; chunk++) {
        ControlBuffer buffer = { .bytes.max = 8 };
        size_t n_found = 0, found;

        for (size_t at = 0; at < len; at += chunk) {
            size_t n = len - at < chunk ? len - at : chunk;

            if (chunk > buffer.bytes.max)
                break;
            assert_int_equal(byte_queue_append(&buffer.bytes, bytes + at, n),
                             0);
            while (control_buffer_has_message(&buffer, &found)) {
                assert_int_equal(found, 3);
                assert_string_equal(byte_queue_data(&buffer.bytes),
                                    n_found == 0 ? "one" : "two");
                n_found++;
                control_buffer_drop(&buffer, found);
            }
        }
        if (chunk <= buffer.bytes.max) {
            assert_int_equal(n_found, 2);
            assert_int_equal(byte_queue_len(&buffer.bytes), 3);
        }
        control_buffer_clear(&buffer);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_is_taken_apart),
        cmocka_unit_test(test_parameters_may_be_left_out),
        cmocka_unit_test(test_what_is_no_call_is_refused),
        cmocka_unit_test(test_a_call_may_be_so_long_and_no_longer),
        cmocka_unit_test(test_a_name_may_be_so_long_and_no_longer),
        cmocka_unit_test(test_each_byte_of_a_name_is_looked_at),
        cmocka_unit_test(test_no_part_of_a_name_is_empty_or_ends_in_a_dash),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_a_status_call_is_for_the_daemon),
        cmocka_unit_test(test_info_names_the_interfaces),
        cmocka_unit_test(test_a_description_is_the_interface_file),
        cmocka_unit_test(test_what_is_not_known_gets_its_standard_error),
        cmocka_unit_test(test_bad_parameters_are_named),
        cmocka_unit_test(test_every_standard_error_is_one_of_the_interface),
        cmocka_unit_test(test_replies_are_ascii_and_end_in_nul),
        cmocka_unit_test(test_a_message_without_memory_is_none),
        cmocka_unit_test(test_a_message_is_not_longer_than_it_may_be),
        cmocka_unit_test(test_what_is_no_reply_is_refused),
        cmocka_unit_test(test_a_buffer_finds_messages_in_any_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
