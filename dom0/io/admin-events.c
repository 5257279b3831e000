/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/sys/socket.h"
#include "common/text.h"
#include "dom0/io/admin-events.h"
#include "dom0/wire/admin.h"

struct AdminEvents {
    sd_event *event;
    sd_event_source *io_source;
    sd_event_source *retry_source;
    uint64_t retry_usec;
    int fd;
    bool connected;

    const char *socket_path; /* borrowed */
    const AdminEventsHooks *hooks;
    void *userdata;

    bool skipping; /* to the end of a frame that is too long */
    AdminFrameSkip skip;
    size_t len;
    char data[ADMIN_FRAME_MAX];
};

static void events_lose(AdminEvents *events, const char *detail)
{
    events->io_source = sd_event_source_disable_unref(events->io_source);
    events->fd = fd_close(events->fd);
    events->connected = false;
    events->skipping = false;
    events->len = 0;

    (void) sd_event_source_set_time_relative(events->retry_source,
                                             events->retry_usec);
    (void) sd_event_source_set_enabled(events->retry_source, SD_EVENT_ONESHOT);
    events->retry_usec *= 2;
    if (events->retry_usec > ADMIN_EVENTS_RETRY_MAX_USEC)
        events->retry_usec = ADMIN_EVENTS_RETRY_MAX_USEC;

    events->hooks->on_state(false, detail, events->userdata);
}

static void events_deliver(AdminEvents *events, const AdminEvent *event)
{
    if (event->type == ADMIN_EVENT_ESTABLISHED && !events->connected) {
        (void) sd_event_source_set_enabled(events->retry_source, SD_EVENT_OFF);
        events->connected = true;
        events->retry_usec = ADMIN_EVENTS_RETRY_USEC;
        events->hooks->on_state(true, "", events->userdata);
        return;
    }
    if (event->type != ADMIN_EVENT_OTHER)
        events->hooks->on_event(event, events->userdata);
}

/* Deliver all whole frames; false if the stream makes no sense. */
static bool events_parse(AdminEvents *events)
{
    size_t at = 0;

    for (;;) {
        AdminEvent event;
        size_t len = 0;

        if (events->skipping) {
            events->skipping = !admin_skip_frame(
                &events->skip, &len, events->data + at, events->len - at);
            at = events->skipping ? events->len : at + len;
        }
        switch (admin_decode_frame(&event, &len, events->data + at,
                                   events->len - at)) {
        case ADMIN_FRAME_GOOD:
            at += len;
            events_deliver(events, &event);
            continue;
        case ADMIN_FRAME_INCOMPLETE:
            memmove(events->data, events->data + at, events->len - at);
            events->len -= at;
            if (events->len < sizeof(events->data))
                return true;
            /* none of those that concern us is so long */
            events->skipping = true;
            events->skip = (AdminFrameSkip){};
            at = 0;
            continue;
        case ADMIN_FRAME_BAD:
            break;
        }
        return false;
    }
}

static int events_on_io(sd_event_source *source,
                        int fd,
                        uint32_t revents,
                        void *userdata)
{
    AdminEvents *events = userdata;
    ssize_t n;

    (void) source;
    (void) revents;

    n = recv(fd, events->data + events->len, sizeof(events->data) - events->len,
             0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        events_lose(events, "qubesd closed the connection");
        return 0;
    }

    events->len += (size_t) n;
    if (!events_parse(events))
        events_lose(events, "qubesd's events make no sense");
    return 0;
}

static int events_connect(AdminEvents *events)
{
    const AdminRequest request = { .method = ADMIN_EVENTS, .dest = { "dom0" } };
    char text[ADMIN_REQUEST_MAX];
    size_t len = admin_encode(text, &request);
    int r;

    events->fd = socket_connect(events->socket_path);
    if (events->fd < 0)
        return events->fd;
    if (send(events->fd, text, len, MSG_NOSIGNAL) != (ssize_t) len)
        return -EIO;
    if (shutdown(events->fd, SHUT_WR) < 0)
        return -errno;

    r = sd_event_add_io(events->event, &events->io_source, events->fd, EPOLLIN,
                        events_on_io, events);
    if (r < 0)
        return r;
    /* of an event and an answer that are both there, handle the event first */
    return sd_event_source_set_priority(events->io_source,
                                        SD_EVENT_PRIORITY_IMPORTANT);
}

static int events_on_retry(sd_event_source *source,
                           uint64_t usec,
                           void *userdata)
{
    AdminEvents *events = userdata;
    int r;

    (void) source;
    (void) usec;

    if (events->fd >= 0) {
        events_lose(events, "qubesd does not answer");
        return 0;
    }
    /* the same timer bounds the wait for connection-established */
    (void) sd_event_source_set_time_relative(events->retry_source,
                                             ADMIN_LOOK_USEC);
    (void) sd_event_source_set_enabled(events->retry_source, SD_EVENT_ONESHOT);
    r = events_connect(events);
    if (r < 0) {
        char detail[ADMIN_DETAIL_MAX + 1];

        (void) text_format(detail, sizeof(detail),
                           "qubesd cannot be reached: %s", strerror(-r));
        events_lose(events, detail);
    }
    return 0;
}

int admin_events_new(AdminEvents **ret,
                     sd_event *event,
                     const char *socket_path,
                     const AdminEventsHooks *hooks,
                     void *userdata)
{
    _cleanup_(admin_events_freep) AdminEvents *events = NULL;
    int r;

    events = calloc(1, sizeof(*events));
    if (!events)
        return -ENOMEM;

    events->event = sd_event_ref(event);
    events->fd = -1;
    events->retry_usec = ADMIN_EVENTS_RETRY_USEC;
    events->socket_path = socket_path;
    events->hooks = hooks;
    events->userdata = userdata;

    r = sd_event_add_time_relative(event, &events->retry_source,
                                   CLOCK_MONOTONIC, 0, 1, events_on_retry,
                                   events);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(events);
    return 0;
}

AdminEvents *admin_events_free(AdminEvents *events)
{
    if (!events)
        return NULL;

    sd_event_source_disable_unref(events->io_source);
    sd_event_source_disable_unref(events->retry_source);
    fd_close(events->fd);
    sd_event_unref(events->event);
    free(events);
    return NULL;
}
