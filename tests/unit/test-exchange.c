/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sys/exchange.h"
#include "common/sys/socket.h"
#include "tests/support/test.h"

#define ANSWER_MAX 64U
#define LONG_USEC  UINT64_C(20000000)
#define SHORT_USEC UINT64_C(1000)
#define BIG_SIZE   (4U * 1024 * 1024)

/* A service whose side the test plays, and what an exchange came to. */
typedef struct Fixture {
    char folder[64];
    char path[96];
    sd_event *event;
    int listener;
    int peer;

    unsigned int n_ends;
    ExchangeEnd end;
    int error;
    char answer[2 * ANSWER_MAX];
    size_t answer_len;
} Fixture;

static int set_up(void **state)
{
    Fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    strcpy(f->folder, "/tmp/test-exchange-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void) snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
    f->listener = socket_listen(f->path, 0600);
    assert_return_code(f->listener, 0);
    f->peer = -1;
    assert_return_code(sd_event_new(&f->event), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;

    sd_event_unref(f->event);
    f->peer = fd_close(f->peer);
    f->listener = fd_close(f->listener);
    (void) unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static void on_end(Exchange *exchange,
                   ExchangeEnd end,
                   int error,
                   const char *untrusted_data,
                   size_t untrusted_len,
                   void *userdata)
{
    Fixture *f = userdata;

    (void) exchange;

    assert_non_null(untrusted_data);
    assert_in_range(untrusted_len, 0, sizeof(f->answer));
    f->n_ends++;
    f->end = end;
    f->error = error;
    memcpy(f->answer, untrusted_data, untrusted_len);
    f->answer_len = untrusted_len;
}

static Exchange *begin(Fixture *f,
                       const char *request,
                       size_t len,
                       uint64_t timeout_usec)
{
    const ExchangeLimits limits = { .answer_max = ANSWER_MAX,
                                    .timeout_usec = timeout_usec };
    Exchange *exchange;

    assert_int_equal(exchange_new(&exchange, f->event, f->path, request, len,
                                  &limits, on_end, f),
                     0);
    assert_int_equal(f->n_ends, 0);
    return exchange;
}

/* Until it has ended; the deadline is that of the exchange. */
static void run(Fixture *f)
{
    while (f->n_ends == 0)
        assert_return_code(sd_event_run(f->event, LONG_USEC), 0);
}

static void accept_peer(Fixture *f)
{
    f->peer = accept(f->listener, NULL, NULL);
    assert_return_code(f->peer, errno);
}

static void say(Fixture *f, const char *text, size_t len)
{
    assert_int_equal(send(f->peer, text, len, MSG_NOSIGNAL), (ssize_t) len);
}

static void test_a_request_gets_its_whole_answer(void **state)
{
    Fixture *f = *state;
    _cleanup_(exchange_freep) _unused_ Exchange *exchange =
        begin(f, "ask\0me", 6, LONG_USEC);
    char request[16];

    accept_peer(f);
    assert_int_equal(recv(f->peer, request, sizeof(request), 0), 6);
    assert_memory_equal(request, "ask\0me", 6);
    /* our side is shut down: the service need not guess where it ends */
    assert_int_equal(recv(f->peer, request, sizeof(request), 0), 0);

    say(f, "half", 4);
    assert_return_code(sd_event_run(f->event, LONG_USEC), 0);
    assert_int_equal(f->n_ends, 0);
    say(f, "\0half", 5);
    f->peer = fd_close(f->peer);
    run(f);
    assert_int_equal(f->end, EXCHANGE_COMPLETE);
    assert_int_equal(f->answer_len, 9);
    assert_memory_equal(f->answer, "half\0half", 9);
    assert_int_equal(f->n_ends, 1);
}

static void test_an_empty_answer_is_complete(void **state)
{
    Fixture *f = *state;
    _cleanup_(exchange_freep) _unused_ Exchange *exchange =
        begin(f, "x", 1, LONG_USEC);

    accept_peer(f);
    f->peer = fd_close(f->peer);
    run(f);
    assert_int_equal(f->end, EXCHANGE_COMPLETE);
    assert_int_equal(f->answer_len, 0);
}

static void test_an_answer_of_the_limit_is_good_one_byte_more_is_not(
    void **state)
{
    Fixture *f = *state;
    char text[ANSWER_MAX + 1];

    memset(text, 'a', sizeof(text));
    for (size_t extra = 0; extra <= 1; extra++) {
        _cleanup_(exchange_freep) Exchange *exchange = NULL;

        f->n_ends = 0;
        exchange = begin(f, "x", 1, LONG_USEC);
        accept_peer(f);
        say(f, text, ANSWER_MAX + extra);
        f->peer = fd_close(f->peer);
        run(f);
        assert_int_equal(f->end, extra ? EXCHANGE_TOO_LONG : EXCHANGE_COMPLETE);
        assert_int_equal(f->answer_len, extra ? 0 : ANSWER_MAX);
    }
}

static void test_silence_ends_at_the_deadline(void **state)
{
    Fixture *f = *state;
    _cleanup_(exchange_freep) _unused_ Exchange *exchange =
        begin(f, "x", 1, SHORT_USEC);

    accept_peer(f);
    say(f, "half", 4);
    run(f);
    assert_int_equal(f->end, EXCHANGE_TIMED_OUT);
    assert_int_equal(f->answer_len, 0);
    assert_int_equal(f->n_ends, 1);
}

static void test_nobody_there_is_told_from_the_loop(void **state)
{
    Fixture *f = *state;
    _cleanup_(exchange_freep) Exchange *exchange = NULL;

    assert_return_code(unlink(f->path), errno);
    exchange = begin(f, "x", 1, LONG_USEC);
    run(f);
    assert_int_equal(f->end, EXCHANGE_UNREACHABLE);
    assert_int_equal(f->error, -ENOENT);
}

static void test_nobody_listening_is_told(void **state)
{
    Fixture *f = *state;
    _cleanup_(exchange_freep) Exchange *exchange = NULL;

    f->listener = fd_close(f->listener);
    exchange = begin(f, "x", 1, LONG_USEC);
    run(f);
    assert_int_equal(f->end, EXCHANGE_UNREACHABLE);
    assert_int_equal(f->error, -ECONNREFUSED);
}

static void test_a_request_larger_than_the_socket_takes_is_sent_whole(
    void **state)
{
    Fixture *f = *state;
    char *request = calloc(1, BIG_SIZE), *buffer = malloc(BIG_SIZE);
    _cleanup_(exchange_freep) _unused_ Exchange *exchange =
        begin(f, request, BIG_SIZE, LONG_USEC);
    size_t total = 0;
    ssize_t n = 1;

    accept_peer(f);
    while (n != 0) {
        n = recv(f->peer, buffer, BIG_SIZE, MSG_DONTWAIT);
        if (n > 0)
            total += (size_t) n;
        else if (n < 0)
            assert_return_code(sd_event_run(f->event, LONG_USEC), 0);
    }
    assert_int_equal(total, BIG_SIZE);
    say(f, "ok", 2);
    f->peer = fd_close(f->peer);
    run(f);
    assert_int_equal(f->end, EXCHANGE_COMPLETE);
    assert_int_equal(f->answer_len, 2);
    free(request);
    free(buffer);
}

/* What a service said before it closed counts, read or not. */
static void test_an_early_answer_to_a_request_half_sent_is_read(void **state)
{
    Fixture *f = *state;
    char *request = calloc(1, BIG_SIZE);
    _cleanup_(exchange_freep) _unused_ Exchange *exchange =
        begin(f, request, BIG_SIZE, LONG_USEC);

    accept_peer(f);
    say(f, "no", 2);
    assert_return_code(shutdown(f->peer, SHUT_WR), errno);
    assert_return_code(shutdown(f->peer, SHUT_RD), errno);
    run(f);
    assert_int_equal(f->n_ends, 1);
    assert_true(f->end != EXCHANGE_TIMED_OUT);
    free(request);
}

static void test_one_that_was_freed_is_silent(void **state)
{
    Fixture *f = *state;
    Exchange *exchange = begin(f, "x", 1, SHORT_USEC);

    accept_peer(f);
    say(f, "ok", 2);
    f->peer = fd_close(f->peer);
    assert_null(exchange_free(exchange));
    assert_int_equal(sd_event_run(f->event, 10 * SHORT_USEC), 0);
    assert_int_equal(f->n_ends, 0);
    assert_null(exchange_free(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_a_request_gets_its_whole_answer),
        TEST(test_an_empty_answer_is_complete),
        TEST(test_an_answer_of_the_limit_is_good_one_byte_more_is_not),
        TEST(test_silence_ends_at_the_deadline),
        TEST(test_nobody_there_is_told_from_the_loop),
        TEST(test_nobody_listening_is_told),
        TEST(test_a_request_larger_than_the_socket_takes_is_sent_whole),
        TEST(test_an_early_answer_to_a_request_half_sent_is_read),
        TEST(test_one_that_was_freed_is_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
