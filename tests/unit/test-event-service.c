/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/sys/clock.h"
#include "dom0/io/event-service.h"
#include "tests/support/loop.h"
#include "tests/support/random.h"
#include "tests/support/test.h"

#define DESCRIPTOR "autoattach.Event+ sys-usb name dom0"
#define HELLO                                        \
    "{\"type\":\"hello\",\"version\":1,\"boot_id\":" \
    "\"0123456789abcdef0123456789abcdef\",\"agent\":\"test\"}\n"
#define SYNCED "{\"type\":\"synced\"}\n"

#define LINES_MAX 4096U
#define ROUNDS    60U

typedef struct Rig {
    sd_event *event;
    EventService *service;
    int listener; /* owned by the service */
    struct sockaddr_un address;
    socklen_t address_len;

    Status grant;       /* what on_connect says */
    Status outcome;     /* what on_event says */
    bool says_no;       /* on_line */
    uint64_t line_usec; /* until then, CLOCK_MONOTONIC */
    size_t n_allowed;   /* lines that on_line lets through; SIZE_MAX: all */

    QubeName source;
    uint64_t last_id;
    size_t n_connects;
    size_t n_disconnects;
    size_t n_hellos;
    size_t n_synced;
    size_t n_ended;
    size_t n_refused;
    size_t n_idle;
    Status refused;
    int64_t seqs[LINES_MAX]; /* of all events, in order */
    uint64_t ids[LINES_MAX];
    size_t n_events;
} Rig;

static Rig rig;

static Status on_connect(const QubeName *source,
                         uint64_t *ret_id,
                         void *userdata)
{
    assert_ptr_equal(userdata, &rig);
    rig.source = *source;
    rig.n_connects++;
    if (rig.grant != STATUS_INVALID)
        return rig.grant;
    *ret_id = ++rig.last_id;
    return STATUS_INVALID;
}

static void on_disconnect(uint64_t id, void *userdata)
{
    assert_ptr_equal(userdata, &rig);
    assert_true(id > 0 && id <= rig.last_id);
    rig.n_disconnects++;
}

static bool on_line(uint64_t id, uint64_t *ret_when_usec, void *userdata)
{
    assert_ptr_equal(userdata, &rig);
    assert_true(id > 0);
    if (rig.says_no || rig.n_allowed == 0) {
        *ret_when_usec = rig.line_usec;
        return false;
    }
    if (rig.n_allowed != SIZE_MAX)
        rig.n_allowed--;
    return true;
}

static void on_hello(const QubeName *source,
                     uint64_t id,
                     const WireHello *hello,
                     void *userdata)
{
    (void) id;
    assert_string_equal(source->s, "sys-usb");
    assert_ptr_equal(userdata, &rig);
    assert_string_equal(hello->agent, "test");
    rig.n_hellos++;
}

static Status on_event(uint64_t id,
                       int64_t seq,
                       const Record *record,
                       void *userdata)
{
    assert_ptr_equal(userdata, &rig);
    assert_string_equal(record->device.s, "sda");
    assert_true(rig.n_events < LINES_MAX);
    rig.ids[rig.n_events] = id;
    rig.seqs[rig.n_events++] = seq;
    return rig.outcome;
}

static void on_synced(uint64_t id, void *userdata)
{
    (void) id;
    assert_ptr_equal(userdata, &rig);
    rig.n_synced++;
}

static void on_input_ended(uint64_t id, void *userdata)
{
    (void) id;
    assert_ptr_equal(userdata, &rig);
    rig.n_ended++;
}

static void on_refused(const EventRefusal *refusal, void *userdata)
{
    assert_ptr_equal(userdata, &rig);
    assert_string_equal(refusal->source->s, "sys-usb");
    assert_string_not_equal(refusal->reason, "");
    assert_true(refusal->id <= rig.last_id);
    rig.refused = refusal->status;
    rig.n_refused++;
}

static void on_idle(void *userdata)
{
    assert_ptr_equal(userdata, &rig);
    rig.n_idle++;
}

static const EventServiceHooks hooks = {
    .on_connect = on_connect,
    .on_disconnect = on_disconnect,
    .on_line = on_line,
    .on_hello = on_hello,
    .on_event = on_event,
    .on_synced = on_synced,
    .on_input_ended = on_input_ended,
    .on_refused = on_refused,
    .on_idle = on_idle,
};

