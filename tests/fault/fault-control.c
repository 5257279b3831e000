/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each system call and each allocation of the control socket fails once, in
 * each way that it can: a client is answered in whole messages or dropped,
 * nothing is left open, and the next client is served.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "dom0/io/control-service.h"
#include "dom0/wire/values.h"
#include "tests/support/call-fault.h"
#include "tests/support/fault.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define METHOD "org.qubes-contrib.autoattach."
#define SPOKEN                                                    \
    "{\"method\":\"" METHOD "GetStatus\"}\0{\"method\":\"" METHOD \
    "GetStatus\",\"more\":true}"
#define N_PARTS 3U
#define ANSWER                                        \
    "{\"parameters\":{\"x\":1}}\0"                    \
    "{\"parameters\":{\"x\":2},\"continues\":true}\0" \
    "{\"parameters\":{\"x\":3},\"continues\":true}\0" \
    "{\"parameters\":{\"x\":4}}"

static const int errors[] = { EINTR,  EAGAIN, EPIPE, ECONNRESET,
                              EMFILE, ENFILE, ENOMEM };

static sd_event *event;
static ControlService *service;
static struct sockaddr_un address;
static socklen_t address_len;
static size_t n_calls, n_open, n_parts;
static bool streams; /* the call that is being answered wants more */

static json_t *part(void)
{
    return json_pack("{s:i}", "x", (int) ++n_parts);
}

/* One reply, or some that wait for each other. */
static void on_ready(ControlClient *client, void *userdata)
{
    (void) userdata;

    if (streams && n_parts < N_PARTS) {
        control_client_continue(client, part());
        return;
    }
    n_open--;
    control_client_reply(client, part());
}

static void on_call(ControlClient *client,
                    ControlMethod method,
                    const ControlCall *call,
                    void *userdata)
{
    assert_int_equal(method, CONTROL_GET_STATUS);
    streams = call->more;
    n_calls++;
    n_open++;
    on_ready(client, userdata);
}

static void on_gone(ControlClient *client, void *userdata)
{
    (void) client;
    (void) userdata;

    n_open--;
}

static void on_log(const char *message, void *userdata)
{
    (void) userdata;

    assert_true(message[0] != '\0');
}

static const ControlHandler handler = { .on_call = on_call,
                                        .on_ready = on_ready,
                                        .on_gone = on_gone,
                                        .on_log = on_log };

/* Whether the service could be made. */
static bool make_service(void)
{
    int fd, r;

    call_fault_hold(true);
    fault_hold(true);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    address_len = sizeof(address);
    assert_true(fd >= 0);
    assert_int_equal(
        bind(fd, (struct sockaddr *) &address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(
        getsockname(fd, (struct sockaddr *) &address, &address_len), 0);
    call_fault_hold(false);
    fault_hold(false);

    r = control_service_new(&service, event, fd, &handler);
    assert_int_equal(r >= 0, service != NULL);
    return r >= 0;
}

static int set_up(void **state)
{
    (void) state;

    loop_add_time_fails = call_fault_fails_at;
    json_set_alloc_funcs(malloc, free);
    assert_return_code(sd_event_new(&event), 0);
    loop_divisor = 20;
    loop_set_time_fails = call_fault_fails_at;
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    loop_set_time_fails = NULL;
    service = control_service_free(service);
    event = sd_event_unref(event);
    return 0;
}

/* Say all of it, and take what is answered until the end, or until nothing
 * more comes: its length. */
static size_t converse(char *ret, size_t size)
{
    size_t len = 0;
    int fd;

    n_parts = 0;
    call_fault_hold(true);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, address_len), 0);
    assert_int_equal(send(fd, SPOKEN, sizeof(SPOKEN), MSG_NOSIGNAL),
                     sizeof(SPOKEN));
    call_fault_hold(false);
    for (;;) {
        ssize_t n;

        loop_settle(event);
        call_fault_hold(true);
        n = recv(fd, ret + len, size - len, 0);
        call_fault_hold(false);
        if (n > 0) {
            len += (size_t) n;
            continue;
        }
        /* while accepting is paused, that ends by itself */
        if (n == 0 || errno != EAGAIN || len > 0 ||
            control_service_count(service) > 0)
            break;
        assert_true(sd_event_run(event, GIVE_UP_USEC) > 0);
    }
    fd_close(fd);
    LOOP_UNTIL(event, control_service_count(service) == 0);
    assert_int_equal(n_open, 0);
    return len;
}

