/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "tests/property/model/rulebook.h"
#include "tests/support/manager-rig.h"

#define SETS      14
#define RULES_MAX 5
#define TEXT_MAX  2048

#define TO(...)                 \
    .targets = { __VA_ARGS__ }, \
    .n_targets = sizeof((Choice[]){ __VA_ARGS__ }) / sizeof(Choice)

static const BookRule sets[SETS][RULES_MAX] = {
    { { .name = "disks",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        .prefix = "sd",
        TO(CHOICE_WORK) },
      { .name = "inner",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        .prefix = "nvme",
        TO(CHOICE_VAULT),
        .start = RULE_IF_RUNNING } },
    { { .name = "known",
        .action = RULE_ASK,
        .class = RULE_CLASS_BLOCK,
        .id = "0781:5581",
        .type = DEVICE_TYPE_DISK,
        TO(CHOICE_WORK, CHOICE_VAULT),
        .timeout_s = 30 },
      { .name = "parts",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        .type = DEVICE_TYPE_PARTITION,
        TO(CHOICE_MEDIA),
        .start = RULE_WHEN_RUNNING } },
    { { .name = "parts",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        .type = DEVICE_TYPE_PARTITION,
        TO(CHOICE_VAULT) } },
    { { .name = "when",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        .type = DEVICE_TYPE_DISK,
        TO(CHOICE_WORK),
        .start = RULE_WHEN_RUNNING } },
    { { .name = "fresh",
        .action = RULE_ASK,
        .class = RULE_CLASS_BLOCK,
        .type = DEVICE_TYPE_DISK,
        TO(CHOICE_DISPVM, CHOICE_WORK),
        .close = true },
      { .name = "parts",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        .type = DEVICE_TYPE_PARTITION,
        .fs_uuid = "AAAA-0001",
        TO(CHOICE_DISPVM_DVM),
        .close = true } },
    { { .name = "never",
        .action = RULE_DENY,
        .class = RULE_CLASS_BLOCK,
        .id = "0781:5581" },
      { .name = "if",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        TO(CHOICE_MEDIA),
        .start = RULE_IF_RUNNING } },
    { {} },
    { { .name = "ask-all",
        .action = RULE_ASK,
        .class = RULE_CLASS_BLOCK,
        TO(CHOICE_VAULT, CHOICE_MEDIA),
        .timeout_s = 10,
        .quiet = true } },
    { { .name = "two",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        .source = "sys-usb",
        TO(CHOICE_MEDIA, CHOICE_WORK),
        .read_only = true,
        .frontend = "xvdj" },
      { .name = "net",
        .action = RULE_ASK,
        .class = RULE_CLASS_BLOCK,
        .source = "sys-net",
        TO(CHOICE_MEDIA),
        .start = RULE_WHEN_RUNNING,
        .timeout_s = 20 } },
    { { .name = "twin",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        .id = "0951:1666",
        .fs_uuid = "BBBB-0002",
        .type = DEVICE_TYPE_PARTITION,
        TO(CHOICE_VAULT) },
      { .name = "first",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        .prefix = "sda",
        TO(CHOICE_WORK, CHOICE_VAULT) } },
    { { .name = "all",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_USB,
        TO(CHOICE_WORK) } },
    { { .name = "key",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_USB,
        .id = "1050:0407",
        TO(CHOICE_VAULT),
        .start = RULE_WHEN_RUNNING },
      { .name = "storage",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_USB,
        .interface = "080650",
        TO(CHOICE_WORK) },
      { .name = "phone",
        .action = RULE_ASK,
        .class = RULE_CLASS_USB,
        .id = "18d1:4ee7",
        TO(CHOICE_MEDIA, CHOICE_WORK),
        .timeout_s = 20 },
      { .name = "disks",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_BLOCK,
        TO(CHOICE_MEDIA) } },
    { { .name = "whatever",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_ANY,
        TO(CHOICE_WORK),
        .start = RULE_WHEN_RUNNING } },
    { { .name = "usb-ask",
        .action = RULE_ASK,
        .class = RULE_CLASS_USB,
        .source = "sys-usb",
        TO(CHOICE_WORK, CHOICE_DISPVM_DVM),
        .timeout_s = 30 },
      { .name = "usb-if",
        .action = RULE_ALLOW,
        .class = RULE_CLASS_USB,
        TO(CHOICE_MEDIA),
        .start = RULE_IF_RUNNING } },
};

static Ruleset *parsed[SETS];

size_t book_count(void)
{
    return SETS;
}

static bool text_is(const Properties *properties,
                    PropertyKey key,
                    const char *text)
{
    return properties_have(properties, key) &&
           strcmp(properties_get_text(properties, key), text) == 0;
}

