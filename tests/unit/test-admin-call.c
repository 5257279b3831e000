/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "dom0/io/admin-call.h"
#include "dom0/wire/admin.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define START_BYTES "admin.vm.Start+ dom0 name work"

static sd_event *event;
static char folder[] = "/tmp/test-admin-call-XXXXXX";
static char path[64];
static int listener; /* stands for qubesd */

static AdminCall *call;
static AdminAnswer answer;
static size_t n_answers;
static bool frees;

static int set_up(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    (void) state;

    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    (void) snprintf(path, sizeof(path), "%s/qubesd.sock", folder);
    memcpy(address.sun_path, path, strlen(path) + 1);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0);
    assert_int_equal(
        bind(listener, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_return_code(sd_event_new(&event), 0);
    loop_divisor = 1;
    n_answers = 0;
    frees = true;
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    call = admin_call_free(call);
    event = sd_event_unref(event);
    listener = fd_close(listener);
    (void) unlink(path);
    (void) rmdir(folder);
    return 0;
}

static void on_answer(AdminCall *answered,
                      const AdminAnswer *what,
                      void *userdata)
{
    assert_ptr_equal(userdata, &n_answers);
    assert_ptr_equal(answered, call);
    answer = *what;
    n_answers++;
    if (frees)
        call = admin_call_free(call);
}

static void begin_with(AdminMethod method, DeviceClass class, const char *port)
{
    AdminRequest request = { .method = method,
                             .class = class,
                             .dest = { "work" },
                             .backend = { "sys-usb" } };

    memcpy(request.port.s, port, strlen(port));
    assert_int_equal(
        admin_call_new(&call, event, path, &request, on_answer, &n_answers), 0);
    assert_int_equal(n_answers, 0);
}

static void begin(AdminMethod method)
{
    begin_with(method, DEVICE_CLASS_BLOCK, "sda");
}

/* qubesd takes the connection. */
static int take(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    assert_true(fd >= 0);
    return fd;
}

static void reply(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(sd_event_run(event, GIVE_UP_USEC) > 0);
            continue;
        }
        bytes += n;
        len -= (size_t) n;
    }
}

static void test_the_whole_request_is_sent_and_then_the_end(void **state)
{
    char bytes[256];
    int fd;

    (void) state;

    begin(ADMIN_START);
    fd = take();
    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), sizeof(START_BYTES));
    assert_memory_equal(bytes, START_BYTES, sizeof(START_BYTES));
    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 0);

    reply(fd, "0\0", 2);
    loop_settle(event);
    assert_int_equal(n_answers, 0); /* it may go on */
    fd_close(fd);
    LOOP_UNTIL(event, n_answers == 1);
    assert_int_equal(answer.result, ADMIN_OK);
}

static void test_an_answer_may_come_in_any_pieces(void **state)
{
    static const char bytes[] =
        "0\0sda:a:b device_id='a:b' port_id='sda' attachment='vault'\n";
    const size_t len = sizeof(bytes) - 1;

    (void) state;

    for (size_t n = 0; n <= len; n++) {
        int fd;

        n_answers = 0;
        begin(ADMIN_AVAILABLE);
        fd = take();
        reply(fd, bytes, n);
        loop_settle(event);
        reply(fd, bytes + n, len - n);
        loop_settle(event);
        assert_int_equal(n_answers, 0);
        fd_close(fd);
        LOOP_UNTIL(event, n_answers == 1);
        assert_int_equal(answer.result, ADMIN_OK);
        assert_string_equal(answer.listing.attached_to.s, "vault");
    }
}

static void test_an_answer_that_is_cut_is_garbage_or_empty(void **state)
{
    static const char bytes[] = "2\0QubesException\0\0why\0";
    const size_t len = sizeof(bytes) - 1;

    (void) state;

    for (size_t n = 0; n <= len; n++) {
        int fd;

        n_answers = 0;
        begin(ADMIN_ATTACH);
        fd = take();
        reply(fd, bytes, n);
        fd_close(fd);
        LOOP_UNTIL(event, n_answers == 1);
        assert_int_equal(answer.result, n == 0     ? ADMIN_EMPTY
                                        : n == len ? ADMIN_EXCEPTION
                                                   : ADMIN_GARBAGE);
    }
}

