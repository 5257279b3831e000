/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/sys/clock.h"
#include "common/sys/socket.h"
#include "common/text.h"
#include "dom0/io/admin-call.h"
#include "dom0/wire/admin.h"

#define ANSWER_SIZE_FIRST 1024U
/* qubesd's queue of connections is full: how long until the next try */
#define CONNECT_RETRY_USEC (20 * USEC_PER_MSEC)

struct AdminCall {
    sd_event *event;
    sd_event_source *io_source;
    sd_event_source *deadline_source;
    sd_event_source *connect_source; /* starts it, and tries again */
    int fd;
    uint64_t connect_until_usec;

    const char *socket_path; /* borrowed */
    AdminRequest request;
    AdminCallFn fn;
    void *userdata;

    char *answer;
    size_t answer_size;
    size_t answer_len;
};

static void call_stop(AdminCall *call)
{
    call->io_source = sd_event_source_disable_unref(call->io_source);
    call->deadline_source =
        sd_event_source_disable_unref(call->deadline_source);
    call->connect_source = sd_event_source_disable_unref(call->connect_source);
    call->fd = fd_close(call->fd);
}

static void call_end(AdminCall *call, const AdminAnswer *answer)
{
    call_stop(call);
    call->fn(call, answer, call->userdata);
    /* @call may be gone from here on */
}

static void call_fail(AdminCall *call, AdminResult result, const char *detail)
{
    AdminAnswer answer;

    admin_fail(&answer, result, detail);
    call_end(call, &answer);
}

static void call_break(AdminCall *call, int error)
{
    char detail[ADMIN_DETAIL_MAX + 1];

    (void) text_format(detail, sizeof(detail), "qubesd cannot be reached: %s",
                       strerror(-error));
    call_fail(call, ADMIN_UNREACHABLE, detail);
}

static void call_complete(AdminCall *call)
{
    AdminAnswer answer;

    admin_decode(&answer, &call->request, call->answer ? call->answer : "",
                 call->answer_len);
    call_end(call, &answer);
}

/* Room for at least one more byte. */
static int call_grow(AdminCall *call)
{
    size_t size =
        call->answer_size > 0 ? 2 * call->answer_size : ANSWER_SIZE_FIRST;
    char *answer;

    if (call->answer_len < call->answer_size)
        return 0;
    /* one byte more than allowed tells "full" from "too long" */
    if (size > ADMIN_ANSWER_MAX + 1)
        size = ADMIN_ANSWER_MAX + 1;
    answer = realloc(call->answer, size);
    if (!answer)
        return -ENOMEM;

    call->answer = answer;
    call->answer_size = size;
    return 0;
}

static int call_on_io(sd_event_source *source,
                      int fd,
                      uint32_t revents,
                      void *userdata)
{
    AdminCall *call = userdata;
    ssize_t n;

    (void) source;
    (void) revents;

    if (call_grow(call) < 0) {
        call_fail(call, ADMIN_GARBAGE, "out of memory");
        return 0;
    }
    n = recv(fd, call->answer + call->answer_len,
             call->answer_size - call->answer_len, 0);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return 0;
        /* it went away: what was said so far is all there is */
        call_complete(call);
        return 0;
    }
    if (n == 0) {
        call_complete(call);
        return 0;
    }

    call->answer_len += (size_t) n;
    if (call->answer_len > ADMIN_ANSWER_MAX)
        call_fail(call, ADMIN_GARBAGE, "qubesd's answer is too long");
    return 0;
}

static int call_on_deadline(sd_event_source *source,
                            uint64_t usec,
                            void *userdata)
{
    (void) source;
    (void) usec;

    call_fail(userdata, ADMIN_TIMED_OUT, "qubesd did not answer in time");
    return 0;
}

/* The request is smaller than any socket buffer: it is sent in one piece. */
static int call_send(AdminCall *call)
{
    char request[ADMIN_REQUEST_MAX];
    size_t len = admin_encode(request, &call->request);
    ssize_t n;

    do
        n = send(call->fd, request, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if ((size_t) n != len)
        return -EIO;

    return shutdown(call->fd, SHUT_WR) < 0 ? -errno : 0;
}

static int call_connect(AdminCall *call)
{
    int r;

    call->fd = socket_connect(call->socket_path);
    if (call->fd < 0)
        return call->fd;

    r = call_send(call);
    if (r < 0)
        return r;
    return sd_event_add_io(call->event, &call->io_source, call->fd, EPOLLIN,
                           call_on_io, call);
}

static int call_on_connect(sd_event_source *source,
                           uint64_t usec,
                           void *userdata)
{
    AdminCall *call = userdata;
    int r;

    (void) usec;

    r = call_connect(call);
    if (r == -EAGAIN && clock_monotonic_usec() < call->connect_until_usec) {
        (void) sd_event_source_set_time_relative(source, CONNECT_RETRY_USEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
    }
    if (r < 0)
        call_break(call, r);
    return 0;
}

int admin_call_new(AdminCall **ret,
                   sd_event *event,
                   const char *socket_path,
                   const AdminRequest *request,
                   AdminCallFn fn,
                   void *userdata)
{
    _cleanup_(admin_call_freep) AdminCall *call = NULL;
    int r;

    call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;

    call->event = sd_event_ref(event);
    call->fd = -1;
    call->socket_path = socket_path;
    call->request = *request;
    call->fn = fn;
    call->userdata = userdata;
    call->connect_until_usec = clock_monotonic_usec() + ADMIN_CONNECT_USEC;

    r = sd_event_add_time_relative(
        event, &call->deadline_source, CLOCK_MONOTONIC,
        admin_deadline_usec(request->method), 0, call_on_deadline, call);
    if (r < 0)
        return r;

    /* at once in the common case; what fails is told from the loop */
    r = call_connect(call);
    if (r < 0) {
        call->fd = fd_close(call->fd);
        r = sd_event_add_time_relative(event, &call->connect_source,
                                       CLOCK_MONOTONIC, 0, 1, call_on_connect,
                                       call);
        if (r < 0)
            return r;
    }

    *ret = TAKE_PTR(call);
    return 0;
}

AdminCall *admin_call_free(AdminCall *call)
{
    if (!call)
        return NULL;

    call_stop(call);
    sd_event_unref(call->event);
    free(call->answer);
    free(call);
    return NULL;
}
