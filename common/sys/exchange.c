/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/sys/clock.h"
#include "common/sys/exchange.h"
#include "common/sys/socket.h"

#define ANSWER_SIZE_FIRST 1024U
/* the service's queue of connections is full: how long until the next try */
#define CONNECT_RETRY_USEC UINT64_C(20000)

struct Exchange {
    sd_event *event;
    sd_event_source *io_source;
    sd_event_source *deadline_source;
    sd_event_source *connect_source; /* connects again, or tells a failure */
    int fd;
    uint64_t connect_until_usec;

    const char *socket_path; /* borrowed */
    ExchangeLimits limits;
    ExchangeFn fn;
    void *userdata;

    char *answer;
    size_t answer_size;
    size_t answer_len;

    size_t request_len;
    size_t request_sent;
    char request[];
};

static void exchange_stop(Exchange *exchange)
{
    exchange->io_source = sd_event_source_disable_unref(exchange->io_source);
    exchange->deadline_source =
        sd_event_source_disable_unref(exchange->deadline_source);
    exchange->connect_source =
        sd_event_source_disable_unref(exchange->connect_source);
    exchange->fd = fd_close(exchange->fd);
}

/* Call back first, as the owner waits for the answer; closing the connection
 * has time. */
static void exchange_end(Exchange *exchange, ExchangeEnd end, int error)
{
    bool complete = end == EXCHANGE_COMPLETE && exchange->answer;
    Exchange ended = { .fd = take_fd(&exchange->fd) };

    ended.io_source = TAKE_PTR(exchange->io_source);
    ended.deadline_source = TAKE_PTR(exchange->deadline_source);
    ended.connect_source = TAKE_PTR(exchange->connect_source);
    exchange->fn(exchange, end, error, complete ? exchange->answer : "",
                 complete ? exchange->answer_len : 0, exchange->userdata);
    /* @exchange may be gone from here on */
    exchange_stop(&ended);
}

/* Room for at least one more byte. */
static int exchange_grow(Exchange *exchange)
{
    size_t size = exchange->answer_size > 0 ? 2 * exchange->answer_size
                                            : ANSWER_SIZE_FIRST;
    char *answer;

    if (exchange->answer_len < exchange->answer_size)
        return 0;
    /* one byte more than allowed tells "full" from "too long" */
    if (size > exchange->limits.answer_max + 1)
        size = exchange->limits.answer_max + 1;
    answer = realloc(exchange->answer, size);
    if (!answer)
        return -ENOMEM;

    exchange->answer = answer;
    exchange->answer_size = size;
    return 0;
}

