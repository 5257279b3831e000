/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "common/text.h"
#include "dom0/io/control-client.h"
#include "dom0/wire/control-buffer.h"

#define READ_SIZE   4096U
#define MESSAGE_MAX 256U

typedef enum ClientState {
    CLIENT_READING,
    CLIENT_ANSWERING,
    CLIENT_SENDING,
} ClientState;

struct ControlClient {
    sd_event *event;
    int fd;
    struct ucred peer;
    const ControlHandler *handler;
    ControlClientClosed on_closed;
    void *userdata; /* of on_closed() */

    sd_event_source *io_source;
    sd_event_source *turn_source;     /* on while we have something to do */
    sd_event_source *deadline_source; /* on while the peer has */

    ClientState state;
    bool is_oneway;          /* the call that is answered */
    bool has_more;           /* continued since on_ready() */
    bool has_ended;          /* the peer sends no more */
    bool is_lost;            /* the peer cannot be sent anything */
    const char *drop_reason; /* set: dropped in the next turn */
    ControlBuffer input;
    ByteQueue output;
};

/* The end of a client; it is gone afterwards. */
static void client_close(ControlClient *client)
{
    client->on_closed(client, client->userdata);
    control_client_free(client);
}

static void client_log_drop(const ControlClient *client)
{
    char message[MESSAGE_MAX];

    (void) text_format(message, sizeof(message),
                       "control: dropped the client with pid %i, uid %u: %s",
                       (int) client->peer.pid, (unsigned int) client->peer.uid,
                       client->drop_reason);
    client->handler->on_log(message, client->handler->userdata);
}

static void client_drop(ControlClient *client, const char *reason)
{
    if (!client->drop_reason)
        client->drop_reason = reason;
}

