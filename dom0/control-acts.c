/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "common/rate.h"
#include "dom0/control-internal.h"
#include "dom0/wire/report-wire.h"
#include "dom0/wire/values.h"

/* a hundred years: no clock goes over with it, and the state can be saved */
#define PAUSE_MAX_USEC (UINT64_C(36525) * 24 * 3600 * USEC_PER_SEC)

/* The newest outcome of the device since the call, or NULL. */
static const HistoryEntry *find_outcome(const Control *control,
                                        const Pending *pending)
{
    const History *history = manager_history(control->manager);

    for (uint64_t serial = control_last_serial(control);
         serial > pending->serial; serial--) {
        const HistoryEntry *entry = history_find(history, serial);

        if (!entry)
            break;
        if (control_is_of(entry, &pending->ref))
            return entry;
    }
    return NULL;
}

void control_finish_act(Control *control, Pending *pending, Status status)
{
    const HistoryEntry *entry = find_outcome(control, pending);

    /* the manager tells who waits for a detach no more than this; the history
     * has the reason */
    if (status == STATUS_NOT_ATTACHED && entry)
        status = entry->status;
    control_finish(control, pending->client,
                   json_pack("{s:i, s:s, s:s, s:o}", "code", (int) status,
                             "status", status_name(status), "sentence",
                             status_sentence(status), "outcome",
                             entry && entry->status == status
                                 ? outcome_to_json(entry)
                                 : json_null()));
}

void control_begin_act(Control *control,
                       Pending *pending,
                       const ControlCall *call)
{
    const char *bad = control_device_decode(&pending->ref, call);
    Instant now = instant_now();
    Status status;

    if (bad) {
        control_refuse_parameter(control, pending->client, bad);
        return;
    }
    pending->asker = manager_new_asker(control->manager);
    status = pending->method == CONTROL_RETRY
                 ? manager_retry(control->manager, &pending->ref,
                                 pending->asker, now)
                 : manager_detach(control->manager, &pending->ref,
                                  pending->asker, now);
    if (status == STATUS_NO_SUCH_DEVICE) {
        control_refuse(control, pending->client, CONTROL_ERROR_NO_SUCH_DEVICE,
                       json_incref(call->parameters));
        return;
    }
    /* A job may end in this call: then its outcome is told here, by
     * control_answer(), and @pending is free. */
    control->hooks->on_acted(control->userdata);
    if (status != STATUS_INVALID)
        control_finish_act(control, pending, status);
}

void control_answer_pause(Control *control,
                          ControlClient *client,
                          const ControlCall *call)
{
    json_t *number = json_object_get(call->parameters, "duration_usec");
    json_int_t usec = json_integer_value(number);
    bool for_ever = !json_is_integer(number);
    Instant now = instant_now();

    if (!for_ever && (usec <= 0 || (uint64_t) usec > PAUSE_MAX_USEC)) {
        control_refuse_parameter(control, client, "duration_usec");
        return;
    }
    manager_pause(control->manager,
                  for_ever ? MANAGER_PAUSE_FOREVER
                           : now.boottime_usec + (uint64_t) usec,
                  now);
    control->hooks->on_acted(control->userdata);
    control_finish(control, client,
                   json_pack("{s:o}", "until_usec",
                             for_ever ? json_null()
                                      : value_number(now.realtime_usec +
                                                     (uint64_t) usec)));
}

void control_answer_resume(Control *control, ControlClient *client)
{
    bool was_paused = manager_paused_until(control->manager) != 0;

    manager_resume(control->manager, instant_now());
    control->hooks->on_acted(control->userdata);
    control_finish(control, client,
                   json_pack("{s:b}", "was_paused", was_paused));
}
