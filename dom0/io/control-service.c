/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "common/text.h"
#include "dom0/io/control-service.h"
#include "dom0/wire/control-buffer.h"

#define READ_SIZE   4096U
#define MESSAGE_MAX 256U

typedef enum ClientState {
    CLIENT_READING,
    CLIENT_ANSWERING,
    CLIENT_SENDING,
} ClientState;

struct ControlClient {
    ControlService *service;
    int fd;
    struct ucred peer;

    sd_event_source *io_source;
    sd_event_source *turn_source;     /* on while there is something to do */
    sd_event_source *deadline_source; /* on while the peer has to do it */

    ClientState state;
    bool is_oneway;          /* the call that is answered */
    bool has_ended;          /* the peer sends no more */
    bool is_lost;            /* the peer cannot be sent anything */
    const char *drop_reason; /* set: dropped in the next turn */
    ControlBuffer input;
    ControlBuffer output;
};

struct ControlService {
    sd_event *event;
    int fd;
    sd_event_source *accept_source;
    sd_event_source *wait_source; /* on while accepting is paused */
    ControlHandler handler;

    /* said once in the log, until it is over */
    bool told_full;
    bool told_paused;

    size_t n_clients;
    ControlClient *clients[CONTROL_CLIENTS_MAX];
};

static void service_log(ControlService *service, const char *message)
{
    service->handler.on_log(message, service->handler.userdata);
}

/* Accept again, if that was paused. */
static void service_resume(ControlService *service)
{
    (void) sd_event_source_set_enabled(service->wait_source, SD_EVENT_OFF);
    (void) sd_event_source_set_enabled(service->accept_source, SD_EVENT_ON);
}

static ControlClient *client_free(ControlClient *client)
{
    if (!client)
        return NULL;

    sd_event_source_disable_unref(client->deadline_source);
    sd_event_source_disable_unref(client->turn_source);
    sd_event_source_disable_unref(client->io_source);
    fd_close(client->fd);
    control_buffer_clear(&client->input);
    control_buffer_clear(&client->output);
    free(client);
    return NULL;
}

DEFINE_CLEANUP(ControlClient *, client_free)

/* The end of a client; it is gone afterwards. */
static void client_close(ControlClient *client)
{
    ControlService *service = client->service;
    const ControlHandler *handler = &service->handler;

    if (client->state == CLIENT_ANSWERING && handler->on_gone)
        handler->on_gone(client, handler->userdata);

    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (service->clients[i] == client)
            service->clients[i] = NULL;
    service->n_clients--;
    service->told_full = false;
    client_free(client);
    service_resume(service);
}

static void client_log_drop(const ControlClient *client)
{
    char message[MESSAGE_MAX];

    (void) text_format(message, sizeof(message),
                       "control: dropped the client with pid %i, uid %u: %s",
                       (int) client->peer.pid, (unsigned int) client->peer.uid,
                       client->drop_reason);
    service_log(client->service, message);
}

static void client_drop(ControlClient *client, const char *reason)
{
    if (!client->drop_reason)
        client->drop_reason = reason;
}

static void client_send(ControlClient *client, bool *ret_progress)
{
    size_t len = control_buffer_len(&client->output);
    ssize_t n = 0;

    if (len > 0 && !client->is_lost)
        n = send(client->fd, control_buffer_data(&client->output), len,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        client->is_lost = true;
    if (n > 0)
        control_buffer_drop(&client->output, (size_t) n);
    *ret_progress = n > 0;
}

/* Whether the next step is the peer's, within a deadline: the rest of a
 * message, or reading what is there for it. */
static bool client_waits(ControlClient *client, bool has_message)
{
    if (client->state == CLIENT_READING)
        return !has_message && control_buffer_len(&client->input) > 0;
    return control_buffer_len(&client->output) > 0;
}

/* Reading is not renewed by each further byte, sending is. */
static int client_set_deadline(ControlClient *client, bool waits, bool renewed)
{
    sd_event_source *source = client->deadline_source;
    bool is_set = sd_event_source_get_enabled(source, NULL) > 0;
    int r;

    if (!waits)
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (is_set && !renewed)
        return 0;
    r = sd_event_source_set_time_relative(
        source, client->service->handler.deadline_usec);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
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
    if (client->state == CLIENT_SENDING &&
        control_buffer_len(&client->output) == 0)
        client->state = CLIENT_READING;

    has_message = control_buffer_has_message(&client->input, &len);
    if (client_set_deadline(client, client_waits(client, has_message),
                            progress) < 0)
        client_drop(client, "its deadline cannot be set");
    /* without EPOLLIN only hanging up is told, which always is */
    if (client->state == CLIENT_READING && !has_message && !client->has_ended)
        events |= EPOLLIN;
    if (control_buffer_len(&client->output) > 0)
        events |= EPOLLOUT;
    if (sd_event_source_set_io_events(client->io_source, events) < 0)
        client_drop(client, "its socket cannot be watched");

    has_turn =
        client->drop_reason || client->is_lost ||
        (client->state == CLIENT_READING && (has_message || client->has_ended));
    if (has_turn)
        (void) sd_event_source_set_enabled(client->turn_source,
                                           SD_EVENT_ONESHOT);
}

/* Queue a message for the peer, who may not want it, or not be there. */
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
        r = control_buffer_append(&client->output, text, len);

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

    client_queue(client, control_reply_new(parameters, true));
    client_update(client);
}

