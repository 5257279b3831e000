/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <jansson.h>

#include "common/sys/exchange.h"
#include "dom0/io/admin-call.h"
#include "dom0/io/admin-events.h"
#include "dom0/io/event-service.h"
#include "dom0/io/rules-dir.h"
#include "tests/support/call-fault.h"
#include "tests/support/fault.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define SPOKEN                                                    \
    "autoattach.Event+ sys-usb name dom0\0"                       \
    "{\"type\":\"hello\",\"version\":1,\"boot_id\":"              \
    "\"0123456789abcdef0123456789abcdef\",\"agent\":\"test\"}\n"  \
    "{\"type\":\"event\",\"seq\":1,\"action\":\"add\",\"class\":" \
    "\"block\",\"device\":\"sda\",\"properties\":{}}\n"
#define ANSWER "{\"seq\":1,\"code\":200,\"status\":\"attached\"}\n"

static sd_event *event;

static int set_up(void **state)
{
    (void) state;

    loop_add_time_fails = call_fault_fails_at;
    json_set_alloc_funcs(malloc, free);
    return sd_event_new(&event);
}

static int tear_down(void **state)
{
    (void) state;

    event = sd_event_unref(event);
    return 0;
}

static void on_end(Exchange *exchange,
                   ExchangeEnd end,
                   int error,
                   const char *untrusted_data,
                   size_t untrusted_len,
                   void *userdata)
{
    (void) exchange;
    (void) error;
    (void) untrusted_data;
    (void) untrusted_len;
    *(ExchangeEnd *) userdata = end;
}

static void on_answer(AdminCall *call,
                      const AdminAnswer *answer,
                      void *userdata)
{
    (void) call;
    *(AdminResult *) userdata = answer->result;
}

static void on_state(bool connected, const char *detail, void *userdata)
{
    (void) connected;
    (void) detail;
    (void) userdata;
}

static void on_admin_event(const AdminEvent *admin_event, void *userdata)
{
    (void) admin_event;
    (void) userdata;
}

static size_t n_changes;

static void on_change(void *userdata)
{
    (void) userdata;

    n_changes++;
}

enum { N_KINDS = 5 };

/* Make one of each kind, and free it. Nobody is there. */
static int make_once(size_t kind)
{
    static const ExchangeLimits limits = { .answer_max = 16,
                                           .timeout_usec = 1000000 };
    static const AdminRequest start = { .method = ADMIN_START,
                                        .dest = { "work" } };
    /* outlives its deadline */
    static const AdminRequest create = { .method = ADMIN_CREATE_DISPOSABLE,
                                         .dest = { "work" } };
    static const AdminEventsHooks hooks = { on_state, on_admin_event };
    _cleanup_(exchange_freep) Exchange *exchange = NULL;
    _cleanup_(admin_call_freep) AdminCall *call = NULL;
    _cleanup_(admin_events_freep) AdminEvents *events = NULL;
    _cleanup_(rules_dir_freep) RulesDir *dir = NULL;
    ExchangeEnd end;
    AdminResult result;
    int r = kind == 0   ? exchange_new(&exchange, event, "/nowhere", "x", 1,
                                       &limits, on_end, &end)
            : kind == 1 ? admin_call_new(&call, event, "/nowhere", &start,
                                         on_answer, &result)
            : kind == 2 ? admin_call_new(&call, event, "/nowhere", &create,
                                         on_answer, &result)
            : kind == 3
                ? admin_events_new(&events, event, "/nowhere", &hooks, NULL)
                : rules_dir_new(&dir, event, "/tmp", on_change, NULL);

    assert_int_equal(r >= 0, exchange || call || events || dir);
    return r;
}

static void test_an_exchange_and_a_call_are_made_or_not(void **state)
{
    size_t n_faults = 0, n_before = n_descriptors();

    (void) state;

    for (size_t kind = 0; kind < N_KINDS; kind++) {
        FAULT_LOOP(n) {
            int r = make_once(kind);

            if (!fault_end()) {
                assert_int_equal(r, 0);
                break;
            }
            assert_int_equal(r, -ENOMEM);
            n_faults++;
        }
    }
    assert_true(n_faults >= 6);
    loop_settle(event);
    assert_true(n_descriptors() <= n_before + 1); /* of inotify */
}

