/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/record.h"
#include "common/text.h"

typedef struct PropertyInfo {
    const char *name;
    PropertyForm form;
    uint16_t offset;
    uint16_t max; /* TEXT: bytes */
} PropertyInfo;

#define FIELD(member) ((uint16_t) offsetof(Properties, member))

static const PropertyInfo infos[N_PROPERTIES] = {
    [PROPERTY_VENDOR_ID] = { "vendor_id", PROPERTY_FORM_HEX4_LOWER,
                             FIELD(vendor_id), 4 },
    [PROPERTY_PRODUCT_ID] = { "product_id", PROPERTY_FORM_HEX4_LOWER,
                              FIELD(product_id), 4 },
    [PROPERTY_REVISION] = { "revision", PROPERTY_FORM_HEX4, FIELD(revision),
                            4 },
    [PROPERTY_SERIAL] = { "serial", PROPERTY_FORM_TEXT, FIELD(serial),
                          RECORD_TEXT_MAX },
    [PROPERTY_VENDOR] = { "vendor", PROPERTY_FORM_TEXT, FIELD(vendor),
                          RECORD_TEXT_MAX },
    [PROPERTY_MODEL] = { "model", PROPERTY_FORM_TEXT, FIELD(model),
                         RECORD_TEXT_MAX },
    [PROPERTY_INTERFACES] = { "interfaces", PROPERTY_FORM_INTERFACES,
                              FIELD(interfaces), 0 },
    [PROPERTY_PATH] = { "path", PROPERTY_FORM_TEXT, FIELD(path),
                        RECORD_LONG_MAX },
    [PROPERTY_DEVTYPE] = { "devtype", PROPERTY_FORM_DEVTYPE, FIELD(devtype),
                           0 },
    [PROPERTY_PARTITION] = { "partition", PROPERTY_FORM_NUMBER,
                             FIELD(partition), 0 },
    [PROPERTY_FS_TYPE] = { "fs_type", PROPERTY_FORM_TEXT, FIELD(fs_type),
                           RECORD_LONG_MAX },
    [PROPERTY_FS_UUID] = { "fs_uuid", PROPERTY_FORM_TEXT, FIELD(fs_uuid),
                           RECORD_LONG_MAX },
    [PROPERTY_FS_LABEL] = { "fs_label", PROPERTY_FORM_TEXT, FIELD(fs_label),
                            RECORD_LONG_MAX },
    [PROPERTY_PART_TABLE] = { "part_table", PROPERTY_FORM_TEXT,
                              FIELD(part_table), RECORD_LONG_MAX },
    [PROPERTY_PART_UUID] = { "part_uuid", PROPERTY_FORM_TEXT, FIELD(part_uuid),
                             RECORD_LONG_MAX },
    [PROPERTY_PART_LABEL] = { "part_label", PROPERTY_FORM_TEXT,
                              FIELD(part_label), RECORD_LONG_MAX },
    [PROPERTY_SIZE] = { "size", PROPERTY_FORM_NUMBER, FIELD(size), 0 },
    [PROPERTY_REMOVABLE] = { "removable", PROPERTY_FORM_BOOL, FIELD(removable),
                             0 },
    [PROPERTY_READ_ONLY] = { "read_only", PROPERTY_FORM_BOOL, FIELD(read_only),
                             0 },
    [PROPERTY_DISKSEQ] = { "diskseq", PROPERTY_FORM_NUMBER, FIELD(diskseq), 0 },
};

static const char *const actions[] = {
    [RECORD_PRESENT] = "present",
    [RECORD_ADD] = "add",
    [RECORD_CHANGE] = "change",
    [RECORD_REMOVE] = "remove",
};

static const char *const device_types[] = {
    [DEVICE_TYPE_DISK] = "disk",
    [DEVICE_TYPE_PARTITION] = "partition",
    [DEVICE_TYPE_USB_DEVICE] = "usb_device",
};

static DeviceType device_type_parse(const char *untrusted_text,
                                    size_t untrusted_len)
{
    for (size_t i = 1; i < ARRAY_SIZE(device_types); i++)
        if (strlen(device_types[i]) == untrusted_len &&
            memcmp(device_types[i], untrusted_text, untrusted_len) == 0)
            return (DeviceType) i;
    return DEVICE_TYPE_INVALID;
}

const char *record_action_to_string(RecordAction action)
{
    return actions[action];
}

RecordAction record_action_from_string(const char *untrusted_text)
{
    for (size_t i = 1; i < ARRAY_SIZE(actions); i++)
        if (strcmp(actions[i], untrusted_text) == 0)
            return (RecordAction) i;
    return RECORD_ACTION_INVALID;
}

const char *device_type_to_string(DeviceType type)
{
    return device_types[type];
}

const char *property_name(PropertyKey key)
{
    return infos[key].name;
}

PropertyForm property_form(PropertyKey key)
{
    return infos[key].form;
}

size_t property_text_max(PropertyKey key)
{
    return infos[key].max;
}

PropertyKey property_from_name(const char *untrusted_name)
{
    size_t i;

    for (i = 0; i < N_PROPERTIES; i++)
        if (infos[i].name[0] == untrusted_name[0] &&
            strcmp(infos[i].name, untrusted_name) == 0)
            break;
    return (PropertyKey) i;
}

static void mark(Properties *properties, PropertyKey key)
{
    properties->present |= UINT32_C(1) << key;
}

static bool is_hex4(const char *text, size_t len, bool lower_only)
{
    return len == 4 && text_is_hex(text, len, lower_only);
}

