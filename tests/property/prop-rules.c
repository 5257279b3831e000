/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Random rules on random records
 *
 * A rule is drawn as a plain model, written down in a random way that the
 * language allows, and read. Its normal form must read back as itself, and it
 * must take exactly the records that a naive reading of the model takes. The
 * words are few and short, so that about as many conditions match as not.
 */

#include <stdio.h>
#include <string.h>

#include "dom0/core/rule-condition.h"
#include "dom0/core/ruleset.h"
#include "tests/support/random.h"
#include "tests/support/test.h"

#define N_RULESETS     3000U
#define N_RULES        6U
#define N_RECORDS      40U
#define CONDITIONS_MAX 3U
#define VALUES_MAX     3U
#define TEXT_SIZE      4096U

static Random numbers_to_come;
static Random round_began; /* for the message of a failure */

static size_t draw(size_t n)
{
    return random_below(&numbers_to_come, n);
}

#define DRAW(list) list[draw(ARRAY_SIZE(list))]

typedef struct ConditionModel {
    ConditionKey key;
    bool negated;
    size_t n_values;
    const char *values[VALUES_MAX];
} ConditionModel;

typedef struct RuleModel {
    const char *action;
    const char *class;
    size_t n_conditions;
    ConditionModel conditions[CONDITIONS_MAX];
    size_t n_sources;
    const char *sources[2];
} RuleModel;

static const char *const texts[] = { "a", "b", "ab", "B" };
static const char *const globs[] = { "a", "b*", "?", "*b", "[!b]", "A" };
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
static const char *const sources[] = { "sys-usb", "sys-net", "from" };

static const char *draw_value(ConditionKey key)
{
    switch (condition_key_form(key)) {
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
        return DRAW(globs);
    case CONDITION_FORM_ID:
        return DRAW(id_globs);
    case CONDITION_FORM_REVISION:
        return draw(2) ? "0*" : "ABCD";
    case CONDITION_FORM_INTERFACES:
        return DRAW(interface_globs);
    case CONDITION_FORM_TYPE:
        return DRAW(types);
    case CONDITION_FORM_PARTITION:
        return DRAW(numbers);
    case CONDITION_FORM_YES_NO:
        return DRAW(yes_no);
    case CONDITION_FORM_SIZE:
        return DRAW(sizes);
    }
    return NULL;
}

static void draw_condition(ConditionModel *ret, bool block)
{
    size_t n_keys = block ? N_CONDITION_KEYS : CONDITION_NAME;

    *ret = (ConditionModel){
        .key = (ConditionKey) draw(n_keys),
        .negated = draw(3) == 0,
        .n_values = 1 + draw(VALUES_MAX),
    };
    if (condition_key_form(ret->key) == CONDITION_FORM_SIZE)
        ret->n_values = 1;
    for (size_t i = 0; i < ret->n_values; i++)
        ret->values[i] = draw_value(ret->key);
}

static void draw_rule(RuleModel *ret)
{
    static const char *const actions[] = { "allow", "ask", "deny" };
    static const char *const classes[] = { "block", "block", "usb", "any" };

    *ret = (RuleModel){
        .action = DRAW(actions),
        .class = DRAW(classes),
        .n_conditions = draw(CONDITIONS_MAX + 1),
        .n_sources = draw(3),
    };
    for (size_t i = 0; i < ret->n_conditions; i++)
        draw_condition(&ret->conditions[i], strcmp(ret->class, "block") == 0);
    for (size_t i = 0; i < ret->n_sources; i++)
        ret->sources[i] = sources[(i + draw(2) * 2) % ARRAY_SIZE(sources)];
    if (ret->n_sources == 2 && ret->sources[0] == ret->sources[1])
        ret->n_sources = 1;
}

/* A rule file that grows */
typedef struct Sheet {
    size_t len;
    char text[TEXT_SIZE];
} Sheet;

static void put(Sheet *sheet, const char *text)
{
    int n =
        snprintf(sheet->text + sheet->len, TEXT_SIZE - sheet->len, "%s", text);

    assert_true(n >= 0 && (size_t) n < TEXT_SIZE - sheet->len);
    sheet->len += (size_t) n;
}

static void put_blank(Sheet *sheet)
{
    static const char *const blanks[] = { " ", "  ", "\t", " \\\n ", "\\\n" };

    put(sheet, DRAW(blanks));
}

static void put_word(Sheet *sheet, const char *word, bool quoted)
{
    put_blank(sheet);
    put(sheet, quoted ? "\"" : "");
    put(sheet, word);
    put(sheet, quoted ? "\"" : "");
}

