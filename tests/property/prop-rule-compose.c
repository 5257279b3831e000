/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A rule that is made for a device takes it
 *
 * Whatever a record says, and by whatever of it a rule is made: the rule reads
 * back without an error, matches the record, and holds nothing that cannot be
 * seen. The same goes for all that is suggested.
 */

#include <string.h>

#include "common/text.h"
#include "dom0/core/rule-compose.h"
#include "dom0/core/rule-suggest.h"
#include "dom0/core/ruleset.h"
#include "tests/support/random-record.h"
#include "tests/support/test.h"

#define N_RECORDS (20000U / TESTS_SHARE)

static const QubeName source = { "sys-usb" };
static const Target targets[] = { { TARGET_QUBE, { "work" } },
                                  { TARGET_DISPVM_DEFAULT, { "" } } };

static void check_text(const char *text, bool ascii, uint64_t seed)
{
    size_t len = strlen(text);
    const char *end = text + len;

    assert_true(text_is_plain(text, len));
    while (text < end) {
        uint32_t c;
        size_t n = text_decode_utf8(&c, text, (size_t) (end - text));

        if (n == 0 || text_is_deceptive(c) || (ascii && c > 0x7e))
            fail_msg("U+%x; " RANDOM_SEED_FORMAT, c, seed);
        text += n;
    }
}

static void check_rule(const char *text, const Record *record, uint64_t seed)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;

    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(
        ruleset_add_file(ruleset, "made", text, strlen(text), diagnostics), 0);
    if (diagnostics_count(diagnostics) > 0)
        fail_msg("%s: %s; " RANDOM_SEED_FORMAT, text,
                 diagnostics_get(diagnostics, 0)->message, seed);
    assert_int_equal(ruleset_count(ruleset), 1);
    if (!ruleset_match(ruleset, &source, record))
        fail_msg("it does not match: %s; " RANDOM_SEED_FORMAT, text, seed);
}

static void check_keys(const ConditionKey *keys,
                       size_t n_keys,
                       const Record *record,
                       bool ascii,
                       uint64_t seed)
{
    const RuleSpec spec = {
        .name = { "made" },
        .action = RULE_ASK,
        .keys = keys,
        .n_keys = n_keys,
        .source = source,
        .targets = targets,
        .n_targets = ARRAY_SIZE(targets),
        .options = { .start = RULE_WHEN_RUNNING,
                     .timeout_usec = RULE_TIMEOUT_DEFAULT_USEC },
        .ascii = ascii,
    };
    char *text = rule_compose(&spec, record);

    assert_non_null(text);
    check_text(text, ascii, seed);
    check_rule(text, record, seed);
    free(text);
}

/* What could not be taken by any rule of a plain kind: a part of a disk that
 * calls itself something else. */
static bool is_contradictory(const Record *record)
{
    const Properties *properties = &record->properties;
    bool has_type = properties_have(properties, PROPERTY_DEVTYPE);
    bool has_number = properties_have(properties, PROPERTY_PARTITION);

    return record->class == DEVICE_CLASS_BLOCK && has_type &&
           (properties->devtype == DEVICE_TYPE_USB_DEVICE ||
            (properties->devtype == DEVICE_TYPE_DISK && has_number));
}

static void test_a_rule_for_a_device_takes_it(void **state)
{
    Random random = random_begin();
    size_t n_made = 0;

    (void) state;

    for (size_t i = 0; i < N_RECORDS; i++) {
        uint64_t seed = random.state;
        Record record = random_record(&random);
        bool ascii = random_bool(&random);
        ConditionKey keys[N_CONDITION_KEYS];
        size_t n = 0;

        if (is_contradictory(&record))
            continue;
        for (size_t k = 0; k < N_CONDITION_KEYS; k++)
            if (rule_compose_has((ConditionKey) k, &record) &&
                random_below(&random, 4) == 0)
                keys[n++] = (ConditionKey) k;
        check_keys(keys, n, &record, ascii, seed);
        n_made++;
    }
    assert_true(n_made > N_RECORDS / 2);
}

static void test_all_that_is_suggested_takes_it(void **state)
{
    Random random = random_begin();

    (void) state;

    for (size_t i = 0; i < N_RECORDS / 4; i++) {
        RuleSuggestion suggestions[RULE_SUGGESTIONS_MAX];
        uint64_t seed = random.state;
        Record record = random_record(&random);
        size_t n = rule_suggest(&record, suggestions);

        assert_true(n >= 1 && n <= RULE_SUGGESTIONS_MAX);
        if (is_contradictory(&record))
            continue;
        for (size_t j = 0; j < n; j++)
            check_keys(suggestions[j].keys, suggestions[j].n_keys, &record,
                       false, seed);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rule_for_a_device_takes_it),
        cmocka_unit_test(test_all_that_is_suggested_takes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
