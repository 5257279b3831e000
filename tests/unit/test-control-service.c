/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "dom0/io/control-service.h"
#include "tests/support/test.h"

#define GET_STATUS "{\"method\":\"org.qubes-contrib.autoattach.GetStatus\"}"
#define GET_INFO   "{\"method\":\"org.varlink.service.GetInfo\"}"

/* a test that waits longer than this has failed */
#define GIVE_UP_USEC (60 * USEC_PER_SEC)
/* a deadline of which only its being set matters */
#define NEVER_USEC (3600 * USEC_PER_SEC)

typedef struct Rig {
    sd_event *event;
    ControlService *service;
    struct sockaddr_un address;
    socklen_t address_len;

    bool answers_later;
    size_t n_calls;
    size_t n_ready;
    size_t n_gone;
    size_t n_logged;
    ControlClient *waiting; /* the client of the last call */
    char log[512];
} Rig;

/* How often a deadline was set, since rig_begin(). */
static size_t n_deadlines_set;

int __real_sd_event_source_set_time_relative(sd_event_source *source,
                                             uint64_t usec);
int __wrap_sd_event_source_set_time_relative(sd_event_source *source,
                                             uint64_t usec);

int __wrap_sd_event_source_set_time_relative(sd_event_source *source,
                                             uint64_t usec)
{
    n_deadlines_set++;
    return __real_sd_event_source_set_time_relative(source, usec);
}

static void on_call(ControlClient *client,
                    ControlMethod method,
                    const ControlCall *call,
                    void *userdata)
{
    Rig *rig = userdata;

    (void) call;
    assert_int_equal(method, CONTROL_GET_STATUS);
    rig->n_calls++;
    rig->waiting = client;
    if (!rig->answers_later)
        control_client_reply(client,
                             json_pack("{s:i}", "call", (int) rig->n_calls));
}

static void on_ready(ControlClient *client, void *userdata)
{
    Rig *rig = userdata;

    assert_ptr_equal(client, rig->waiting);
    assert_true(control_client_is_ready(client));
    rig->n_ready++;
}

static void on_gone(ControlClient *client, void *userdata)
{
    Rig *rig = userdata;

    assert_ptr_equal(client, rig->waiting);
    rig->waiting = NULL;
    rig->n_gone++;
}

static void on_log(const char *message, void *userdata)
{
    Rig *rig = userdata;

    rig->n_logged++;
    (void) snprintf(rig->log, sizeof(rig->log), "%s", message);
}

static void rig_begin(Rig *rig, uint64_t deadline_usec)
{
    const ControlHandler handler = { .on_call = on_call,
                                     .on_ready = on_ready,
                                     .on_gone = on_gone,
                                     .on_log = on_log,
                                     .userdata = rig,
                                     .deadline_usec = deadline_usec };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *rig = (Rig){ .address = { .sun_family = AF_UNIX } };
    assert_true(fd >= 0);
    /* a name of the kernel's choice, without a file */
    assert_int_equal(
        bind(fd, (struct sockaddr *) &rig->address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fd, 64), 0);
    rig->address_len = sizeof(rig->address);
    assert_int_equal(
        getsockname(fd, (struct sockaddr *) &rig->address, &rig->address_len),
        0);

    n_deadlines_set = 0;
    assert_return_code(sd_event_new(&rig->event), 0);
    assert_int_equal(
        control_service_new(&rig->service, rig->event, fd, &handler), 0);
}

static void rig_end(Rig *rig)
{
    rig->service = control_service_free(rig->service);
    rig->event = sd_event_unref(rig->event);
}

/* What is ready now, until nothing is. */
static void rig_settle(Rig *rig)
{
    int r;

    do {
        r = sd_event_run(rig->event, 0);
        assert_return_code(r, 0);
    } while (r > 0);
}

/* Run until @condition. */
#define RUN_UNTIL(rig, condition)                                      \
    do {                                                               \
        while (!(condition))                                           \
            assert_true(sd_event_run((rig)->event, GIVE_UP_USEC) > 0); \
    } while (0)

static int rig_connect(Rig *rig)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(
        connect(fd, (struct sockaddr *) &rig->address, rig->address_len), 0);
    return fd;
}

