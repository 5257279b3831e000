/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "tests/support/record-form.h"
#include "tests/support/json-input.h"
#include "tests/support/names.h"
#include "tests/support/unicode.h"

#define AGENT_MAX     64U
#define BOOT_ID_LEN   32U
#define INTERFACE_LEN 6U

typedef enum Kind {
    KIND_LOWER_HEX,
    KIND_HEX,
    KIND_TEXT,
    KIND_INTERFACES,
    KIND_DEVTYPE,
    KIND_NUMBER,
    KIND_BOOL,
} Kind;

static const struct {
    const char *name;
    Kind kind;
    int64_t min, max; /* of a text its bytes, of interfaces their number */
} keys[N_PROPERTIES] = {
    [PROPERTY_VENDOR_ID] = { "vendor_id", KIND_LOWER_HEX, 4, 4 },
    [PROPERTY_PRODUCT_ID] = { "product_id", KIND_LOWER_HEX, 4, 4 },
    [PROPERTY_REVISION] = { "revision", KIND_HEX, 4, 4 },
    [PROPERTY_SERIAL] = { "serial", KIND_TEXT, 1, 126 },
    [PROPERTY_VENDOR] = { "vendor", KIND_TEXT, 1, 126 },
    [PROPERTY_MODEL] = { "model", KIND_TEXT, 1, 126 },
    [PROPERTY_INTERFACES] = { "interfaces", KIND_INTERFACES, 1, 32 },
    [PROPERTY_PATH] = { "path", KIND_TEXT, 1, 255 },
    [PROPERTY_DEVTYPE] = { "devtype", KIND_DEVTYPE, 4, 10 },
    [PROPERTY_PARTITION] = { "partition", KIND_NUMBER, 1, 255 },
    [PROPERTY_FS_TYPE] = { "fs_type", KIND_TEXT, 1, 255 },
    [PROPERTY_FS_UUID] = { "fs_uuid", KIND_TEXT, 1, 255 },
    [PROPERTY_FS_LABEL] = { "fs_label", KIND_TEXT, 1, 255 },
    [PROPERTY_PART_TABLE] = { "part_table", KIND_TEXT, 1, 255 },
    [PROPERTY_PART_UUID] = { "part_uuid", KIND_TEXT, 1, 255 },
    [PROPERTY_PART_LABEL] = { "part_label", KIND_TEXT, 1, 255 },
    [PROPERTY_SIZE] = { "size", KIND_NUMBER, 0, INT64_MAX },
    [PROPERTY_REMOVABLE] = { "removable", KIND_BOOL, 0, 1 },
    [PROPERTY_READ_ONLY] = { "read_only", KIND_BOOL, 0, 1 },
    [PROPERTY_DISKSEQ] = { "diskseq", KIND_NUMBER, 0, INT64_MAX },
};

static const char *const actions[] = { [RECORD_PRESENT] = "present",
                                       [RECORD_ADD] = "add",
                                       [RECORD_CHANGE] = "change",
                                       [RECORD_REMOVE] = "remove" };
static const char *const devtypes[] = { [DEVICE_TYPE_DISK] = "disk",
                                        [DEVICE_TYPE_PARTITION] = "partition",
                                        [DEVICE_TYPE_USB_DEVICE] =
                                            "usb_device" };

/* properties */

static bool is_word(Bytes text, const char *const *words, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (bytes_are(text, words[i]))
            return true;
    return false;
}

bool form_is_number(PropertyKey key, int64_t number)
{
    return number >= keys[key].min && number <= keys[key].max;
}

bool form_is_text(PropertyKey key, Bytes text)
{
    if (!form_is_number(key, (int64_t) text.len))
        return false;
    switch (keys[key].kind) {
    case KIND_LOWER_HEX:
        return bytes_are_all_of(text, DIGITS "abcdef");
    case KIND_HEX:
        return bytes_are_all_of(text, HEX);
    case KIND_TEXT:
        return unicode_is_plain(text);
    case KIND_DEVTYPE:
        return is_word(text, devtypes, ARRAY_SIZE(devtypes));
    case KIND_INTERFACES:
    case KIND_NUMBER:
    case KIND_BOOL:
        break;
    }
    return false;
}