bool properties_set_text(Properties *properties,
                         PropertyKey key,
                         const char *untrusted_text,
                         size_t untrusted_len)
{
    const PropertyInfo *info = &infos[key];
    char *field = (char *) properties + info->offset;
    DeviceType type = DEVICE_TYPE_INVALID;
    bool good = false;

    switch (info->form) {
    case PROPERTY_FORM_HEX4_LOWER:
        good = is_hex4(untrusted_text, untrusted_len, true);
        break;
    case PROPERTY_FORM_HEX4:
        good = is_hex4(untrusted_text, untrusted_len, false);
        break;
    case PROPERTY_FORM_TEXT:
        good = untrusted_len >= 1 && untrusted_len <= info->max &&
               text_is_plain(untrusted_text, untrusted_len);
        break;
    case PROPERTY_FORM_DEVTYPE:
        type = device_type_parse(untrusted_text, untrusted_len);
        if (type == DEVICE_TYPE_INVALID)
            return false;
        properties->devtype = type;
        mark(properties, key);
        return true;
    case PROPERTY_FORM_INTERFACES:
    case PROPERTY_FORM_NUMBER:
    case PROPERTY_FORM_BOOL:
        break;
    }
    if (!good)
        return false;

    /* zero the tail too: equal properties are equal bytes */
    memset(field, 0, (size_t) info->max + 1);
    memcpy(field, untrusted_text, untrusted_len);
    mark(properties, key);
    return true;
}

bool properties_set_number(Properties *properties,
                           PropertyKey key,
                           int64_t untrusted_number)
{
    assert(infos[key].form == PROPERTY_FORM_NUMBER);

    if (key == PROPERTY_PARTITION) {
        if (untrusted_number < 1 || untrusted_number > RECORD_PARTITION_MAX)
            return false;
        properties->partition = (uint8_t) untrusted_number;
    } else {
        if (untrusted_number < 0)
            return false;
        if (key == PROPERTY_SIZE)
            properties->size = untrusted_number;
        else
            properties->diskseq = untrusted_number;
    }
    mark(properties, key);
    return true;
}

void properties_set_bool(Properties *properties, PropertyKey key, bool value)
{
    assert(infos[key].form == PROPERTY_FORM_BOOL);

    if (key == PROPERTY_REMOVABLE)
        properties->removable = value;
    else
        properties->read_only = value;
    mark(properties, key);
}

bool properties_add_interface(Properties *properties,
                              const char *untrusted_code,
                              size_t untrusted_len)
{
    InterfaceCode *code;

    if (properties->n_interfaces == RECORD_INTERFACES_MAX ||
        untrusted_len != sizeof(code->s) - 1 ||
        !text_is_hex(untrusted_code, untrusted_len, false))
        return false;

    code = &properties->interfaces[properties->n_interfaces++];
    memcpy(code->s, untrusted_code, untrusted_len);
    code->s[untrusted_len] = '\0';
    mark(properties, PROPERTY_INTERFACES);
    return true;
}

const char *properties_get_text(const Properties *properties, PropertyKey key)
{
    assert(properties_have(properties, key));

    if (key == PROPERTY_DEVTYPE)
        return device_type_to_string(properties->devtype);

    assert(infos[key].max > 0);
    return (const char *) properties + infos[key].offset;
}

int64_t properties_get_number(const Properties *properties, PropertyKey key)
{
    assert(infos[key].form == PROPERTY_FORM_NUMBER);

    if (key == PROPERTY_PARTITION)
        return properties->partition;
    return key == PROPERTY_SIZE ? properties->size : properties->diskseq;
}

bool properties_get_bool(const Properties *properties, PropertyKey key)
{
    assert(infos[key].form == PROPERTY_FORM_BOOL);

    return key == PROPERTY_REMOVABLE ? properties->removable
                                     : properties->read_only;
}

static bool property_equal(const Properties *a,
                           const Properties *b,
                           PropertyKey key)
{
    if (properties_have(a, key) != properties_have(b, key))
        return false;
    if (!properties_have(a, key))
        return true;

    switch (infos[key].form) {
    case PROPERTY_FORM_HEX4_LOWER:
    case PROPERTY_FORM_HEX4:
    case PROPERTY_FORM_TEXT:
    case PROPERTY_FORM_DEVTYPE:
        return strcmp(properties_get_text(a, key),
                      properties_get_text(b, key)) == 0;
    case PROPERTY_FORM_INTERFACES:
        return a->n_interfaces == b->n_interfaces &&
               memcmp(a->interfaces, b->interfaces,
                      a->n_interfaces * sizeof(a->interfaces[0])) == 0;
    case PROPERTY_FORM_NUMBER:
        return properties_get_number(a, key) == properties_get_number(b, key);
    case PROPERTY_FORM_BOOL:
        return properties_get_bool(a, key) == properties_get_bool(b, key);
    }
    return false;
}

bool properties_equal(const Properties *a, const Properties *b)
{
    for (size_t i = 0; i < N_PROPERTIES; i++)
        if (!property_equal(a, b, (PropertyKey) i))
            return false;
    return true;
}

bool record_equal(const Record *a, const Record *b)
{
    return a->action == b->action && a->class == b->class &&
           device_name_equal(&a->device, &b->device) &&
           a->parent_class == b->parent_class &&
           device_name_equal(&a->parent, &b->parent) &&
           properties_equal(&a->properties, &b->properties);
}

bool record_same_place(const Record *a, const Record *b)
{
    static const PropertyKey keys[] = { PROPERTY_VENDOR_ID, PROPERTY_PRODUCT_ID,
                                        PROPERTY_SERIAL, PROPERTY_PATH };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (!property_equal(&a->properties, &b->properties, keys[i]))
            return false;
    return true;
}

bool record_same_plug(const Record *a, const Record *b)
{
    return record_same_place(a, b) &&
           property_equal(&a->properties, &b->properties, PROPERTY_DISKSEQ);
}