static int set_up(void **state)
{
    /* as systemd passes it */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void) state;

    rig = (Rig){ .listener = fd,
                 .address = { .sun_family = AF_UNIX },
                 .outcome = STATUS_ATTACHED,
                 .n_allowed = SIZE_MAX };
    loop_divisor = 1;
    assert_true(fd >= 0);
    /* a name of the kernel's choice, without a file */
    assert_int_equal(
        bind(fd, (struct sockaddr *) &rig.address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fd, 128), 0);
    rig.address_len = sizeof(rig.address);
    assert_int_equal(
        getsockname(fd, (struct sockaddr *) &rig.address, &rig.address_len), 0);
    assert_return_code(sd_event_new(&rig.event), 0);
    assert_int_equal(
        event_service_new(&rig.service, rig.event, fd, &hooks, &rig), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    rig.service = event_service_free(rig.service);
    rig.event = sd_event_unref(rig.event);
    return 0;
}

static int dial(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(
        connect(fd, (struct sockaddr *) &rig.address, rig.address_len), 0);
    return fd;
}

static void say_bytes(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(sd_event_run(rig.event, GIVE_UP_USEC) > 0);
            continue;
        }
        bytes += n;
        len -= (size_t) n;
    }
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

static size_t event_line(char *ret, size_t size, int64_t seq)
{
    return (size_t) snprintf(ret, size,
                             "{\"type\":\"event\",\"seq\":%lld,\"action\":"
                             "\"add\",\"class\":\"block\",\"device\":\"sda\","
                             "\"properties\":{}}\n",
                             (long long) seq);
}

static void say_event(int fd, int64_t seq)
{
    char line[256];

    say_bytes(fd, line, event_line(line, sizeof(line), seq));
}

/* It has said who it is. */
static int dial_named(void)
{
    int fd = dial();

    say_bytes(fd, DESCRIPTOR, sizeof(DESCRIPTOR));
    return fd;
}

static int dial_greeted(void)
{
    size_t n = rig.n_hellos;
    int fd = dial_named();

    say(fd, HELLO);
    LOOP_UNTIL(rig.event, rig.n_hellos > n);
    return fd;
}

/* Run until it has been told this, and nothing else. */
static void expect(int fd, const char *text)
{
    size_t len = strlen(text), got = 0;
    char bytes[512];

    assert_true(len < sizeof(bytes));
    while (got < len) {
        ssize_t n = recv(fd, bytes + got, len - got, 0);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(sd_event_run(rig.event, GIVE_UP_USEC) > 0);
            continue;
        }
        assert_true(n > 0);
        got += (size_t) n;
    }
    assert_memory_equal(bytes, text, len);
}

/* Whether the service has closed it; what was said before is left out. */
static bool is_closed(int fd)
{
    char bytes[4096];
    ssize_t n;

    do
        n = recv(fd, bytes, sizeof(bytes), 0);
    while (n > 0);
    return n == 0 || errno == ECONNRESET;
}

static void expect_closed(int fd)
{
    char byte;
    ssize_t n;

    for (;;) {
        n = recv(fd, &byte, 1, 0);
        if (n >= 0 || errno != EAGAIN)
            break;
        assert_true(sd_event_run(rig.event, GIVE_UP_USEC) > 0);
    }
    assert_int_equal(n, 0); /* an end, not a reset */
    fd_close(fd);
}

static void expect_events(int64_t n)
{
    assert_int_equal(rig.n_events, n);
    for (size_t i = 0; i < rig.n_events; i++)
        assert_int_equal(rig.seqs[i], i + 1);
}

/* the way of a record */

static void test_an_outcome_that_is_known_is_answered_at_once(void **state)
{
    int fd = dial_greeted();

    (void) state;

    assert_string_equal(rig.source.s, "sys-usb");
    say_event(fd, 1);
    expect(fd, "{\"seq\":1,\"code\":200,\"status\":\"attached\"}\n");
    expect_events(1);
    assert_true(rig.n_idle > 0);
    fd_close(fd);
}

static void test_a_source_is_not_told_what_is_for_dom0_alone(void **state)
{
    int fd = dial_greeted();

    (void) state;

    rig.outcome = STATUS_NO_RULE;
    say_event(fd, 1);
    expect(fd, "{\"seq\":1,\"code\":300,\"status\":\"not-attached\"}\n");
    rig.outcome = STATUS_TOO_MANY;
    say_event(fd, 2);
    expect(fd, "{\"seq\":2,\"code\":429,\"status\":\"too-many\"}\n");
    fd_close(fd);
}

