/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/wire/device-wire.h"
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

static json_t *interfaces_to_json(const Properties *properties)
{
    json_t *list = json_array();

    for (size_t i = 0; i < properties->n_interfaces; i++)
        if (json_array_append_new(
                list, json_string(properties->interfaces[i].s)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *property_to_json(const Properties *properties, PropertyKey key)
{
    switch (property_form(key)) {
    case PROPERTY_FORM_HEX4_LOWER:
    case PROPERTY_FORM_HEX4:
    case PROPERTY_FORM_TEXT:
    case PROPERTY_FORM_DEVTYPE:
        return json_string(properties_get_text(properties, key));
    case PROPERTY_FORM_NUMBER:
        return json_integer(properties_get_number(properties, key));
    case PROPERTY_FORM_BOOL:
        return json_boolean(properties_get_bool(properties, key));
    case PROPERTY_FORM_INTERFACES:
        break;
    }
    return interfaces_to_json(properties);
}

/* As in the event protocol; NULL without memory. */
static json_t *properties_to_json(const Properties *properties)
{
    _cleanup_(json_decrefp) json_t *object = json_object();

    for (size_t i = 0; i < N_PROPERTIES; i++) {
        PropertyKey key = (PropertyKey) i;

        if (properties_have(properties, key) &&
            json_object_set_new(object, property_name(key),
                                property_to_json(properties, key)) < 0)
            return NULL;
    }
    return TAKE_PTR(object);
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
        properties_to_json(properties), "label",
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