/* Also where the call has to be made again from the loop, as nobody is there.
 */
static void test_a_call_without_a_timer_is_not_made(void **state)
{
    size_t n_timers = 0, n_before;

    (void) state;

    for (size_t kind = 0; kind < N_KINDS; kind++)
        assert_int_equal(make_once(kind), 0);
    loop_settle(event);
    n_before = n_descriptors();
    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (size_t n = 0;; n++) {
            bool is_timer;
            int r;

            call_fault_begin(n, ENOMEM);
            r = make_once(kind);
            if (!call_fault_end()) {
                assert_int_equal(r, 0);
                break;
            }
            is_timer =
                strcmp(call_fault_name(), "sd_event_add_time_relative") == 0;
            if (is_timer)
                assert_int_equal(r, -ENOMEM);
            n_timers += is_timer;
            loop_settle(event);
            assert_int_equal(n_descriptors(), n_before);
            assert_int_equal(make_once(kind), 0);
        }
    /* deadline and connect of three calls, and of the stream of events when to
     * try again */
    assert_int_equal(n_timers, 3 * 2 + 1);
}

static void test_an_answer_without_memory_is_broken(void **state)
{
    static const AdminRequest request = { .method = ADMIN_START,
                                          .dest = { "work" } };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char folder[] = "/tmp/fault-io-XXXXXX";
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t n_faults = 0;

    (void) state;

    assert_non_null(mkdtemp(folder));
    memcpy(address.sun_path, folder, strlen(folder));
    memcpy(address.sun_path + strlen(folder), "/s", 3);
    assert_int_equal(
        bind(listener, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 4), 0);

    FAULT_LOOP(n) {
        _cleanup_(admin_call_freep) AdminCall *call = NULL;
        AdminResult result = ADMIN_UNREACHABLE;
        char data[2048] = "0";
        int fd;

        (void) fault_end();
        assert_int_equal(admin_call_new(&call, event, address.sun_path,
                                        &request, on_answer, &result),
                         0);
        fd = accept(listener, NULL, NULL);
        assert_int_equal(send(fd, data, sizeof(data), MSG_NOSIGNAL),
                         sizeof(data));
        fd_close(fd);
        fault_begin(n);
        LOOP_UNTIL(event, result != ADMIN_UNREACHABLE);
        if (!fault_end()) {
            assert_int_equal(result, ADMIN_OK);
            break;
        }
        assert_int_equal(result, ADMIN_GARBAGE);
        n_faults++;
    }
    assert_true(n_faults >= 2); /* its first room, and more */
    fd_close(listener);
    (void) unlink(address.sun_path);
    (void) rmdir(folder);
}

/* an owner that grants everything */

static size_t n_connects, n_disconnects;

static Status on_connect(const QubeName *source,
                         uint64_t *ret_id,
                         void *userdata)
{
    (void) source;
    (void) userdata;
    *ret_id = ++n_connects;
    return STATUS_INVALID;
}

static void on_disconnect(uint64_t id, void *userdata)
{
    (void) id;
    (void) userdata;
    n_disconnects++;
}

static bool on_line(uint64_t id, uint64_t *ret_when_usec, void *userdata)
{
    (void) id;
    (void) ret_when_usec;
    (void) userdata;
    return true;
}

static void on_hello(const QubeName *source,
                     uint64_t id,
                     const WireHello *hello,
                     void *userdata)
{
    (void) source;
    (void) id;
    (void) hello;
    (void) userdata;
}

static Status on_event(uint64_t id,
                       int64_t seq,
                       const Record *record,
                       void *userdata)
{
    (void) id;
    (void) seq;
    (void) record;
    (void) userdata;
    return STATUS_ATTACHED;
}

static void on_synced(uint64_t id, void *userdata)
{
    (void) id;
    (void) userdata;
}

static void on_input_ended(uint64_t id, void *userdata)
{
    (void) id;
    (void) userdata;
}

static void on_refused(const EventRefusal *refusal, void *userdata)
{
    (void) refusal;
    (void) userdata;
}

static void on_idle(void *userdata)
{
    (void) userdata;
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

static int listen_anywhere(struct sockaddr_un *ret, socklen_t *ret_len)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    *ret_len = sizeof(*ret);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *) ret, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) ret, ret_len), 0);
    return fd;
}

