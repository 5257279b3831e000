/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/rule-text.h"
#include "dom0/wire/explain-wire.h"
#include "dom0/wire/values.h"

/* What the device has there, which may be its own words; null for nothing. */
static json_t *found_to_json(const char *untrusted_found)
{
    char escaped[RULE_FOUND_MAX * TEXT_ESCAPE_FACTOR + 1];

    return value_text_or_null(text_escape(
        escaped, sizeof(escaped), untrusted_found, strlen(untrusted_found)));
}

static json_t *condition_to_json(const Condition *condition)
{
    _cleanup_(freep) char *text = NULL;

    if (!condition)
        return json_null();
    text = condition_to_text(condition);
    return text ? value_text_cut(text, EXPLAIN_WIRE_TEXT_MAX) : NULL;
}

json_t *step_to_json(const Rule *rule,
                     const QubeName *source,
                     const Record *record)
{
    RuleReason reason;

    rule_explain(&reason, rule, source, record);
    return json_pack("{s:s, s:s, s:o, s:i, s:i, s:s, s:o, s:o}", "name",
                     rule->name.s, "action",
                     rule_action_to_string(rule->action), "file",
                     value_text(rule->file), "line", (int) reason.at.line,
                     "column", (int) reason.at.column, "reason",
                     rule_mismatch_to_string(reason.mismatch), "condition",
                     condition_to_json(reason.condition), "found",
                     found_to_json(reason.untrusted_found));
}

static json_t *target_to_json(const Target *target)
{
    char text[TARGET_STRING_MAX + 1];

    if (target->kind == TARGET_INVALID)
        return json_null();
    return json_string(target_to_string(target, text));
}

static const char *power_name(PowerState power)
{
    switch (power) {
    case POWER_UNKNOWN:
        break;
    case POWER_HALTED:
        return "halted";
    case POWER_TRANSIENT:
        return "transient";
    case POWER_RUNNING:
        return "running";
    case POWER_PAUSED:
        return "paused";
    case POWER_SUSPENDED:
        return "suspended";
    case POWER_HALTING:
        return "halting";
    case POWER_DYING:
        return "dying";
    case POWER_CRASHED:
        return "crashed";
    }
    return "unknown";
}

static json_t *state_to_json(const TrialTarget *target)
{
    if (!target->is_known)
        return json_null();
    if (!target->exists)
        return json_string("missing");
    if (target->target.kind != TARGET_QUBE)
        return json_string("disposable");
    return json_string(power_name(target->power));
}

static json_t *targets_to_json(const Explanation *explanation)
{
    _cleanup_(json_decrefp) json_t *list = json_array();

    for (size_t i = 0; i < explanation->n_targets; i++) {
        const TrialTarget *target = &explanation->targets[i];
        json_t *item = json_pack("{s:o, s:s, s:o}", "target",
                                 target_to_json(&target->target), "guard",
                                 trial_guard_to_string(target->guard), "state",
                                 state_to_json(target));

        if (json_array_append_new(list, item) < 0)
            return NULL;
    }
    return TAKE_PTR(list);
}

static json_t *verdict_to_json(const TrialVerdict *verdict)
{
    return json_pack(
        "{s:i, s:s, s:s, s:o, s:b, s:b, s:o}", "code", (int) verdict->status,
        "status", status_name(verdict->status), "sentence",
        status_sentence(verdict->status), "detail",
        value_text_or_null(verdict->detail), "asks", verdict->asks, "starts",
        verdict->starts, "target", target_to_json(&verdict->target));
}

json_t *explanation_to_json(const Explanation *explanation, json_t *device)
{
    const Rule *rule = explanation->rule;

    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "device", device, "rule_text",
                     rule ? value_text_cut(rule->text, EXPLAIN_WIRE_TEXT_MAX)
                          : json_null(),
                     "n_rules", value_number(explanation->n_rules), "targets",
                     targets_to_json(explanation), "verdict",
                     verdict_to_json(&explanation->verdict));
}

json_t *qubes_to_json(const QubeList *qubes)
{
    _cleanup_(json_decrefp) json_t *list = json_array();

    for (size_t i = 0; i < qubes->n_qubes; i++) {
        const QubeInfo *qube = &qubes->qubes[i];
        json_t *item =
            json_pack("{s:s, s:s, s:s}", "name", qube->name.s, "class",
                      qube->class, "state", power_name(qube->power));

        if (json_array_append_new(list, item) < 0)
            return NULL;
    }
    return TAKE_PTR(list);
}
