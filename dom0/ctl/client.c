/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/sys/clock.h"
#include "common/sys/socket.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/show.h"
#include "dom0/wire/control-buffer.h"
#include "dom0/wire/control.h"

#define READ_SIZE 65536U

#define SEE_SERVICE "see: systemctl status qubes-autoattachd"
#define SEE_SOCKET  "see: systemctl status qubes-autoattachd-control.socket"

/* Set the message; answers @r. */
_printf_(3,
         4) static int fail(ClientError *error, int r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void) vsnprintf(error->s, sizeof(error->s), format, args);
    va_end(args);
    return r;
}

static int fail_connect(ClientError *error, int r, const char *untrusted_path)
{
    ShowText shown;
    const char *path = show_text(&shown, untrusted_path, false);

    switch (-r) {
    case ENOENT:
    case ENOTDIR:
        return fail(
            error, r,
            "the daemon is not running: there is no %.200s\n" SEE_SOCKET, path);
    case ECONNREFUSED:
        return fail(
            error, r,
            "the daemon is not running: nobody listens at %.200s\n" SEE_SERVICE,
            path);
    case EACCES:
    case EPERM:
        return fail(error, r,
                    "you are not allowed to use %.200s: only root and the "
                    "members of group qubes are\nsee: ls -l %.200s; id",
                    path, path);
    case EAGAIN:
        return fail(error, r,
                    "the daemon does not take further connections at %.200s: "
                    "it hangs, or is very busy\n" SEE_SERVICE,
                    path);
    }
    errno = -r;
    return fail(error, r,
                "the daemon cannot be reached at %.200s: %m\n" SEE_SERVICE,
                path);
}

static int fail_talk(ClientError *error, int r)
{
    switch (-r) {
    case ETIMEDOUT:
        return fail(error, r,
                    "the daemon has not answered within %u s\n" SEE_SERVICE,
                    (unsigned int) (CLIENT_DEADLINE_USEC / USEC_PER_SEC));
    case EPIPE:
    case ECONNRESET:
        return fail(error, r,
                    "the daemon has closed the connection without an answer: "
                    "it stops, or has too many clients\n" SEE_SERVICE);
    case EBADMSG:
    case ENOBUFS:
        return fail(error, r,
                    "the daemon's answer is not understood; is it of another "
                    "version than this command?\n" SEE_SERVICE);
    }
    errno = -r;
    return fail(error, r, "the call to the daemon failed: %m\n" SEE_SERVICE);
}

/* Wait until the socket is ready for @events; -ETIMEDOUT. */
static int wait_for(int fd, short events, uint64_t until_usec)
{
    for (;;) {
        struct pollfd poll_fd = { .fd = fd, .events = events };
        uint64_t now_usec = clock_monotonic_usec();
        int n;

        if (now_usec >= until_usec)
            return -ETIMEDOUT;
        /* rounded up, so as not to spin at the end */
        n = poll(&poll_fd, 1,
                 (int) ((until_usec - now_usec) / USEC_PER_MSEC) + 1);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static int send_all(int fd, const char *data, size_t len, uint64_t until_usec)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        int r;

        if (n >= 0) {
            data += n;
            len -= (size_t) n;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        r = wait_for(fd, POLLOUT, until_usec);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Read until there is a whole message. */
static int receive(int fd,
                   ControlBuffer *buffer,
                   size_t *ret_len,
                   uint64_t until_usec)
{
    while (!control_buffer_has_message(buffer, ret_len)) {
        char *space;
        ssize_t n = control_buffer_space(buffer, &space, READ_SIZE);
        int r;

        if (n <= 0)
            return n < 0 ? (int) n : -ENOBUFS;
        n = recv(fd, space, (size_t) n, 0);
        if (n == 0)
            return -EPIPE;
        if (n > 0) {
            control_buffer_filled(buffer, (size_t) n);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        r = wait_for(fd, POLLIN, until_usec);
        if (r < 0)
            return r;
    }
    return 0;
}

static int talk(int fd, ControlReply *ret, const ControlCall *call)
{
    ControlBuffer buffer = { .max = CONTROL_REPLY_MAX + 1 };
    _cleanup_(freep) char *text = NULL;
    uint64_t until_usec = clock_monotonic_usec() + CLIENT_DEADLINE_USEC;
    size_t len;
    int r;

    r = control_message_encode(&text, &len, control_call_to_json(call),
                               CONTROL_CALL_MAX);
    if (r == 0)
        r = send_all(fd, text, len, until_usec);
    if (r == 0)
        r = receive(fd, &buffer, &len, until_usec);
    if (r == 0)
        r = control_reply_decode(ret, control_buffer_data(&buffer), len);

    control_buffer_clear(&buffer);
    return r;
}

int client_call(json_t **ret,
                ClientError *ret_error,
                const char *path,
                const char *method,
                json_t *parameters)
{
    _cleanup_(control_call_clearp)
        ControlCall call = { .parameters = parameters };
    _cleanup_(control_reply_clearp) ControlReply reply = {};
    _cleanup_(fd_closep) int fd = -1;
    int r;

    if (!parameters)
        return fail_talk(ret_error, -ENOMEM);
    (void) text_format(call.method.s, sizeof(call.method.s), "%s.%s",
                       CONTROL_INTERFACE, method);

    fd = socket_connect(path);
    if (fd < 0)
        return fail_connect(ret_error, fd, path);
    r = talk(fd, &reply, &call);
    if (r < 0)
        return fail_talk(ret_error, r);
    if (reply.error.s[0])
        return fail(ret_error, -EREMOTEIO,
                    "the daemon refused the call: %s; is it of another version "
                    "than this command?\n" SEE_SERVICE,
                    reply.error.s);

    *ret = TAKE_PTR(reply.parameters);
    return 0;
}
