/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/rule-explain.h"

static bool have(const Record *record, PropertyKey key)
{
    return properties_have(&record->properties, key);
}

/* The condition's key tells which of the texts it is about. */
static PropertyKey text_property(ConditionKey key)
{
    static const PropertyKey properties[N_CONDITION_KEYS] = {
        [CONDITION_SERIAL] = PROPERTY_SERIAL,
        [CONDITION_VENDOR] = PROPERTY_VENDOR,
        [CONDITION_MODEL] = PROPERTY_MODEL,
        [CONDITION_REVISION] = PROPERTY_REVISION,
        [CONDITION_PATH] = PROPERTY_PATH,
        [CONDITION_FS_TYPE] = PROPERTY_FS_TYPE,
        [CONDITION_FS_UUID] = PROPERTY_FS_UUID,
        [CONDITION_FS_LABEL] = PROPERTY_FS_LABEL,
        [CONDITION_PART_UUID] = PROPERTY_PART_UUID,
        [CONDITION_PART_LABEL] = PROPERTY_PART_LABEL,
    };

    return properties[key];
}

#define PUT(ret, ...) (void) text_format(ret, RULE_FOUND_MAX + 1, __VA_ARGS__)

static void put_text(char *ret, const Record *record, PropertyKey key)
{
    if (have(record, key))
        PUT(ret, "%s", properties_get_text(&record->properties, key));
}

static void put_number(char *ret, const Record *record, PropertyKey key)
{
    if (have(record, key))
        PUT(ret, "%" PRId64, properties_get_number(&record->properties, key));
}

static void put_id(char *ret, const Record *record)
{
    if (have(record, PROPERTY_VENDOR_ID) && have(record, PROPERTY_PRODUCT_ID))
        PUT(ret, "%s:%s", record->properties.vendor_id,
            record->properties.product_id);
}

static void put_interfaces(char *ret, const Properties *properties)
{
    size_t len = 0;

    for (size_t i = 0; i < properties->n_interfaces; i++)
        len += text_format(ret + len, RULE_FOUND_MAX + 1 - len, "%s%s",
                           i > 0 ? " " : "", properties->interfaces[i].s);
}

/* What has the number of a partition is no disk, whatever it says. */
static void put_type(char *ret, const Record *record)
{
    const Properties *properties = &record->properties;

    put_text(ret, record, PROPERTY_DEVTYPE);
    if (properties->devtype == DEVICE_TYPE_DISK &&
        have(record, PROPERTY_PARTITION))
        PUT(ret, "disk with partition %u", properties->partition);
}

static void put_found(char *ret, ConditionKey key, const Record *record)
{
    switch (condition_key_form(key)) {
    case CONDITION_FORM_ID:
        put_id(ret, record);
        return;
    case CONDITION_FORM_INTERFACES:
        put_interfaces(ret, &record->properties);
        return;
    case CONDITION_FORM_PARTITION:
        put_number(ret, record, PROPERTY_PARTITION);
        return;
    case CONDITION_FORM_SIZE:
        put_number(ret, record, PROPERTY_SIZE);
        return;
    case CONDITION_FORM_YES_NO:
        if (have(record, PROPERTY_REMOVABLE))
            PUT(ret, "%s", record->properties.removable ? "yes" : "no");
        return;
    case CONDITION_FORM_TYPE:
        put_type(ret, record);
        return;
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
    case CONDITION_FORM_REVISION:
        break;
    }
    if (key == CONDITION_NAME)
        PUT(ret, "%s", record->device.s);
    else
        put_text(ret, record, text_property(key));
}

static void put_partition(char *ret, const Record *record)
{
    if (have(record, PROPERTY_PARTITION))
        PUT(ret, "partition %u", record->properties.partition);
    else
        PUT(ret, "partition");
}

void rule_explain(RuleReason *ret,
                  const Rule *rule,
                  const QubeName *source,
                  const Record *record)
{
    size_t index = 0;

    *ret = (RuleReason){
        .mismatch = rule_match(rule, source, record, &index),
        .at = { rule->line, rule->column },
    };

    switch (ret->mismatch) {
    case RULE_MATCHES:
        return;
    case RULE_OTHER_CLASS:
        PUT(ret->untrusted_found, "%s", device_class_to_string(record->class));
        return;
    case RULE_OTHER_SOURCE:
        PUT(ret->untrusted_found, "%s", source->s);
        return;
    case RULE_IMPLICIT_DISK:
        put_partition(ret->untrusted_found, record);
        return;
    case RULE_CONDITION:
        ret->condition = &rule->conditions[index];
        ret->at = rule->condition_at[index];
        put_found(ret->untrusted_found, ret->condition->key, record);
        return;
    }
}

const char *rule_mismatch_to_string(RuleMismatch mismatch)
{
    switch (mismatch) {
    case RULE_MATCHES:
        return "matches";
    case RULE_OTHER_CLASS:
        return "class";
    case RULE_OTHER_SOURCE:
        return "source";
    case RULE_IMPLICIT_DISK:
        return "partition";
    case RULE_CONDITION:
        return "condition";
    }
    return NULL;
}