static void test_answers_come_in_the_order_of_outcomes(void **state)
{
    int fd = dial_greeted();

    (void) state;

    rig.outcome = STATUS_INVALID;
    for (int64_t seq = 1; seq <= 3; seq++)
        say_event(fd, seq);
    LOOP_UNTIL(rig.event, rig.n_events == 3);
    event_service_answer(rig.service, 1, 3, STATUS_ATTACHED);
    event_service_answer(rig.service, 1, 1, STATUS_NOT_ATTACHED);
    expect(fd, "{\"seq\":3,\"code\":200,\"status\":\"attached\"}\n"
               "{\"seq\":1,\"code\":300,\"status\":\"not-attached\"}\n");
    event_service_answer(rig.service, 1, 2, STATUS_DETACHED);
    expect(fd, "{\"seq\":2,\"code\":203,\"status\":\"detached\"}\n");
    fd_close(fd);
}

static void test_synced_is_told_once(void **state)
{
    int fd = dial_greeted();

    (void) state;

    say(fd, SYNCED);
    LOOP_UNTIL(rig.event, rig.n_synced == 1);
    say(fd, SYNCED);
    expect(fd, "{\"seq\":null,\"code\":400,\"status\":\"malformed\"}\n");
    expect_closed(fd);
    assert_int_equal(rig.n_synced, 1);
}

/* the descriptor */

static void test_a_descriptor_may_be_split_anywhere(void **state)
{
    static const char all[] = DESCRIPTOR "\0" HELLO;

    (void) state;

    for (size_t n = 1; n < sizeof(all) - 1; n++) {
        size_t n_hellos = rig.n_hellos;
        int fd = dial();

        say_bytes(fd, all, n);
        loop_settle(rig.event);
        assert_int_equal(rig.n_hellos, n_hellos);
        say_bytes(fd, all + n, sizeof(all) - 1 - n);
        LOOP_UNTIL(rig.event, rig.n_hellos == n_hellos + 1);
        fd_close(fd);
    }
    LOOP_UNTIL(rig.event, rig.n_disconnects == rig.n_connects);
}

static void test_anything_else_is_closed_without_a_word(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "\0", 1 },
        { "autoattach.Event+ dom0 name dom0", 33 },
        { "autoattach.Attach+ sys-usb name dom0", 37 },
        { HELLO, sizeof(HELLO) - 1 },
        { "autoattach.Event+ a234567890123456789012345678901234 keyword "
          "adminvm and so on",
          70 },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int fd = dial();

        say_bytes(fd, cases[i].bytes, cases[i].len);
        expect_closed(fd);
    }
    assert_int_equal(rig.n_connects, 0);
    assert_int_equal(rig.n_refused, 0);
}

static void test_a_source_that_has_too_many_connections_is_told_so(void **state)
{
    int fd;

    (void) state;

    rig.grant = STATUS_TOO_MANY;
    fd = dial_named();
    say(fd, HELLO); /* what it says is not read, and no reason for a reset */
    expect(fd, "{\"seq\":null,\"code\":429,\"status\":\"too-many\"}\n");
    expect_closed(fd);
    assert_int_equal(rig.n_disconnects, 0);
    assert_int_equal(rig.n_hellos, 0);
    assert_int_equal(rig.refused, STATUS_TOO_MANY);
}

/* what is refused */

static void test_a_bad_line_is_answered_and_closes(void **state)
{
    static const struct {
        const char *line;
        const char *answer;
        Status status;
    } cases[] = {
        { "{}\n", "{\"seq\":null,\"code\":400,\"status\":\"malformed\"}\n",
          STATUS_MALFORMED },
        { "\n", "{\"seq\":null,\"code\":400,\"status\":\"malformed\"}\n",
          STATUS_MALFORMED },
        { HELLO, "{\"seq\":null,\"code\":400,\"status\":\"malformed\"}\n",
          STATUS_MALFORMED },
        { "{\"type\":\"event\",\"seq\":7,\"action\":\"fly\"}\n",
          "{\"seq\":7,\"code\":400,\"status\":\"malformed\"}\n",
          STATUS_MALFORMED },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int fd = dial_greeted();

        say(fd, cases[i].line);
        say_event(fd, 8); /* too late */
        expect(fd, cases[i].answer);
        expect_closed(fd);
        assert_int_equal(rig.refused, cases[i].status);
        assert_int_equal(rig.n_refused, i + 1);
        assert_int_equal(rig.n_disconnects, i + 1);
    }
    assert_int_equal(rig.n_events, 0);
}