/* Whole messages of the answer, from its start. */
static void assert_beginning(const char *bytes, size_t len)
{
    assert_true(len <= sizeof(ANSWER));
    assert_memory_equal(bytes, ANSWER, len);
    assert_true(len == 0 || bytes[len - 1] == '\0');
}

static void must_work(void)
{
    char bytes[512];
    size_t len = converse(bytes, sizeof(bytes));

    assert_int_equal(len, sizeof(ANSWER));
    assert_memory_equal(bytes, ANSWER, len);
}

static void test_each_system_call_may_fail(void **state)
{
    size_t n_faults = 0, n_before;

    (void) state;

    assert_true(make_service());
    must_work();
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            char bytes[512];
            size_t len;

            call_fault_begin(n, errors[i]);
            len = converse(bytes, sizeof(bytes));
            if (!call_fault_end()) {
                assert_int_equal(len, sizeof(ANSWER));
                break;
            }
            n_faults++;
            assert_beginning(bytes, len);
            if (call_fault_is_transfer() &&
                (errors[i] == EINTR || errors[i] == EAGAIN))
                assert_int_equal(len, sizeof(ANSWER));
            assert_int_equal(n_descriptors(), n_before);
            must_work();
        }
    assert_true(n_faults >= 10 * ARRAY_SIZE(errors));
}

static void test_it_goes_byte_by_byte(void **state)
{
    (void) state;

    assert_true(make_service());
    call_fault_begin_short(true);
    must_work();
    (void) call_fault_end();
}

static void test_what_goes_byte_by_byte_is_a_beginning(void **state)
{
    size_t n_faults = 0;

    (void) state;

    assert_true(make_service());
    for (size_t n = 0;; n++) {
        char bytes[512];
        size_t len;

        call_fault_begin(n, ENOMEM);
        call_fault_shorten(true);
        len = converse(bytes, sizeof(bytes));
        if (!call_fault_end()) {
            assert_int_equal(len, sizeof(ANSWER));
            break;
        }
        n_faults++;
        assert_true(len <= sizeof(ANSWER));
        assert_memory_equal(bytes, ANSWER, len);
        must_work();
    }
    assert_true(n_faults >= 10);
}

static rlim_t descriptors_max;

/* Answers how many there could be before. */
static rlim_t set_descriptors_max(rlim_t n)
{
    struct rlimit limit;
    rlim_t before;

    call_fault_hold(true);
    assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
    before = limit.rlim_cur;
    limit.rlim_cur = n;
    assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
    call_fault_hold(false);
    return before;
}

/* A place that fails is noted in a file, for which there has to be one. */
static bool set_time_fails(const char *name, const void *site)
{
    rlim_t n = set_descriptors_max(descriptors_max);
    bool fails = call_fault_fails_at(name, site);
    int error = errno;

    (void) set_descriptors_max(n);
    errno = error;
    return fails;
}

/* Who waits to be accepted, while there is no descriptor for that. */
static int call_in_vain(void)
{
    int fd, next;

    call_fault_hold(true);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(connect(fd, (struct sockaddr *) &address, address_len),
                       errno);
    next = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    assert_return_code(next, errno);
    fd_close(next);
    call_fault_hold(false);

    descriptors_max = set_descriptors_max((rlim_t) next);
    loop_set_time_fails = set_time_fails;
    assert_true(sd_event_run(event, GIVE_UP_USEC) > 0);
    loop_set_time_fails = call_fault_fails_at;
    (void) set_descriptors_max(descriptors_max);
    return fd;
}

