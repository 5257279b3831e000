/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each system call of the shells in dom0 fails once, in each way that it can:
 * nothing crashes, hangs or is left open, no half of anything is taken for the
 * whole, and the next try works.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/sys/exchange.h"
#include "common/sys/log.h"
#include "common/sys/socket.h"
#include "dom0/io/admin-events.h"
#include "dom0/io/state-file.h"
#include "tests/support/call-fault.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define REQUEST      "a question"
#define ANSWER       "the whole answer"
#define LONG_REQUEST ((size_t) 1024 * 1024)
#define FILE_MAX     4096U
#define OLD_TEXT     "what was\n"
#define NEW_TEXT     "what is now, and is longer\n"
#define STREAM                            \
    "1\0\0connection-established\0\0"     \
    "1\0work\0domain-start\0start_guid\0" \
    "True\0\0"

static const int errors[] = { EINTR,  EAGAIN, EPIPE,  ECONNRESET, EIO,
                              ENOSPC, EMFILE, ENFILE, ENOMEM,     EACCES };

static char folder[] = "/tmp/fault-calls-XXXXXX";
static char path[64];
static sd_event *event;
static int listener;

static int set_up(void **state)
{
    (void) state;

    loop_add_time_fails = call_fault_fails_at;
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    (void) snprintf(path, sizeof(path), "%s/s", folder);
    listener = socket_listen(path, 0600);
    assert_return_code(listener, 0);
    assert_return_code(sd_event_new(&event), 0);
    loop_divisor = 1000;
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    event = sd_event_unref(event);
    listener = fd_close(listener);
    (void) unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

/* A call may be told to try again, and then nobody notices. */
static bool must_go_unnoticed(int error)
{
    return call_fault_is_transfer() && (error == EINTR || error == EAGAIN);
}

/* Who has called is spoken to, once; it is kept until the end. */
static int answer_once(int peer, const char *text, size_t len)
{
    int fd;

    if (peer >= 0)
        return peer;
    call_fault_hold(true);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    /* who has given up meanwhile does not hear it */
    if (fd >= 0 && (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t) len ||
                    shutdown(fd, SHUT_WR) < 0))
        fd = fd_close(fd);
    call_fault_hold(false);
    return fd;
}

/* exchange */

typedef struct Ended {
    bool ended;
    ExchangeEnd end;
    char answer[64];
} Ended;

static void on_end(Exchange *exchange,
                   ExchangeEnd end,
                   int error,
                   const char *untrusted_data,
                   size_t untrusted_len,
                   void *userdata)
{
    Ended *ended = userdata;

    (void) exchange;
    (void) error;

    assert_false(ended->ended);
    ended->ended = true;
    ended->end = end;
    assert_true(untrusted_len < sizeof(ended->answer));
    memcpy(ended->answer, untrusted_data, untrusted_len);
}

/* The call has failed by now, or did not have to. */
static Ended exchange_once(int *ret_r)
{
    static const ExchangeLimits limits = { .answer_max = 63,
                                           .timeout_usec = GIVE_UP_USEC * 100 };
    _cleanup_(exchange_freep) Exchange *exchange = NULL;
    Ended ended = { .ended = false };
    int peer = -1;

    *ret_r = exchange_new(&exchange, event, path, REQUEST, strlen(REQUEST),
                          &limits, on_end, &ended);
    while (*ret_r >= 0 && !ended.ended) {
        peer = answer_once(peer, ANSWER, strlen(ANSWER));
        assert_true(sd_event_run(event, peer < 0 ? 1000 : GIVE_UP_USEC) >= 0);
    }
    fd_close(peer);
    return ended;
}

/* what was connected and given up again */
static void forget_callers(void)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
        fd_close(fd);
}

