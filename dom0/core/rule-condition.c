/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-condition.h"

/* @property is what a record must have for the condition to match. */
typedef struct KeyInfo {
    const char *name;
    ConditionForm form;
    PropertyKey property;
} KeyInfo;

/* the device's name, which every record has */
#define NO_PROPERTY ((PropertyKey) N_PROPERTIES)

static const KeyInfo infos[N_CONDITION_KEYS] = {
    [CONDITION_ID] = { "id", CONDITION_FORM_ID, PROPERTY_VENDOR_ID },
    [CONDITION_SERIAL] = { "serial", CONDITION_FORM_TEXT, PROPERTY_SERIAL },
    [CONDITION_VENDOR] = { "vendor", CONDITION_FORM_TEXT, PROPERTY_VENDOR },
    [CONDITION_MODEL] = { "model", CONDITION_FORM_TEXT, PROPERTY_MODEL },
    [CONDITION_REVISION] = { "revision", CONDITION_FORM_REVISION,
                             PROPERTY_REVISION },
    [CONDITION_PATH] = { "path", CONDITION_FORM_TEXT, PROPERTY_PATH },
    [CONDITION_INTERFACE] = { "interface", CONDITION_FORM_INTERFACES,
                              PROPERTY_INTERFACES },
    [CONDITION_ONLY_INTERFACE] = { "only-interface", CONDITION_FORM_INTERFACES,
                                   PROPERTY_INTERFACES },
    [CONDITION_NAME] = { "name", CONDITION_FORM_TEXT, NO_PROPERTY },
    [CONDITION_TYPE] = { "type", CONDITION_FORM_TYPE, PROPERTY_DEVTYPE },
    [CONDITION_PARTITION] = { "partition", CONDITION_FORM_PARTITION,
                              PROPERTY_PARTITION },
    [CONDITION_FS_TYPE] = { "fs-type", CONDITION_FORM_TEXT, PROPERTY_FS_TYPE },
    [CONDITION_FS_UUID] = { "fs-uuid", CONDITION_FORM_UUID, PROPERTY_FS_UUID },
    [CONDITION_FS_LABEL] = { "fs-label", CONDITION_FORM_TEXT,
                             PROPERTY_FS_LABEL },
    [CONDITION_PART_UUID] = { "part-uuid", CONDITION_FORM_UUID,
                              PROPERTY_PART_UUID },
    [CONDITION_PART_LABEL] = { "part-label", CONDITION_FORM_TEXT,
                               PROPERTY_PART_LABEL },
    [CONDITION_REMOVABLE] = { "removable", CONDITION_FORM_YES_NO,
                              PROPERTY_REMOVABLE },
    [CONDITION_MIN_SIZE] = { "min-size", CONDITION_FORM_SIZE, PROPERTY_SIZE },
    [CONDITION_MAX_SIZE] = { "max-size", CONDITION_FORM_SIZE, PROPERTY_SIZE },
};

const char *condition_key_name(ConditionKey key)
{
    return infos[key].name;
}

ConditionForm condition_key_form(ConditionKey key)
{
    return infos[key].form;
}

PropertyKey condition_key_property(ConditionKey key)
{
    return infos[key].property;
}

bool condition_key_is_block_only(ConditionKey key)
{
    return key >= CONDITION_NAME;
}

bool condition_key_folds(ConditionKey key)
{
    switch (infos[key].form) {
    case CONDITION_FORM_UUID:
    case CONDITION_FORM_ID:
    case CONDITION_FORM_REVISION:
    case CONDITION_FORM_INTERFACES:
        return true;
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_TYPE:
    case CONDITION_FORM_PARTITION:
    case CONDITION_FORM_YES_NO:
    case CONDITION_FORM_SIZE:
        break;
    }
    return false;
}

static bool record_has(const Record *record, const Condition *condition)
{
    PropertyKey property = infos[condition->key].property;

    if (property == NO_PROPERTY)
        return true;
    if (!properties_have(&record->properties, property))
        return false;

    switch (condition_key_form(condition->key)) {
    case CONDITION_FORM_ID:
        return properties_have(&record->properties, PROPERTY_PRODUCT_ID);
    case CONDITION_FORM_INTERFACES:
        return record->properties.n_interfaces > 0;
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
    case CONDITION_FORM_REVISION:
    case CONDITION_FORM_TYPE:
    case CONDITION_FORM_PARTITION:
    case CONDITION_FORM_YES_NO:
    case CONDITION_FORM_SIZE:
        break;
    }
    return true;
}

/* All or any of the device's interfaces match one of the values. */
static bool match_interfaces(const Condition *condition,
                             const Properties *properties)
{
    bool all = condition->key == CONDITION_ONLY_INTERFACE;

    for (size_t i = 0; i < properties->n_interfaces; i++) {
        bool matches = false;

        for (size_t j = 0; j < condition->n_values && !matches; j++)
            matches = glob_test(&condition->values[j].glob,
                                properties->interfaces[i].s, true);
        if (matches != all)
            return matches;
    }
    return all;
}

static bool match_text(const Condition *condition,
                       const ConditionValue *value,
                       const Record *record)
{
    PropertyKey property = infos[condition->key].property;
    const char *text = record->device.s;

    if (property != NO_PROPERTY)
        text = properties_get_text(&record->properties, property);
    return glob_test(&value->glob, text, condition_key_folds(condition->key));
}

/* What says that it is a disk and has the number of a partition is none. */
static bool match_type(const ConditionValue *value,
                       const Properties *properties)
{
    DeviceType type = (DeviceType) value->number;

    return properties->devtype == type &&
           (type != DEVICE_TYPE_DISK ||
            !properties_have(properties, PROPERTY_PARTITION));
}

static bool match_size(const Condition *condition,
                       const ConditionValue *value,
                       int64_t size)
{
    return condition->key == CONDITION_MIN_SIZE ? size >= value->number
                                                : size <= value->number;
}

static bool match_value(const Condition *condition,
                        const ConditionValue *value,
                        const Record *record)
{
    const Properties *properties = &record->properties;

    switch (condition_key_form(condition->key)) {
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
    case CONDITION_FORM_REVISION:
        return match_text(condition, value, record);
    case CONDITION_FORM_ID:
        return glob_test(&value->glob, properties->vendor_id, true) &&
               glob_test(&value->product, properties->product_id, true);
    case CONDITION_FORM_TYPE:
        return match_type(value, properties);
    case CONDITION_FORM_PARTITION:
        return properties->partition == value->number;
    case CONDITION_FORM_YES_NO:
        return properties->removable == (value->number != 0);
    case CONDITION_FORM_SIZE:
        return match_size(condition, value, properties->size);
    case CONDITION_FORM_INTERFACES:
        break; /* not value by value */
    }
    return false;
}

static bool match_any(const Condition *condition, const Record *record)
{
    if (condition_key_form(condition->key) == CONDITION_FORM_INTERFACES)
        return match_interfaces(condition, &record->properties);

    for (size_t i = 0; i < condition->n_values; i++)
        if (match_value(condition, &condition->values[i], record))
            return true;
    return false;
}

bool condition_match(const Condition *condition, const Record *record)
{
    bool matches =
        record_has(record, condition) && match_any(condition, record);

    return matches != condition->negated;
}