static void send_bytes(int fd, const char *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* A message, with its NUL. */
static void send_message(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text) + 1);
}

/* Run until a whole message is there. */
static void read_message(Rig *rig, int fd, char *ret, size_t size)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = recv(fd, ret + len, 1, 0);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(sd_event_run(rig->event, GIVE_UP_USEC) > 0);
            continue;
        }
        assert_int_equal(n, 1);
        if (ret[len++] == '\0')
            return;
        assert_true(len < size);
    }
}

static void assert_reply(Rig *rig, int fd, const char *wanted)
{
    char text[8192];

    read_message(rig, fd, text, sizeof(text));
    assert_string_equal(text, wanted);
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static int n_readable(int fd)
{
    int n;

    assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
    return n;
}

static bool is_silent(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static void test_a_call_in_any_pieces_is_answered(void **state)
{
    const size_t len = sizeof(GET_STATUS);

    (void) state;
    for (size_t chunk = 1; chunk <= len; chunk += 7) {
        Rig rig;
        int fd;

        rig_begin(&rig, 0);
        fd = rig_connect(&rig);
        for (size_t at = 0; at < len; at += chunk) {
            send_bytes(fd, &GET_STATUS[at],
                       len - at < chunk ? len - at : chunk);
            rig_settle(&rig);
        }
        assert_reply(&rig, fd, "{\"parameters\":{\"call\":1}}");
        fd_close(fd);
        rig_end(&rig);
    }
}

static void test_calls_in_one_go_are_answered_in_order(void **state)
{
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    fd = rig_connect(&rig);
    send_bytes(
        fd, GET_STATUS "\0" GET_STATUS "\0{\"method\":\"a.b.C\"}\0" GET_STATUS,
        4 * sizeof(GET_STATUS) - sizeof(GET_STATUS) +
            sizeof("{\"method\":\"a.b.C\"}"));
    assert_reply(&rig, fd, "{\"parameters\":{\"call\":1}}");
    assert_reply(&rig, fd, "{\"parameters\":{\"call\":2}}");
    assert_reply(&rig, fd,
                 "{\"error\":\"org.varlink.service.InterfaceNotFound\","
                 "\"parameters\":{\"interface\":\"a.b\"}}");
    assert_reply(&rig, fd, "{\"parameters\":{\"call\":3}}");
    fd_close(fd);
    rig_end(&rig);
}

static void test_the_service_describes_itself(void **state)
{
    char text[8192];
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    fd = rig_connect(&rig);
    send_message(fd, GET_INFO);
    read_message(&rig, fd, text, sizeof(text));
    assert_non_null(strstr(text, "\"qubes-autoattach\""));
    assert_int_equal(rig.n_calls, 0);
    fd_close(fd);
    rig_end(&rig);
}

static void test_who_wants_no_answer_gets_none(void **state)
{
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    fd = rig_connect(&rig);
    send_message(fd, "{\"method\":\"org.qubes-contrib.autoattach.GetStatus\","
                     "\"oneway\":true}");
    send_message(fd, "{\"method\":\"a.b.C\",\"oneway\":true}");
    send_message(fd, GET_STATUS);
    assert_reply(&rig, fd, "{\"parameters\":{\"call\":2}}");
    fd_close(fd);
    rig_end(&rig);
}

static void test_an_answer_may_come_later_and_in_parts(void **state)
{
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    rig.answers_later = true;
    fd = rig_connect(&rig);
    send_message(fd, GET_STATUS);
    send_message(fd, GET_STATUS);
    RUN_UNTIL(&rig, rig.waiting);
    rig_settle(&rig);
    /* the second call waits until the first is answered */
    assert_int_equal(rig.n_calls, 1);
    assert_true(is_silent(fd));

    control_client_continue(rig.waiting, json_pack("{s:i}", "part", 1));
    assert_reply(&rig, fd, "{\"parameters\":{\"part\":1},\"continues\":true}");
    assert_int_equal(rig.n_calls, 1);
    control_client_error(rig.waiting, CONTROL_ERROR_PERMISSION_DENIED,
                         json_object());
    assert_reply(&rig, fd,
                 "{\"error\":\"org.varlink.service.PermissionDenied\","
                 "\"parameters\":{}}");
    RUN_UNTIL(&rig, rig.n_calls == 2);
    fd_close(fd);
    rig_end(&rig);
    assert_int_equal(rig.n_gone, 1);
}

static json_t *large_parameters(size_t len)
{
    char *text = malloc(len + 1);
    json_t *parameters;

    assert_non_null(text);
    memset(text, 'x', len);
    text[len] = '\0';
    parameters = json_pack("{s:s}", "x", text);
    free(text);
    return parameters;
}

static void test_a_stream_goes_on_when_it_has_been_taken(void **state)
{
    Rig rig;
    char text[262144];
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    rig.answers_later = true;
    fd = rig_connect(&rig);
    send_message(fd, GET_STATUS);
    RUN_UNTIL(&rig, rig.waiting);
    control_client_continue(rig.waiting, json_pack("{s:i}", "part", 1));
    RUN_UNTIL(&rig, rig.n_ready == 1);
    /* once is enough */
    rig_settle(&rig);
    assert_int_equal(rig.n_ready, 1);

    /* more than the socket holds: not before it is read */
    for (size_t i = 0; i < 8; i++)
        control_client_continue(rig.waiting, large_parameters(100000));
    rig_settle(&rig);
    assert_int_equal(rig.n_ready, 1);
    assert_false(control_client_is_ready(rig.waiting));
    for (size_t i = 0; i < 9; i++)
        read_message(&rig, fd, text, sizeof(text));
    RUN_UNTIL(&rig, rig.n_ready == 2);

    /* the last reply is no part that something follows */
    control_client_reply(rig.waiting, json_object());
    rig_settle(&rig);
    assert_int_equal(rig.n_ready, 2);
    fd_close(fd);
    rig_end(&rig);
    assert_int_equal(rig.n_gone, 0);
}

static void test_who_hangs_up_while_waiting_is_told_of(void **state)
{
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    rig.answers_later = true;
    fd = rig_connect(&rig);
    send_message(fd, GET_STATUS);
    RUN_UNTIL(&rig, rig.waiting);
    fd_close(fd);
    RUN_UNTIL(&rig, rig.n_gone == 1);
    assert_int_equal(control_service_count(rig.service), 0);
    assert_int_equal(rig.n_logged, 0);
    rig_end(&rig);
    assert_int_equal(rig.n_gone, 1);
}

static void test_who_sends_no_more_is_still_answered(void **state)
{
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    fd = rig_connect(&rig);
    send_message(fd, GET_STATUS);
    send_message(fd, GET_STATUS);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_reply(&rig, fd, "{\"parameters\":{\"call\":1}}");
    assert_reply(&rig, fd, "{\"parameters\":{\"call\":2}}");
    RUN_UNTIL(&rig, control_service_count(rig.service) == 0);
    assert_true(is_closed(fd));
    assert_int_equal(rig.n_logged, 0);
    fd_close(fd);
    rig_end(&rig);
}

static void test_what_was_sent_before_hanging_up_is_done(void **state)
{
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    fd = rig_connect(&rig);
    for (size_t i = 0; i < 3; i++)
        send_message(fd, "{\"method\":\"org.qubes-contrib.autoattach."
                         "GetStatus\",\"oneway\":true}");
    fd_close(fd);
    RUN_UNTIL(&rig, rig.n_calls == 3);
    RUN_UNTIL(&rig, control_service_count(rig.service) == 0);
    rig_end(&rig);
}

static void test_garbage_is_dropped_with_a_reason(void **state)
{
    static const char *const garbage[] = { "", "x", "{}", "GET / HTTP/1.1" };

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        char wanted[64];
        Rig rig;
        int fd;

        rig_begin(&rig, 0);
        fd = rig_connect(&rig);
        send_message(fd, garbage[i]);
        RUN_UNTIL(&rig, rig.n_logged == 1);
        assert_non_null(strstr(rig.log, "what it sent is no call"));
        (void) snprintf(wanted, sizeof(wanted), "pid %i,", (int) getpid());
        assert_non_null(strstr(rig.log, wanted));
        assert_true(is_closed(fd));
        fd_close(fd);
        rig_end(&rig);
    }
}

static void test_a_call_may_be_so_long_and_no_longer(void **state)
{
    (void) state;
    for (size_t more = 0; more < 2; more++) {
        size_t len = CONTROL_CALL_MAX + more;
        char *text = malloc(len + 1);
        Rig rig;
        int fd;

        assert_non_null(text);
        memset(text, ' ', len);
        memcpy(text, GET_STATUS, strlen(GET_STATUS));
        rig_begin(&rig, 0);
        fd = rig_connect(&rig);
        send_bytes(fd, text, len);
        if (more == 0) {
            send_bytes(fd, "", 1);
            assert_reply(&rig, fd, "{\"parameters\":{\"call\":1}}");
        } else {
            RUN_UNTIL(&rig, rig.n_logged == 1);
            assert_non_null(strstr(rig.log, "its call is too long"));
        }
        free(text);
        fd_close(fd);
        rig_end(&rig);
    }
}

static void test_a_begun_call_must_end_but_idling_is_free(void **state)
{
    Rig rig;
    int idle, begun;

    (void) state;
    rig_begin(&rig, USEC_PER_SEC / 50);
    idle = rig_connect(&rig);
    begun = rig_connect(&rig);
    send_message(begun, GET_STATUS);
    send_bytes(begun, "{", 1);
    assert_reply(&rig, begun, "{\"parameters\":{\"call\":1}}");
    RUN_UNTIL(&rig, rig.n_logged == 1);
    assert_non_null(strstr(rig.log, "its call is not complete in time"));
    assert_true(is_closed(begun));
    assert_int_equal(control_service_count(rig.service), 1);
    send_message(idle, GET_STATUS);
    assert_reply(&rig, idle, "{\"parameters\":{\"call\":2}}");
    fd_close(idle);
    fd_close(begun);
    rig_end(&rig);
}

/* One more byte does not buy more time. */
static void test_a_trickle_does_not_move_the_deadline(void **state)
{
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, NEVER_USEC);
    fd = rig_connect(&rig);
    rig_settle(&rig);
    assert_int_equal(n_deadlines_set, 0);
    for (size_t i = 0; i < 10; i++) {
        send_bytes(fd, "{", 1);
        rig_settle(&rig);
        assert_int_equal(n_deadlines_set, 1);
    }
    fd_close(fd);
    rig_end(&rig);
}

