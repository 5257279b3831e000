/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sysusb/io/qrexec-call.h"
#include "tests/support/test.h"

#define QUEUE_MAX     (256U * 1024)
#define DEADLINE_USEC UINT64_C(60000000)

typedef struct Fixture {
    char folder[32];
    char client[64];
    sd_event *event;
    QrexecCall *call;

    unsigned int n_ends;
    QrexecEnd end;
    size_t lines_len;
    char lines[1024 * 1024];
    const char *close_on_line; /* reason to close with at the first line */
} Fixture;

static void on_line(QrexecCall *call,
                    const char *line,
                    size_t len,
                    void *userdata)
{
    Fixture *fixture = userdata;

    assert_true(fixture->lines_len + len + 2 < sizeof(fixture->lines));
    memcpy(fixture->lines + fixture->lines_len, line, len);
    memcpy(fixture->lines + fixture->lines_len + len, "\n", 2);
    fixture->lines_len += len + 1;
    if (fixture->close_on_line)
        qrexec_call_close(call, fixture->close_on_line);
}

static void on_end(QrexecCall *call, const QrexecEnd *end, void *userdata)
{
    Fixture *fixture = userdata;

    assert_ptr_equal(call, fixture->call);
    fixture->n_ends++;
    fixture->end = *end;
    fixture->call = qrexec_call_free(call);
    assert_return_code(sd_event_exit(fixture->event, 0), 0);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void) source;
    (void) usec;
    (void) userdata;

    fail_msg("nothing happened within the deadline");
    return 0;
}

/* A call whose client is this shell script. */
static int start(Fixture *fixture, const char *script)
{
    static const QrexecCallOps ops = { on_line, on_end };
    FILE *file = fopen(fixture->client, "we");

    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s\n", script) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(fixture->client, 0700), 0);
    return qrexec_call_new(&fixture->call, fixture->event, fixture->client,
                           "autoattach.Event", QUEUE_MAX, &ops, fixture);
}

static void run(Fixture *fixture)
{
    assert_return_code(sd_event_loop(fixture->event), 0);
    assert_int_equal(fixture->n_ends, 1);
}