/* Read what is there: mostly all of the answer, and its end with it. */
static void exchange_read(Exchange *exchange)
{
    ssize_t n;

    do {
        if (exchange_grow(exchange) < 0) {
            exchange_end(exchange, EXCHANGE_BROKEN, -ENOMEM);
            return;
        }
        n = recv(exchange->fd, exchange->answer + exchange->answer_len,
                 exchange->answer_size - exchange->answer_len, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        /* a peer that does not read all of the request resets, behind all
         * that it has said; after any other error a part is no answer */
        if (n < 0 && errno != ECONNRESET) {
            exchange_end(exchange, EXCHANGE_BROKEN, -errno);
            return;
        }
        exchange->answer_len += n > 0 ? (size_t) n : 0;
    } while (n > 0 && exchange->answer_len <= exchange->limits.answer_max);

    exchange_end(exchange, n > 0 ? EXCHANGE_TOO_LONG : EXCHANGE_COMPLETE, 0);
}

/* Send what is left of the request, then the end of input. */
static int exchange_send(Exchange *exchange)
{
    while (exchange->request_sent < exchange->request_len) {
        ssize_t n =
            send(exchange->fd, exchange->request + exchange->request_sent,
                 exchange->request_len - exchange->request_sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        exchange->request_sent += (size_t) n;
    }
    /* it is with the service now: if this fails, reading tells */
    (void) shutdown(exchange->fd, SHUT_WR);
    return 0;
}

static int exchange_on_io(sd_event_source *source,
                          int fd,
                          uint32_t revents,
                          void *userdata)
{
    Exchange *exchange = userdata;

    (void) fd;

    if (exchange->request_sent < exchange->request_len) {
        int r = exchange_send(exchange);

        if (r == -EAGAIN)
            return 0;
        /* a peer that has closed may have said something before */
        (void) sd_event_source_set_io_events(source, EPOLLIN);
        if (r == 0)
            return 0;
        exchange->request_sent = exchange->request_len;
    }
    if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
        exchange_read(exchange);
    return 0;
}

static int exchange_on_deadline(sd_event_source *source,
                                uint64_t usec,
                                void *userdata)
{
    (void) source;
    (void) usec;

    exchange_end(userdata, EXCHANGE_TIMED_OUT, 0);
    return 0;
}

static int exchange_connect(Exchange *exchange)
{
    int r;

    exchange->fd = socket_connect(exchange->socket_path);
    if (exchange->fd < 0)
        return exchange->fd;

    /* before anything is sent: what fails later must not be tried again, or
     * the service would do it twice */
    r = sd_event_add_io(exchange->event, &exchange->io_source, exchange->fd,
                        EPOLLIN, exchange_on_io, exchange);
    if (r < 0)
        return r;
    r = exchange_send(exchange);
    if (r == -EAGAIN)
        r = sd_event_source_set_io_events(exchange->io_source, EPOLLOUT);
    return r;
}

static int exchange_on_connect(sd_event_source *source,
                               uint64_t usec,
                               void *userdata)
{
    Exchange *exchange = userdata;
    int r;

    (void) usec;

    r = exchange_connect(exchange);
    if (r == -EAGAIN && clock_monotonic_usec() < exchange->connect_until_usec) {
        (void) sd_event_source_set_time_relative(source, CONNECT_RETRY_USEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
    }
    if (r < 0)
        exchange_end(exchange, EXCHANGE_UNREACHABLE, r);
    return 0;
}

int exchange_new(Exchange **ret,
                 sd_event *event,
                 const char *socket_path,
                 const void *request,
                 size_t request_len,
                 const ExchangeLimits *limits,
                 ExchangeFn fn,
                 void *userdata)
{
    _cleanup_(exchange_freep) Exchange *exchange = NULL;
    int r;

    exchange = malloc(sizeof(*exchange) + request_len);
    if (!exchange)
        return -ENOMEM;

    *exchange = (Exchange){
        .event = sd_event_ref(event),
        .fd = -1,
        .connect_until_usec = clock_monotonic_usec() + EXCHANGE_CONNECT_USEC,
        .socket_path = socket_path,
        .limits = *limits,
        .fn = fn,
        .userdata = userdata,
        .request_len = request_len,
    };
    memcpy(exchange->request, request, request_len);

    if (limits->timeout_usec != UINT64_MAX) {
        r = sd_event_add_time_relative(event, &exchange->deadline_source,
                                       CLOCK_MONOTONIC, limits->timeout_usec, 0,
                                       exchange_on_deadline, exchange);
        if (r < 0)
            return r;
    }

    /* in the common case this connects at once; a failure is told from the
     * loop */
    r = exchange_connect(exchange);
    if (r < 0) {
        exchange->io_source =
            sd_event_source_disable_unref(exchange->io_source);
        exchange->fd = fd_close(exchange->fd);
        exchange->request_sent = 0;
        r = sd_event_add_time_relative(event, &exchange->connect_source,
                                       CLOCK_MONOTONIC, 0, 1,
                                       exchange_on_connect, exchange);
        if (r < 0)
            return r;
    }

    *ret = TAKE_PTR(exchange);
    return 0;
}

Exchange *exchange_free(Exchange *exchange)
{
    if (!exchange)
        return NULL;

    exchange_stop(exchange);
    sd_event_unref(exchange->event);
    free(exchange->answer);
    free(exchange);
    return NULL;
}