static void test_a_slow_reader_gets_all_of_a_large_reply(void **state)
{
    const size_t len = CONTROL_REPLY_MAX - strlen("{'parameters':{'x':''}}");
    char *text = malloc(CONTROL_REPLY_MAX + 1);
    Rig rig;
    int fd;

    (void) state;
    assert_non_null(text);
    rig_begin(&rig, 0);
    rig.answers_later = true;
    fd = rig_connect(&rig);
    send_message(fd, GET_STATUS);
    RUN_UNTIL(&rig, rig.waiting);
    control_client_reply(rig.waiting, large_parameters(len));
    read_message(&rig, fd, text, CONTROL_REPLY_MAX + 1);
    assert_int_equal(strlen(text), CONTROL_REPLY_MAX);
    assert_int_equal(rig.n_logged, 0);

    /* one byte more is none that can be sent */
    send_message(fd, GET_STATUS);
    RUN_UNTIL(&rig, rig.n_calls == 2);
    control_client_reply(rig.waiting, large_parameters(len + 1));
    RUN_UNTIL(&rig, rig.n_logged == 1);
    assert_non_null(strstr(rig.log, "the reply would be too long"));
    assert_int_equal(rig.n_gone, 0);
    free(text);
    fd_close(fd);
    rig_end(&rig);
}