bool form_is_interface(Bytes code)
{
    return code.len == INTERFACE_LEN && bytes_are_all_of(code, HEX);
}

static Bytes text_of(const json_t *value)
{
    return (Bytes){ json_string_value(value), json_string_length(value) };
}

static bool are_interfaces(const json_t *list)
{
    size_t n = json_array_size(list);

    for (size_t i = 0; i < n; i++) {
        const json_t *code = json_array_get(list, i);

        if (!json_is_string(code) || !form_is_interface(text_of(code)))
            return false;
    }
    return form_is_number(PROPERTY_INTERFACES, (int64_t) n);
}

static bool is_property(PropertyKey key, const json_t *value)
{
    switch (keys[key].kind) {
    case KIND_LOWER_HEX:
    case KIND_HEX:
    case KIND_TEXT:
    case KIND_DEVTYPE:
        return json_is_string(value) && form_is_text(key, text_of(value));
    case KIND_INTERFACES:
        return json_is_array(value) && are_interfaces(value);
    case KIND_NUMBER:
        return json_is_integer(value) &&
               form_is_number(key, json_integer_value(value));
    case KIND_BOOL:
        return json_is_boolean(value);
    }
    return false;
}

/* lines */

static const json_t *get(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static bool are_properties(const json_t *properties)
{
    size_t n_known = 0;

    for (size_t i = 0; i < N_PROPERTIES; i++) {
        const json_t *value = get(properties, keys[i].name);

        n_known += value != NULL;
        if (value && !is_property((PropertyKey) i, value))
            return false;
    }
    return json_is_object(properties) &&
           json_object_size(properties) == n_known;
}

static bool is_device(const json_t *value, bool may_be_usb, bool may_be_block)
{
    return json_is_string(value) &&
           ((may_be_usb && name_is_port(text_of(value))) ||
            (may_be_block && name_is_block(text_of(value))));
}

static bool is_event(const json_t *line)
{
    const json_t *action = get(line, "action"), *parent = get(line, "parent"),
                 *properties = get(line, "properties");
    bool is_usb = json_says(line, "class", "usb");
    bool is_block = json_says(line, "class", "block");

    return json_object_size(line) ==
               5U + (parent != NULL) + (properties != NULL) &&
           json_is_integer(get(line, "seq")) &&
           json_integer_value(get(line, "seq")) >= 1 &&
           json_is_string(action) &&
           is_word(text_of(action), actions, ARRAY_SIZE(actions)) &&
           is_device(get(line, "device"), is_usb, is_block) &&
           (!parent || is_device(parent, true, true)) &&
           (!properties || are_properties(properties));
}

const char *form_agent(const json_t *line)
{
    const json_t *agent = get(line, "agent");
    bool good = json_is_string(agent) && json_string_length(agent) >= 1 &&
                json_string_length(agent) <= AGENT_MAX &&
                unicode_is_plain(text_of(agent));

    return good ? json_string_value(agent) : "";
}

static bool is_hello(const json_t *line)
{
    const json_t *boot_id = get(line, "boot_id");

    return json_object_size(line) == 4 && json_is_string(boot_id) &&
           json_string_length(boot_id) == BOOT_ID_LEN &&
           bytes_are_all_of(text_of(boot_id), HEX) && form_agent(line)[0];
}

Status form_of_line(const json_t *line)
{
    bool good = false;

    if (json_says(line, "type", "hello")) {
        if (json_is_integer(get(line, "version")) &&
            json_integer_value(get(line, "version")) != 1)
            return STATUS_UNSUPPORTED_VERSION;
        good = json_is_integer(get(line, "version")) && is_hello(line);
    } else if (json_says(line, "type", "event")) {
        good = is_event(line);
    } else if (json_says(line, "type", "synced")) {
        good = json_object_size(line) == 1;
    }
    return good ? STATUS_INVALID : STATUS_MALFORMED;
}

/* what dom0 answers */

static const struct {
    json_int_t code;
    const char *name;
} statuses[] = {
    { 200, "attached" },
    { 201, "already-attached" },
    { 203, "detached" },
    { 300, "not-attached" },
    { 301, "no-rule" },
    { 302, "denied-by-rule" },
    { 303, "denied-by-policy" },
    { 304, "denied-by-user" },
    { 305, "approval-timeout" },
    { 306, "target-not-running" },
    { 307, "waiting-for-target" },
    { 308, "detached-by-user" },
    { 309, "paused" },
    { 310, "attached-elsewhere" },
    { 311, "superseded" },
    { 312, "quiet" },
    { 400, "malformed" },
    { 401, "unsupported-version" },
    { 404, "no-such-device" },
    { 413, "too-large" },
    { 429, "too-many" },
    { 500, "internal" },
    { 502, "qubesd-refused" },
    { 503, "unavailable" },
    { 504, "timeout" },
    { 520, "start-failed" },
    { 521, "attach-failed" },
};

bool form_is_answer(const json_t *line)
{
    const json_t *seq = get(line, "seq"), *code = get(line, "code");
    bool known = false;

    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        known |= json_integer_value(code) == statuses[i].code &&
                 json_says(line, "status", statuses[i].name);
    return known && json_object_size(line) == 3 &&
           (json_is_null(seq) || json_integer_value(seq) > 0);
}

/* what a record says */

static bool says_interfaces(const json_t *list, const Properties *properties)
{
    if (json_array_size(list) != properties->n_interfaces)
        return false;
    for (size_t i = 0; i < properties->n_interfaces; i++)
        if (!bytes_are(text_of(json_array_get(list, i)),
                       properties->interfaces[i].s))
            return false;
    return true;
}

static bool says_property(const json_t *value,
                          const Properties *properties,
                          PropertyKey key)
{
    if (!value || !properties_have(properties, key))
        return !value && !properties_have(properties, key);
    switch (keys[key].kind) {
    case KIND_LOWER_HEX:
    case KIND_HEX:
    case KIND_TEXT:
        return bytes_are(text_of(value), properties_get_text(properties, key));
    case KIND_DEVTYPE:
        return properties->devtype != DEVICE_TYPE_INVALID &&
               bytes_are(text_of(value), devtypes[properties->devtype]);
    case KIND_INTERFACES:
        return says_interfaces(value, properties);
    case KIND_NUMBER:
        return json_integer_value(value) ==
               properties_get_number(properties, key);
    case KIND_BOOL:
        return json_is_true(value) == properties_get_bool(properties, key);
    }
    return false;
}

bool form_says(const json_t *line, const Record *record)
{
    const json_t *properties = get(line, "properties");
    const char *class = record->class == DEVICE_CLASS_USB     ? "usb"
                        : record->class == DEVICE_CLASS_BLOCK ? "block"
                                                              : "";
    Bytes parent = { record->parent.s, strlen(record->parent.s) };
    DeviceClass parent_class = name_is_port(parent)    ? DEVICE_CLASS_USB
                               : name_is_block(parent) ? DEVICE_CLASS_BLOCK
                                                       : DEVICE_CLASS_INVALID;

    for (size_t i = 0; i < N_PROPERTIES; i++)
        if (!says_property(get(properties, keys[i].name), &record->properties,
                           (PropertyKey) i))
            return false;
    return record->action != RECORD_ACTION_INVALID &&
           json_says(line, "action", actions[record->action]) &&
           json_says(line, "class", class) &&
           json_says(line, "device", record->device.s) &&
           json_says(line, "parent", record->parent.s) &&
           record->parent_class == parent_class;
}