static void test_an_answer_may_be_a_mebibyte_and_no_more(void **state)
{
    static char bytes[ADMIN_ANSWER_MAX + 1] = "0";

    (void) state;

    memset(bytes + 2, 'x', sizeof(bytes) - 2);
    for (size_t more = 0; more <= 1; more++) {
        int fd;

        n_answers = 0;
        begin(ADMIN_START);
        fd = take();
        reply(fd, bytes, ADMIN_ANSWER_MAX + more);
        if (more)
            LOOP_UNTIL(event, n_answers == 1); /* without its end */
        fd_close(fd);
        LOOP_UNTIL(event, n_answers == 1);
        assert_int_equal(answer.result, more ? ADMIN_GARBAGE : ADMIN_OK);
    }
}

static void test_an_answer_without_end_is_cut_off(void **state)
{
    char bytes[4096];
    size_t n_sent = 0;
    int fd;

    (void) state;

    memset(bytes, '0', sizeof(bytes));
    begin(ADMIN_START);
    fd = take();
    while (n_answers == 0 && n_sent < 4 * (size_t) ADMIN_ANSWER_MAX) {
        ssize_t n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);

        n_sent += n > 0 ? (size_t) n : 0;
        assert_return_code(sd_event_run(event, 0), 0);
    }
    assert_int_equal(n_answers, 1);
    assert_int_equal(answer.result, ADMIN_GARBAGE);
    fd_close(fd);
}

static void test_nobody_there_is_an_answer_too(void **state)
{
    (void) state;

    listener = fd_close(listener);
    begin(ADMIN_START); /* ECONNREFUSED */
    LOOP_UNTIL(event, n_answers == 1);
    assert_int_equal(answer.result, ADMIN_UNREACHABLE);
    assert_non_null(strstr(answer.detail, strerror(ECONNREFUSED)));

    n_answers = 0;
    assert_int_equal(unlink(path), 0);
    begin(ADMIN_START);
    LOOP_UNTIL(event, n_answers == 1);
    assert_int_equal(answer.result, ADMIN_UNREACHABLE);
    assert_non_null(strstr(answer.detail, strerror(ENOENT)));
}

static void test_silence_ends_with_the_deadline(void **state)
{
    int fd;

    (void) state;

    loop_divisor = 1000;
    begin(ADMIN_AVAILABLE);
    fd = take();
    LOOP_UNTIL(event, n_answers == 1);
    assert_int_equal(answer.result, ADMIN_TIMED_OUT);
    fd_close(fd);

    /* also in the middle of an answer */
    n_answers = 0;
    begin(ADMIN_AVAILABLE);
    fd = take();
    reply(fd, "0\0", 2);
    LOOP_UNTIL(event, n_answers == 1);
    assert_int_equal(answer.result, ADMIN_TIMED_OUT);
    fd_close(fd);
}

static void test_a_usb_attach_is_answered_also_after_its_deadline(void **state)
{
    int fd;

    (void) state;

    loop_divisor = 10000;
    frees = false;
    begin_with(ADMIN_ATTACH, DEVICE_CLASS_USB, "2-1");
    fd = take();
    LOOP_UNTIL(event, n_answers == 1);
    assert_int_equal(answer.result, ADMIN_TIMED_OUT);
    assert_true(answer.pending);

    frees = true;
    reply(fd, "0\0", 2);
    fd_close(fd);
    LOOP_UNTIL(event, n_answers == 2);
    assert_int_equal(answer.result, ADMIN_OK);
    assert_false(answer.pending);
}

