/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/text.h"
#include "common/wire/json-text.h"
#include "common/wire/json.h"
#include "common/wire/record-wire.h"

/* Fail with a constant sentence for the journal. */
#define REFUSE(ret_error, sentence) \
    do {                            \
        *(ret_error) = (sentence);  \
        return false;               \
    } while (0)

/* Whether @object has no key but those of the NULL-ended list. */
static bool has_only_keys(json_t *object, const char *const *keys)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        size_t i;

        for (i = 0; keys[i] && strcmp(keys[i], key) != 0; i++)
            ;
        if (!keys[i])
            return false;
    }
    return true;
}

/* The seq of a line, as far as it is one; else 0. */
static int64_t read_seq(json_t *line)
{
    json_t *value = json_object_get(line, "seq");

    return json_is_integer(value) && json_integer_value(value) > 0
               ? (int64_t) json_integer_value(value)
               : 0;
}

static bool decode_agent(char ret[RECORD_AGENT_MAX + 1], const json_t *line)
{
    const json_t *agent = json_object_get(line, "agent");
    size_t len = json_string_length(agent);

    if (len < 1 || len > RECORD_AGENT_MAX ||
        !text_is_plain(json_string_value(agent), len))
        return false;
    memcpy(ret, json_string_value(agent), len + 1);
    return true;
}

static bool decode_hello(WireHello *ret, json_t *line, const char **ret_error)
{
    static const char *const keys[] = { "type", "version", "boot_id", "agent",
                                        NULL };
    json_t *boot_id = json_object_get(line, "boot_id");

    if (!has_only_keys(line, keys))
        REFUSE(ret_error, "hello has an unknown key");
    if (!json_is_string(boot_id) ||
        !boot_id_parse(&ret->boot_id, json_string_value(boot_id),
                       json_string_length(boot_id)))
        REFUSE(ret_error, "boot_id must be 32 hex digits");
    if (!json_is_string(json_object_get(line, "agent")))
        REFUSE(ret_error, "hello must have an agent");
    if (!decode_agent(ret->agent, line))
        REFUSE(ret_error, "agent must be text of 1 to 64 bytes");
    return true;
}

static bool decode_interfaces(Properties *ret, json_t *list)
{
    size_t index;
    json_t *item;

    if (!json_is_array(list) || json_array_size(list) == 0)
        return false;
    json_array_foreach(list, index, item)
    {
        if (!json_is_string(item) ||
            !properties_add_interface(ret, json_string_value(item),
                                      json_string_length(item)))
            return false;
    }
    return true;
}

static bool decode_property(Properties *ret, PropertyKey key, json_t *value)
{
    switch (property_form(key)) {
    case PROPERTY_FORM_HEX4_LOWER:
    case PROPERTY_FORM_HEX4:
    case PROPERTY_FORM_TEXT:
    case PROPERTY_FORM_DEVTYPE:
        return json_is_string(value) &&
               properties_set_text(ret, key, json_string_value(value),
                                   json_string_length(value));
    case PROPERTY_FORM_INTERFACES:
        return decode_interfaces(ret, value);
    case PROPERTY_FORM_NUMBER:
        return json_is_integer(value) &&
               properties_set_number(ret, key, json_integer_value(value));
    case PROPERTY_FORM_BOOL:
        if (!json_is_boolean(value))
            return false;
        properties_set_bool(ret, key, json_is_true(value));
        return true;
    }
    return false;
}

static bool decode_properties(Properties *ret,
                              json_t *object,
                              const char **ret_error)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        REFUSE(ret_error, "properties must be an object");
    json_object_foreach(object, name, value)
    {
        PropertyKey key = property_from_name(name);

        if (key == N_PROPERTIES)
            REFUSE(ret_error, "properties have an unknown key");
        if (!decode_property(ret, key, value))
            REFUSE(ret_error, "a property is not of its form");
    }
    return true;
}

static bool decode_parent(Record *ret, json_t *value, const char **ret_error)
{
    if (!value)
        return true;
    if (json_is_string(value))
        ret->parent_class = device_name_parse_any(
            &ret->parent, json_string_value(value), json_string_length(value));
    if (ret->parent_class == DEVICE_CLASS_INVALID)
        REFUSE(ret_error, "parent is not a device name");
    return true;
}

