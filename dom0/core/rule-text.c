/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/rule-text.h"
#include "dom0/core/rule-words.h"

#define NUMBER_MAX 24U

/* Counts when there is no text yet, writes when there is. */
typedef struct Writer {
    char *text;
    size_t len;
} Writer;

static void put(Writer *writer, const char *text)
{
    size_t len = strlen(text);

    if (writer->text)
        memcpy(writer->text + writer->len, text, len);
    writer->len += len;
}

/* All words but the first. */
static void put_word(Writer *writer, const char *word)
{
    put(writer, " ");
    put(writer, word);
}

static void put_option(Writer *writer, RuleOption option)
{
    put_word(writer, rule_option_name(option));
}

/* With the largest unit that leaves a whole number; @unit 0 is none. */
static void put_number(Writer *writer, int64_t number, char unit)
{
    char text[NUMBER_MAX], unit_text[2] = { unit, '\0' };

    (void) text_format(text, sizeof(text), "%" PRId64 "%s", number, unit_text);
    put(writer, text);
}

static void put_size(Writer *writer, int64_t bytes)
{
    static const char units[] = { '\0', 'K', 'M', 'G', 'T' };
    size_t i = 0;

    while (bytes > 0 && bytes % 1024 == 0 && i + 1 < ARRAY_SIZE(units)) {
        bytes /= 1024;
        i++;
    }
    put_number(writer, bytes, units[i]);
}

static void put_timeout(Writer *writer, uint64_t usec)
{
    int64_t seconds = (int64_t) (usec / 1000000);

    put_option(writer, RULE_OPTION_TIMEOUT);
    put(writer, " ");
    if (seconds % 3600 == 0)
        put_number(writer, seconds / 3600, 'h');
    else if (seconds % 60 == 0)
        put_number(writer, seconds / 60, 'm');
    else
        put_number(writer, seconds, 's');
}

static void put_value(Writer *writer,
                      ConditionKey key,
                      const ConditionValue *value)
{
    switch (condition_key_form(key)) {
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
        put(writer, "\"");
        put(writer, value->glob.pattern);
        put(writer, "\"");
        break;
    case CONDITION_FORM_ID:
        put(writer, value->glob.pattern);
        put(writer, ":");
        put(writer, value->product.pattern);
        break;
    case CONDITION_FORM_REVISION:
    case CONDITION_FORM_INTERFACES:
        put(writer, value->glob.pattern);
        break;
    case CONDITION_FORM_TYPE:
        put(writer, device_type_to_string((DeviceType) value->number));
        break;
    case CONDITION_FORM_PARTITION:
        put_number(writer, value->number, '\0');
        break;
    case CONDITION_FORM_YES_NO:
        put(writer, value->number ? "yes" : "no");
        break;
    case CONDITION_FORM_SIZE:
        put_size(writer, value->number);
        break;
    }
}

static void put_condition(Writer *writer, const Condition *condition)
{
    bool list = condition->n_values > 1;

    if (condition->negated)
        put(writer, "not ");
    put(writer, condition_key_name(condition->key));
    if (list)
        put(writer, " {");
    for (size_t i = 0; i < condition->n_values; i++) {
        put(writer, " ");
        put_value(writer, condition->key, &condition->values[i]);
    }
    if (list)
        put(writer, " }");
}

static void put_qube(Writer *writer, const char *name)
{
    bool quoted = rule_word_is_reserved(rule_word_find(name, strlen(name)));

    put(writer, quoted ? " \"" : " ");
    put(writer, name);
    put(writer, quoted ? "\"" : "");
}

static void put_sources(Writer *writer, const Rule *rule)
{
    if (rule->n_sources == 0)
        return;

    put(writer, rule->n_sources > 1 ? " from {" : " from");
    for (size_t i = 0; i < rule->n_sources; i++)
        put_qube(writer, rule->sources[i].s);
    put(writer, rule->n_sources > 1 ? " }" : "");
}

static void put_targets(Writer *writer, const Rule *rule)
{
    if (rule->n_targets == 0)
        return;

    put(writer, rule->n_targets > 1 ? " to {" : " to");
    for (size_t i = 0; i < rule->n_targets; i++) {
        char name[TARGET_STRING_MAX + 1];

        put_qube(writer, target_to_string(&rule->targets[i], name));
    }
    put(writer, rule->n_targets > 1 ? " }" : "");
}

static void put_options(Writer *writer, const RuleOptions *options)
{
    if (options->read_only)
        put_option(writer, RULE_OPTION_READ_ONLY);
    if (options->frontend[0]) {
        put_option(writer, RULE_OPTION_FRONTEND);
        put_word(writer, options->frontend);
    }
    if (options->cdrom)
        put_option(writer, RULE_OPTION_CDROM);

    switch (options->start) {
    case RULE_START_TARGET:
        break;
    case RULE_IF_RUNNING:
        put_option(writer, RULE_OPTION_IF_RUNNING);
        break;
    case RULE_WHEN_RUNNING:
        put_option(writer, RULE_OPTION_WHEN_RUNNING);
        break;
    }

    if (options->timeout_usec != RULE_TIMEOUT_DEFAULT_USEC)
        put_timeout(writer, options->timeout_usec);
    if (options->quiet)
        put_option(writer, RULE_OPTION_QUIET);
    if (options->close)
        put_option(writer, RULE_OPTION_CLOSE);
}

static void put_rule(Writer *writer, const Rule *rule)
{
    put(writer, rule->name.s);
    put(writer, ":");
    put_word(writer, rule_action_to_string(rule->action));
    put_word(writer, rule_class_to_string(rule->class));
    for (size_t i = 0; i < rule->n_conditions; i++) {
        put(writer, " ");
        put_condition(writer, &rule->conditions[i]);
    }
    put_sources(writer, rule);
    put_targets(writer, rule);
    put_options(writer, &rule->options);
}

char *rule_to_text(const Rule *rule, RuleArena *arena)
{
    Writer writer = {};

    put_rule(&writer, rule);
    writer.text = rule_arena_alloc(arena, writer.len + 1);
    if (!writer.text)
        return NULL;

    writer.len = 0;
    put_rule(&writer, rule);
    return writer.text;
}

char *condition_to_text(const Condition *condition)
{
    Writer writer = {};

    put_condition(&writer, condition);
    writer.text = calloc(1, writer.len + 1);
    if (!writer.text)
        return NULL;

    writer.len = 0;
    put_condition(&writer, condition);
    return writer.text;
}