/* Say all of it, and read what is answered: its length, until the end or until
 * nothing more comes. */
static size_t converse(const struct sockaddr_un *address,
                       socklen_t address_len,
                       char *ret,
                       size_t size)
{
    int fd;
    size_t len = 0;
    ssize_t n;

    call_fault_hold(true);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(
        connect(fd, (const struct sockaddr *) address, address_len), 0);
    assert_int_equal(send(fd, SPOKEN, sizeof(SPOKEN) - 1, MSG_NOSIGNAL),
                     sizeof(SPOKEN) - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    call_fault_hold(false);
    loop_settle(event);
    call_fault_hold(true);
    while (len < size && (n = recv(fd, ret + len, size - len, 0)) > 0)
        len += (size_t) n;
    fd_close(fd);
    call_fault_hold(false);
    loop_settle(event);
    return len;
}

static void test_a_connection_without_memory_costs_only_itself(void **state)
{
    _cleanup_(event_service_freep) EventService *service = NULL;
    struct sockaddr_un address;
    socklen_t address_len;
    size_t n_faults = 0, n_before, len;
    char bytes[512];

    (void) state;

    FAULT_LOOP(n) {
        int r, fd;

        (void) fault_end();
        n_before = n_descriptors();
        fd = listen_anywhere(&address, &address_len);
        fault_begin(n);
        r = event_service_new(&service, event, fd, &hooks, NULL);
        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(service);
        assert_int_equal(n_descriptors(), n_before); /* it was taken over */
    }

    n_before = n_descriptors();
    FAULT_LOOP(n) {
        bool delivered;

        len = converse(&address, address_len, bytes, sizeof(bytes));
        delivered = fault_end();
        assert_int_equal(n_connects, n_disconnects);
        assert_int_equal(n_descriptors(), n_before);
        if (!delivered) {
            assert_int_equal(len, sizeof(ANSWER) - 1);
            assert_memory_equal(bytes, ANSWER, len);
            break;
        }
        n_faults++;
        /* the next one is served as if nothing had been */
        len = converse(&address, address_len, bytes, sizeof(bytes));
        assert_int_equal(len, sizeof(ANSWER) - 1);
        assert_memory_equal(bytes, ANSWER, len);
        assert_int_equal(n_descriptors(), n_before);
    }
    assert_true(n_faults >= 4);
}

/* A connection ends, or nobody notices. */
static void test_a_call_that_fails_costs_only_its_connection(void **state)
{
    static const int errors[] = { EINTR,      EAGAIN, EPIPE,
                                  ECONNRESET, EMFILE, ENOMEM };
    _cleanup_(event_service_freep) EventService *service = NULL;
    struct sockaddr_un address;
    socklen_t address_len;
    size_t n_faults = 0, n_before, len;
    char bytes[512];
    int fd = listen_anywhere(&address, &address_len);

    (void) state;

    assert_int_equal(event_service_new(&service, event, fd, &hooks, NULL), 0);
    (void) converse(&address, address_len, bytes, sizeof(bytes));
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            bool delivered, unnoticed;

            call_fault_begin(n, errors[i]);
            len = converse(&address, address_len, bytes, sizeof(bytes));
            delivered = call_fault_end();
            unnoticed = call_fault_is_transfer() &&
                        (errors[i] == EINTR || errors[i] == EAGAIN);
            if (!delivered || unnoticed) {
                assert_int_equal(len, sizeof(ANSWER) - 1);
                assert_memory_equal(bytes, ANSWER, len);
            }
            if (!delivered)
                break;
            n_faults++;
            /* without a descriptor it stops accepting for a while */
            loop_settle(event);
            LOOP_UNTIL(event, converse(&address, address_len, bytes,
                                       sizeof(bytes)) == sizeof(ANSWER) - 1);
            assert_memory_equal(bytes, ANSWER, sizeof(ANSWER) - 1);
            LOOP_UNTIL(event, n_connects == n_disconnects);
            assert_int_equal(n_descriptors(), n_before);
        }
    assert_true(n_faults >= 4 * ARRAY_SIZE(errors));
}