static bool decode_event(Record *ret, json_t *line, const char **ret_error)
{
    static const char *const keys[] = { "type",       "seq",    "action",
                                        "class",      "device", "parent",
                                        "properties", NULL };
    const char *action = json_string_value(json_object_get(line, "action"));
    const char *class = json_string_value(json_object_get(line, "class"));
    json_t *device = json_object_get(line, "device");
    json_t *properties = json_object_get(line, "properties");

    if (!has_only_keys(line, keys))
        REFUSE(ret_error, "event has an unknown key");
    if (read_seq(line) == 0)
        REFUSE(ret_error, "seq must be a whole number from 1");

    ret->action =
        action ? record_action_from_string(action) : RECORD_ACTION_INVALID;
    if (ret->action == RECORD_ACTION_INVALID)
        REFUSE(ret_error, "action must be present, add, change or remove");
    ret->class = class ? device_class_from_string(class) : DEVICE_CLASS_INVALID;
    if (ret->class == DEVICE_CLASS_INVALID)
        REFUSE(ret_error, "class must be block or usb");
    if (!json_is_string(device) ||
        !device_name_parse(&ret->device, ret->class, json_string_value(device),
                           json_string_length(device)))
        REFUSE(ret_error, "device is not a device name of its class");
    if (!decode_parent(ret, json_object_get(line, "parent"), ret_error))
        return false;

    return !properties ||
           decode_properties(&ret->properties, properties, ret_error);
}

static bool decode_synced(json_t *line, const char **ret_error)
{
    static const char *const keys[] = { "type", NULL };

    if (!has_only_keys(line, keys))
        REFUSE(ret_error, "synced has an unknown key");
    return true;
}

static Status decode_message(WireMessage *ret,
                             json_t *line,
                             const char **ret_error)
{
    const char *type = json_string_value(json_object_get(line, "type"));
    json_t *version = json_object_get(line, "version");
    bool good = false;

    *ret_error = "type must be hello, event or synced";
    if (!type)
        return STATUS_MALFORMED;

    if (strcmp(type, "hello") == 0) {
        ret->type = WIRE_HELLO;
        *ret_error = "hello must have a version";
        if (!json_is_integer(version))
            return STATUS_MALFORMED;
        /* before its other keys: another version may well have others */
        *ret_error = "hello is of a version that is not spoken here";
        if (json_integer_value(version) != RECORD_PROTOCOL_VERSION)
            return STATUS_UNSUPPORTED_VERSION;
        good = decode_hello(&ret->hello, line, ret_error);
    } else if (strcmp(type, "event") == 0) {
        ret->type = WIRE_EVENT;
        good = decode_event(&ret->record, line, ret_error);
    } else if (strcmp(type, "synced") == 0) {
        ret->type = WIRE_SYNCED;
        good = decode_synced(line, ret_error);
    }

    return good ? STATUS_INVALID : STATUS_MALFORMED;
}

Status wire_decode(WireMessage *ret,
                   const char *untrusted_line,
                   size_t untrusted_len,
                   const char **ret_error)
{
    _cleanup_(json_decrefp) json_t *line = NULL;
    WireMessage message = {};
    const char *error;
    Status status;

    *ret = (WireMessage){};
    if (untrusted_len > WIRE_LINE_MAX) {
        error = "the line is too long";
        status = STATUS_TOO_LARGE;
    } else if (json_parse_object(&line, untrusted_line, untrusted_len) < 0) {
        error = "the line is not one JSON object";
        status = STATUS_MALFORMED;
    } else {
        status = decode_message(&message, line, &error);
        message.seq = read_seq(line);
    }
    if (status == STATUS_INVALID) {
        *ret = message;
        return STATUS_INVALID;
    }

    ret->seq = message.seq;
    if (ret_error)
        *ret_error = error;
    return status;
}

void wire_decode_agent(char ret[RECORD_AGENT_MAX + 1],
                       const char *untrusted_line,
                       size_t untrusted_len)
{
    _cleanup_(json_decrefp) json_t *line = NULL;

    if (untrusted_len > WIRE_LINE_MAX ||
        json_parse_object(&line, untrusted_line, untrusted_len) < 0 ||
        !decode_agent(ret, line))
        ret[0] = '\0';
}

int wire_encode_hello(char **ret, size_t *ret_len, const WireHello *hello)
{
    JsonText json = {};

    json_text_open(&json, NULL, '{');
    json_text_string(&json, "type", "hello");
    json_text_number(&json, "version", RECORD_PROTOCOL_VERSION);
    json_text_string(&json, "boot_id", hello->boot_id.s);
    json_text_string(&json, "agent", hello->agent);
    json_text_close(&json, '}');
    json_text_newline(&json);
    return json_text_end(&json, ret, ret_len);
}