static void client_send(ControlClient *client, bool *ret_progress)
{
    size_t len = byte_queue_len(&client->output);
    ssize_t n = 0;

    if (len > 0 && !client->is_lost)
        n = send(client->fd, byte_queue_data(&client->output), len,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        client->is_lost = true;
    if (n > 0)
        byte_queue_drop(&client->output, (size_t) n);
    *ret_progress = n > 0;
}

/* Whether the next step is the peer's, within a deadline: the rest of a
 * message, or reading what is there for it. */
static bool client_waits(ControlClient *client, bool has_message)
{
    if (client->state == CLIENT_READING)
        return !has_message && byte_queue_len(&client->input.bytes) > 0;
    return byte_queue_len(&client->output) > 0;
}

/* @waits: the deadline has to be on. @renewed: it begins anew, as the peer has
 * taken bytes; further bytes of a call that is not complete do not renew it. */
static int client_set_deadline(ControlClient *client, bool waits, bool renewed)
{
    sd_event_source *source = client->deadline_source;
    bool is_set = sd_event_source_get_enabled(source, NULL) > 0;
    int r;

    if (!waits)
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (is_set && !renewed)
        return 0;
    r = sd_event_source_set_time_relative(source,
                                          client->handler->deadline_usec);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Whether the client has taken all that was sent of a stream. */
static bool client_takes_more(const ControlClient *client)
{
    return client->state == CLIENT_ANSWERING && client->has_more &&
           control_client_is_ready(client);
}

/*
 * After anything has happened: send what can be sent, and see what is to be
 * waited for. Frees nothing, calls nobody back.
 */
static void client_update(ControlClient *client)
{
    bool has_message, has_turn, progress;
    uint32_t events = 0;
    size_t len;

    client_send(client, &progress);
    if (client->state == CLIENT_SENDING && byte_queue_len(&client->output) == 0)
        client->state = CLIENT_READING;

    has_message = control_buffer_has_message(&client->input, &len);
    if (client_set_deadline(client, client_waits(client, has_message),
                            progress) < 0)
        client_drop(client, "its deadline cannot be set");
    /* without EPOLLIN only hanging up is told, which always is */
    if (client->state == CLIENT_READING && !has_message && !client->has_ended)
        events |= EPOLLIN;
    if (byte_queue_len(&client->output) > 0)
        events |= EPOLLOUT;
    if (sd_event_source_set_io_events(client->io_source, events) < 0)
        client_drop(client, "its socket cannot be watched");

    has_turn = client->drop_reason || client->is_lost ||
               (client->state == CLIENT_READING &&
                (has_message || client->has_ended)) ||
               client_takes_more(client);
    if (has_turn)
        (void) sd_event_source_set_enabled(client->turn_source,
                                           SD_EVENT_ONESHOT);
}

/* Queue a message for the peer, unless it wants none (oneway) or is gone. */
static void client_queue(ControlClient *client, json_t *message)
{
    _cleanup_(freep) char *text = NULL;
    size_t len;
    int r;

    if (client->is_oneway || client->is_lost || client->drop_reason) {
        json_decref(message);
        return;
    }
    r = control_message_encode(&text, &len, message, CONTROL_REPLY_MAX);
    if (r == 0)
        r = byte_queue_append(&client->output, text, len);

    if (r == -ENOBUFS)
        client_drop(client, "it does not read its replies");
    else if (r == -EMSGSIZE)
        client_drop(client, "the reply would be too long");
    else if (r < 0)
        client_drop(client, "no memory for a reply");
}

static void client_finish(ControlClient *client, json_t *message)
{
    assert(client->state == CLIENT_ANSWERING);

    client_queue(client, message);
    client->state = CLIENT_SENDING;
    client_update(client);
}

void control_client_reply(ControlClient *client, json_t *parameters)
{
    client_finish(client, control_reply_new(parameters, false));
}

void control_client_continue(ControlClient *client, json_t *parameters)
{
    assert(client->state == CLIENT_ANSWERING);

    assert(client->handler->on_ready);
    client_queue(client, control_reply_new(parameters, true));
    client->has_more = true;
    client_update(client);
}

void control_client_error(ControlClient *client,
                          const char *error,
                          json_t *parameters)
{
    client_finish(client, control_error_new(error, parameters));
}

bool control_client_is_ready(const ControlClient *client)
{
    return byte_queue_len(&client->output) == 0;
}

static void client_answer(ControlClient *client, const ControlCall *call)
{
    const ControlHandler *handler = client->handler;
    ControlMethod method;
    json_t *answer;

    client->state = CLIENT_ANSWERING;
    client->is_oneway = call->oneway;
    client->has_more = false;
    if (control_call_route(&method, &answer, call) < 0)
        client_finish(client, NULL);
    else if (answer)
        client_finish(client, answer);
    else
        handler->on_call(client, method, call, handler->userdata);
}

static void client_take_message(ControlClient *client, size_t len)
{
    _cleanup_(control_call_clearp) ControlCall call = {};
    int r =
        control_call_decode(&call, byte_queue_data(&client->input.bytes), len);

    control_buffer_drop(&client->input, len);
    if (r == -EBADMSG)
        client_drop(client, "what it sent is no call");
    else if (r < 0)
        client_drop(client, "no memory for its call");
    else
        client_answer(client, &call);
}

static int client_on_turn(sd_event_source *source, void *userdata)
{
    ControlClient *client = userdata;
    size_t len;

    (void) source;

    if (client->drop_reason) {
        client_log_drop(client);
        client_close(client);
        return 0;
    }
    if (client->is_lost) {
        client_close(client);
        return 0;
    }
    if (client_takes_more(client)) {
        client->has_more = false;
        client->handler->on_ready(client, client->handler->userdata);
        return 0;
    }
    if (client->state != CLIENT_READING)
        return 0;
    if (!control_buffer_has_message(&client->input, &len)) {
        if (client->has_ended)
            client_close(client);
        return 0;
    }

    client_take_message(client, len);
    client_update(client);
    return 0;
}

/* Called without a whole message in the buffer only: then there is room for a
 * byte at least. */
static void client_read(ControlClient *client)
{
    char *space;
    ssize_t n = byte_queue_space(&client->input.bytes, &space, READ_SIZE);
    size_t len;

    if (n < 0) {
        client_drop(client, "no memory for its call");
        return;
    }
    n = recv(client->fd, space, (size_t) n, MSG_DONTWAIT);
    if (n > 0)
        byte_queue_filled(&client->input.bytes, (size_t) n);
    else if (n == 0)
        client->has_ended = true;
    else if (errno != EAGAIN && errno != EINTR)
        client->is_lost = true;

    if (byte_queue_len(&client->input.bytes) > CONTROL_CALL_MAX &&
        !control_buffer_has_message(&client->input, &len))
        client_drop(client, "its call is too long");
}

static int client_on_io(sd_event_source *source,
                        int fd,
                        uint32_t revents,
                        void *userdata)
{
    ControlClient *client = userdata;
    size_t len;

    (void) source;
    (void) fd;

    /* what the peer sent before it hung up is still read */
    if (client->state != CLIENT_READING)
        client->is_lost |= (revents & (EPOLLHUP | EPOLLERR)) != 0;
    else if (!client->has_ended &&
             !control_buffer_has_message(&client->input, &len))
        client_read(client);
    client_update(client);
    return 0;
}

static int client_on_deadline(sd_event_source *source,
                              uint64_t usec,
                              void *userdata)
{
    ControlClient *client = userdata;

    (void) source;
    (void) usec;

    if (client->state == CLIENT_READING)
        client_drop(client, "its call is not complete in time");
    else
        client_drop(client, "it does not read its replies");
    client_update(client);
    return 0;
}

static int client_add_sources(ControlClient *client)
{
    sd_event *event = client->event;
    int r;

    r = sd_event_add_io(event, &client->io_source, client->fd, EPOLLIN,
                        client_on_io, client);
    if (r < 0)
        return r;
    r = sd_event_add_defer(event, &client->turn_source, client_on_turn, client);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(client->turn_source, SD_EVENT_OFF);
    if (r < 0)
        return r;
    r = sd_event_add_time(event, &client->deadline_source, CLOCK_MONOTONIC, 0,
                          0, client_on_deadline, client);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(client->deadline_source, SD_EVENT_OFF);
}

int control_client_new(ControlClient **ret,
                       sd_event *event,
                       int fd_arg,
                       const ControlHandler *handler,
                       ControlClientClosed on_closed,
                       void *userdata)
{
    _cleanup_(fd_closep) int fd = fd_arg;
    _cleanup_(control_client_freep) ControlClient *client = NULL;
    socklen_t len = sizeof(client->peer);
    int r;

    client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;

    client->event = sd_event_ref(event);
    client->fd = take_fd(&fd);
    client->handler = handler;
    client->on_closed = on_closed;
    client->userdata = userdata;
    client->input.bytes.max = CONTROL_CALL_MAX + 1;
    client->output.max = CONTROL_OUTPUT_MAX;
    /* for the log only: the socket's mode decides who may connect */
    if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &client->peer, &len) <
        0)
        return -errno;
    r = client_add_sources(client);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(client);
    return 0;
}

ControlClient *control_client_free(ControlClient *client)
{
    if (!client)
        return NULL;

    if (client->state == CLIENT_ANSWERING && client->handler->on_gone)
        client->handler->on_gone(client, client->handler->userdata);
    sd_event_source_disable_unref(client->deadline_source);
    sd_event_source_disable_unref(client->turn_source);
    sd_event_source_disable_unref(client->io_source);
    sd_event_unref(client->event);
    fd_close(client->fd);
    control_buffer_clear(&client->input);
    byte_queue_clear(&client->output);
    free(client);
    return NULL;
}
