/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Random rules on random records
 *
 * A rule is drawn as a plain model, written down and read. Its normal form must
 * read back as itself, and it must take exactly the records that a naive
 * reading of the model takes.
 */

#include <stdio.h>
#include <string.h>

#include "dom0/core/rule-condition.h"
#include "dom0/core/ruleset.h"
#include "tests/support/random-rule.h"
#include "tests/support/test.h"

#define N_RULESETS     (3000U / TESTS_SHARE)
#define N_RULES        6U
#define N_RECORDS      40U
#define CONDITIONS_MAX 3U

static Random numbers_to_come;
static Random round_began; /* for the message of a failure */

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
               (strcmp(value, "disk") != 0 ||
                !have(record, PROPERTY_PARTITION));
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
    const char *source_name = random_rule_source(&numbers_to_come);
    const Rule *rule, *expected = NULL;
    QubeName source;
    Record record;

    assert_true(qube_name_parse(&source, source_name, strlen(source_name)));
    record = random_rule_record(&numbers_to_come);
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
    static RuleSheet sheet;

    (void) state;

    numbers_to_come = random_begin();
    for (size_t i = 0; i < N_RULESETS; i++) {
        _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
        RuleModel rules[N_RULES];

        round_began = numbers_to_come;
        sheet.len = 0;
        for (size_t j = 0; j < N_RULES; j++) {
            rules[j] = random_rule(&numbers_to_come, CONDITIONS_MAX);
            random_rule_write(&numbers_to_come, &sheet, &rules[j], j);
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