void control_client_error(ControlClient *client,
                          const char *error,
                          json_t *parameters)
{
    client_finish(client, control_error_new(error, parameters));
}

static void client_answer(ControlClient *client, const ControlCall *call)
{
    const ControlHandler *handler = &client->service->handler;
    ControlMethod method;
    json_t *answer;

    client->state = CLIENT_ANSWERING;
    client->is_oneway = call->oneway;
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
        control_call_decode(&call, control_buffer_data(&client->input), len);

    control_buffer_drop(&client->input, len + 1);
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

/* There is room for a byte at least: without a message the buffer is not full.
 */
static void client_read(ControlClient *client)
{
    char *space;
    ssize_t n = control_buffer_space(&client->input, &space, READ_SIZE);
    size_t len;

    if (n < 0) {
        client_drop(client, "no memory for its call");
        return;
    }
    n = recv(client->fd, space, (size_t) n, MSG_DONTWAIT);
    if (n > 0)
        control_buffer_filled(&client->input, (size_t) n);
    else if (n == 0)
        client->has_ended = true;
    else if (errno != EAGAIN && errno != EINTR)
        client->is_lost = true;

    if (control_buffer_len(&client->input) > CONTROL_CALL_MAX &&
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
    sd_event *event = client->service->event;
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

/* Takes over @fd, also when it fails. */
static int client_new(ControlClient **ret, ControlService *service, int fd_arg)
{
    _cleanup_(fd_closep) int fd = fd_arg;
    _cleanup_(client_freep) ControlClient *client = NULL;
    socklen_t len = sizeof(client->peer);
    int r;

    client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;

    client->service = service;
    client->fd = take_fd(&fd);
    client->input.max = CONTROL_CALL_MAX + 1;
    client->output.max = CONTROL_OUTPUT_MAX;
    /* only for the log: the socket's mode says who may connect */
    if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &client->peer, &len) <
        0)
        return -errno;
    r = client_add_sources(client);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(client);
    return 0;
}

static ControlClient **service_find_slot(ControlService *service)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (!service->clients[i])
            return &service->clients[i];
    return NULL;
}

static void service_pause(ControlService *service)
{
    if (!service->told_paused)
        service_log(service, "control: accepting clients is paused for want "
                             "of descriptors or memory");
    service->told_paused = true;

    if (sd_event_source_set_time_relative(service->wait_source,
                                          CONTROL_ACCEPT_WAIT_USEC) < 0 ||
        sd_event_source_set_enabled(service->wait_source, SD_EVENT_ONESHOT) < 0)
        return;
    (void) sd_event_source_set_enabled(service->accept_source, SD_EVENT_OFF);
}

static void service_add(ControlService *service, int fd)
{
    ControlClient **slot = service_find_slot(service);

    if (!slot) {
        if (!service->told_full)
            service_log(service, "control: too many clients, further ones are "
                                 "turned away");
        service->told_full = true;
        fd_close(fd);
        return;
    }
    if (client_new(slot, service, fd) < 0) {
        service_pause(service);
        return;
    }
    service->n_clients++;
    service->told_paused = false;
}

static int service_on_accept(sd_event_source *source,
                             int fd,
                             uint32_t revents,
                             void *userdata)
{
    ControlService *service = userdata;
    int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void) source;
    (void) revents;

    if (client >= 0)
        service_add(service, client);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
             errno == ENOMEM)
        service_pause(service);
    /* anything else is over with the connection that it was about */
    return 0;
}

static int service_on_wait(sd_event_source *source,
                           uint64_t usec,
                           void *userdata)
{
    (void) source;
    (void) usec;

    service_resume(userdata);
    return 0;
}

static int service_add_sources(ControlService *service)
{
    int flags = fcntl(service->fd, F_GETFL);
    int r;

    /* a client may be gone again before it is accepted */
    if (flags < 0 || fcntl(service->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    r = sd_event_add_io(service->event, &service->accept_source, service->fd,
                        EPOLLIN, service_on_accept, service);
    if (r < 0)
        return r;
    r = sd_event_add_time(service->event, &service->wait_source,
                          CLOCK_MONOTONIC, 0, 0, service_on_wait, service);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(service->wait_source, SD_EVENT_OFF);
}

int control_service_new(ControlService **ret,
                        sd_event *event,
                        int fd_arg,
                        const ControlHandler *handler)
{
    _cleanup_(fd_closep) int fd = fd_arg;
    _cleanup_(control_service_freep) ControlService *service = NULL;
    int r;

    assert(handler->on_call && handler->on_log);

    service = calloc(1, sizeof(*service));
    if (!service)
        return -ENOMEM;

    service->event = sd_event_ref(event);
    service->fd = take_fd(&fd);
    service->handler = *handler;
    if (service->handler.deadline_usec == 0)
        service->handler.deadline_usec = CONTROL_DEADLINE_USEC;
    r = service_add_sources(service);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(service);
    return 0;
}

ControlService *control_service_free(ControlService *service)
{
    if (!service)
        return NULL;

    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (service->clients[i])
            client_close(service->clients[i]);
    sd_event_source_disable_unref(service->wait_source);
    sd_event_source_disable_unref(service->accept_source);
    sd_event_unref(service->event);
    fd_close(service->fd);
    free(service);
    return NULL;
}

size_t control_service_count(const ControlService *service)
{
    return service->n_clients;
}
