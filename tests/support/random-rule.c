/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/random-rule.h"

static void require(bool good)
{
    assert(good);
}

static size_t draw(Random *random, size_t n)
{
    return random_below(random, n);
}

#define DRAW(random, list) list[draw(random, ARRAY_SIZE(list))]

static const char *const texts[] = { "a", "b", "ab", "B", "ba", "aab" };
static const char *const globs[] = { "a", "b*", "?",    "*b", "[!b]", "A",
                                     "*", "a*", "[ab]", "a?", "*a*" };
static const char *const vendor_ids[] = { "0781", "1050", "abcd" };
static const char *const product_ids[] = { "5581", "0407", "00ef" };
static const char *const id_globs[] = {
    "0781:5581", "1050:*", "*:0407", "ABCD:00??", "[0-9]*:00E[a-f]", "????:*1",
};
static const char *const interfaces[] = { "080650", "030101", "0E0100" };
static const char *const interface_globs[] = { "08*", "0e0100", "03????",
                                               "[!0]*", "0[83]*" };
static const char *const sizes[] = { "0", "1K", "2K", "3M" };
static const char *const numbers[] = { "1", "2", "255" };
static const char *const types[] = { "disk", "partition" };
static const char *const yes_no[] = { "yes", "no" };
static const char *const names[] = { "a", "b", "ab", "ba" };
static const char *const sources[] = { "sys-usb", "sys-net", "from" };

static const char *draw_value(Random *random, ConditionKey key)
{
    switch (condition_key_form(key)) {
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
        return DRAW(random, globs);
    case CONDITION_FORM_ID:
        return DRAW(random, id_globs);
    case CONDITION_FORM_REVISION:
        return draw(random, 2) ? "0*" : "ABCD";
    case CONDITION_FORM_INTERFACES:
        return DRAW(random, interface_globs);
    case CONDITION_FORM_TYPE:
        return DRAW(random, types);
    case CONDITION_FORM_PARTITION:
        return DRAW(random, numbers);
    case CONDITION_FORM_YES_NO:
        return DRAW(random, yes_no);
    case CONDITION_FORM_SIZE:
        return DRAW(random, sizes);
    }
    return NULL;
}

static void draw_condition(Random *random, ConditionModel *ret, bool block)
{
    size_t n_keys = block ? N_CONDITION_KEYS : CONDITION_NAME;

    *ret = (ConditionModel){
        .key = (ConditionKey) draw(random, n_keys),
        .negated = draw(random, 3) == 0,
        .n_values = 1 + draw(random, RANDOM_RULE_VALUES_MAX),
    };
    if (condition_key_form(ret->key) == CONDITION_FORM_SIZE)
        ret->n_values = 1;
    for (size_t i = 0; i < ret->n_values; i++)
        ret->values[i] = draw_value(random, ret->key);
}

ConditionModel random_rule_condition(Random *random, const RuleModel *rule)
{
    ConditionModel condition;

    draw_condition(random, &condition, strcmp(rule->class, "block") == 0);
    return condition;
}

RuleModel random_rule(Random *random, size_t conditions_max)
{
    static const char *const actions[] = { "allow", "ask", "deny" };
    static const char *const classes[] = { "block", "block", "usb", "any" };
    RuleModel rule = {
        .action = DRAW(random, actions),
        .class = DRAW(random, classes),
        .n_conditions = draw(random, conditions_max + 1),
        .n_sources = draw(random, 3),
    };

    assert(conditions_max <= RANDOM_RULE_CONDITIONS_MAX);

    for (size_t i = 0; i < rule.n_conditions; i++)
        rule.conditions[i] = random_rule_condition(random, &rule);
    for (size_t i = 0; i < rule.n_sources; i++)
        rule.sources[i] =
            sources[(i + draw(random, 2) * 2) % ARRAY_SIZE(sources)];
    if (rule.n_sources == 2 && rule.sources[0] == rule.sources[1])
        rule.n_sources = 1;
    return rule;
}

static void put(RuleSheet *sheet, const char *text)
{
    int n = snprintf(sheet->text + sheet->len,
                     RANDOM_RULE_SHEET_SIZE - sheet->len, "%s", text);

    require(n >= 0 && (size_t) n < RANDOM_RULE_SHEET_SIZE - sheet->len);
    sheet->len += (size_t) n;
}

static void put_blank(Random *random, RuleSheet *sheet)
{
    static const char *const blanks[] = { " ", "  ", "\t", " \\\n ", "\\\n" };

    put(sheet, DRAW(random, blanks));
}

static void put_word(Random *random,
                     RuleSheet *sheet,
                     const char *word,
                     bool quoted)
{
    put_blank(random, sheet);
    put(sheet, quoted ? "\"" : "");
    put(sheet, word);
    put(sheet, quoted ? "\"" : "");
}

static void put_list(Random *random,
                     RuleSheet *sheet,
                     const char *const *words,
                     size_t n,
                     bool may_quote,
                     bool must_quote)
{
    bool braces = n > 1 || (!must_quote && draw(random, 3) == 0);

    if (braces)
        put_word(random, sheet, "{", false);
    for (size_t i = 0; i < n; i++)
        put_word(random, sheet, words[i],
                 must_quote || (may_quote && draw(random, 2)));
    if (braces)
        put_word(random, sheet, "}", false);
}

