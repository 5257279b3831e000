/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/rule-compose.h"
#include "dom0/core/rule-text.h"
#include "dom0/core/ruleset.h"

/* in each condition that is a list */
#define VALUES_MAX RECORD_INTERFACES_MAX

/* The texts that a rule is made of, for as long as it is made */
typedef struct Draft {
    const RuleSpec *spec;
    const Record *record;
    Condition conditions[RULE_CONDITIONS_MAX];
    ConditionValue values[RULE_CONDITIONS_MAX][VALUES_MAX];
    char patterns[RULE_CONDITIONS_MAX][GLOB_MAX + 1];
    char interfaces[VALUES_MAX][sizeof(InterfaceCode)];
    size_t n;
} Draft;

static const Properties *properties_of(const Draft *draft)
{
    return &draft->record->properties;
}

static bool have(const Record *record, PropertyKey key)
{
    return properties_have(&record->properties, key);
}

/* The property that a text condition is about; N_PROPERTIES: none. */
static PropertyKey text_property(ConditionKey key)
{
    switch (key) {
    case CONDITION_SERIAL:
        return PROPERTY_SERIAL;
    case CONDITION_VENDOR:
        return PROPERTY_VENDOR;
    case CONDITION_MODEL:
        return PROPERTY_MODEL;
    case CONDITION_REVISION:
        return PROPERTY_REVISION;
    case CONDITION_PATH:
        return PROPERTY_PATH;
    case CONDITION_FS_TYPE:
        return PROPERTY_FS_TYPE;
    case CONDITION_FS_UUID:
        return PROPERTY_FS_UUID;
    case CONDITION_FS_LABEL:
        return PROPERTY_FS_LABEL;
    case CONDITION_PART_UUID:
        return PROPERTY_PART_UUID;
    case CONDITION_PART_LABEL:
        return PROPERTY_PART_LABEL;
    case CONDITION_ID:
    case CONDITION_INTERFACE:
    case CONDITION_ONLY_INTERFACE:
    case CONDITION_NAME:
    case CONDITION_TYPE:
    case CONDITION_PARTITION:
    case CONDITION_REMOVABLE:
    case CONDITION_MIN_SIZE:
    case CONDITION_MAX_SIZE:
        break;
    }
    return (PropertyKey) N_PROPERTIES;
}

static bool has_type(const Record *record)
{
    return have(record, PROPERTY_DEVTYPE) &&
           (record->properties.devtype == DEVICE_TYPE_PARTITION ||
            (record->properties.devtype == DEVICE_TYPE_DISK &&
             !have(record, PROPERTY_PARTITION)));
}

bool rule_compose_has(ConditionKey key, const Record *record)
{
    if (condition_key_is_block_only(key) && record->class != DEVICE_CLASS_BLOCK)
        return false;

    switch (key) {
    case CONDITION_ID:
        return have(record, PROPERTY_VENDOR_ID) &&
               have(record, PROPERTY_PRODUCT_ID);
    case CONDITION_INTERFACE:
    case CONDITION_ONLY_INTERFACE:
        return record->properties.n_interfaces > 0;
    case CONDITION_NAME:
        return true;
    case CONDITION_TYPE:
        return has_type(record);
    case CONDITION_PARTITION:
        return have(record, PROPERTY_PARTITION);
    case CONDITION_REMOVABLE:
        return have(record, PROPERTY_REMOVABLE);
    case CONDITION_MIN_SIZE:
    case CONDITION_MAX_SIZE:
        return have(record, PROPERTY_SIZE);
    case CONDITION_SERIAL:
    case CONDITION_VENDOR:
    case CONDITION_MODEL:
    case CONDITION_REVISION:
    case CONDITION_PATH:
    case CONDITION_FS_TYPE:
    case CONDITION_FS_UUID:
    case CONDITION_FS_LABEL:
    case CONDITION_PART_UUID:
    case CONDITION_PART_LABEL:
        break;
    }
    return have(record, text_property(key));
}

/* conditions */

/* `?` for each character that is more than one byte. */
static void make_ascii(char *pattern)
{
    char *to = pattern;

    for (; *pattern; pattern++)
        if (((unsigned char) *pattern & 0xc0) != 0x80)
            *to++ = (unsigned char) *pattern < 0x80 ? *pattern : '?';
    *to = '\0';
}

static const char *put_text(Draft *draft, const char *untrusted_text)
{
    char *pattern = draft->patterns[draft->n];

    glob_quote(pattern, untrusted_text);
    if (draft->spec->ascii)
        make_ascii(pattern);
    return pattern;
}

