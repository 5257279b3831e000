/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "dom0/io/control-service.h"

struct ControlService {
    sd_event *event;
    int fd;
    sd_event_source *accept_source;
    sd_event_source *wait_source; /* on while accepting is paused */
    ControlHandler handler;

    /* logged once, until it is over */
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

static void service_on_closed(ControlClient *client, void *userdata)
{
    ControlService *service = userdata;

    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (service->clients[i] == client)
            service->clients[i] = NULL;
    service->n_clients--;
    service->told_full = false;
    service_resume(service);
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
    if (control_client_new(slot, service->event, fd, &service->handler,
                           service_on_closed, service) < 0) {
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
    /* any other error concerns this one connection only */
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
        control_client_free(service->clients[i]);
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
