/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "common/sys/clock.h"
#include "common/sys/socket.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/show.h"
#include "dom0/wire/control-buffer.h"

#define READ_SIZE 65536U

#define SEE_SERVICE "see: systemctl status qubes-autoattachd"
#define START_IT    "to start it: sudo systemctl start qubes-autoattachd\n"

struct Client {
    const char *path;
    int fd;
    int signal_fd; /* -1: signals are not caught */
    int output_fd; /* -1: nobody cares whether it is read */
    ControlBuffer input;
};

/* Set the message; answers @r. */
_printf_(3,
         4) static int fail(ClientError *error, int r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void) text_format_list(error->s, sizeof(error->s), format, args);
    va_end(args);
    error->name = (ControlName){};
    return r;
}

static int fail_connect(ClientError *error, int r, const char *untrusted_path)
{
    ShowText shown;
    const char *path = show_text(&shown, untrusted_path, false);

    switch (-r) {
    case ENOENT:
    case ENOTDIR:
        return fail(error, r,
                    "the daemon is not running: there is no %.200s\n" START_IT
                        SEE_SERVICE,
                    path);
    case ECONNREFUSED:
        return fail(
            error, r,
            "the daemon is not running: nobody listens at %.200s\n" START_IT
                SEE_SERVICE,
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
    case EINTR:
        return fail(error, r, "interrupted");
    case EBADMSG:
    case ENOBUFS:
        return fail(error, r,
                    "the daemon's answer is not understood; is it of another "
                    "version than this command?\n" SEE_SERVICE);
    }
    errno = -r;
    return fail(error, r, "the call to the daemon failed: %m\n" SEE_SERVICE);
}

/* Wait until the socket is ready for @events; -ETIMEDOUT, -EINTR. */
static int wait_for(const Client *client, short events, uint64_t until_usec)
{
    for (;;) {
        struct pollfd fds[] = { { .fd = client->fd, .events = events },
                                { .fd = client->signal_fd, .events = POLLIN },
                                { .fd = client->output_fd } };
        uint64_t now_usec = clock_monotonic_usec();
        struct timespec left = {};
        int n;

        if (now_usec >= until_usec)
            return -ETIMEDOUT;
        left.tv_sec = (time_t) ((until_usec - now_usec) / USEC_PER_SEC);
        left.tv_nsec = (long) ((until_usec - now_usec) % USEC_PER_SEC * 1000);
        n = ppoll(fds, ARRAY_SIZE(fds),
                  until_usec == CLIENT_FOREVER ? NULL : &left, NULL);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && (fds[1].revents != 0 || fds[2].revents != 0))
            return -EINTR;
        if (n > 0)
            return 0;
    }
}