/* It accepts none for a while, or tries again at once. */
static void test_out_of_descriptors_it_goes_on_whatever_fails(void **state)
{
    bool delivered, failed = false;

    (void) state;

    assert_true(make_service());
    must_work();
    for (size_t n = 0; n == 0 || delivered; n++) {
        int fd;

        call_fault_begin(n, ENOMEM);
        fd = call_in_vain();
        delivered = call_fault_end();
        failed |=
            strcmp(call_fault_name(), "sd_event_source_set_time_relative") == 0;
        assert_int_equal(control_service_count(service), 0);
        fd_close(fd);
        must_work();
    }
    assert_true(failed);
}

static void test_each_allocation_may_fail(void **state)
{
    size_t n_faults = 0, n_before;

    (void) state;

    assert_true(make_service());
    must_work();
    n_before = n_descriptors();
    FAULT_LOOP(n) {
        char bytes[512];
        size_t len = converse(bytes, sizeof(bytes));

        if (!fault_end()) {
            assert_int_equal(len, sizeof(ANSWER));
            break;
        }
        n_faults++;
        assert_beginning(bytes, len);
        assert_int_equal(n_descriptors(), n_before);
        must_work();
    }
    assert_true(n_faults >= 10);
}

static void test_a_service_is_made_or_not(void **state)
{
    size_t n_faults = 0, n_before;
    bool made;

    (void) state;

    /* the loop opens what it needs */
    assert_true(make_service());
    service = control_service_free(service);
    n_before = n_descriptors();

    for (size_t n = 0;; n++) {
        call_fault_begin(n, ENOMEM);
        made = make_service();
        if (!call_fault_end())
            break;
        n_faults++;
        assert_false(made);
        /* it was taken over */
        assert_int_equal(n_descriptors(), n_before);
    }
    assert_true(made);
    service = control_service_free(service);
    FAULT_LOOP(n) {
        made = make_service();
        if (!fault_end())
            break;
        n_faults++;
        assert_false(made);
        assert_int_equal(n_descriptors(), n_before);
    }
    assert_true(made);
    assert_true(n_faults >= 4);
    must_work();
}

/* Whose parameters are empty, if it has none. */
static void test_a_reply_is_read_or_not(void **state)
{
    static const char text[] = "{}";
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        _cleanup_(control_reply_clearp) ControlReply reply = {};
        int r = control_reply_decode(&reply, text, strlen(text));

        if (!fault_end()) {
            assert_int_equal(r, 0);
            assert_int_equal(json_object_size(reply.parameters), 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(reply.parameters);
        n_faults++;
    }
    assert_true(n_faults >= 1);
}

/* What a device says of itself need not be UTF-8, nor short. */
static void test_a_text_is_made_or_not(void **state)
{
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        json_t *escaped = value_text("\xff");
        json_t *cut = value_text_cut("0123456789", 4);
        bool delivered = fault_end();

        assert_true(delivered || (escaped && cut));
        if (escaped)
            assert_string_equal(json_string_value(escaped), "\\xff");
        if (cut)
            assert_memory_equal(json_string_value(cut), "0123", 4);
        json_decref(escaped);
        json_decref(cut);
        if (!delivered)
            break;
        n_faults++;
    }
    assert_true(n_faults >= 4);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_each_system_call_may_fail),
        TEST(test_it_goes_byte_by_byte),
        TEST(test_what_goes_byte_by_byte_is_a_beginning),
        TEST(test_out_of_descriptors_it_goes_on_whatever_fails),
        TEST(test_each_allocation_may_fail),
        TEST(test_a_service_is_made_or_not),
        TEST(test_a_reply_is_read_or_not),
        TEST(test_a_text_is_made_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