static void test_a_line_one_byte_too_long_is_refused(void **state)
{
    char line[WIRE_LINE_MAX + 2];
    int fd = dial_greeted();

    (void) state;

    memset(line, ' ', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    say_bytes(fd, line, sizeof(line));
    expect(fd, "{\"seq\":null,\"code\":413,\"status\":\"too-large\"}\n");
    expect_closed(fd);

    /* also one that is never ended */
    fd = dial_greeted();
    say_bytes(fd, line, sizeof(line) - 1);
    expect(fd, "{\"seq\":null,\"code\":413,\"status\":\"too-large\"}\n");
    expect_closed(fd);

    /* the longest is as good as any */
    fd = dial_greeted();
    event_line(line, sizeof(line), 1);
    memset(strchr(line, '\n'), ' ', sizeof(line) - strlen(line));
    line[WIRE_LINE_MAX] = '\n';
    say_bytes(fd, line, WIRE_LINE_MAX + 1);
    expect(fd, "{\"seq\":1,\"code\":200,\"status\":\"attached\"}\n");
    fd_close(fd);
}

static void test_input_that_ends_within_a_line_is_malformed(void **state)
{
    int fd = dial_greeted();

    (void) state;

    say(fd, "{\"type\":");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect(fd, "{\"seq\":null,\"code\":400,\"status\":\"malformed\"}\n");
    expect_closed(fd);
}

static void test_a_long_input_behind_a_refusal_does_not_eat_it(void **state)
{
    static char rest[60000];
    int fd = dial_greeted();

    (void) state;

    memset(rest, 'x', sizeof(rest));
    say(fd, "no JSON\n");
    say_bytes(fd, rest, sizeof(rest));
    expect(fd, "{\"seq\":null,\"code\":400,\"status\":\"malformed\"}\n");
    expect_closed(fd);
}

/* ends */

static void test_the_end_of_input_ends_nothing(void **state)
{
    int fd = dial_greeted();

    (void) state;

    rig.outcome = STATUS_INVALID;
    say_event(fd, 1);
    say_event(fd, 2);
    LOOP_UNTIL(rig.event, rig.n_events == 2);
    assert_int_equal(rig.n_ended, 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    LOOP_UNTIL(rig.event, rig.n_ended == 1);
    loop_settle(rig.event);
    event_service_answer(rig.service, 1, 1, STATUS_ATTACHED);
    expect(fd, "{\"seq\":1,\"code\":200,\"status\":\"attached\"}\n");
    assert_int_equal(rig.n_disconnects, 0);
    event_service_answer(rig.service, 1, 2, STATUS_ATTACHED);
    expect(fd, "{\"seq\":2,\"code\":200,\"status\":\"attached\"}\n");
    expect_closed(fd);
    assert_int_equal(rig.n_disconnects, 1);
}

static void test_input_that_ends_with_nothing_due_closes(void **state)
{
    int fd = dial_named();

    (void) state;

    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect_closed(fd);
    assert_int_equal(rig.n_connects, 1);
    assert_int_equal(rig.n_disconnects, 1);

    fd = dial();
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect_closed(fd);
    assert_int_equal(rig.n_connects, 1);
    assert_int_equal(rig.n_disconnects, 1);
}

static void test_a_peer_may_vanish_at_any_byte(void **state)
{
    char all[512];
    size_t len = 0;

    (void) state;

    memcpy(all, DESCRIPTOR "\0" HELLO, sizeof(DESCRIPTOR "\0" HELLO) - 1);
    len = sizeof(DESCRIPTOR "\0" HELLO) - 1;
    len += event_line(all + len, sizeof(all) - len, 1);
    len += event_line(all + len, sizeof(all) - len, 2);
    rig.outcome = STATUS_INVALID;
    for (size_t n = 0; n <= len; n++) {
        size_t n_complete = 0;
        int fd = dial();

        for (size_t i = sizeof(DESCRIPTOR); i < n; i++)
            n_complete += all[i] == '\n';
        rig.n_events = 0;
        say_bytes(fd, all, n);
        fd_close(fd);
        loop_settle(rig.event);
        /* what it has said whole is handled */
        assert_int_equal(rig.n_events, n_complete > 0 ? n_complete - 1 : 0);
        assert_int_equal(rig.n_connects, rig.n_disconnects);
        event_service_answer(rig.service, rig.last_id, 1, STATUS_ATTACHED);
    }
}

static void test_a_connection_is_closed_once_its_answers_are_written(
    void **state)
{
    int fd = dial_greeted();

    (void) state;

    say_event(fd, 1);
    LOOP_UNTIL(rig.event, rig.n_events == 1);
    event_service_close(rig.service, 1);
    event_service_close(rig.service, 1);
    event_service_close(rig.service, 4711);
    expect(fd, "{\"seq\":1,\"code\":200,\"status\":\"attached\"}\n");
    expect_closed(fd);
    assert_int_equal(rig.n_disconnects, 1);
    event_service_answer(rig.service, 1, 2, STATUS_ATTACHED);
}

/* limits */

/* Say lines until nothing more is taken. Answers how many were said whole. */
static size_t flood(int fd, size_t max)
{
    for (size_t i = 0; i < max; i++) {
        char line[256];
        size_t len = event_line(line, sizeof(line), (int64_t) i + 1), at = 0;

        while (at < len) {
            ssize_t n = send(fd, line + at, len - at, MSG_NOSIGNAL);

            if (n < 0) {
                size_t n_before = rig.n_events;

                loop_settle(rig.event);
                if (n_before == rig.n_events)
                    return i;
                continue;
            }
            at += (size_t) n;
        }
    }
    return max;
}

static void test_who_does_not_read_its_answers_is_not_read(void **state)
{
    int size = 4096, fd = dial_greeted();
    size_t n_said, n_answers = 0;
    char bytes[4096];

    (void) state;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
                     0);
    n_said = flood(fd, LINES_MAX);
    assert_true(n_said < LINES_MAX);
    assert_true(rig.n_events < n_said);

    /* once it reads, nothing was lost */
    while (n_answers < n_said) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(sd_event_run(rig.event, GIVE_UP_USEC) > 0);
            continue;
        }
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            n_answers += bytes[i] == '\n';
    }
    expect_events((int64_t) n_said);
    fd_close(fd);
}