static void test_so_is_the_making_of_a_disposable(void **state)
{
    int fd;

    (void) state;

    loop_divisor = 10000;
    frees = false;
    begin(ADMIN_CREATE_DISPOSABLE);
    fd = take();
    LOOP_UNTIL(event, n_answers == 1);
    assert_int_equal(answer.result, ADMIN_TIMED_OUT);
    assert_true(answer.pending);

    frees = true;
    reply(fd, "0\0disp1234", 10);
    fd_close(fd);
    LOOP_UNTIL(event, n_answers == 2);
    assert_int_equal(answer.result, ADMIN_OK);
    assert_string_equal(answer.qube.s, "disp1234");
}

/* Fill the queue of the listener. Answers how many. */
static size_t crowd(int *ret_fds, size_t max)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    memcpy(address.sun_path, path, strlen(path) + 1);
    for (size_t n = 0; n < max; n++) {
        ret_fds[n] =
            socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(ret_fds[n] >= 0);
        if (connect(ret_fds[n], (struct sockaddr *) &address, sizeof(address)) <
            0) {
            assert_int_equal(errno, EAGAIN);
            fd_close(ret_fds[n]);
            return n;
        }
    }
    fail();
    return 0;
}

static void test_a_full_queue_is_tried_again(void **state)
{
    int fds[16], fd;
    size_t n;

    (void) state;

    n = crowd(fds, ARRAY_SIZE(fds));
    begin(ADMIN_START);
    loop_settle(event);
    assert_int_equal(n_answers, 0);
    for (size_t i = 0; i < n; i++) {
        fd_close(take());
        fd_close(fds[i]);
    }
    /* it is there by itself after a while */
    do {
        assert_true(sd_event_run(event, GIVE_UP_USEC) > 0);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    } while (fd < 0);
    assert_int_equal(n_answers, 0);
    reply(fd, "0\0", 2);
    fd_close(fd);
    LOOP_UNTIL(event, n_answers == 1);
    assert_int_equal(answer.result, ADMIN_OK);
}

static void test_a_call_may_be_given_up(void **state)
{
    int fd;

    (void) state;

    begin(ADMIN_START);
    fd = take();
    call = admin_call_free(call);
    assert_int_equal(send(fd, "0", 2, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    fd_close(fd);
    loop_settle(event);
    assert_int_equal(n_answers, 0);

    /* also before anybody has taken it, and when nobody is there */
    begin(ADMIN_START);
    call = admin_call_free(call);
    listener = fd_close(listener);
    begin(ADMIN_START);
    call = admin_call_free(call);
    loop_settle(event);
    assert_int_equal(n_answers, 0);
}

static void test_an_answer_is_told_once(void **state)
{
    int fd;

    (void) state;

    frees = false;
    begin(ADMIN_START);
    fd = take();
    reply(fd, "0\0", 2);
    fd_close(fd);
    LOOP_UNTIL(event, n_answers == 1);
    loop_settle(event);
    assert_int_equal(n_answers, 1);
}

static void test_who_closes_unread_has_still_said_something(void **state)
{
    int fd;

    (void) state;

    begin(ADMIN_ATTACH);
    fd = take();
    reply(fd, "2\0ProtocolError\0\0\0", 18);
    fd_close(fd); /* with our request unread: a reset */
    LOOP_UNTIL(event, n_answers == 1);
    assert_int_equal(answer.result, ADMIN_EXCEPTION);
    assert_int_equal(answer.error, ADMIN_ERROR_PROTOCOL);
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_the_whole_request_is_sent_and_then_the_end),
        test(test_an_answer_may_come_in_any_pieces),
        test(test_an_answer_that_is_cut_is_garbage_or_empty),
        test(test_an_answer_may_be_a_mebibyte_and_no_more),
        test(test_an_answer_without_end_is_cut_off),
        test(test_nobody_there_is_an_answer_too),
        test(test_silence_ends_with_the_deadline),
        test(test_a_usb_attach_is_answered_also_after_its_deadline),
        test(test_so_is_the_making_of_a_disposable),
        test(test_a_full_queue_is_tried_again),
        test(test_a_call_may_be_given_up),
        test(test_an_answer_is_told_once),
        test(test_who_closes_unread_has_still_said_something),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
