/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "dom0/control-internal.h"
#include "dom0/core/manager-trial.h"
#include "dom0/wire/device-wire.h"
#include "dom0/wire/explain-wire.h"

struct Asked {
    Control *control;
    Pending *pending;
    Inquiry *inquiry; /* NULL once it has its answer */

    /* of Explain: copies of all that may have changed by the time of the
     * answer */
    Trial *trial;
    Ruleset *ruleset;
    TrialTask task;
    QubeName source;
    Record record;
    json_t *device;
    size_t index; /* of the next rule to tell */
};

static Asked *asked_free(Asked *asked)
{
    if (!asked)
        return NULL;

    inquiry_free(asked->inquiry);
    trial_free(asked->trial);
    ruleset_unref(asked->ruleset);
    json_decref(asked->device);
    free(asked);
    return NULL;
}

void control_drop_asked(Pending *pending)
{
    pending->asked = asked_free(pending->asked);
}

static Asked *asked_new(Control *control, Pending *pending)
{
    Asked *asked = calloc(1, sizeof(*asked));

    if (asked)
        *asked = (Asked){ .control = control, .pending = pending };
    pending->asked = asked;
    return asked;
}

/* explain */

static void on_tried(Inquiry *inquiry, void *userdata)
{
    Asked *asked = userdata;
    Control *control = asked->control;
    const PolicyAnswer *answer = trial_policy(asked->trial);

    asked->inquiry = inquiry_free(inquiry);
    if (answer)
        manager_note_policy(control->manager, *answer, instant_now());
    control_tell_explanation(control, asked->pending);
    /* what has waited for an answer of the policy daemon may go on */
    control->hooks->on_acted(control->userdata);
}

static json_t *explanation_of(const Asked *asked)
{
    Explanation explanation = {
        .rule = asked->task.rule,
        .n_rules = ruleset_count(asked->ruleset),
        .verdict = *trial_verdict(asked->trial),
    };

    explanation.targets = trial_targets(asked->trial, &explanation.n_targets);
    return explanation_to_json(&explanation, json_incref(asked->device));
}

/* The next rules, up to the one that takes the device. */
static json_t *next_steps(Asked *asked, bool *ret_is_last)
{
    size_t n = ruleset_count(asked->ruleset);
    json_t *steps = json_array();

    *ret_is_last = false;
    for (size_t i = 0; i < EXPLAIN_WIRE_BATCH && !*ret_is_last; i++) {
        const Rule *rule;

        if (asked->index == n) {
            *ret_is_last = true;
            break;
        }
        rule = ruleset_get(asked->ruleset, asked->index++);
        *ret_is_last = rule == asked->task.rule || asked->index == n;
        if (json_array_append_new(steps, step_to_json(rule, &asked->source,
                                                      &asked->record)) < 0) {
            json_decref(steps);
            return NULL;
        }
    }
    return steps;
}

void control_tell_explanation(Control *control, Pending *pending)
{
    Asked *asked = pending->asked;
    json_t *steps;
    bool is_last;

    if (asked->inquiry)
        return;
    steps = next_steps(asked, &is_last);
    control_tell_part(control, pending,
                      json_pack("{s:o, s:o}", "steps", steps, "explanation",
                                is_last ? explanation_of(asked) : json_null()),
                      is_last);
}

static int begin_trial(Asked *asked)
{
    int r = trial_new(&asked->trial, &asked->task);

    if (r < 0 || !asked->device)
        return -ENOMEM;
    return inquiry_new_trial(&asked->inquiry, &asked->control->sockets,
                             asked->trial, on_tried, asked);
}

void control_begin_explain(Control *control,
                           Pending *pending,
                           const ControlCall *call)
{
    const char *bad = control_device_decode(&pending->ref, call);
    ReportDevice device;
    Asked *asked;

    if (bad) {
        control_refuse_parameter(control, pending->client, bad);
        return;
    }
    asked = asked_new(control, pending);
    if (!asked) {
        /* without memory the client is dropped */
        control_finish(control, pending->client, NULL);
        return;
    }
    if (!manager_prepare_trial(control->manager, &pending->ref, instant_now(),
                               &asked->task, &asked->ruleset, &device)) {
        control_refuse(control, pending->client, CONTROL_ERROR_NO_SUCH_DEVICE,
                       json_incref(call->parameters));
        return;
    }
    asked->source = device.source;
    asked->record = *device.record;
    asked->device = device_to_json(&device);
    if (begin_trial(asked) < 0)
        control_finish(control, pending->client, NULL);
}

/* qubes */

static void on_qubes(Inquiry *inquiry, const QubeList *qubes, void *userdata)
{
    Asked *asked = userdata;
    Control *control = asked->control;
    ControlClient *client = asked->pending->client;

    (void) inquiry;

    if (qubes)
        control_finish(control, client,
                       json_pack("{s:o}", "qubes", qubes_to_json(qubes)));
    else
        control_refuse(control, client, CONTROL_ERROR_NO_QUBESD, json_object());
}

void control_begin_qubes(Control *control, Pending *pending)
{
    Asked *asked = asked_new(control, pending);

    if (!asked || inquiry_new_qubes(&asked->inquiry, &control->sockets,
                                    on_qubes, asked) < 0)
        control_finish(control, pending->client, NULL);
}