static void test_who_vanishes_unread_has_its_lines_handled(void **state)
{
    int size = 4096, fd = dial_greeted();
    size_t n_said;

    (void) state;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
                     0);
    n_said = flood(fd, LINES_MAX);
    assert_true(rig.n_events < n_said);
    fd_close(fd);
    LOOP_UNTIL(rig.event, rig.n_disconnects == 1);
    expect_events((int64_t) n_said);
}

static void test_lines_over_the_rate_wait_and_are_not_lost(void **state)
{
    int fd = dial_greeted();

    (void) state;

    rig.n_allowed = 2;
    rig.line_usec = clock_monotonic_usec() + 60 * USEC_PER_SEC;
    for (int64_t seq = 1; seq <= 5; seq++)
        say_event(fd, seq);
    loop_settle(rig.event);
    expect_events(2);
    /* it is not read, so more of it does not even wake us */
    say_event(fd, 6);
    assert_int_equal(sd_event_run(rig.event, 0), 0);
    fd_close(fd);
    loop_settle(rig.event);
    assert_int_equal(rig.n_disconnects, 0);
}

static void test_lines_over_the_rate_are_taken_when_their_time_comes(
    void **state)
{
    int fd = dial_greeted();

    (void) state;

    rig.n_allowed = 2;
    rig.line_usec = clock_monotonic_usec() + 2000;
    for (int64_t seq = 1; seq <= 5; seq++)
        say_event(fd, seq);
    LOOP_UNTIL(rig.event, rig.n_events == 2);
    /* who has gone meanwhile is served, too */
    fd_close(fd);
    rig.n_allowed = SIZE_MAX;
    LOOP_UNTIL(rig.event, rig.n_disconnects == 1);
    expect_events(5);
}

