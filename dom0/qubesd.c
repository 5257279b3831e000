/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/sys/log.h"
#include "common/text.h"
#include "dom0/io/admin-call.h"
#include "dom0/io/admin-events.h"
#include "dom0/qubesd.h"

typedef struct QubesdCall {
    struct QubesdCall *next;
    Qubesd *qubesd;
    AdminCall *call;
    uint64_t id;
} QubesdCall;

struct Qubesd {
    sd_event *event;
    const char *socket_path;
    const QubesdHooks *hooks;
    void *userdata;

    AdminEvents *events;
    AdminCall *probe;
    QubesdCall *calls;

    bool told; /* the state, at least once */
    QubesdState state;
    char detail[ADMIN_DETAIL_MAX + 1];
};

static void qubesd_set(Qubesd *qubesd, QubesdState state, const char *detail)
{
    bool known = qubesd->told && qubesd->state == state &&
                 strcmp(qubesd->detail, detail) == 0;

    qubesd->told = true;
    qubesd->state = state;
    (void) text_format(qubesd->detail, sizeof(qubesd->detail), "%s", detail);
    if (!known && state == QUBESD_CONNECTED)
        log_message(LOG_INFO, "connected to qubesd");
    else if (!known)
        log_message(LOG_WARNING, "%s", detail);
    qubesd->hooks->on_state(state, qubesd->userdata);
}

/* A call that only finds out the release. It may fail: an old release also
 * shows in its answers to other calls. */
static void qubesd_probe(Qubesd *qubesd, AdminMethod method, AdminCallFn fn)
{
    const AdminRequest request = { .method = method,
                                   .class = DEVICE_CLASS_BLOCK,
                                   .dest = { "dom0" } };

    qubesd->probe = admin_call_free(qubesd->probe);
    (void) admin_call_new(&qubesd->probe, qubesd->event, qubesd->socket_path,
                          &request, fn, qubesd);
}

static void on_old_list(AdminCall *call,
                        const AdminAnswer *answer,
                        void *userdata)
{
    Qubesd *qubesd = userdata;
    bool old = answer->result == ADMIN_OK;

    qubesd->probe = admin_call_free(call);
    if (old)
        qubesd_set(qubesd, QUBESD_UNSUPPORTED,
                   "qubesd is of a release before R4.3, which is not "
                   "supported: nothing will be attached");
}

/* R4.3 and later know Attached, R4.2 knows List (WIRE 1). */
static void on_attached(AdminCall *call,
                        const AdminAnswer *answer,
                        void *userdata)
{
    Qubesd *qubesd = userdata;
    bool known = answer->result == ADMIN_OK;

    qubesd->probe = admin_call_free(call);
    if (!known)
        qubesd_probe(qubesd, ADMIN_OLD_LIST, on_old_list);
}

static void on_stream_state(bool connected, const char *detail, void *userdata)
{
    Qubesd *qubesd = userdata;

    qubesd->probe = admin_call_free(qubesd->probe);
    if (connected)
        qubesd_probe(qubesd, ADMIN_ATTACHED, on_attached);
    qubesd_set(qubesd, connected ? QUBESD_CONNECTED : QUBESD_GONE, detail);
}

static void on_stream_event(const AdminEvent *event, void *userdata)
{
    Qubesd *qubesd = userdata;

    qubesd->hooks->on_event(event, qubesd->userdata);
}

static const AdminEventsHooks stream_hooks = {
    .on_state = on_stream_state,
    .on_event = on_stream_event,
};

static void call_free(QubesdCall *call)
{
    QubesdCall **link = &call->qubesd->calls;

    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
    admin_call_free(call->call);
    free(call);
}

static void on_answer(AdminCall *admin_call,
                      const AdminAnswer *answer,
                      void *userdata)
{
    QubesdCall *call = userdata;
    Qubesd *qubesd = call->qubesd;
    uint64_t id = call->id;

    (void) admin_call;

    if (!answer->pending)
        call_free(call);
    qubesd->hooks->on_answer(id, answer, qubesd->userdata);
}

int qubesd_call(Qubesd *qubesd, uint64_t id, const AdminRequest *request)
{
    QubesdCall *call = malloc(sizeof(*call));
    int r;

    if (!call)
        return -ENOMEM;

    *call = (QubesdCall){ .next = qubesd->calls, .qubesd = qubesd, .id = id };
    r = admin_call_new(&call->call, qubesd->event, qubesd->socket_path, request,
                       on_answer, call);
    if (r < 0) {
        free(call);
        return r;
    }
    qubesd->calls = call;
    return 0;
}

int qubesd_new(Qubesd **ret,
               sd_event *event,
               const char *socket_path,
               const QubesdHooks *hooks,
               void *userdata)
{
    _cleanup_(qubesd_freep) Qubesd *qubesd = calloc(1, sizeof(*qubesd));
    int r;

    if (!qubesd)
        return -ENOMEM;

    qubesd->event = sd_event_ref(event);
    qubesd->socket_path = socket_path;
    qubesd->hooks = hooks;
    qubesd->userdata = userdata;
    r = admin_events_new(&qubesd->events, event, socket_path, &stream_hooks,
                         qubesd);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(qubesd);
    return 0;
}

Qubesd *qubesd_free(Qubesd *qubesd)
{
    if (!qubesd)
        return NULL;

    while (qubesd->calls)
        call_free(qubesd->calls);
    admin_call_free(qubesd->probe);
    admin_events_free(qubesd->events);
    sd_event_unref(qubesd->event);
    free(qubesd);
    return NULL;
}

QubesdState qubesd_state(const Qubesd *qubesd)
{
    return qubesd->state;
}

const char *qubesd_detail(const Qubesd *qubesd)
{
    return qubesd->detail;
}
