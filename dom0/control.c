/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/control-internal.h"
#include "dom0/wire/report-wire.h"

static Pending *find_pending(Control *control, const ControlClient *client)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (control->pending[i].client == client)
            return &control->pending[i];
    assert(false);
    return NULL;
}

uint64_t control_last_serial(const Control *control)
{
    return history_last_serial(manager_history(control->manager));
}

static void drop_pending(Control *control, const ControlClient *client)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (control->pending[i].client == client) {
            control_drop_asked(&control->pending[i]);
            control->pending[i] = (Pending){};
        }
}

void control_finish(Control *control, ControlClient *client, json_t *parameters)
{
    drop_pending(control, client);
    control_client_reply(client, parameters);
}

void control_refuse(Control *control,
                    ControlClient *client,
                    const char *error,
                    json_t *parameters)
{
    drop_pending(control, client);
    control_client_error(client, error, parameters);
}

void control_refuse_parameter(Control *control,
                              ControlClient *client,
                              const char *parameter)
{
    control_refuse(control, client, CONTROL_ERROR_INVALID_PARAMETER,
                   json_pack("{s:s}", "parameter", parameter));
}

bool control_is_of(const HistoryEntry *entry, const DeviceRef *ref)
{
    return entry->class == ref->class &&
           device_name_equal(&entry->device, &ref->device) &&
           qube_name_equal(&entry->source, &ref->source);
}

static void report(const Control *control, Report *ret, Instant now)
{
    *ret = (Report){};
    control->hooks->on_report(ret, now, control->userdata);
}

static void answer_status(Control *control, ControlClient *client)
{
    Instant now = instant_now();
    Report status;

    report(control, &status, now);
    control_finish(control, client, report_to_json(&status, now.realtime_usec));
}

static void answer_reload(Control *control, ControlClient *client)
{
    Report status;

    control->hooks->on_reload(control->userdata);
    report(control, &status, instant_now());
    control_finish(control, client,
                   json_pack("{s:o}", "rules", rules_status_to_json(&status)));
}

bool control_answer(Control *control, uint64_t asker, Status status)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        Pending *pending = &control->pending[i];

        if (!pending->client || pending->asker != asker)
            continue;
        control_finish_act(control, pending, status);
        return true;
    }
    return false;
}

static Pending *add_pending(Control *control,
                            ControlClient *client,
                            ControlMethod method,
                            const ControlCall *call)
{
    Pending *pending = find_pending(control, NULL);

    *pending = (Pending){ .client = client,
                          .method = method,
                          .more = call->more,
                          .serial = control_last_serial(control) };
    return pending;
}

static void on_call(ControlClient *client,
                    ControlMethod method,
                    const ControlCall *call,
                    void *userdata)
{
    Control *control = userdata;

    switch (method) {
    case CONTROL_GET_STATUS:
        answer_status(control, client);
        return;
    case CONTROL_PAUSE:
        control_answer_pause(control, client, call);
        return;
    case CONTROL_RESUME:
        control_answer_resume(control, client);
        return;
    case CONTROL_RELOAD:
        answer_reload(control, client);
        return;
    case CONTROL_LIST_DEVICES:
    case CONTROL_LIST_RULES:
        control_go_on(control, add_pending(control, client, method, call));
        return;
    case CONTROL_GET_HISTORY:
        control_begin_history(control,
                              add_pending(control, client, method, call), call);
        return;
    case CONTROL_WAIT:
        control_begin_wait(control, add_pending(control, client, method, call),
                           call);
        return;
    case CONTROL_RETRY:
    case CONTROL_DETACH:
        control_begin_act(control, add_pending(control, client, method, call),
                          call);
        return;
    case CONTROL_EXPLAIN:
        control_begin_explain(control,
                              add_pending(control, client, method, call), call);
        return;
    case CONTROL_LIST_QUBES:
        control_begin_qubes(control,
                            add_pending(control, client, method, call));
        return;
    case CONTROL_METHOD_INVALID:
    case CONTROL_GET_INFO:
    case CONTROL_GET_INTERFACE_DESCRIPTION:
        break;
    }
    assert(false); /* the service answers these itself */
}

static void on_ready(ControlClient *client, void *userdata)
{
    Control *control = userdata;

    control_go_on(control, find_pending(control, client));
}

void control_update(Control *control)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        Pending *pending = &control->pending[i];
        bool is_list = pending->method == CONTROL_LIST_DEVICES ||
                       pending->method == CONTROL_LIST_RULES ||
                       pending->method == CONTROL_EXPLAIN;

        if (pending->client && !is_list &&
            (pending->method == CONTROL_WAIT ||
             control_client_is_ready(pending->client)))
            control_go_on(control, pending);
    }
}

static void on_gone(ControlClient *client, void *userdata)
{
    Control *control = userdata;
    Pending *pending = find_pending(control, client);

    if (pending->asker != 0)
        manager_drop_asker(control->manager, pending->asker);
    control_drop_asked(pending);
    *pending = (Pending){};
}

static void on_log(const char *message, void *userdata)
{
    Control *control = userdata;

    control->hooks->on_log(message, control->userdata);
}

int control_new(Control **ret,
                const InquirySockets *sockets,
                int fd,
                Manager *manager,
                const ControlHooks *hooks,
                void *userdata)
{
    _cleanup_(control_freep) Control *control = calloc(1, sizeof(*control));
    int r;

    if (!control) {
        fd_close(fd);
        return -ENOMEM;
    }

    control->manager = manager;
    control->sockets = *sockets;
    control->hooks = hooks;
    control->userdata = userdata;
    control->begun_usec = instant_now().realtime_usec;
    r = control_service_new(&control->service, sockets->event, fd,
                            &(ControlHandler){ .on_call = on_call,
                                               .on_ready = on_ready,
                                               .on_gone = on_gone,
                                               .on_log = on_log,
                                               .userdata = control });
    if (r < 0)
        return r;

    *ret = TAKE_PTR(control);
    return 0;
}

Control *control_free(Control *control)
{
    if (!control)
        return NULL;

    control_service_free(control->service);
    free(control);
    return NULL;
}