static void test_one_peer_with_many_lines_does_not_block_another(void **state)
{
    int first = dial_greeted(), second = dial_greeted();
    size_t at = 0;

    (void) state;

    rig.outcome = STATUS_INVALID;
    (void) flood(first, 1000);
    rig.n_events = 0;
    (void) flood(first, 0);
    for (int64_t seq = 2001; seq <= 2300; seq++)
        say_event(first, seq);
    rig.n_events = 0;
    say_event(second, 1);
    while (at == rig.n_events || rig.ids[at] != 2) {
        assert_true(sd_event_run(rig.event, GIVE_UP_USEC) > 0);
        while (at < rig.n_events && rig.ids[at] != 2)
            at++;
        assert_true(at < LINES_MAX);
    }
    assert_true(at <= 2 * 64);
    fd_close(first);
    fd_close(second);
}

static void test_so_many_strangers_are_let_in_and_no_more(void **state)
{
    int fds[EVENT_STRANGERS_MAX], late;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = dial();
        loop_settle(rig.event);
    }
    late = dial_named();
    loop_settle(rig.event);
    assert_int_equal(rig.n_connects, 0);

    /* who tells its name makes room, and who goes */
    say_bytes(fds[0], DESCRIPTOR, sizeof(DESCRIPTOR));
    LOOP_UNTIL(rig.event, rig.n_connects == 2);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fd_close(fds[i]);
    fd_close(late);
    LOOP_UNTIL(rig.event, rig.n_disconnects == 2);
    for (size_t i = 0; i < 2 * EVENT_STRANGERS_MAX; i++) {
        late = dial();
        loop_settle(rig.event);
        fd_close(late);
        loop_settle(rig.event);
    }
    for (size_t i = 0; i < 3; i++) {
        late = dial_named();
        LOOP_UNTIL(rig.event, rig.n_connects == 3 + i);
        fd_close(late);
    }
}