static void test_an_answer_is_whole_or_there_is_none(void **state)
{
    size_t n_faults = 0, n_before;
    int r;

    (void) state;

    /* the loop opens what it needs */
    (void) exchange_once(&r);
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            Ended ended;

            call_fault_begin(n, errors[i]);
            ended = exchange_once(&r);
            if (!call_fault_end()) {
                assert_int_equal(r, 0);
                assert_string_equal(ended.answer, ANSWER);
                break;
            }
            n_faults++;
            if (must_go_unnoticed(errors[i]))
                assert_string_equal(ended.answer, ANSWER);
            if (ended.answer[0] != '\0') {
                assert_int_equal(ended.end, EXCHANGE_COMPLETE);
                assert_string_equal(ended.answer, ANSWER);
            }
            forget_callers();
            assert_int_equal(n_descriptors(), n_before);

            ended = exchange_once(&r);
            assert_int_equal(ended.end, EXCHANGE_COMPLETE);
            assert_string_equal(ended.answer, ANSWER);
        }
    assert_true(n_faults >= 4 * ARRAY_SIZE(errors));
}

/* As forget_callers(); answers how many have sent all of their request. */
static size_t count_requests(void)
{
    char text[sizeof(REQUEST)];
    size_t n = 0;
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        n += recv(fd, text, sizeof(text), 0) == (ssize_t) strlen(REQUEST);
        fd_close(fd);
    }
    return n;
}

/* A prompt would be shown twice, a disposable made twice. */
static void test_a_request_is_sent_once_whatever_fails(void **state)
{
    static const ExchangeLimits limits = { .answer_max = 63,
                                           .timeout_usec = GIVE_UP_USEC };
    size_t n_faults = 0;
    bool delivered;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            Ended ended = { .ended = false };
            Exchange *exchange = NULL;
            int r;

            call_fault_begin(n, errors[i]);
            r = exchange_new(&exchange, event, path, REQUEST, strlen(REQUEST),
                             &limits, on_end, &ended);
            while (r >= 0 && !ended.ended)
                assert_true(sd_event_run(event, GIVE_UP_USEC * 100) >= 0);
            delivered = call_fault_end();
            exchange_free(exchange);
            assert_in_range(count_requests(), delivered ? 0 : 1, 1);
            if (!delivered)
                break;
            n_faults++;
        }
    assert_true(n_faults >= 4 * ARRAY_SIZE(errors));
}

static void test_an_answer_comes_byte_by_byte(void **state)
{
    Ended ended;
    int r;

    (void) state;

    call_fault_begin_short(true);
    ended = exchange_once(&r);
    (void) call_fault_end();
    assert_int_equal(r, 0);
    assert_int_equal(ended.end, EXCHANGE_COMPLETE);
    assert_string_equal(ended.answer, ANSWER);
}

static void test_what_goes_byte_by_byte_is_whole_or_not_there(void **state)
{
    size_t n_faults = 0;
    int r;

    (void) state;

    for (size_t n = 0;; n++) {
        Ended ended;

        call_fault_begin(n, ENOMEM);
        call_fault_shorten(true);
        ended = exchange_once(&r);
        if (!call_fault_end()) {
            assert_string_equal(ended.answer, ANSWER);
            break;
        }
        n_faults++;
        if (ended.answer[0] != '\0')
            assert_string_equal(ended.answer, ANSWER);
        forget_callers();
    }
    assert_true(n_faults >= 10);
}

/* Read what is there; the answer, once that is all of the request. After a
 * fault no more may come: then without. Answers false as long as it waits. */
