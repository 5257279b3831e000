/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/sys/clock.h"
#include "dom0/io/admin-events.h"
#include "dom0/wire/admin.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define ESTABLISHED "1\0\0connection-established\0\0"
#define STARTED     "1\0work\0domain-start\0start_guid\0True\0\0"
#define OTHER       "1\0work\0domain-pre-start\0\0"
#define ADDED                                                   \
    "1\0sys-usb\0device-added:block\0device\0sys-usb:sda:1:2:x" \
    "\0\0"
#define LEN(literal) (sizeof(literal) - 1)

#define EVENTS_MAX 64U

static sd_event *event;
static AdminEvents *events;
static struct sockaddr_un address;
static socklen_t address_len;
static char folder[] = "/tmp/test-admin-events-XXXXXX";
static char path[64];
static int listener;

static AdminEvent got[EVENTS_MAX];
static size_t n_got;
static size_t n_connected;
static size_t n_lost;
static char detail[256];

static void on_state(bool connected, const char *why, void *userdata)
{
    assert_ptr_equal(userdata, &n_got);
    n_connected += connected;
    n_lost += !connected;
    (void) snprintf(detail, sizeof(detail), "%s", why);
}

static void on_event(const AdminEvent *what, void *userdata)
{
    assert_ptr_equal(userdata, &n_got);
    assert_true(n_got < EVENTS_MAX);
    got[n_got++] = *what;
}

static const AdminEventsHooks hooks = { .on_state = on_state,
                                        .on_event = on_event };

static void be_there(void)
{
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *) &address, address_len),
                     0);
    assert_int_equal(listen(listener, 8), 0);
}

static void go_away(void)
{
    listener = fd_close(listener);
    (void) unlink(path);
}

static int set_up(void **state)
{
    (void) state;

    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    (void) snprintf(path, sizeof(path), "%s/qubesd.sock", folder);
    address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path) + 1);
    address_len = sizeof(address);
    be_there();
    assert_return_code(sd_event_new(&event), 0);
    n_got = n_connected = n_lost = 0;
    detail[0] = '\0';
    loop_divisor = 1000;
    assert_int_equal(admin_events_new(&events, event, path, &hooks, &n_got), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    events = admin_events_free(events);
    event = sd_event_unref(event);
    go_away();
    (void) rmdir(folder);
    return 0;
}

/* Run until it connects; qubesd takes the connection. */
static int take(void)
{
    int fd = -1;

    while (fd < 0) {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            assert_true(sd_event_run(event, GIVE_UP_USEC) > 0);
    }
    return fd;
}

static void say(int fd, const char *bytes, size_t len)
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

static int take_established(void)
{
    size_t n = n_connected;
    int fd = take();

    say(fd, ESTABLISHED, LEN(ESTABLISHED));
    LOOP_UNTIL(event, n_connected == n + 1);
    return fd;
}

static void test_it_asks_for_all_events_and_ends_its_input(void **state)
{
    static const char expected[] = "admin.Events+ dom0 name dom0";
    char bytes[256];
    int fd = take();

    (void) state;

    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 0);
    assert_int_equal(n_connected, 0);
    say(fd, ESTABLISHED, LEN(ESTABLISHED));
    LOOP_UNTIL(event, n_connected == 1);
    assert_int_equal(n_lost, 0);
    assert_int_equal(n_got, 0);
    fd_close(fd);
}

static void test_frames_come_in_any_pieces(void **state)
{
    static const char all[] = STARTED OTHER ADDED;
    int fd = take_established();

    (void) state;

    for (size_t n = 0; n <= LEN(all); n++) {
        n_got = 0;
        say(fd, all, n);
        loop_settle(event);
        assert_int_equal(n_got, (n >= LEN(STARTED)) + (n == LEN(all)));
        say(fd, all + n, LEN(all) - n);
        LOOP_UNTIL(event, n_got == 2);
        assert_int_equal(got[0].type, ADMIN_EVENT_DOMAIN_START);
        assert_string_equal(got[0].subject.s, "work");
        assert_int_equal(got[1].type, ADMIN_EVENT_DEVICE_ADDED);
        assert_string_equal(got[1].port.s, "sda");
        assert_string_equal(got[1].identity.s, "1:2:x");
    }
    assert_int_equal(n_lost, 0);
    fd_close(fd);
}