static void put_list(Sheet *sheet,
                     const char *const *words,
                     size_t n,
                     bool may_quote,
                     bool must_quote)
{
    bool braces = n > 1 || (!must_quote && draw(3) == 0);

    if (braces)
        put_word(sheet, "{", false);
    for (size_t i = 0; i < n; i++)
        put_word(sheet, words[i], must_quote || (may_quote && draw(2)));
    if (braces)
        put_word(sheet, "}", false);
}

static void put_condition(Sheet *sheet, const ConditionModel *condition)
{
    bool size = condition_key_form(condition->key) == CONDITION_FORM_SIZE;

    if (condition->negated)
        put_word(sheet, "not", false);
    put_word(sheet, condition_key_name(condition->key), false);
    if (size)
        put_word(sheet, condition->values[0], draw(2));
    else
        put_list(sheet, condition->values, condition->n_values, true, false);
}

/* Options in any order, some of them for block devices only. */
static void put_options(Sheet *sheet, bool block)
{
    static const char *const any_options[] = { "if-running", "when-running",
                                               "quiet",      "close",
                                               "timeout 90", "timeout 2m" };
    static const char *const block_options[] = { "read-only", "cdrom",
                                                 "frontend xvdi" };

    if (block && draw(2))
        put_word(sheet, DRAW(block_options), false);
    if (draw(2))
        put_word(sheet, DRAW(any_options), false);
}

static void put_rule(Sheet *sheet, const RuleModel *rule, size_t number)
{
    static const char *const target_lists[] = { "@dispvm",
                                                "{ work @dispvm:media }",
                                                "{ @dispvm work vault }" };
    char name[32];

    (void) snprintf(name, sizeof(name), "r%zu", number);
    put(sheet, name);
    put(sheet, draw(2) ? ":" : " :");
    put_word(sheet, rule->action, false);
    put_word(sheet, rule->class, false);
    for (size_t i = 0; i < rule->n_conditions; i++)
        put_condition(sheet, &rule->conditions[i]);
    if (rule->n_sources > 0) {
        put_word(sheet, "from", false);
        put_list(sheet, rule->sources, rule->n_sources, true, true);
    }
    if (strcmp(rule->action, "deny") != 0) {
        put_word(sheet, "to", false);
        put_word(sheet, DRAW(target_lists), false);
        put_options(sheet, strcmp(rule->class, "usb") != 0);
    }
    put(sheet, draw(2) ? "\n" : "# comment\n");
}

static void set_texts(Properties *properties)
{
    static const PropertyKey keys[] = {
        PROPERTY_SERIAL,   PROPERTY_VENDOR,    PROPERTY_MODEL,
        PROPERTY_PATH,     PROPERTY_FS_TYPE,   PROPERTY_FS_UUID,
        PROPERTY_FS_LABEL, PROPERTY_PART_UUID, PROPERTY_PART_LABEL,
    };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *text = DRAW(texts);

        if (draw(4))
            assert_true(
                properties_set_text(properties, keys[i], text, strlen(text)));
    }
}

static void set_numbers(Properties *properties)
{
    static const int64_t bytes[] = { 0, 1023, 1024, 2048, 3 << 20 };
    static const int64_t partitions[] = { 1, 2, 3, 255 };

    if (draw(2))
        assert_true(properties_set_number(properties, PROPERTY_PARTITION,
                                          DRAW(partitions)));
    if (draw(3))
        assert_true(
            properties_set_number(properties, PROPERTY_SIZE, DRAW(bytes)));
    if (draw(3))
        properties_set_bool(properties, PROPERTY_REMOVABLE, draw(2));
}

static void draw_record(Record *ret)
{
    static const char *const devtypes[] = { "disk", "partition", "usb_device" };
    Properties *properties = &ret->properties;
    const char *devtype = DRAW(devtypes);

    *ret = (Record){ .action = RECORD_ADD };
    ret->class = draw(2) ? DEVICE_CLASS_BLOCK : DEVICE_CLASS_USB;
    (void) snprintf(ret->device.s, sizeof(ret->device.s), "%s", DRAW(texts));
    if (draw(3))
        assert_true(properties_set_text(properties, PROPERTY_VENDOR_ID,
                                        DRAW(vendor_ids), 4));
    if (draw(3))
        assert_true(properties_set_text(properties, PROPERTY_PRODUCT_ID,
                                        DRAW(product_ids), 4));
    if (draw(2))
        assert_true(properties_set_text(properties, PROPERTY_REVISION,
                                        draw(2) ? "0100" : "abCD", 4));
    if (draw(2))
        assert_true(properties_set_text(properties, PROPERTY_DEVTYPE, devtype,
                                        strlen(devtype)));
    for (size_t n = draw(3); n > 0; n--)
        assert_true(properties_add_interface(properties, DRAW(interfaces), 6));
    set_texts(properties);
    set_numbers(properties);
}