static void test_who_does_not_read_is_dropped_in_time(void **state)
{
    Rig rig;
    int slow, other;

    (void) state;
    rig_begin(&rig, USEC_PER_SEC / 50);
    rig.answers_later = true;
    slow = rig_connect(&rig);
    send_message(slow, GET_STATUS);
    RUN_UNTIL(&rig, rig.waiting);
    control_client_reply(rig.waiting, large_parameters(1000000));

    /* others do not notice */
    rig.answers_later = false;
    other = rig_connect(&rig);
    send_message(other, GET_STATUS);
    assert_reply(&rig, other, "{\"parameters\":{\"call\":2}}");

    RUN_UNTIL(&rig, rig.n_logged == 1);
    assert_non_null(strstr(rig.log, "it does not read its replies"));
    assert_int_equal(control_service_count(rig.service), 1);
    assert_int_equal(rig.n_gone, 0);
    fd_close(slow);
    fd_close(other);
    rig_end(&rig);
}

/* Each piece that it takes buys it the time for the next one. */
static void test_who_reads_slowly_is_not_dropped(void **state)
{
    const size_t len = 1000000;
    static char bytes[65536];
    size_t n_read = 0;
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, NEVER_USEC);
    rig.answers_later = true;
    fd = rig_connect(&rig);
    send_message(fd, GET_STATUS);
    RUN_UNTIL(&rig, rig.waiting);
    control_client_reply(rig.waiting, large_parameters(len));
    assert_int_equal(n_deadlines_set, 1);
    while (n_read <= len) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        size_t n_before = n_deadlines_set;
        int n_there = n_readable(fd);

        assert_true(n > 0);
        n_read += (size_t) n;
        rig_settle(&rig);
        /* more has come, and not yet all */
        if (n_readable(fd) > n_there && !control_client_is_ready(rig.waiting))
            assert_true(n_deadlines_set > n_before);
    }
    assert_true(n_deadlines_set >= 3);
    assert_int_equal(rig.n_logged, 0);
    fd_close(fd);
    rig_end(&rig);
}