static void test_several_frames_may_come_in_one_read(void **state)
{
    static const char all[] = STARTED STARTED OTHER STARTED ADDED;
    int fd = take_established();

    (void) state;

    say(fd, all, LEN(all));
    LOOP_UNTIL(event, n_got == 4);
    loop_settle(event);
    assert_int_equal(n_got, 4);
    fd_close(fd);
}

static int on_answer(sd_event_source *source,
                     int fd,
                     uint32_t revents,
                     void *userdata)
{
    char byte;

    (void) source;
    (void) revents;

    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    assert_int_equal(n_got, 1);
    *(bool *) userdata = true;
    return 0;
}

/* qubesd writes it before the answer to the call that made it happen. */
static void test_an_event_is_told_before_an_answer_that_came_with_it(
    void **state)
{
    sd_event_source *sources[2] = {};
    bool answered[2] = {};
    int pairs[2][2], fd = -1;

    (void) state;

    /* one that is waited for since before the events are, one since after */
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        assert_int_equal(
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]), 0);
        if (i == 1)
            fd = take_established();
        assert_return_code(sd_event_add_io(event, &sources[i], pairs[i][0],
                                           EPOLLIN, on_answer, &answered[i]),
                           0);
    }
    /* all of it is there when the loop looks the next time */
    loop_settle(event);
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
        say(pairs[i][1], "0", 1);
    say(fd, STARTED, LEN(STARTED));
    LOOP_UNTIL(event, answered[0] && answered[1]);
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        sd_event_source_disable_unref(sources[i]);
        fd_close(pairs[i][0]);
        fd_close(pairs[i][1]);
    }
    fd_close(fd);
}

static void test_a_lost_connection_is_made_anew(void **state)
{
    int fd = take_established();

    (void) state;

    /* half a frame is not carried over */
    say(fd, STARTED, 5);
    loop_settle(event);
    fd_close(fd);
    LOOP_UNTIL(event, n_lost == 1);
    assert_string_not_equal(detail, "");
    fd = take_established();
    assert_int_equal(n_connected, 2);
    say(fd, STARTED, LEN(STARTED));
    LOOP_UNTIL(event, n_got == 1);
    fd_close(fd);
}

static void test_what_makes_no_sense_is_not_followed(void **state)
{
    int fd = take_established();

    (void) state;

    say(fd, "2\0QubesException\0\0\0", 19);
    LOOP_UNTIL(event, n_lost == 1);
    fd_close(fd);
    fd = take_established();
    say(fd, STARTED, LEN(STARTED));
    LOOP_UNTIL(event, n_got == 1);
    fd_close(fd);
}

static void test_a_frame_is_looked_at_up_to_some_length(void **state)
{
    static const char start[] = "1\0work\0domain-start\0why";
    static char frame[ADMIN_FRAME_MAX];

    (void) state;

    memset(frame, 'x', sizeof(frame));
    memcpy(frame, start, sizeof(start));
    for (size_t len = ADMIN_FRAME_MAX - 1; len <= ADMIN_FRAME_MAX; len++) {
        int fd = take_established();
        size_t n_before = n_lost;

        n_got = 0;
        frame[len - 1] = frame[len - 2] = '\0';
        /* the last byte by itself */
        say(fd, frame, len - 1);
        loop_settle(event);
        assert_int_equal(n_lost, n_before);
        say(fd, frame + len - 1, 1);
        LOOP_UNTIL(event, n_got == 1);
        assert_int_equal(got[0].type, ADMIN_EVENT_DOMAIN_START);
        fd_close(fd);
        LOOP_UNTIL(event, n_lost == n_before + 1);
        frame[len - 1] = frame[len - 2] = 'x';
    }
}

/* What a qube requests of dom0 is told as an event, too: as much as it likes.
 */