static char fold_char(char c, bool fold)
{
    return fold && c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

/* The plain reading of a pattern; sets are [x], [!x], [x-y] or [xy] here. */
static bool glob(const char *p, const char *text, bool fold)
{
    char c = fold_char(*text, fold);
    bool negated, has;

    if (*p == '\0')
        return *text == '\0';
    if (*p == '*')
        return glob(p + 1, text, fold) || (*text && glob(p, text + 1, fold));
    if (*text == '\0')
        return false;
    if (*p != '[')
        return (*p == '?' || fold_char(*p, fold) == c) &&
               glob(p + 1, text + 1, fold);

    negated = p[1] == '!';
    p += negated ? 2 : 1;
    if (p[1] == '-')
        has = c >= p[0] && c <= p[2];
    else
        has = c == p[0] || (p[1] != ']' && c == p[1]);
    return has != negated && glob(strchr(p, ']') + 1, text + 1, fold);
}

static bool id_matches(const char *value, const Properties *properties)
{
    char vendor[32];

    (void) snprintf(vendor, sizeof(vendor), "%s", value);
    *strchr(vendor, ':') = '\0';
    return glob(vendor, properties->vendor_id, true) &&
           glob(strchr(value, ':') + 1, properties->product_id, true);
}

static int64_t size_of(const char *value)
{
    int64_t size = strtoll(value, NULL, 10);

    if (strchr(value, 'K'))
        size *= 1024;
    if (strchr(value, 'M'))
        size *= 1024 * 1024;
    return size;
}

static bool have(const Record *record, PropertyKey key)
{
    return properties_have(&record->properties, key);
}

static bool text_matches(const Record *record,
                         PropertyKey key,
                         const char *value,
                         bool fold)
{
    return have(record, key) &&
           glob(value, properties_get_text(&record->properties, key), fold);
}

static bool any_interface(const Record *record,
                          const ConditionModel *condition,
                          size_t index)
{
    for (size_t i = 0; i < condition->n_values; i++)
        if (glob(condition->values[i], record->properties.interfaces[index].s,
                 true))
            return true;
    return false;
}

static bool interfaces_match(const Record *record,
                             const ConditionModel *condition)
{
    size_t n = record->properties.n_interfaces, n_matching = 0;

    for (size_t i = 0; i < n; i++)
        n_matching += any_interface(record, condition, i);
    if (condition->key == CONDITION_INTERFACE)
        return n_matching > 0;
    return n > 0 && n_matching == n;
}

static bool value_matches(const Record *record,
                          ConditionKey key,
                          const char *value)
{
    const Properties *properties = &record->properties;

    switch (key) {
    case CONDITION_ID:
        return have(record, PROPERTY_VENDOR_ID) &&
               have(record, PROPERTY_PRODUCT_ID) &&
               id_matches(value, properties);
    case CONDITION_SERIAL:
        return text_matches(record, PROPERTY_SERIAL, value, false);
    case CONDITION_VENDOR:
        return text_matches(record, PROPERTY_VENDOR, value, false);
    case CONDITION_MODEL:
        return text_matches(record, PROPERTY_MODEL, value, false);
    case CONDITION_REVISION:
        return text_matches(record, PROPERTY_REVISION, value, true);
    case CONDITION_PATH:
        return text_matches(record, PROPERTY_PATH, value, false);
    case CONDITION_NAME:
        return glob(value, record->device.s, false);
    case CONDITION_TYPE:
        return text_matches(record, PROPERTY_DEVTYPE, value, false) &&
               (strcmp(value, "disk") != 0 || !have(record, PROPERTY_PARTITION));
    case CONDITION_PARTITION:
        return have(record, PROPERTY_PARTITION) &&
               properties->partition == atoi(value);
    case CONDITION_FS_TYPE:
        return text_matches(record, PROPERTY_FS_TYPE, value, false);
    case CONDITION_FS_UUID:
        return text_matches(record, PROPERTY_FS_UUID, value, true);
    case CONDITION_FS_LABEL:
        return text_matches(record, PROPERTY_FS_LABEL, value, false);
    case CONDITION_PART_UUID:
        return text_matches(record, PROPERTY_PART_UUID, value, true);
    case CONDITION_PART_LABEL:
        return text_matches(record, PROPERTY_PART_LABEL, value, false);
    case CONDITION_REMOVABLE:
        return have(record, PROPERTY_REMOVABLE) &&
               properties->removable == (strcmp(value, "yes") == 0);
    case CONDITION_MIN_SIZE:
        return have(record, PROPERTY_SIZE) &&
               properties->size >= size_of(value);
    case CONDITION_MAX_SIZE:
        return have(record, PROPERTY_SIZE) &&
               properties->size <= size_of(value);
    case CONDITION_INTERFACE:
    case CONDITION_ONLY_INTERFACE:
        break;
    }
    fail();
    return false;
}

static bool condition_holds(const Record *record,
                            const ConditionModel *condition)
{
    bool matches = false;

    if (condition->key == CONDITION_INTERFACE ||
        condition->key == CONDITION_ONLY_INTERFACE)
        matches = interfaces_match(record, condition);
    else
        for (size_t i = 0; i < condition->n_values; i++)
            matches |=
                value_matches(record, condition->key, condition->values[i]);
    return condition->negated ? !matches : matches;
}

static bool source_fits(const RuleModel *rule, const char *source)
{
    for (size_t i = 0; i < rule->n_sources; i++)
        if (strcmp(rule->sources[i], source) == 0)
            return true;
    return rule->n_sources == 0;
}

static bool rule_takes(const RuleModel *rule,
                       const char *source,
                       const Record *record)
{
    bool block = record->class == DEVICE_CLASS_BLOCK, all_hold = true;
    bool says_type = false, part;

    for (size_t i = 0; i < rule->n_conditions; i++) {
        all_hold &= condition_holds(record, &rule->conditions[i]);
        says_type |= rule->conditions[i].key == CONDITION_TYPE ||
                     rule->conditions[i].key == CONDITION_PARTITION;
    }
    part =
        block && (have(record, PROPERTY_PARTITION) ||
                  text_matches(record, PROPERTY_DEVTYPE, "partition", false));

    if (strcmp(rule->class, block ? "usb" : "block") == 0)
        return false;
    if (part && !says_type && strcmp(rule->action, "deny") != 0)
        return false;
    return all_hold && source_fits(rule, source);
}

static void read_rules(Ruleset **ret, const char *text)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;

    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_new(ret), 0);
    assert_int_equal(
        ruleset_add_file(*ret, "random.rules", text, strlen(text), diagnostics),
        0);
    if (diagnostics_count(diagnostics) > 0)
        fail_msg("%s\n%s" RANDOM_SEED_FORMAT,
                 diagnostics_get(diagnostics, 0)->message, text,
                 round_began.state);
}

