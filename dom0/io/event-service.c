/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "dom0/io/event-connection.h"

struct EventService {
    sd_event_source *accept_source;
    sd_event_source *pause_source;
    bool paused;
    int fd;
    EventConnection *connections;
    size_t n_strangers;
    EventConnectionContext context; /* owns its event */
};

/* Accept only while there is room for one more connection whose source is not
 * known. */
static void service_update(EventService *service)
{
    (void) sd_event_source_set_enabled(
        service->accept_source,
        service->n_strangers < EVENT_STRANGERS_MAX && !service->paused
            ? SD_EVENT_ON
            : SD_EVENT_OFF);
}

static void service_on_known(EventService *service)
{
    service->n_strangers--;
    service_update(service);
}

static void service_on_closed(EventService *service,
                              EventConnection *connection)
{
    EventConnection **link = &service->connections;

    while (*link != connection)
        link = event_connection_next(*link);
    *link = *event_connection_next(connection);
}

/* Out of descriptors or memory: the calls wait in the socket's queue. */
static void service_pause(EventService *service)
{
    service->paused = true;
    (void) sd_event_source_set_time_relative(service->pause_source,
                                             EVENT_ACCEPT_PAUSE_USEC);
    (void) sd_event_source_set_enabled(service->pause_source, SD_EVENT_ONESHOT);
    service_update(service);
}

static int service_on_pause_end(sd_event_source *source,
                                uint64_t usec,
                                void *userdata)
{
    EventService *service = userdata;

    (void) source;
    (void) usec;

    service->paused = false;
    service_update(service);
    return 0;
}

static int service_on_accept(sd_event_source *source,
                             int fd,
                             uint32_t revents,
                             void *userdata)
{
    EventService *service = userdata;
    EventConnection *connection;
    int peer;

    (void) source;
    (void) revents;

    peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
                     errno == ENOBUFS))
        service_pause(service);
    if (peer < 0 ||
        event_connection_new(&connection, peer, &service->context) < 0)
        /* the peer is gone again, or there is no room: that costs this call
         * only */
        return 0;

    *event_connection_next(connection) = service->connections;
    service->connections = connection;
    service->n_strangers++;
    service_update(service);
    return 0;
}

static int service_add_sources(EventService *service)
{
    sd_event *event = service->context.event;
    int flags, r;

    /* systemd passes a socket that blocks: accept4() would hang if the caller
     * hangs up before the call is accepted */
    flags = fcntl(service->fd, F_GETFL);
    if (flags < 0 || fcntl(service->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    r = sd_event_add_io(event, &service->accept_source, service->fd, EPOLLIN,
                        service_on_accept, service);
    if (r < 0)
        return r;
    r = sd_event_add_time(event, &service->pause_source, CLOCK_MONOTONIC, 0, 0,
                          service_on_pause_end, service);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(service->pause_source, SD_EVENT_OFF);
}

static EventConnection *service_find(EventService *service, uint64_t id)
{
    for (EventConnection *connection = service->connections; connection;
         connection = *event_connection_next(connection))
        if (event_connection_id(connection) == id)
            return connection;
    return NULL;
}

int event_service_new(EventService **ret,
                      sd_event *event,
                      int fd_arg,
                      const EventServiceHooks *hooks,
                      void *userdata)
{
    _cleanup_(event_service_freep) EventService *service = NULL;
    int r;

    service = calloc(1, sizeof(*service));
    if (!service) {
        fd_close(fd_arg);
        return -ENOMEM;
    }
    service->fd = fd_arg;
    service->context = (EventConnectionContext){
        .event = sd_event_ref(event),
        .hooks = hooks,
        .userdata = userdata,
        .on_known = service_on_known,
        .on_closed = service_on_closed,
        .service = service,
    };

    r = service_add_sources(service);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(service);
    return 0;
}

EventService *event_service_free(EventService *service)
{
    if (!service)
        return NULL;

    while (service->connections) {
        EventConnection *connection = service->connections;

        service->connections = *event_connection_next(connection);
        event_connection_free(connection);
    }
    sd_event_source_disable_unref(service->accept_source);
    sd_event_source_disable_unref(service->pause_source);
    fd_close(service->fd);
    sd_event_unref(service->context.event);
    free(service);
    return NULL;
}

void event_service_answer(EventService *service,
                          uint64_t id,
                          int64_t seq,
                          Status status)
{
    EventConnection *connection = service_find(service, id);

    if (connection)
        event_connection_answer(connection, seq, status);
}

void event_service_close(EventService *service, uint64_t id)
{
    EventConnection *connection = service_find(service, id);

    if (connection)
        event_connection_close(connection);
}
