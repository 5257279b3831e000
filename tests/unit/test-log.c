/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "common/sys/log.h"
#include "tests/support/test.h"

#define OUTPUT_MAX 65536U

typedef struct Capture {
    int saved;
    int fds[2];
} Capture;

/* Datagrams keep the boundaries: one write, one piece. */
static Capture capture_begin(void)
{
    Capture capture = { .saved = dup(STDERR_FILENO) };

    assert_return_code(capture.saved, errno);
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                capture.fds),
                     0);
    assert_return_code(dup2(capture.fds[1], STDERR_FILENO), errno);
    return capture;
}

/* Answers the one line that was written. */
static void capture_end(Capture *capture, char ret[static OUTPUT_MAX])
{
    ssize_t n = read(capture->fds[0], ret, OUTPUT_MAX - 1);
    ssize_t more = read(capture->fds[0], ret + (n < 0 ? 0 : n), 1);

    assert_return_code(dup2(capture->saved, STDERR_FILENO), errno);
    (void) fd_close(capture->saved);
    (void) fd_close(capture->fds[0]);
    (void) fd_close(capture->fds[1]);
    assert_true(n > 0);
    assert_int_equal(more, -1);
    ret[n] = '\0';
}

static void test_a_message_is_one_line_and_one_write(void **state)
{
    char output[OUTPUT_MAX];
    Capture capture;

    (void) state;

    capture = capture_begin();
    log_message(LOG_INFO, "rules: %i loaded", 3);
    capture_end(&capture, output);
    assert_string_equal(output, "rules: 3 loaded\n");
}

static void test_fields_follow_the_message(void **state)
{
    static const LogField fields[] = {
        { "AUTOATTACH_SOURCE", "sys-usb" },
        { "AUTOATTACH_CODE", "200" },
    };
    char output[OUTPUT_MAX];
    Capture capture;

    (void) state;

    capture = capture_begin();
    log_fields(LOG_NOTICE, "0123456789abcdef0123456789abcdef", fields,
               ARRAY_SIZE(fields), "attached 100%s");
    capture_end(&capture, output);
    assert_string_equal(output, "attached 100%s AUTOATTACH_SOURCE=sys-usb "
                                "AUTOATTACH_CODE=200\n");
}

static void test_a_message_that_is_too_long_is_cut_but_ends(void **state)
{
    char message[2 * LOG_MESSAGE_MAX], output[OUTPUT_MAX];
    Capture capture;

    (void) state;

    memset(message, 'x', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    capture = capture_begin();
    log_message(LOG_ERR, "%s", message);
    capture_end(&capture, output);
    assert_int_equal(strlen(output), LOG_MESSAGE_MAX);
    assert_int_equal(output[strlen(output) - 1], '\n');
}

static void test_the_largest_entry_stays_within_its_buffer(void **state)
{
    char value[2 * LOG_MESSAGE_MAX], output[OUTPUT_MAX];
    LogField fields[LOG_FIELDS_MAX];
    Capture capture;

    (void) state;

    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (size_t i = 0; i < LOG_FIELDS_MAX; i++)
        fields[i] = (LogField){ "AUTOATTACH_DEVICE", value };
    capture = capture_begin();
    log_fields(LOG_NOTICE, NULL, fields, LOG_FIELDS_MAX, value);
    capture_end(&capture, output);
    assert_int_equal(output[strlen(output) - 1], '\n');
    assert_ptr_equal(strchr(output, '\n'), output + strlen(output) - 1);
}

static void test_a_journal_stream_of_another_is_not_ours(void **state)
{
    static const char *const streams[] = { "", "x", "1", "1:", "0:0", "1:1" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
        char output[OUTPUT_MAX];
        Capture capture;

        assert_int_equal(setenv("JOURNAL_STREAM", streams[i], 1), 0);
        capture = capture_begin();
        log_message(LOG_INFO, "here");
        capture_end(&capture, output);
        assert_string_equal(output, "here\n");
    }
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

static void test_a_closed_standard_error_does_no_harm(void **state)
{
    int saved = dup(STDERR_FILENO);

    (void) state;

    assert_return_code(saved, errno);
    assert_int_equal(close(STDERR_FILENO), 0);
    log_message(LOG_INFO, "nobody reads this");
    assert_return_code(dup2(saved, STDERR_FILENO), errno);
    (void) fd_close(saved);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_is_one_line_and_one_write),
        cmocka_unit_test(test_fields_follow_the_message),
        cmocka_unit_test(test_a_message_that_is_too_long_is_cut_but_ends),
        cmocka_unit_test(test_the_largest_entry_stays_within_its_buffer),
        cmocka_unit_test(test_a_journal_stream_of_another_is_not_ours),
        cmocka_unit_test(test_a_closed_standard_error_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
