/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/wire/event-session.h"
#include "tests/support/test.h"

#define HELLO                                        \
    "{\"type\":\"hello\",\"version\":1,\"boot_id\":" \
    "\"0123456789abcdef0123456789abcdef\",\"agent\":\"test/1\"}"
#define SYNCED "{\"type\":\"synced\"}"

static EventSession session;
static WireMessage message;
static WireAnswer answer;
static const char *error;

static int set_up(void **state)
{
    (void) state;

    session = (EventSession){};
    return 0;
}

static SessionResult take(const char *line)
{
    memset(&answer, 0xff, sizeof(answer));
    error = NULL;
    return event_session_take(&session, line, strlen(line), &message, &answer,
                              &error);
}

static SessionResult take_event(int seq, const char *action)
{
    char line[256];

    (void) snprintf(line, sizeof(line),
                    "{\"type\":\"event\",\"seq\":%d,\"action\":\"%s\","
                    "\"class\":\"block\",\"device\":\"sda\","
                    "\"properties\":{}}",
                    seq, action);
    return take(line);
}

static void expect_refused(SessionResult result, Status status, int64_t seq)
{
    assert_int_equal(result, SESSION_REFUSED);
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.seq, seq);
    assert_non_null(error);
    assert_int_equal(message.type, WIRE_INVALID);
    assert_int_equal(message.seq, seq);
}

static void test_a_whole_session_is_taken(void **state)
{
    (void) state;

    assert_int_equal(take(HELLO), SESSION_HELLO);
    assert_string_equal(message.hello.agent, "test/1");
    assert_string_equal(message.hello.boot_id.s,
                        "0123456789abcdef0123456789abcdef");
    assert_int_equal(take_event(1, "present"), SESSION_EVENT);
    assert_int_equal(message.seq, 1);
    assert_int_equal(message.record.action, RECORD_PRESENT);
    assert_int_equal(take_event(2, "add"), SESSION_EVENT);
    assert_int_equal(take(SYNCED), SESSION_SYNCED);
    assert_int_equal(take_event(3, "add"), SESSION_EVENT);
    assert_int_equal(take_event(4, "change"), SESSION_EVENT);
    assert_int_equal(take_event(5, "remove"), SESSION_EVENT);
}

static void test_the_sender_is_known_also_of_another_version(void **state)
{
    (void) state;

    expect_refused(take("{\"type\":\"hello\",\"version\":2,"
                        "\"agent\":\"new/2\",\"more\":[]}"),
                   STATUS_UNSUPPORTED_VERSION, 0);
    assert_string_equal(session.agent, "new/2");

    session = (EventSession){};
    expect_refused(take("{\"type\":\"hello\",\"version\":2,"
                        "\"agent\":\"\\u001b[2J\"}"),
                   STATUS_UNSUPPORTED_VERSION, 0);
    assert_string_equal(session.agent, "");

    session = (EventSession){};
    assert_int_equal(take(HELLO), SESSION_HELLO);
    expect_refused(take_event(1, "vanish"), STATUS_MALFORMED, 1);
    assert_string_equal(session.agent, "test/1");
}

static void test_nothing_comes_before_hello(void **state)
{
    (void) state;

    expect_refused(take_event(7, "add"), STATUS_MALFORMED, 7);
    expect_refused(take(SYNCED), STATUS_MALFORMED, 0);
    assert_false(session.greeted);
    assert_false(session.synced);
    assert_int_equal(session.last_seq, 0);
}

static void test_hello_comes_once(void **state)
{
    (void) state;

    assert_int_equal(take(HELLO), SESSION_HELLO);
    expect_refused(take(HELLO), STATUS_MALFORMED, 0);
}

static void test_a_second_hello_is_one_of_whatever_version(void **state)
{
    (void) state;

    assert_int_equal(take(HELLO), SESSION_HELLO);
    expect_refused(take("{\"type\":\"hello\",\"version\":2}"), STATUS_MALFORMED,
                   0);
    assert_string_equal(error, "a second hello");
    assert_string_equal(session.agent, "test/1");
}

static void test_synced_comes_once(void **state)
{
    (void) state;

    assert_int_equal(take(HELLO), SESSION_HELLO);
    assert_int_equal(take(SYNCED), SESSION_SYNCED);
    expect_refused(take(SYNCED), STATUS_MALFORMED, 0);
}

static void test_seq_grows_strictly(void **state)
{
    (void) state;

    assert_int_equal(take(HELLO), SESSION_HELLO);
    assert_int_equal(take_event(5, "add"), SESSION_EVENT);
    expect_refused(take_event(5, "add"), STATUS_MALFORMED, 5);
    expect_refused(take_event(4, "add"), STATUS_MALFORMED, 4);
    assert_int_equal(session.last_seq, 5);
    assert_int_equal(take_event(1000, "add"), SESSION_EVENT);
}

static void test_no_present_comes_after_synced(void **state)
{
    (void) state;

    assert_int_equal(take(HELLO), SESSION_HELLO);
    assert_int_equal(take(SYNCED), SESSION_SYNCED);
    expect_refused(take_event(1, "present"), STATUS_MALFORMED, 1);
    assert_int_equal(session.last_seq, 0);
}

static void test_a_line_that_is_none_is_refused_with_its_code(void **state)
{
    char line[WIRE_LINE_MAX + 2];

    (void) state;

    assert_int_equal(take(HELLO), SESSION_HELLO);
    expect_refused(take(""), STATUS_MALFORMED, 0);
    expect_refused(take("{"), STATUS_MALFORMED, 0);
    expect_refused(take("{\"type\":\"bye\"}"), STATUS_MALFORMED, 0);
    expect_refused(take("{\"type\":\"event\",\"seq\":9}"), STATUS_MALFORMED, 9);
    memset(line, ' ', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    expect_refused(take(line), STATUS_TOO_LARGE, 0);
}

static void test_another_version_is_told_so(void **state)
{
    (void) state;

    expect_refused(
        take("{\"type\":\"hello\",\"version\":2,\"boot_id\":"
             "\"0123456789abcdef0123456789abcdef\",\"agent\":\"test/1\"}"),
        STATUS_UNSUPPORTED_VERSION, 0);
    assert_false(session.greeted);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_whole_session_is_taken, set_up),
        cmocka_unit_test_setup(test_the_sender_is_known_also_of_another_version,
                               set_up),
        cmocka_unit_test_setup(test_nothing_comes_before_hello, set_up),
        cmocka_unit_test_setup(test_hello_comes_once, set_up),
        cmocka_unit_test_setup(test_a_second_hello_is_one_of_whatever_version,
                               set_up),
        cmocka_unit_test_setup(test_synced_comes_once, set_up),
        cmocka_unit_test_setup(test_seq_grows_strictly, set_up),
        cmocka_unit_test_setup(test_no_present_comes_after_synced, set_up),
        cmocka_unit_test_setup(
            test_a_line_that_is_none_is_refused_with_its_code, set_up),
        cmocka_unit_test_setup(test_another_version_is_told_so, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
