/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-condition.h"
#include "dom0/core/rule.h"

bool rule_name_may_have(char c, bool first)
{
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

    return is_letter ||
           (!first && ((c >= '0' && c <= '9') || c == '-' || c == '_'));
}

bool rule_name_parse(RuleName *ret,
                     const char *untrusted_text,
                     size_t untrusted_len)
{
    if (untrusted_len == 0 || untrusted_len > RULE_NAME_MAX)
        return false;
    for (size_t i = 0; i < untrusted_len; i++)
        if (!rule_name_may_have(untrusted_text[i], i == 0))
            return false;

    *ret = (RuleName){};
    memcpy(ret->s, untrusted_text, untrusted_len);
    return true;
}

static bool class_matches(RuleClass rule_class, DeviceClass device_class)
{
    switch (rule_class) {
    case RULE_CLASS_BLOCK:
        return device_class == DEVICE_CLASS_BLOCK;
    case RULE_CLASS_USB:
        return device_class == DEVICE_CLASS_USB;
    case RULE_CLASS_ANY:
        return device_class != DEVICE_CLASS_INVALID;
    case RULE_CLASS_INVALID:
        break;
    }
    return false;
}

static bool source_matches(const Rule *rule, const QubeName *source)
{
    for (size_t i = 0; i < rule->n_sources; i++)
        if (qube_name_equal(&rule->sources[i], source))
            return true;
    return rule->n_sources == 0;
}

static bool is_partition(const Record *record)
{
    const Properties *properties = &record->properties;

    return record->class == DEVICE_CLASS_BLOCK &&
           (properties_have(properties, PROPERTY_PARTITION) ||
            (properties_have(properties, PROPERTY_DEVTYPE) &&
             properties->devtype == DEVICE_TYPE_PARTITION));
}

RuleMismatch rule_match(const Rule *rule,
                        const QubeName *source,
                        const Record *record,
                        size_t *ret_condition)
{
    if (!class_matches(rule->class, record->class))
        return RULE_OTHER_CLASS;
    if (!source_matches(rule, source))
        return RULE_OTHER_SOURCE;
    if (rule->whole_disks && is_partition(record))
        return RULE_IMPLICIT_DISK;

    for (size_t i = 0; i < rule->n_conditions; i++) {
        if (condition_match(&rule->conditions[i], record))
            continue;
        if (ret_condition)
            *ret_condition = i;
        return RULE_CONDITION;
    }
    return RULE_MATCHES;
}

bool rule_equal(const Rule *a, const Rule *b)
{
    /* the normal form begins with the name and leaves nothing out */
    return strcmp(a->text, b->text) == 0;
}

const char *rule_action_to_string(RuleAction action)
{
    switch (action) {
    case RULE_DENY:
        return "deny";
    case RULE_ASK:
        return "ask";
    case RULE_ALLOW:
        return "allow";
    }
    return NULL;
}

const char *rule_class_to_string(RuleClass class)
{
    switch (class) {
    case RULE_CLASS_BLOCK:
        return "block";
    case RULE_CLASS_USB:
        return "usb";
    case RULE_CLASS_ANY:
        return "any";
    case RULE_CLASS_INVALID:
        break;
    }
    return NULL;
}