static void test_without_descriptors_calls_wait_in_the_queue(void **state)
{
    struct rlimit old, tight;
    int fd;

    (void) state;
    SKIP_UNDER_VALGRIND();

    fd = dial_named();
    loop_divisor = 1000;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    loop_settle(rig.event);
    assert_int_equal(rig.n_connects, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    LOOP_UNTIL(rig.event, rig.n_connects == 1);
    fd_close(fd);
}

/* deadlines */

static void test_a_descriptor_has_to_come_in_time(void **state)
{
    int fd = dial();

    (void) state;

    loop_divisor = 1000;
    say(fd, "autoattach");
    expect_closed(fd);
    assert_int_equal(rig.n_connects, 0);
}

static void test_hello_has_to_come_in_time(void **state)
{
    int fd = dial_named();

    (void) state;

    loop_divisor = 1000;
    expect_closed(fd);
    assert_int_equal(rig.n_connects, 1);
    assert_int_equal(rig.n_disconnects, 1);
}

static void test_a_line_that_was_begun_has_to_end_in_time(void **state)
{
    int idle = dial_greeted(), due = dial_greeted(), fd = dial_greeted();

    (void) state;

    rig.outcome = STATUS_INVALID;
    say_event(due, 1);
    loop_divisor = 1000;
    say(fd, "{\"type\":");
    expect_closed(fd);
    assert_int_equal(rig.n_disconnects, 1);
    /* who says nothing lives on, and who waits for an answer */
    assert_false(is_closed(idle));
    assert_false(is_closed(due));
    fd_close(idle);
    fd_close(due);
}

/* One byte more, each millisecond. */
static int on_trickle(sd_event_source *source, uint64_t usec, void *userdata)
{
    const int *fd = userdata;

    (void) send(*fd, " ", 1, MSG_NOSIGNAL);
    assert_return_code(sd_event_source_set_time(source, usec + 1000), 0);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void test_a_trickle_does_not_put_the_deadline_off(void **state)
{
    sd_event_source *trickle = NULL;
    int fd = dial_greeted();

    (void) state;

    loop_divisor = 1000;
    assert_return_code(sd_event_add_time(rig.event, &trickle, CLOCK_MONOTONIC,
                                         clock_monotonic_usec(), 1, on_trickle,
                                         &fd),
                       0);
    LOOP_UNTIL(rig.event, rig.n_disconnects == 1);
    /* not because it has become too long */
    assert_int_equal(rig.n_refused, 0);
    sd_event_source_disable_unref(trickle);
    fd_close(fd);
}

static void test_last_answers_have_to_be_read_in_time(void **state)
{
    int size = 4096, fd = dial_greeted();

    (void) state;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
                     0);
    (void) flood(fd, LINES_MAX);
    loop_divisor = 1000;
    event_service_close(rig.service, 1);
    LOOP_UNTIL(rig.event, rig.n_disconnects == 1);
    fd_close(fd);
}

static void test_an_idle_connection_wakes_nobody(void **state)
{
    int fd = dial_greeted();

    (void) state;

    loop_settle(rig.event);
    assert_int_equal(sd_event_prepare(rig.event), 0);
    /* nothing is armed: a look at once finds nothing, and no timer is due */
    assert_int_equal(sd_event_wait(rig.event, 0), 0);
    fd_close(fd);
}

/* pieces */

static void test_no_line_is_lost_or_doubled_in_any_pieces(void **state)
{
    Random random = random_begin();

    (void) state;

    for (size_t round = 0; round < ROUNDS; round++) {
        static char all[LINES_MAX * 8];
        size_t len = 0, at = 0, n_lines = 1 + random_below(&random, 200);
        uint64_t seed = random.state;
        int fd = dial();

        rig.n_events = 0;
        memcpy(all, DESCRIPTOR "\0" HELLO, sizeof(DESCRIPTOR "\0" HELLO) - 1);
        len = sizeof(DESCRIPTOR "\0" HELLO) - 1;
        for (size_t i = 0; i < n_lines; i++)
            len += event_line(all + len, sizeof(all) - len, (int64_t) i + 1);
        while (at < len) {
            size_t n =
                1 + random_below(&random, random_bool(&random) ? 8 : 6000);

            n = n > len - at ? len - at : n;
            say_bytes(fd, all + at, n);
            at += n;
            if (random_bool(&random))
                loop_settle(rig.event);
            if (random_below(&random, 4) == 0)
                (void) is_closed(fd); /* read the answers */
        }
        if (random_bool(&random))
            assert_int_equal(shutdown(fd, SHUT_WR), 0);
        else
            fd = fd_close(fd);
        while (rig.n_disconnects <= round) {
            if (fd >= 0)
                (void) is_closed(fd);
            assert_true(sd_event_run(rig.event, GIVE_UP_USEC) > 0);
        }
        if (rig.n_events != n_lines)
            print_message(RANDOM_SEED_FORMAT "\n", seed);
        expect_events((int64_t) n_lines);
        fd_close(fd);
    }
    assert_int_equal(rig.n_connects, ROUNDS);
}

/* Else a call that ends before it is accepted would stop everything. */
static void test_a_listener_that_blocks_is_made_not_to(void **state)
{
    (void) state;

    assert_true(fcntl(rig.listener, F_GETFL) & O_NONBLOCK);
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_an_outcome_that_is_known_is_answered_at_once),
        test(test_a_source_is_not_told_what_is_for_dom0_alone),
        test(test_answers_come_in_the_order_of_outcomes),
        test(test_synced_is_told_once),
        test(test_a_descriptor_may_be_split_anywhere),
        test(test_anything_else_is_closed_without_a_word),
        test(test_a_source_that_has_too_many_connections_is_told_so),
        test(test_a_bad_line_is_answered_and_closes),
        test(test_a_line_one_byte_too_long_is_refused),
        test(test_input_that_ends_within_a_line_is_malformed),
        test(test_a_long_input_behind_a_refusal_does_not_eat_it),
        test(test_the_end_of_input_ends_nothing),
        test(test_input_that_ends_with_nothing_due_closes),
        test(test_a_peer_may_vanish_at_any_byte),
        test(test_a_connection_is_closed_once_its_answers_are_written),
        test(test_who_does_not_read_its_answers_is_not_read),
        test(test_who_vanishes_unread_has_its_lines_handled),
        test(test_lines_over_the_rate_wait_and_are_not_lost),
        test(test_lines_over_the_rate_are_taken_when_their_time_comes),
        test(test_one_peer_with_many_lines_does_not_block_another),
        test(test_a_listener_that_blocks_is_made_not_to),
        test(test_so_many_strangers_are_let_in_and_no_more),
        test(test_without_descriptors_calls_wait_in_the_queue),
        test(test_a_descriptor_has_to_come_in_time),
        test(test_hello_has_to_come_in_time),
        test(test_a_line_that_was_begun_has_to_end_in_time),
        test(test_a_trickle_does_not_put_the_deadline_off),
        test(test_last_answers_have_to_be_read_in_time),
        test(test_an_idle_connection_wakes_nobody),
        test(test_no_line_is_lost_or_doubled_in_any_pieces),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
