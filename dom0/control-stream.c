/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/control-internal.h"
#include "dom0/wire/device-wire.h"
#include "dom0/wire/report-wire.h"
#include "dom0/wire/values.h"

#define HISTORY_BATCH 64U /* outcomes in one reply of a stream */

/* lists in parts */

void control_tell_part(Control *control,
                       Pending *pending,
                       json_t *parameters,
                       bool is_last)
{
    if (is_last)
        control_finish(control, pending->client, parameters);
    else if (pending->more)
        control_client_continue(pending->client, parameters);
    else {
        json_decref(parameters);
        control_refuse(control, pending->client, CONTROL_ERROR_EXPECTED_MORE,
                       json_object());
    }
}

static void tell_devices(Control *control, Pending *pending)
{
    json_t *list = json_array();
    DeviceCursor after;
    ReportDevice device;

    for (size_t i = 0;
         i < DEVICE_WIRE_BATCH &&
         manager_next_device(control->manager, &pending->cursor, &device);
         i++)
        if (json_array_append_new(list, device_to_json(&device)) < 0) {
            json_decref(list);
            list = NULL;
            break;
        }
    after = pending->cursor;
    control_tell_part(control, pending, json_pack("{s:o}", "devices", list),
                      !manager_next_device(control->manager, &after, &device));
}

static void tell_rules(Control *control, Pending *pending)
{
    size_t n = manager_count_rules(control->manager);
    json_t *list = json_array();

    for (size_t i = 0; i < RULE_WIRE_BATCH && pending->index < n; i++) {
        const ReportRule rule =
            manager_get_rule(control->manager, pending->index++);

        if (json_array_append_new(list, rule_to_json(&rule)) < 0) {
            json_decref(list);
            list = NULL;
            break;
        }
    }
    control_tell_part(control, pending, json_pack("{s:o}", "rules", list),
                      pending->index >= n);
}

/* history */

/* At most @max outcomes from @serial on; NULL without memory. */
static json_t *outcomes_from(const Control *control,
                             uint64_t serial,
                             size_t max)
{
    const History *history = manager_history(control->manager);
    const HistoryEntry *entry;
    json_t *list = json_array();

    for (size_t i = 0; list && i < max; i++) {
        entry = history_find(history, serial + i);
        if (!entry)
            break;
        if (json_array_append_new(list, outcome_to_json(entry)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *history_reply(const Control *control,
                             uint64_t n_missed,
                             json_t *outcomes)
{
    return json_pack("{s:o, s:o, s:o}", "begun_usec",
                     value_number(control->begun_usec), "n_missed",
                     value_number(n_missed), "outcomes", outcomes);
}

/* Tell the outcomes that are new since the last reply, if there are any. */
static void tell_history(Control *control, Pending *pending)
{
    const History *history = manager_history(control->manager);
    uint64_t n_dropped = history_dropped(history);
    uint64_t n_missed =
        n_dropped > pending->serial ? n_dropped - pending->serial : 0;
    json_t *outcomes;

    if (pending->serial == control_last_serial(control))
        return;
    pending->serial += n_missed;
    outcomes = outcomes_from(control, pending->serial + 1, HISTORY_BATCH);
    pending->serial += json_array_size(outcomes);
    control_client_continue(pending->client,
                            history_reply(control, n_missed, outcomes));
}

void control_begin_history(Control *control,
                           Pending *pending,
                           const ControlCall *call)
{
    const History *history = manager_history(control->manager);
    json_t *number = json_object_get(call->parameters, "n");
    json_int_t n = json_integer_value(number);
    size_t n_told = history_count(history);
    json_t *reply;

    if (n < 0) {
        control_refuse_parameter(control, pending->client, "n");
        return;
    }
    if (json_is_integer(number) && (size_t) n < n_told)
        n_told = (size_t) n;
    reply = history_reply(
        control, 0,
        outcomes_from(control, control_last_serial(control) - n_told + 1,
                      n_told));
    if (call->more)
        control_client_continue(pending->client, reply);
    else
        control_finish(control, pending->client, reply);
}

/* wait */

static bool is_awaited(const Pending *pending, const HistoryEntry *entry)
{
    return pending->rule.s[0] ? strcmp(entry->rule.s, pending->rule.s) == 0
                              : control_is_of(entry, &pending->ref);
}

static void tell_awaited(Control *control, Pending *pending)
{
    const History *history = manager_history(control->manager);
    uint64_t last = control_last_serial(control);

    while (pending->serial < last) {
        const HistoryEntry *entry = history_find(history, ++pending->serial);

        if (entry && is_awaited(pending, entry))
            control_client_continue(
                pending->client, json_pack("{s:n, s:o}", "attached", "outcome",
                                           outcome_to_json(entry)));
    }
}

static void tell_wait(Control *control, Pending *pending)
{
    bool by_rule = pending->rule.s[0] != '\0';
    ReportDevice device;

    if (manager_find_attached(control->manager, by_rule ? NULL : &pending->ref,
                              pending->rule.s, &device))
        control_finish(control, pending->client,
                       json_pack("{s:o, s:n}", "attached",
                                 attached_to_json(&device), "outcome"));
    else if (pending->more && control_client_is_ready(pending->client))
        tell_awaited(control, pending);
}

void control_begin_wait(Control *control,
                        Pending *pending,
                        const ControlCall *call)
{
    const char *untrusted_rule = control_text_of(call, "rule");
    const char *bad =
        control_awaited_decode(&pending->ref, &pending->rule, call);

    if (bad)
        control_refuse_parameter(control, pending->client, bad);
    else if (untrusted_rule &&
             !manager_find_rule(control->manager, pending->rule.s))
        control_refuse(control, pending->client, CONTROL_ERROR_NO_SUCH_RULE,
                       json_pack("{s:s}", "rule", untrusted_rule));
    else
        tell_wait(control, pending);
}

/* What comes next of a stream; nothing if there is nothing new. */
void control_go_on(Control *control, Pending *pending)
{
    if (pending->method == CONTROL_LIST_DEVICES)
        tell_devices(control, pending);
    else if (pending->method == CONTROL_LIST_RULES)
        tell_rules(control, pending);
    else if (pending->method == CONTROL_GET_HISTORY)
        tell_history(control, pending);
    else if (pending->method == CONTROL_WAIT)
        tell_wait(control, pending);
    else if (pending->method == CONTROL_EXPLAIN)
        control_tell_explanation(control, pending);
}