static void test_no_qube_ends_the_stream_by_an_endless_event(void **state)
{
    static const char start[] = "1\0red\0features-request\0untrusted_features";
    static const size_t lens[] = { ADMIN_FRAME_MAX + 1, ADMIN_FRAME_MAX + 2,
                                   2 * ADMIN_FRAME_MAX, 1000000 };
    static char frame[1000000];
    int fd = take_established();

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
        const size_t len = lens[i];

        memset(frame, 'x', len);
        memcpy(frame, start, sizeof(start));
        /* an empty value is not the end */
        memcpy(frame + 1000, "\0key\0\0k\0v", 9);
        frame[len - 1] = frame[len - 2] = '\0';
        n_got = 0;
        say(fd, frame, len - 1);
        loop_settle(event);
        assert_int_equal(n_got, 0);
        say(fd, frame + len - 1, 1);
        say(fd, STARTED ADDED, LEN(STARTED ADDED));
        LOOP_UNTIL(event, n_got == 2);
        assert_int_equal(got[0].type, ADMIN_EVENT_DOMAIN_START);
        assert_int_equal(got[1].type, ADMIN_EVENT_DEVICE_ADDED);
    }
    assert_int_equal(n_lost, 0);

    /* what was to be passed over is not, once the connection is another */
    say(fd, frame, ADMIN_FRAME_MAX);
    loop_settle(event);
    fd_close(fd);
    LOOP_UNTIL(event, n_lost == 1);
    n_got = 0;
    fd = take_established();
    say(fd, STARTED, LEN(STARTED));
    LOOP_UNTIL(event, n_got == 1);
    fd_close(fd);
}

static void test_a_stream_without_frames_is_not_followed(void **state)
{
    int fd = take_established();

    (void) state;

    say(fd, "11", 2);
    LOOP_UNTIL(event, n_lost == 1);
    fd_close(fd);
}

static void test_nobody_there_is_tried_again_and_again(void **state)
{
    uint64_t begin_usec = clock_monotonic_usec();
    int fd;

    (void) state;

    go_away();
    /* 0.5, 1, 2, 4, 8 and then each 10 s, a thousandth of it */
    LOOP_UNTIL(event, n_lost == 8);
    assert_true(clock_monotonic_usec() - begin_usec >= 35500);
    assert_non_null(strstr(detail, strerror(ENOENT)));
    be_there();
    fd = take_established();

    /* then it begins anew */
    begin_usec = clock_monotonic_usec();
    fd_close(fd);
    LOOP_UNTIL(event, n_lost == 9);
    fd_close(take_established());
    assert_int_equal(n_connected, 2);
}

static void test_silence_after_the_connection_is_not_waited_out(void **state)
{
    int fd = take();

    (void) state;

    LOOP_UNTIL(event, n_lost == 1);
    assert_int_equal(n_connected, 0);
    fd_close(fd);

    /* but a connection that is established may be silent */
    fd = take_established();
    assert_int_equal(sd_event_run(event, 0), 0);
    assert_int_equal(n_lost, 1);
    fd_close(fd);
}

static void test_established_twice_is_told_once(void **state)
{
    int fd = take_established();

    (void) state;

    say(fd, ESTABLISHED STARTED, LEN(ESTABLISHED STARTED));
    LOOP_UNTIL(event,
               n_got > 0 && got[n_got - 1].type == ADMIN_EVENT_DOMAIN_START);
    assert_int_equal(n_connected, 1);
    fd_close(fd);
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_it_asks_for_all_events_and_ends_its_input),
        test(test_frames_come_in_any_pieces),
        test(test_several_frames_may_come_in_one_read),
        test(test_an_event_is_told_before_an_answer_that_came_with_it),
        test(test_a_lost_connection_is_made_anew),
        test(test_what_makes_no_sense_is_not_followed),
        test(test_a_frame_is_looked_at_up_to_some_length),
        test(test_no_qube_ends_the_stream_by_an_endless_event),
        test(test_a_stream_without_frames_is_not_followed),
        test(test_nobody_there_is_tried_again_and_again),
        test(test_silence_after_the_connection_is_not_waited_out),
        test(test_established_twice_is_told_once),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
