/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/wire/device-wire.h"
#include "common/wire/record-wire.h"
#include "dom0/core/device-label.h"
#include "dom0/wire/values.h"

static json_t *taker_to_json(const Rule *rule)
{
    if (!rule)
        return json_null();
    return json_pack("{s:s, s:s, s:o, s:i}", "name", rule->name.s, "action",
                     rule_action_to_string(rule->action), "file",
                     value_text(rule->file), "line", (int) rule->line);
}

static json_t *last_to_json(const ReportDevice *device)
{
    const char *detail = device->outcome ? device->outcome->detail : NULL;

    if (device->status == STATUS_INVALID)
        return json_null();
    return json_pack(
        "{s:o, s:i, s:s, s:s, s:o}", "time_usec",
        value_number(device->status_usec), "code", (int) device->status,
        "status", status_name(device->status), "sentence",
        status_sentence(device->status), "detail", value_text_or_null(detail));
}

json_t *device_to_json(const ReportDevice *device)
{
    const Record *record = device->record;
    const Properties *properties = &record->properties;
    const DeviceLabel label = device_label(properties);
    json_t *size = properties_have(properties, PROPERTY_SIZE)
                       ? json_integer(properties->size)
                       : json_null();

    return json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "source", device->source.s, "class",
        device_class_to_string(record->class), "device", record->device.s,
        "parent", value_text_or_null(record->parent.s), "properties",
        wire_encode_properties(properties), "label",
        value_text_or_null(label.s), "size", size, "attached_to",
        value_text_or_null(device->attached_to.s), "attached_by",
        value_text_or_null(device->attached_by.s), "rule",
        taker_to_json(device->rule), "state", value_text_or_null(device->state),
        "last", last_to_json(device));
}

json_t *attached_to_json(const ReportDevice *device)
{
    const Record *record = device->record;
    const DeviceLabel label = device_label(&record->properties);

    return json_pack(
        "{s:s, s:s, s:s, s:o, s:s, s:o}", "source", device->source.s, "class",
        device_class_to_string(record->class), "device", record->device.s,
        "label", value_text_or_null(label.s), "target", device->attached_to.s,
        "rule", value_text_or_null(device->attached_by.s));
}

json_t *rule_to_json(const ReportRule *report)
{
    const Rule *rule = report->rule;

    return json_pack("{s:s, s:s, s:s, s:o, s:i, s:o, s:o}", "name",
                     rule->name.s, "action",
                     rule_action_to_string(rule->action), "class",
                     rule_class_to_string(rule->class), "file",
                     value_text(rule->file), "line", (int) rule->line, "text",
                     value_text_cut(rule->text, RULE_WIRE_TEXT_MAX), "n_hits",
                     value_number(report->n_hits));
}