static bool take_long_request(int peer, size_t *len)
{
    static char bytes[65536];
    bool is_over;
    ssize_t n;

    call_fault_hold(true);
    while (*len < LONG_REQUEST &&
           (n = recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        *len += (size_t) n;
    if (*len == LONG_REQUEST)
        (void) send(peer, ANSWER, strlen(ANSWER), MSG_NOSIGNAL);
    is_over = *len == LONG_REQUEST || call_fault_name()[0] != '\0';
    if (is_over)
        fd_close(peer);
    call_fault_hold(false);
    return is_over;
}

/* More than the kernel takes at once. */
static Ended exchange_much(int *ret_r)
{
    static const ExchangeLimits limits = { .answer_max = 63,
                                           .timeout_usec = GIVE_UP_USEC * 100 };
    static const char request[LONG_REQUEST];
    _cleanup_(exchange_freep) Exchange *exchange = NULL;
    Ended ended = { .ended = false };
    bool is_over = false;
    size_t len = 0;
    int peer = -1;

    *ret_r = exchange_new(&exchange, event, path, request, sizeof(request),
                          &limits, on_end, &ended);
    while (*ret_r >= 0 && !ended.ended) {
        call_fault_hold(true);
        if (peer < 0)
            peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        call_fault_hold(false);
        if (peer >= 0 && !is_over)
            is_over = take_long_request(peer, &len);
        assert_true(sd_event_run(event, 1000) >= 0);
    }
    if (!is_over)
        fd_close(peer);
    return ended;
}

static void test_a_long_request_is_sent_or_not(void **state)
{
    size_t n_faults = 0;
    int r;

    (void) state;

    for (size_t n = 0;; n++) {
        Ended ended;

        call_fault_begin(n, ENOMEM);
        ended = exchange_much(&r);
        if (!call_fault_end()) {
            assert_string_equal(ended.answer, ANSWER);
            break;
        }
        n_faults++;
        if (ended.answer[0] != '\0')
            assert_string_equal(ended.answer, ANSWER);
        forget_callers();
    }
    assert_true(n_faults >= 6);
}

/* What is said goes where it can be read, whether that is the journal or not.
 */
static void test_a_line_is_said_whatever_fails(void **state)
{
    const char *was = getenv("JOURNAL_STREAM");
    size_t n = 0;

    (void) state;

    assert_null(was);
    assert_return_code(setenv("JOURNAL_STREAM", "1:1", 1), errno);
    do {
        call_fault_begin(n++, EMFILE);
        log_message(LOG_INFO, "a line");
    } while (call_fault_end());
    assert_return_code(unsetenv("JOURNAL_STREAM"), errno);
    assert_true(n >= 2);
}

/* How many lines went to a file that is the standard error, where that passes
 * for the journal. */
static size_t say_to_journal(void)
{
    int stderr_was, fd;
    char stream[64], text[128];
    struct stat st;
    size_t n = 0;
    FILE *file;

    call_fault_hold(true);
    file = tmpfile();
    assert_non_null(file);
    stderr_was = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    fd = dup2(fileno(file), STDERR_FILENO);
    assert_return_code(fd, errno);
    assert_return_code(fstat(fd, &st), errno);
    (void) snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t) st.st_dev,
                    (uintmax_t) st.st_ino);
    assert_return_code(setenv("JOURNAL_STREAM", stream, 1), errno);
    call_fault_hold(false);

    log_message(LOG_INFO, "a line");

    call_fault_hold(true);
    assert_return_code(dup2(stderr_was, STDERR_FILENO), errno);
    fd_close(stderr_was);
    assert_return_code(unsetenv("JOURNAL_STREAM"), errno);
    rewind(file);
    while (fgets(text, sizeof(text), file)) {
        assert_string_equal(text, "a line\n");
        n++;
    }
    (void) fclose(file);
    call_fault_hold(false);
    return n;
}

static void test_a_line_that_the_journal_does_not_take_is_said(void **state)
{
    bool delivered, refused = false;

    (void) state;

    assert_int_equal(say_to_journal(), 0);
    for (size_t n = 0; n == 0 || delivered; n++) {
        size_t n_said;

        call_fault_begin(n, EMFILE);
        n_said = say_to_journal();
        delivered = call_fault_end();
        refused |= strcmp(call_fault_name(), "sd_journal_sendv") == 0;
        /* also where it cannot be told whether there is a journal */
        assert_int_equal(n_said, delivered);
    }
    assert_true(refused);
}

/* the stream of events */

static size_t n_connected, n_started;

static void on_state(bool connected, const char *detail, void *userdata)
{
    (void) userdata;

    n_connected += connected;
    assert_true(connected || detail[0] != '\0');
}

static void on_admin_event(const AdminEvent *what, void *userdata)
{
    (void) userdata;

    assert_int_equal(what->type, ADMIN_EVENT_DOMAIN_START);
    n_started++;
}