static bool has_interface(const Properties *properties, const char *code)
{
    for (size_t i = 0; i < properties->n_interfaces; i++)
        if (strcmp(properties->interfaces[i].s, code) == 0)
            return true;
    return false;
}

static bool has_id(const Properties *properties, const char *id)
{
    char own[10];

    (void) text_format(own, sizeof(own), "%s:%s", properties->vendor_id,
                       properties->product_id);
    return strcmp(own, id) == 0;
}

static bool rule_takes(const BookRule *rule,
                       const char *source,
                       const Record *record)
{
    const Properties *properties = &record->properties;
    bool block = record->class == DEVICE_CLASS_BLOCK;

    if (rule->class == RULE_CLASS_BLOCK && !block)
        return false;
    if (rule->class == RULE_CLASS_USB && block)
        return false;
    if (rule->source && strcmp(rule->source, source) != 0)
        return false;
    /* without a type, allow and ask mean whole disks */
    if (block && rule->type == DEVICE_TYPE_INVALID &&
        rule->action != RULE_DENY && properties->devtype != DEVICE_TYPE_DISK)
        return false;
    if (rule->type != DEVICE_TYPE_INVALID && properties->devtype != rule->type)
        return false;
    if (rule->id && !has_id(properties, rule->id))
        return false;
    if (rule->prefix &&
        strncmp(record->device.s, rule->prefix, strlen(rule->prefix)) != 0)
        return false;
    if (rule->fs_uuid && !text_is(properties, PROPERTY_FS_UUID, rule->fs_uuid))
        return false;
    return !rule->interface || has_interface(properties, rule->interface);
}

const BookRule *book_match(size_t set, const char *source, const Record *record)
{
    for (size_t i = 0; i < RULES_MAX && sets[set][i].name; i++)
        if (rule_takes(&sets[set][i], source, record))
            return &sets[set][i];
    return NULL;
}

bool book_rule_equal(const BookRule *a, const BookRule *b)
{
    /* a name that is used twice means different things in this book */
    return a == b;
}

bool book_rule_has(const BookRule *rule, Choice choice)
{
    for (size_t i = 0; i < rule->n_targets; i++)
        if (rule->targets[i] == choice)
            return true;
    return false;
}

const char *choice_name(Choice choice)
{
    static const char *const names[] = { "work", "vault", "media", "@dispvm",
                                         "@dispvm:dvm" };

    return names[choice];
}

typedef struct Text {
    char s[TEXT_MAX];
    size_t len;
} Text;

_printf_(2, 3) static void put(Text *text, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(text->s + text->len, sizeof(text->s) - text->len, format, ap);
    va_end(ap);
    assert(n >= 0 && (size_t) n < sizeof(text->s) - text->len);
    text->len += (size_t) n;
}

static void put_conditions(Text *text, const BookRule *rule)
{
    if (rule->id)
        put(text, " id %s", rule->id);
    if (rule->prefix)
        put(text, " name %s*", rule->prefix);
    if (rule->type == DEVICE_TYPE_DISK)
        put(text, " type disk");
    if (rule->type == DEVICE_TYPE_PARTITION)
        put(text, " type partition");
    if (rule->fs_uuid)
        put(text, " fs-uuid %s", rule->fs_uuid);
    if (rule->interface)
        put(text, " interface %s", rule->interface);
    if (rule->source)
        put(text, " from %s", rule->source);
}

static void put_rule(Text *text, const BookRule *rule)
{
    put(text, "%s: %s %s", rule->name, rule_action_to_string(rule->action),
        rule_class_to_string(rule->class));
    put_conditions(text, rule);
    if (rule->n_targets > 0) {
        put(text, " to {");
        for (size_t i = 0; i < rule->n_targets; i++)
            put(text, " %s", choice_name(rule->targets[i]));
        put(text, " }");
    }
    if (rule->read_only)
        put(text, " read-only");
    if (rule->frontend)
        put(text, " frontend %s", rule->frontend);
    if (rule->start == RULE_IF_RUNNING)
        put(text, " if-running");
    if (rule->start == RULE_WHEN_RUNNING)
        put(text, " when-running");
    if (rule->timeout_s > 0)
        put(text, " timeout %us", rule->timeout_s);
    if (rule->quiet)
        put(text, " quiet");
    if (rule->close)
        put(text, " close");
    put(text, "\n");
}

Ruleset *book_ruleset(size_t set)
{
    Text text = {};

    assert(set < SETS);
    if (!parsed[set]) {
        for (size_t i = 0; i < RULES_MAX && sets[set][i].name; i++)
            put_rule(&text, &sets[set][i]);
        parsed[set] = rig_parse_rules(text.s);
    }
    return parsed[set];
}

void book_close(void)
{
    for (size_t i = 0; i < SETS; i++)
        parsed[i] = ruleset_unref(parsed[i]);
}