static void check_normal_forms(const Ruleset *ruleset)
{
    for (size_t i = 0; i < ruleset_count(ruleset); i++) {
        _cleanup_(ruleset_unrefp) Ruleset *again = NULL;
        const Rule *rule = ruleset_get(ruleset, i), *same;

        read_rules(&again, rule->text);
        assert_int_equal(ruleset_count(again), 1);
        same = ruleset_get(again, 0);
        assert_string_equal(same->text, rule->text);
        assert_true(rule_equal(same, rule));
        assert_int_equal(same->n_conditions, rule->n_conditions);
        assert_int_equal(same->whole_disks, rule->whole_disks);
        assert_int_equal(same->options.timeout_usec,
                         rule->options.timeout_usec);
    }
}

static void check_matching(const Ruleset *ruleset, const RuleModel *rules)
{
    const char *source_name = DRAW(sources);
    const Rule *rule, *expected = NULL;
    QubeName source;
    Record record;

    assert_true(qube_name_parse(&source, source_name, strlen(source_name)));
    draw_record(&record);
    for (size_t i = 0; i < N_RULES && !expected; i++)
        if (rule_takes(&rules[i], source_name, &record))
            expected = ruleset_get(ruleset, i);

    rule = ruleset_match(ruleset, &source, &record);
    if (rule != expected)
        fail_msg("%s instead of %s; " RANDOM_SEED_FORMAT,
                 rule ? rule->text : "none", expected ? expected->text : "none",
                 round_began.state);
}

static void test_random_rules_take_what_they_say(void **state)
{
    static Sheet sheet;

    (void) state;

    numbers_to_come = random_begin();
    for (size_t i = 0; i < N_RULESETS; i++) {
        _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
        RuleModel rules[N_RULES];

        round_began = numbers_to_come;
        sheet.len = 0;
        for (size_t j = 0; j < N_RULES; j++) {
            draw_rule(&rules[j]);
            put_rule(&sheet, &rules[j], j);
        }
        read_rules(&ruleset, sheet.text);
        assert_int_equal(ruleset_count(ruleset), N_RULES);
        check_normal_forms(ruleset);
        for (size_t j = 0; j < N_RECORDS; j++)
            check_matching(ruleset, rules);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_rules_take_what_they_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