/* The stream is made again until it is heard. */
static void follow_once(void)
{
    static const AdminEventsHooks hooks = { on_state, on_admin_event };
    _cleanup_(admin_events_freep) AdminEvents *events = NULL;
    uint64_t n_turns = 0;
    int peer = -1;

    n_connected = n_started = 0;
    call_fault_hold(true);
    assert_int_equal(admin_events_new(&events, event, path, &hooks, NULL), 0);
    call_fault_hold(false);
    while (n_started == 0) {
        int next = answer_once(-1, STREAM, sizeof(STREAM) - 1);

        if (next >= 0) {
            fd_close(peer);
            peer = next;
        }
        assert_true(sd_event_run(event, 1000) >= 0);
        assert_true(++n_turns < 100000);
    }
    fd_close(peer);
    assert_true(n_connected >= 1);
}

static void test_the_stream_of_events_is_always_found_again(void **state)
{
    size_t n_faults = 0, n_before;

    (void) state;

    /* the loop opens what it needs */
    follow_once();
    forget_callers();
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            call_fault_begin(n, errors[i]);
            follow_once();
            if (!call_fault_end())
                break;
            n_faults++;
            forget_callers();
            assert_int_equal(n_descriptors(), n_before);
        }
    assert_true(n_faults >= 4 * ARRAY_SIZE(errors));
}

static void test_the_stream_of_events_comes_byte_by_byte(void **state)
{
    (void) state;

    /* its request is sent in one piece, or again after a while */
    call_fault_begin_short(false);
    follow_once();
    (void) call_fault_end();
}

/* the state file */

static StateFile file;

static void assert_content(const char *expected, const char *or_this)
{
    _cleanup_(freep) char *text = NULL;
    size_t len;

    assert_int_equal(state_file_read(&text, &len, &file, FILE_MAX), 0);
    text[len] = '\0';
    if (strcmp(text, expected) != 0)
        assert_string_equal(text, or_this);
}

static bool is_there(const char *name)
{
    char name_path[96];
    struct stat st;

    (void) snprintf(name_path, sizeof(name_path), "%s/%s", folder, name);
    return lstat(name_path, &st) == 0;
}

static int put(const char *text)
{
    return state_file_write(&file, text, strlen(text));
}

static void remove_files(void)
{
    static const char *const names[] = { "state", "state.next", "state.bad" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char name_path[96];

        (void) snprintf(name_path, sizeof(name_path), "%s/%s", folder,
                        names[i]);
        (void) unlink(name_path);
    }
}

static void test_a_state_file_is_the_old_or_the_new_one(void **state)
{
    size_t n_faults = 0, n_before = n_descriptors();

    (void) state;

    state_file_init(&file, folder);
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            int r;

            assert_int_equal(put(OLD_TEXT), 0);
            state_file_close(&file);
            call_fault_begin(n, errors[i]);
            r = put(NEW_TEXT);
            if (!call_fault_end()) {
                assert_int_equal(r, 0);
                state_file_close(&file);
                break;
            }
            n_faults++;
            if (errors[i] == EINTR && call_fault_is_transfer())
                assert_int_equal(r, 0);
            assert_true(r == 0 || r == -errors[i]);
            assert_content(r == 0 ? NEW_TEXT : OLD_TEXT, "");
            assert_false(is_there("state.next"));
            state_file_close(&file);
            assert_int_equal(n_descriptors(), n_before);
        }
    assert_true(n_faults >= 3 * ARRAY_SIZE(errors));
    remove_files();
}

/* A failure makes a new file, and that one is good. */
static void test_a_text_behind_others_is_whole_or_in_a_new_file(void **state)
{
    size_t n_faults = 0, n_before = n_descriptors();

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            bool failed;

            state_file_init(&file, folder);
            assert_int_equal(put(OLD_TEXT), 0);
            call_fault_begin(n, errors[i]);
            assert_int_equal(put(NEW_TEXT), 0);
            failed = call_fault_end();
            n_faults += failed;
            assert_content(NEW_TEXT, "");
            assert_int_equal(put(OLD_TEXT), 0);
            assert_content(OLD_TEXT, "");
            state_file_close(&file);
            assert_int_equal(n_descriptors(), n_before);
            if (!failed)
                break;
        }
    assert_true(n_faults >= ARRAY_SIZE(errors));
    remove_files();
}