static int send_all(const Client *client, const char *data, size_t len)
{
    uint64_t until_usec = clock_monotonic_usec() + CLIENT_DEADLINE_USEC;

    assert(client);
    while (len > 0) {
        ssize_t n = send(client->fd, data, len, MSG_NOSIGNAL);
        int r;

        if (n >= 0) {
            data += n;
            len -= (size_t) n;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        r = wait_for(client, POLLOUT, until_usec);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Read until there is a whole message. */
static int receive(Client *client, size_t *ret_len, uint64_t until_usec)
{
    ControlBuffer *buffer = &client->input;

    while (!control_buffer_has_message(buffer, ret_len)) {
        char *space;
        ssize_t n = byte_queue_space(&buffer->bytes, &space, READ_SIZE);
        int r;

        if (n <= 0)
            return n < 0 ? (int) n : -ENOBUFS;
        n = recv(client->fd, space, (size_t) n, 0);
        if (n == 0)
            return -EPIPE;
        if (n > 0) {
            byte_queue_filled(&buffer->bytes, (size_t) n);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        r = wait_for(client, POLLIN, until_usec);
        if (r < 0)
            return r;
    }
    return 0;
}

int client_reopen(Client *client, ClientError *ret_error)
{
    fd_close(client->fd);
    control_buffer_clear(&client->input);
    client->fd = socket_connect(client->path);
    return client->fd < 0 ? fail_connect(ret_error, client->fd, client->path)
                          : 0;
}

int client_open(Client **ret, ClientError *ret_error, const char *path)
{
    _cleanup_(client_freep) Client *client = calloc(1, sizeof(*client));
    int r;

    if (!client)
        return fail_talk(ret_error, -ENOMEM);

    client->path = path;
    client->fd = -1;
    client->signal_fd = -1;
    client->output_fd = -1;
    client->input.bytes.max = CONTROL_REPLY_MAX + 1;
    r = client_reopen(client, ret_error);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(client);
    return 0;
}

Client *client_free(Client *client)
{
    if (!client)
        return NULL;

    control_buffer_clear(&client->input);
    fd_close(client->signal_fd);
    fd_close(client->fd);
    free(client);
    return NULL;
}

int client_catch_signals(Client *client)
{
    sigset_t mask;

    (void) sigemptyset(&mask);
    (void) sigaddset(&mask, SIGINT);
    (void) sigaddset(&mask, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return -errno;
    client->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC);
    return client->signal_fd < 0 ? -errno : 0;
}

void client_watch_output(Client *client, int fd)
{
    client->output_fd = fd;
}

bool client_pause(Client *client, uint64_t usec)
{
    Client nobody = { .fd = -1,
                      .signal_fd = client->signal_fd,
                      .output_fd = client->output_fd };

    return wait_for(&nobody, 0, clock_monotonic_usec() + usec) == -EINTR;
}

int client_send(Client *client,
                ClientError *ret_error,
                const char *method,
                json_t *parameters,
                bool more)
{
    _cleanup_(control_call_clearp)
        ControlCall call = { .parameters = parameters, .more = more };
    _cleanup_(freep) char *text = NULL;
    size_t len;
    int r = parameters ? 0 : -ENOMEM;

    (void) text_format(call.method.s, sizeof(call.method.s), "%s.%s",
                       CONTROL_INTERFACE, method);
    if (r == 0)
        r = control_message_encode(&text, &len, control_call_to_json(&call),
                                   CONTROL_CALL_MAX);
    if (r == 0)
        r = send_all(client, text, len);
    return r < 0 ? fail_talk(ret_error, r) : 0;
}

int client_receive(Client *client,
                   ClientError *ret_error,
                   json_t **ret,
                   bool *ret_continues,
                   uint64_t until_usec)
{
    _cleanup_(control_reply_clearp) ControlReply reply = {};
    size_t len;
    int r;

    assert(client);
    r = receive(client, &len, until_usec);
    if (r == 0) {
        r = control_reply_decode(&reply, byte_queue_data(&client->input.bytes),
                                 len);
        control_buffer_drop(&client->input, len);
    }
    if (r < 0)
        return fail_talk(ret_error, r);
    if (reply.error.s[0]) {
        (void) fail(ret_error, -EREMOTEIO,
                    "the daemon refused the call: %s; is it of another version "
                    "than this command?\n" SEE_SERVICE,
                    reply.error.s);
        ret_error->name = reply.error;
        return -EREMOTEIO;
    }

    if (ret_continues)
        *ret_continues = reply.continues;
    *ret = TAKE_PTR(reply.parameters);
    return 0;
}

int client_complain(const ClientError *error)
{
    (void) fprintf(stderr, CTL_NAME ": %s\n", error->s);
    return CTL_EXIT_UNREACHABLE;
}

const char *client_path(const Arguments *arguments)
{
    const char *path = arguments->values[OPTION_SOCKET];

    return path ? path : CTL_SOCKET_DEFAULT;
}

int client_call(json_t **ret,
                ClientError *ret_error,
                const char *path,
                const char *method,
                json_t *parameters_arg)
{
    _cleanup_(json_decrefp) json_t *parameters = parameters_arg;
    _cleanup_(client_freep) Client *client = NULL;
    int r = client_open(&client, ret_error, path);

    if (r < 0)
        return r;
    r = client_send(client, ret_error, method, json_incref(parameters), false);
    if (r < 0)
        return r;
    return client_receive(client, ret_error, ret, NULL,
                          clock_monotonic_usec() + CLIENT_DEADLINE_USEC);
}

int client_list(json_t **ret,
                ClientError *ret_error,
                const char *path,
                const char *method,
                const char *key)
{
    _cleanup_(json_decrefp) json_t *list = json_array();
    _cleanup_(client_freep) Client *client = NULL;
    bool continues = true;
    int r = list ? client_open(&client, ret_error, path)
                 : fail_talk(ret_error, -ENOMEM);

    if (r == 0)
        r = client_send(client, ret_error, method, json_object(), true);
    while (r == 0 && continues) {
        _cleanup_(json_decrefp) json_t *reply = NULL;

        r = client_receive(client, ret_error, &reply, &continues,
                           clock_monotonic_usec() + CLIENT_DEADLINE_USEC);
        if (r == 0 && json_array_extend(list, json_object_get(reply, key)) < 0)
            r = fail_talk(ret_error, -EBADMSG);
    }
    if (r < 0)
        return r;

    *ret = TAKE_PTR(list);
    return 0;
}