static void encode_interfaces(JsonText *json,
                              const char *key,
                              const Properties *properties)
{
    json_text_open(json, key, '[');
    for (size_t i = 0; i < properties->n_interfaces; i++)
        json_text_string(json, NULL, properties->interfaces[i].s);
    json_text_close(json, ']');
}

static void encode_property(JsonText *json,
                            const Properties *properties,
                            PropertyKey key)
{
    const char *name = property_name(key);

    switch (property_form(key)) {
    case PROPERTY_FORM_HEX4_LOWER:
    case PROPERTY_FORM_HEX4:
    case PROPERTY_FORM_TEXT:
    case PROPERTY_FORM_DEVTYPE:
        json_text_string(json, name, properties_get_text(properties, key));
        break;
    case PROPERTY_FORM_NUMBER:
        json_text_number(json, name, properties_get_number(properties, key));
        break;
    case PROPERTY_FORM_BOOL:
        json_text_bool(json, name, properties_get_bool(properties, key));
        break;
    case PROPERTY_FORM_INTERFACES:
        encode_interfaces(json, name, properties);
        break;
    }
}

static void encode_properties(JsonText *json, const Properties *properties)
{
    json_text_open(json, "properties", '{');
    for (size_t i = 0; i < N_PROPERTIES; i++)
        if (properties_have(properties, (PropertyKey) i))
            encode_property(json, properties, (PropertyKey) i);
    json_text_close(json, '}');
}

void wire_put_event(JsonText *json, int64_t seq, const Record *record)
{
    assert(seq > 0);

    json_text_open(json, NULL, '{');
    json_text_string(json, "type", "event");
    json_text_number(json, "seq", seq);
    json_text_string(json, "action", record_action_to_string(record->action));
    json_text_string(json, "class", device_class_to_string(record->class));
    json_text_string(json, "device", record->device.s);
    if (record->parent_class != DEVICE_CLASS_INVALID)
        json_text_string(json, "parent", record->parent.s);
    encode_properties(json, &record->properties);
    json_text_close(json, '}');
    json_text_newline(json);
}

int wire_encode_event(char **ret,
                      size_t *ret_len,
                      int64_t seq,
                      const Record *record)
{
    _cleanup_(freep) char *text = NULL;
    JsonText json = {};
    size_t len;
    int r;

    wire_put_event(&json, seq, record);
    r = json_text_end(&json, &text, &len);
    if (r < 0)
        return r;
    if (len - 1 > WIRE_LINE_MAX)
        return -EMSGSIZE;

    *ret = TAKE_PTR(text);
    if (ret_len)
        *ret_len = len;
    return 0;
}

int wire_encode_synced(char **ret, size_t *ret_len)
{
    JsonText json = {};

    json_text_open(&json, NULL, '{');
    json_text_string(&json, "type", "synced");
    json_text_close(&json, '}');
    json_text_newline(&json);
    return json_text_end(&json, ret, ret_len);
}

int wire_encode_answer(char **ret, size_t *ret_len, const WireAnswer *answer)
{
    JsonText json = {};

    json_text_open(&json, NULL, '{');
    if (answer->seq > 0)
        json_text_number(&json, "seq", answer->seq);
    else
        json_text_null(&json, "seq");
    json_text_number(&json, "code", (int64_t) answer->status);
    json_text_string(&json, "status", status_name(answer->status));
    json_text_close(&json, '}');
    json_text_newline(&json);
    return json_text_end(&json, ret, ret_len);
}

bool wire_decode_answer(WireAnswer *ret,
                        const char *untrusted_line,
                        size_t untrusted_len)
{
    static const char *const keys[] = { "seq", "code", "status", NULL };
    _cleanup_(json_decrefp) json_t *line = NULL;
    const char *name;
    json_t *code;
    Status status;

    if (untrusted_len > WIRE_LINE_MAX ||
        json_parse_object(&line, untrusted_line, untrusted_len) < 0 ||
        !has_only_keys(line, keys))
        return false;
    if (read_seq(line) == 0 && !json_is_null(json_object_get(line, "seq")))
        return false;

    code = json_object_get(line, "code");
    name = json_string_value(json_object_get(line, "status"));
    status = json_is_integer(code)
                 ? status_from_number((int64_t) json_integer_value(code))
                 : STATUS_INVALID;
    if (status == STATUS_INVALID || !name ||
        strcmp(status_name(status), name) != 0)
        return false;

    *ret = (WireAnswer){ .seq = read_seq(line), .status = status };
    return true;
}