/* Says all of it, and has gone when it is answered. */
static void say_and_go(const struct sockaddr_un *address, socklen_t address_len)
{
    int fd;

    call_fault_hold(true);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(
        connect(fd, (const struct sockaddr *) address, address_len), 0);
    assert_int_equal(send(fd, SPOKEN, sizeof(SPOKEN) - 1, MSG_NOSIGNAL),
                     sizeof(SPOKEN) - 1);
    fd_close(fd);
    call_fault_hold(false);
    loop_settle(event);
}

static void test_who_has_gone_costs_nobody_else(void **state)
{
    _cleanup_(event_service_freep) EventService *service = NULL;
    struct sockaddr_un address;
    socklen_t address_len;
    size_t n_faults = 0, n_before;
    char bytes[512];
    int fd = listen_anywhere(&address, &address_len);
    bool delivered = true;

    (void) state;

    assert_int_equal(event_service_new(&service, event, fd, &hooks, NULL), 0);
    say_and_go(&address, address_len);
    n_before = n_descriptors();
    for (size_t n = 0; delivered; n++) {
        call_fault_begin(n, ENOMEM);
        say_and_go(&address, address_len);
        delivered = call_fault_end();
        n_faults += delivered;
        LOOP_UNTIL(event, converse(&address, address_len, bytes,
                                   sizeof(bytes)) == sizeof(ANSWER) - 1);
        LOOP_UNTIL(event, n_connects == n_disconnects);
        assert_int_equal(n_descriptors(), n_before);
    }
    assert_true(n_faults >= 4);
}

/* Without memory it is not known that more is to come: that is told twice. */
static void test_a_new_file_is_told_of_without_memory(void **state)
{
    _cleanup_(rules_dir_freep) RulesDir *dir = NULL;
    char path[] = "/tmp/fault-io-XXXXXX", file[64];
    size_t n_faults = 0;
    bool delivered = true;

    (void) state;

    assert_non_null(mkdtemp(path));
    (void) snprintf(file, sizeof(file), "%s/a.rules", path);
    assert_int_equal(rules_dir_new(&dir, event, path, on_change, NULL), 0);
    for (size_t n = 0; delivered; n++) {
        fault_begin(n);
        n_changes = 0;
        fd_close(open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        LOOP_UNTIL(event, n_changes > 0);
        delivered = fault_end();
        n_faults += delivered;
        assert_return_code(unlink(file), errno);
        loop_settle(event);
    }
    assert_true(n_faults >= 2);
    assert_int_equal(rmdir(path), 0);
}

/* And with a fault between the bytes: what is told is the answer's beginning.
 */
static void test_a_connection_goes_byte_by_byte(void **state)
{
    static const int errors[] = { EINTR, EAGAIN, EPIPE, EIO, ENOMEM };
    _cleanup_(event_service_freep) EventService *service = NULL;
    struct sockaddr_un address;
    socklen_t address_len;
    size_t n_before, len;
    char bytes[512];
    int fd = listen_anywhere(&address, &address_len);

    (void) state;

    assert_int_equal(event_service_new(&service, event, fd, &hooks, NULL), 0);
    (void) converse(&address, address_len, bytes, sizeof(bytes));
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            bool delivered;

            call_fault_begin(n, errors[i]);
            call_fault_shorten(true);
            len = converse(&address, address_len, bytes, sizeof(bytes));
            delivered = call_fault_end();
            assert_true(len <= sizeof(ANSWER) - 1);
            assert_memory_equal(bytes, ANSWER, len);
            if (!delivered || (call_fault_is_transfer() &&
                               (errors[i] == EINTR || errors[i] == EAGAIN)))
                assert_int_equal(len, sizeof(ANSWER) - 1);
            if (!delivered)
                break;
            loop_settle(event);
            LOOP_UNTIL(event, converse(&address, address_len, bytes,
                                       sizeof(bytes)) == sizeof(ANSWER) - 1);
            LOOP_UNTIL(event, n_connects == n_disconnects);
            assert_int_equal(n_descriptors(), n_before);
        }
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_an_exchange_and_a_call_are_made_or_not),
        test(test_a_call_without_a_timer_is_not_made),
        test(test_an_answer_without_memory_is_broken),
        test(test_a_connection_without_memory_costs_only_itself),
        test(test_a_call_that_fails_costs_only_its_connection),
        test(test_who_has_gone_costs_nobody_else),
        test(test_a_new_file_is_told_of_without_memory),
        test(test_a_connection_goes_byte_by_byte),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