static void put_condition(Random *random,
                          RuleSheet *sheet,
                          const ConditionModel *condition)
{
    bool size = condition_key_form(condition->key) == CONDITION_FORM_SIZE;

    if (condition->negated)
        put_word(random, sheet, "not", false);
    put_word(random, sheet, condition_key_name(condition->key), false);
    if (size)
        put_word(random, sheet, condition->values[0], draw(random, 2));
    else
        put_list(random, sheet, condition->values, condition->n_values, true,
                 false);
}

/* Options in any order, some of them for block devices only. */
static void put_options(Random *random, RuleSheet *sheet, bool block)
{
    static const char *const any_options[] = { "if-running", "when-running",
                                               "quiet",      "close",
                                               "timeout 90", "timeout 2m" };
    static const char *const block_options[] = { "read-only", "cdrom",
                                                 "frontend xvdi" };

    if (block && draw(random, 2))
        put_word(random, sheet, DRAW(random, block_options), false);
    if (draw(random, 2))
        put_word(random, sheet, DRAW(random, any_options), false);
}

void random_rule_write(Random *random,
                       RuleSheet *sheet,
                       const RuleModel *rule,
                       size_t number)
{
    static const char *const target_lists[] = { "@dispvm",
                                                "{ work @dispvm:media }",
                                                "{ @dispvm work vault }" };
    char name[32];

    (void) snprintf(name, sizeof(name), "r%zu", number);
    put(sheet, name);
    put(sheet, draw(random, 2) ? ":" : " :");
    put_word(random, sheet, rule->action, false);
    put_word(random, sheet, rule->class, false);
    for (size_t i = 0; i < rule->n_conditions; i++)
        put_condition(random, sheet, &rule->conditions[i]);
    if (rule->n_sources > 0) {
        put_word(random, sheet, "from", false);
        put_list(random, sheet, rule->sources, rule->n_sources, true, true);
    }
    if (strcmp(rule->action, "deny") != 0) {
        put_word(random, sheet, "to", false);
        put_word(random, sheet, DRAW(random, target_lists), false);
        put_options(random, sheet, strcmp(rule->class, "usb") != 0);
    }
    put(sheet, draw(random, 2) ? "\n" : "# comment\n");
}

static void set_texts(Random *random, Properties *properties)
{
    static const PropertyKey keys[] = {
        PROPERTY_SERIAL,   PROPERTY_VENDOR,    PROPERTY_MODEL,
        PROPERTY_PATH,     PROPERTY_FS_TYPE,   PROPERTY_FS_UUID,
        PROPERTY_FS_LABEL, PROPERTY_PART_UUID, PROPERTY_PART_LABEL,
    };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *text = DRAW(random, texts);

        if (draw(random, 4))
            require(
                properties_set_text(properties, keys[i], text, strlen(text)));
    }
}

static void set_numbers(Random *random, Properties *properties)
{
    static const int64_t bytes[] = { 0, 1023, 1024, 2048, 3 << 20 };
    static const int64_t partitions[] = { 1, 2, 3, 255 };

    if (draw(random, 2))
        require(properties_set_number(properties, PROPERTY_PARTITION,
                                      DRAW(random, partitions)));
    if (draw(random, 3))
        require(properties_set_number(properties, PROPERTY_SIZE,
                                      DRAW(random, bytes)));
    if (draw(random, 3))
        properties_set_bool(properties, PROPERTY_REMOVABLE, draw(random, 2));
}

static void draw_record(Random *random, Record *ret)
{
    static const char *const devtypes[] = { "disk", "partition", "usb_device" };
    Properties *properties = &ret->properties;
    const char *devtype = DRAW(random, devtypes);

    *ret = (Record){ .action = RECORD_ADD };
    ret->class = draw(random, 2) ? DEVICE_CLASS_BLOCK : DEVICE_CLASS_USB;
    /* a name has no capitals */
    (void) snprintf(ret->device.s, sizeof(ret->device.s), "%s",
                    DRAW(random, names));
    if (draw(random, 3))
        require(properties_set_text(properties, PROPERTY_VENDOR_ID,
                                    DRAW(random, vendor_ids), 4));
    if (draw(random, 3))
        require(properties_set_text(properties, PROPERTY_PRODUCT_ID,
                                    DRAW(random, product_ids), 4));
    if (draw(random, 2))
        require(properties_set_text(properties, PROPERTY_REVISION,
                                    draw(random, 2) ? "0100" : "abCD", 4));
    if (draw(random, 2))
        require(properties_set_text(properties, PROPERTY_DEVTYPE, devtype,
                                    strlen(devtype)));
    for (size_t n = draw(random, 3); n > 0; n--)
        require(
            properties_add_interface(properties, DRAW(random, interfaces), 6));
    set_texts(random, properties);
    set_numbers(random, properties);
}

Record random_rule_record(Random *random)
{
    Record record;

    draw_record(random, &record);
    return record;
}

const char *random_rule_source(Random *random)
{
    return DRAW(random, sources);
}