static void test_a_stream_that_is_not_read_is_bounded(void **state)
{
    size_t n_sent = 0;
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    rig.answers_later = true;
    fd = rig_connect(&rig);
    send_message(fd, GET_STATUS);
    RUN_UNTIL(&rig, rig.waiting);
    while (rig.waiting) {
        control_client_continue(rig.waiting, large_parameters(1000));
        n_sent++;
        rig_settle(&rig);
        assert_true(n_sent < 10000);
    }
    assert_true(n_sent > 1000);
    assert_int_equal(rig.n_gone, 1);
    assert_int_equal(rig.n_logged, 1);
    assert_non_null(strstr(rig.log, "it does not read its replies"));
    fd_close(fd);
    rig_end(&rig);
}

static void test_a_reply_without_memory_drops_the_client(void **state)
{
    Rig rig;
    int fd;

    (void) state;
    rig_begin(&rig, 0);
    rig.answers_later = true;
    fd = rig_connect(&rig);
    send_message(fd, GET_STATUS);
    RUN_UNTIL(&rig, rig.waiting);
    control_client_reply(rig.waiting, NULL);
    RUN_UNTIL(&rig, rig.n_logged == 1);
    assert_non_null(strstr(rig.log, "no memory for a reply"));
    assert_true(is_closed(fd));
    fd_close(fd);
    rig_end(&rig);
}

static void test_one_client_too_many_is_turned_away(void **state)
{
    int fds[CONTROL_CLIENTS_MAX], extra;
    Rig rig;

    (void) state;
    rig_begin(&rig, 0);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        fds[i] = rig_connect(&rig);
    RUN_UNTIL(&rig, control_service_count(rig.service) == CONTROL_CLIENTS_MAX);

    /* said once, however many come */
    for (size_t i = 0; i < 3; i++) {
        extra = rig_connect(&rig);
        rig_settle(&rig);
        assert_true(is_closed(extra));
        fd_close(extra);
    }
    assert_int_equal(rig.n_logged, 1);
    assert_non_null(strstr(rig.log, "too many clients"));

    fd_close(fds[0]);
    rig_settle(&rig);
    fds[0] = rig_connect(&rig);
    send_message(fds[0], GET_STATUS);
    assert_reply(&rig, fds[0], "{\"parameters\":{\"call\":1}}");
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        fd_close(fds[i]);
    rig_end(&rig);
}