static void test_a_state_file_is_read_or_it_is_told_why_not(void **state)
{
    size_t n_faults = 0, n_before = n_descriptors();

    (void) state;

    state_file_init(&file, folder);
    assert_int_equal(put(OLD_TEXT), 0);
    state_file_close(&file);
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            _cleanup_(freep) char *text = NULL;
            size_t len = 0;
            int r;

            call_fault_begin(n, errors[i]);
            r = state_file_read(&text, &len, &file, FILE_MAX);
            if (!call_fault_end()) {
                assert_int_equal(r, 0);
                break;
            }
            n_faults++;
            if (errors[i] == EINTR && call_fault_is_transfer())
                assert_int_equal(r, 0);
            if (r == 0) {
                assert_int_equal(len, strlen(OLD_TEXT));
                assert_memory_equal(text, OLD_TEXT, len);
            } else {
                assert_int_equal(r, -errors[i]);
                assert_null(text);
            }
            assert_int_equal(n_descriptors(), n_before);
        }
    assert_true(n_faults >= 4 * ARRAY_SIZE(errors));

    call_fault_begin_short(true);
    assert_int_equal(put(NEW_TEXT), 0);
    assert_content(NEW_TEXT, "");
    assert_int_equal(put(OLD_TEXT), 0);
    assert_content(OLD_TEXT, "");
    (void) call_fault_end();
    state_file_close(&file);
    remove_files();
}

static void leave(const char *name)
{
    char name_path[96];
    FILE *left;

    (void) snprintf(name_path, sizeof(name_path), "%s/%s", folder, name);
    left = fopen(name_path, "we");
    assert_non_null(left);
    assert_int_equal(fclose(left), 0);
}

static void test_what_is_left_half_written_is_replaced_or_not(void **state)
{
    size_t n_faults = 0;

    (void) state;

    state_file_init(&file, folder);
    assert_int_equal(put(OLD_TEXT), 0);
    state_file_close(&file);
    for (size_t n = 0;; n++) {
        int r;

        leave("state.next");
        call_fault_begin(n, EMFILE);
        r = put(NEW_TEXT);
        if (!call_fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        n_faults++;
        assert_content(r == 0 ? NEW_TEXT : OLD_TEXT, "");
        assert_int_equal(put(OLD_TEXT), 0);
        state_file_close(&file);
    }
    state_file_close(&file);
    assert_true(n_faults >= 4);
    remove_files();
}

static void test_a_bad_file_is_set_aside_or_stays(void **state)
{
    size_t n_faults = 0;

    (void) state;

    state_file_init(&file, folder);
    leave("state");
    for (size_t n = 0;; n++) {
        int r;

        call_fault_begin(n, EMFILE);
        r = state_file_set_aside(&file);
        if (!call_fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        n_faults++;
        assert_int_equal(r, -EMFILE);
        assert_true(is_there("state"));
    }
    assert_true(is_there("state.bad"));
    assert_true(n_faults >= 2);
    remove_files();
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_an_answer_is_whole_or_there_is_none),
        TEST(test_a_request_is_sent_once_whatever_fails),
        TEST(test_an_answer_comes_byte_by_byte),
        TEST(test_what_goes_byte_by_byte_is_whole_or_not_there),
        TEST(test_a_long_request_is_sent_or_not),
        TEST(test_a_line_is_said_whatever_fails),
        TEST(test_a_line_that_the_journal_does_not_take_is_said),
        TEST(test_the_stream_of_events_is_always_found_again),
        TEST(test_the_stream_of_events_comes_byte_by_byte),
        TEST(test_a_state_file_is_the_old_or_the_new_one),
        TEST(test_a_text_behind_others_is_whole_or_in_a_new_file),
        TEST(test_a_state_file_is_read_or_it_is_told_why_not),
        TEST(test_what_is_left_half_written_is_replaced_or_not),
        TEST(test_a_bad_file_is_set_aside_or_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