/* The device's interfaces, each once. */
static size_t put_interfaces(Draft *draft, ConditionValue *values)
{
    const Properties *properties = properties_of(draft);
    size_t n = 0;

    for (size_t i = 0; i < properties->n_interfaces; i++) {
        char *code = draft->interfaces[n];
        size_t j = 0;

        (void) text_format(code, sizeof(draft->interfaces[n]), "%s",
                           properties->interfaces[i].s);
        for (char *c = code; *c; c++)
            if (*c >= 'A' && *c <= 'F')
                *c = (char) (*c - 'A' + 'a');
        while (j < n && strcmp(draft->interfaces[j], code) != 0)
            j++;
        if (j == n)
            values[n++].glob.pattern = code;
    }
    return n;
}

/* What the device has, as values of a condition; answers how many. */
static size_t put_values(Draft *draft, ConditionKey key, ConditionValue *values)
{
    const Properties *properties = properties_of(draft);

    switch (condition_key_form(key)) {
    case CONDITION_FORM_ID:
        values->glob.pattern = properties->vendor_id;
        values->product.pattern = properties->product_id;
        break;
    case CONDITION_FORM_INTERFACES:
        return put_interfaces(draft, values);
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
    case CONDITION_FORM_REVISION:
        values->glob.pattern = put_text(
            draft, key == CONDITION_NAME
                       ? draft->record->device.s
                       : properties_get_text(properties, text_property(key)));
        break;
    case CONDITION_FORM_TYPE:
        values->number = properties->devtype;
        break;
    case CONDITION_FORM_PARTITION:
        values->number = properties->partition;
        break;
    case CONDITION_FORM_YES_NO:
        values->number = properties->removable;
        break;
    case CONDITION_FORM_SIZE:
        values->number = properties->size;
        break;
    }
    return 1;
}

static void add_condition(Draft *draft, ConditionKey key)
{
    ConditionValue *values = draft->values[draft->n];

    assert(draft->n < RULE_CONDITIONS_MAX);
    assert(rule_compose_has(key, draft->record));

    draft->conditions[draft->n] =
        (Condition){ .key = key,
                     .values = values,
                     .n_values = put_values(draft, key, values) };
    draft->n++;
}

static bool asks_for(const Draft *draft, ConditionKey key)
{
    for (size_t i = 0; i < draft->spec->n_keys; i++)
        if (draft->spec->keys[i] == key)
            return true;
    return false;
}

/* A partition is taken only by a rule that says so. */
static void add_partition(Draft *draft)
{
    if (asks_for(draft, CONDITION_TYPE) || asks_for(draft, CONDITION_PARTITION))
        return;
    if (rule_compose_has(CONDITION_PARTITION, draft->record))
        add_condition(draft, CONDITION_PARTITION);
    else if (rule_compose_has(CONDITION_TYPE, draft->record) &&
             properties_of(draft)->devtype == DEVICE_TYPE_PARTITION)
        add_condition(draft, CONDITION_TYPE);
}

char *rule_compose(const RuleSpec *spec, const Record *record)
{
    _cleanup_(freep) Draft *draft = calloc(1, sizeof(*draft));
    RuleArena arena = {};
    Rule rule;
    char *text, *copy;

    if (!draft)
        return NULL;
    draft->spec = spec;
    draft->record = record;
    for (size_t i = 0; i < spec->n_keys; i++)
        add_condition(draft, spec->keys[i]);
    add_partition(draft);

    rule = (Rule){
        .name = spec->name,
        .action = spec->action,
        .class = record->class == DEVICE_CLASS_BLOCK ? RULE_CLASS_BLOCK
                                                     : RULE_CLASS_USB,
        .conditions = draft->conditions,
        .n_conditions = draft->n,
        .sources = &spec->source,
        .n_sources = 1,
        .targets = spec->targets,
        .n_targets = spec->n_targets,
        .options = spec->options,
    };
    copy = rule_to_text(&rule, &arena);
    text = copy ? malloc(strlen(copy) + 1) : NULL;
    if (text)
        memcpy(text, copy, strlen(copy) + 1);
    rule_arena_clear(&arena);
    return text;
}

void rule_compose_name(RuleName *ret,
                       const char *wanted,
                       RuleNameTakenFn is_taken,
                       const void *userdata)
{
    assert(strlen(wanted) + sizeof("-16384") <= RULE_NAME_MAX);

    (void) text_format(ret->s, sizeof(ret->s), "%s", wanted);
    for (size_t i = 2; i <= RULESET_RULES_MAX && is_taken(ret->s, userdata);
         i++)
        (void) text_format(ret->s, sizeof(ret->s), "%s-%zu", wanted, i);
}