/* Let this process have no further descriptor. */
static void set_no_descriptors(bool none)
{
    static struct rlimit before;
    struct rlimit limit;
    int next;

    if (!none) {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        return;
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    assert_true(next >= 0);
    fd_close(next);
    limit = (struct rlimit){ .rlim_cur = (rlim_t) next,
                             .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_without_descriptors_accepting_is_paused(void **state)
{
    Rig rig;
    int first, second;

    (void) state;
    SKIP_UNDER_VALGRIND();
    rig_begin(&rig, 0);
    first = rig_connect(&rig);
    send_message(first, GET_STATUS);
    assert_reply(&rig, first, "{\"parameters\":{\"call\":1}}");

    second = rig_connect(&rig);
    send_message(second, GET_STATUS);
    set_no_descriptors(true);
    RUN_UNTIL(&rig, rig.n_logged == 1);
    assert_non_null(strstr(rig.log, "paused"));
    /* nothing is ready now: it does not spin */
    assert_int_equal(sd_event_run(rig.event, 0), 0);
    set_no_descriptors(false);

    /* a client that goes makes room at once */
    fd_close(first);
    rig_settle(&rig);
    assert_int_equal(rig.n_calls, 2);
    assert_reply(&rig, second, "{\"parameters\":{\"call\":2}}");
    assert_int_equal(control_service_count(rig.service), 1);
    fd_close(second);
    rig_end(&rig);
}

static void test_a_pause_ends_by_itself(void **state)
{
    Rig rig;
    int fd;

    (void) state;
    SKIP_UNDER_VALGRIND();
    rig_begin(&rig, 0);
    fd = rig_connect(&rig);
    send_message(fd, GET_STATUS);
    set_no_descriptors(true);
    RUN_UNTIL(&rig, rig.n_logged == 1);
    set_no_descriptors(false);
    RUN_UNTIL(&rig, rig.n_calls == 1);
    assert_reply(&rig, fd, "{\"parameters\":{\"call\":1}}");
    fd_close(fd);
    rig_end(&rig);
}

static void test_the_end_of_the_service_ends_all(void **state)
{
    Rig rig;
    int fds[3];

    (void) state;
    rig_begin(&rig, 0);
    rig.answers_later = true;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = rig_connect(&rig);
    send_bytes(fds[0], "{", 1);
    send_message(fds[1], GET_STATUS);
    RUN_UNTIL(&rig, rig.waiting);
    rig_settle(&rig);
    rig_end(&rig);
    assert_int_equal(rig.n_gone, 1);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        assert_true(is_closed(fds[i]));
        fd_close(fds[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_in_any_pieces_is_answered),
        cmocka_unit_test(test_calls_in_one_go_are_answered_in_order),
        cmocka_unit_test(test_the_service_describes_itself),
        cmocka_unit_test(test_who_wants_no_answer_gets_none),
        cmocka_unit_test(test_an_answer_may_come_later_and_in_parts),
        cmocka_unit_test(test_a_stream_goes_on_when_it_has_been_taken),
        cmocka_unit_test(test_who_hangs_up_while_waiting_is_told_of),
        cmocka_unit_test(test_who_sends_no_more_is_still_answered),
        cmocka_unit_test(test_what_was_sent_before_hanging_up_is_done),
        cmocka_unit_test(test_garbage_is_dropped_with_a_reason),
        cmocka_unit_test(test_a_call_may_be_so_long_and_no_longer),
        cmocka_unit_test(test_a_begun_call_must_end_but_idling_is_free),
        cmocka_unit_test(test_a_trickle_does_not_move_the_deadline),
        cmocka_unit_test(test_a_slow_reader_gets_all_of_a_large_reply),
        cmocka_unit_test(test_who_does_not_read_is_dropped_in_time),
        cmocka_unit_test(test_who_reads_slowly_is_not_dropped),
        cmocka_unit_test(test_a_stream_that_is_not_read_is_bounded),
        cmocka_unit_test(test_a_reply_without_memory_drops_the_client),
        cmocka_unit_test(test_one_client_too_many_is_turned_away),
        cmocka_unit_test(test_without_descriptors_accepting_is_paused),
        cmocka_unit_test(test_a_pause_ends_by_itself),
        cmocka_unit_test(test_the_end_of_the_service_ends_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
