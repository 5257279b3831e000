/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/wire/explain-wire.h"
#include "tests/support/test.h"

static void expect(json_t *json, const char *wanted)
{
    char *text = json_dumps(json, JSON_COMPACT);

    assert_non_null(text);
    assert_string_equal(text, wanted);
    free(text);
    json_decref(json);
}

static void test_each_target_is_told_with_what_is_known_of_it(void **state)
{
    static const TrialTarget targets[] = {
        { .target = { TARGET_QUBE, { "work" } },
          .guard = TRIAL_ALLOW,
          .is_known = true,
          .exists = true,
          .power = POWER_RUNNING },
        { .target = { TARGET_QUBE, { "gone" } },
          .guard = TRIAL_DENY,
          .is_known = true },
        { .target = { TARGET_DISPVM, { "dvm" } },
          .guard = TRIAL_ASK,
          .is_known = true,
          .exists = true },
        { .target = { .kind = TARGET_DISPVM_DEFAULT } },
    };
    static const Rule rule = { .text = "a: ask usb" };
    const Explanation explanation = {
        .rule = &rule,
        .n_rules = 2,
        .targets = targets,
        .n_targets = ARRAY_SIZE(targets),
        .verdict = { .status = STATUS_ATTACHED,
                     .asks = true,
                     .target = targets[0].target },
    };

    (void) state;

    expect(
        explanation_to_json(&explanation, json_null()),
        "{\"device\":null,\"rule_text\":\"a: ask "
        "usb\",\"n_rules\":2,\"targets\":["
        "{\"target\":\"work\",\"guard\":\"allow\",\"state\":\"running\"},"
        "{\"target\":\"gone\",\"guard\":\"deny\",\"state\":\"missing\"},"
        "{\"target\":\"@dispvm:dvm\",\"guard\":\"ask\",\"state\":"
        "\"disposable\"},"
        "{\"target\":\"@dispvm\",\"guard\":\"unasked\",\"state\":null}],"
        "\"verdict\":{\"code\":200,\"status\":\"attached\",\"sentence\":"
        "\"attached\","
        "\"detail\":null,\"asks\":true,\"starts\":false,\"target\":\"work\"}}");
}

static void test_without_a_rule_there_are_no_targets(void **state)
{
    const Explanation explanation = {
        .n_rules = 2,
        .verdict = { .status = STATUS_NO_RULE, .detail = "none of 2" },
    };

    (void) state;

    expect(explanation_to_json(&explanation, json_object()),
           "{\"device\":{},\"rule_text\":null,\"n_rules\":2,\"targets\":[],"
           "\"verdict\":{\"code\":301,\"status\":\"no-rule\","
           "\"sentence\":\"no rule matches\",\"detail\":\"none of "
           "2\",\"asks\":false,"
           "\"starts\":false,\"target\":null}}");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_target_is_told_with_what_is_known_of_it),
        cmocka_unit_test(test_without_a_rule_there_are_no_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