static int setup(void **state)
{
    Fixture *fixture = calloc(1, sizeof(*fixture));
    sigset_t signals;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGCHLD);
    assert_return_code(sigprocmask(SIG_BLOCK, &signals, NULL), 0);
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);

    strcpy(fixture->folder, "/tmp/test-call.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void) snprintf(fixture->client, sizeof(fixture->client), "%s/client",
                    fixture->folder);
    assert_return_code(sd_event_new(&fixture->event), 0);
    assert_return_code(
        sd_event_add_time_relative(fixture->event, NULL, CLOCK_MONOTONIC,
                                   DEADLINE_USEC, 0, on_deadline, NULL),
        0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    Fixture *fixture = *state;

    qrexec_call_free(fixture->call);
    sd_event_unref(fixture->event);
    (void) unlink(fixture->client);
    (void) rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static void test_the_service_in_dom0_is_called(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(start(fixture, "echo \"$# $1 $2\""), 0);
    run(fixture);
    assert_string_equal(fixture->lines, "2 dom0 autoattach.Event\n");
    assert_true(fixture->end.exited);
    assert_int_equal(fixture->end.status, 0);
    assert_null(fixture->end.reason);
}

static void test_exit_statuses_are_told(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(start(fixture, "exit 126"), 0);
    run(fixture);
    assert_true(fixture->end.exited);
    assert_int_equal(fixture->end.status, QREXEC_EXIT_REFUSED);
}

static void test_what_is_written_arrives_and_ends_with_its_end(void **state)
{
    Fixture *fixture = *state;
    static char line[8192];

    memset(line, 'x', sizeof(line));
    line[8190] = '\n';
    assert_int_equal(start(fixture, "cat; exit 3"), 0);
    for (int i = 0; i < 20; i++) /* more than a pipe holds */
        assert_int_equal(qrexec_call_write(fixture->call, line, 8191), 0);
    qrexec_call_finish(fixture->call);
    assert_int_equal(qrexec_call_write(fixture->call, "y\n", 2), -EPIPE);
    run(fixture);
    assert_int_equal(fixture->lines_len, 20 * 8191);
    assert_int_equal(fixture->end.status, 3);
}

static void test_an_end_without_anything_written_is_one(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(start(fixture, "cat"), 0);
    qrexec_call_finish(fixture->call);
    run(fixture);
    assert_int_equal(fixture->lines_len, 0);
}

static void test_the_queue_is_bounded(void **state)
{
    Fixture *fixture = *state;
    static char line[8192];
    int r = 0;
    size_t n;

    assert_int_equal(start(fixture, "exec sleep 1000"), 0);
    for (n = 0; r == 0; n++)
        r = qrexec_call_write(fixture->call, line, sizeof(line));
    assert_int_equal(r, -ENOBUFS);
    assert_int_equal(n - 1, QUEUE_MAX / sizeof(line));
    qrexec_call_close(fixture->call, "enough");
    run(fixture);
    assert_string_equal(fixture->end.reason, "enough");
}

static void test_a_child_that_lingers_is_terminated(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(start(fixture, "exec sleep 1000"), 0);
    qrexec_call_close(fixture->call, "first");
    qrexec_call_close(fixture->call, "second");
    assert_int_equal(qrexec_call_write(fixture->call, "x", 1), -EPIPE);
    run(fixture);
    assert_false(fixture->end.exited);
    assert_int_equal(fixture->end.status, SIGTERM);
    assert_string_equal(fixture->end.reason, "first");
}

static void test_a_child_that_ignores_sigterm_is_killed(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(
        start(fixture, "trap '' TERM; echo ready; exec sleep 1000"), 0);
    fixture->close_on_line = "enough";
    run(fixture);
    assert_int_equal(fixture->end.status, SIGKILL);
}

static void test_last_words_are_heard(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(start(fixture, "echo one; echo two; echo -n part"), 0);
    run(fixture);
    assert_string_equal(fixture->lines, "one\ntwo\n");
}

static void test_a_line_that_is_too_long_ends_the_call(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(
        start(fixture, "head -c 9000 /dev/zero | tr '\\0' x; cat >/dev/null"),
        0);
    run(fixture);
    assert_string_equal(fixture->end.reason,
                        "dom0 sent a line that is too long");
    assert_int_equal(fixture->lines_len, 0);
}

static void test_a_client_that_is_missing_is_an_error(void **state)
{
    static const QrexecCallOps ops = { on_line, on_end };
    Fixture *fixture = *state;

    SKIP_UNDER_VALGRIND();
    assert_int_equal(qrexec_call_new(&fixture->call, fixture->event,
                                     "/nonexistent", "autoattach.Event",
                                     QUEUE_MAX, &ops, fixture),
                     -ENOENT);
    assert_null(fixture->call);
}

static void test_a_call_can_be_freed_at_any_time(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(start(fixture, "exec sleep 1000"), 0);
    assert_int_equal(qrexec_call_write(fixture->call, "x", 1), 0);
    fixture->call = qrexec_call_free(fixture->call);
    assert_int_equal(fixture->n_ends, 0);
}

#define with_fixture(test) \
    cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        with_fixture(test_the_service_in_dom0_is_called),
        with_fixture(test_exit_statuses_are_told),
        with_fixture(test_what_is_written_arrives_and_ends_with_its_end),
        with_fixture(test_an_end_without_anything_written_is_one),
        with_fixture(test_the_queue_is_bounded),
        with_fixture(test_a_child_that_lingers_is_terminated),
        with_fixture(test_a_child_that_ignores_sigterm_is_killed),
        with_fixture(test_last_words_are_heard),
        with_fixture(test_a_line_that_is_too_long_ends_the_call),
        with_fixture(test_a_client_that_is_missing_is_an_error),
        with_fixture(test_a_call_can_be_freed_at_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
