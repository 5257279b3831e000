/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdlib.h>
#include <string.h>

#include "dom0/wire/prompt.h"
#include "tests/support/test.h"

#define ASK    "policy.Ask dom0 name dom0"
#define NOTIFY "policy.Notify dom0 name dom0"

static void name_qube(QubeName *ret, const char *name)
{
    assert_true(qube_name_parse(ret, name, strlen(name)));
}

static void add_target(Prompt *prompt, const char *target, const char *icon)
{
    size_t i = prompt->n_targets++;

    assert_true(target_parse(&prompt->targets[i], target, strlen(target)));
    assert_true(icon_name_parse(&prompt->icons[i], icon, strlen(icon)));
}

static Prompt sample(void)
{
    Prompt prompt = { .rule = { "backup" }, .device = { "sda" } };

    name_qube(&prompt.source, "sys-usb");
    assert_true(icon_name_parse(&prompt.source_icon, "appvm-red", 9));
    add_target(&prompt, "work", "appvm-blue");
    add_target(&prompt, "@dispvm:media-dvm", "dispvm-green");
    return prompt;
}

/* HEADER \0 JSON; a newline may follow. */
static void assert_request(const char *request,
                           size_t len,
                           const char *header,
                           const char *json)
{
    size_t header_len = strlen(header) + 1;

    assert_in_range(len, header_len + strlen(json),
                    header_len + strlen(json) + 1);
    assert_memory_equal(request, header, header_len);
    assert_memory_equal(request + header_len, json, strlen(json));
}

static void test_a_prompt_is_as_wire_has_it(void **state)
{
    const Prompt prompt = sample();
    _cleanup_(freep) char *request = NULL;
    size_t len;

    (void) state;

    assert_int_equal(prompt_encode(&request, &len, &prompt), 0);
    assert_request(request, len, ASK,
                   "{\"source\":\"sys-usb\",\"service\":\"autoattach.Attach\","
                   "\"argument\":\"+backup+sda\",\"targets\":[\"work\","
                   "\"@dispvm:media-dvm\"],\"default_target\":\"work\","
                   "\"icons\":{\"sys-usb\":\"appvm-red\",\"work\":"
                   "\"appvm-blue\",\"@dispvm:media-dvm\":\"dispvm-green\"}}");
}

static void test_the_preselected_target_need_not_be_the_first(void **state)
{
    _cleanup_(freep) char *request = NULL;
    Prompt prompt = sample();
    size_t len;

    (void) state;

    prompt.preselected = 1;
    assert_int_equal(prompt_encode(&request, &len, &prompt), 0);
    assert_non_null(strstr(request + sizeof(ASK),
                           "\"default_target\":\"@dispvm:media-dvm\""));
}

static void test_without_a_plain_name_the_argument_is_the_rule(void **state)
{
    _cleanup_(freep) char *request = NULL;
    Prompt prompt = sample();
    size_t len;

    (void) state;

    prompt.device = (DeviceName){};
    assert_int_equal(prompt_encode(&request, &len, &prompt), 0);
    assert_non_null(strstr(request + sizeof(ASK), "\"argument\":\"+backup\","));
}

static void test_the_largest_prompt_is_written(void **state)
{
    static Prompt prompt;
    _cleanup_(freep) char *request = NULL;
    size_t len;

    (void) state;

    prompt = sample();
    prompt.n_targets = APPROVAL_TARGETS_MAX;
    memset(prompt.rule.s, 'r', RULE_NAME_MAX);
    memset(prompt.device.s, 'd', DEVICE_NAME_MAX);
    for (size_t i = 0; i < APPROVAL_TARGETS_MAX; i++) {
        prompt.targets[i] = (Target){ .kind = TARGET_DISPVM };
        memset(prompt.targets[i].name.s, (int) ('A' + i % 26), QUBE_NAME_MAX);
        prompt.targets[i].name.s[1] = (char) ('0' + i / 26);
        memset(prompt.icons[i].s, 'i', APPROVAL_ICON_MAX);
    }
    assert_int_equal(prompt_encode(&request, &len, &prompt), 0);
    assert_in_range(len, APPROVAL_TARGETS_MAX * 2 * QUBE_NAME_MAX, 65536);
}

static void check_notification(bool failed, const char *json)
{
    Notification notification = { .failed = failed,
                                  .rule = { "backup" },
                                  .device = { "sda" },
                                  .target = "work" };
    _cleanup_(freep) char *request = NULL;
    size_t len;

    name_qube(&notification.source, "sys-usb");
    assert_int_equal(notification_encode(&request, &len, &notification), 0);
    assert_request(request, len, NOTIFY, json);
}

static void test_a_notification_is_as_wire_has_it(void **state)
{
    (void) state;

    check_notification(false, "{\"resolution\":\"allow\",\"service\":"
                              "\"autoattach.Attach\",\"argument\":"
                              "\"+backup+sda\",\"source\":\"sys-usb\","
                              "\"target\":\"work\"}");
    check_notification(true, "{\"resolution\":\"fail\",\"service\":"
                             "\"autoattach.Attach\",\"argument\":"
                             "\"+backup+sda\",\"source\":\"sys-usb\","
                             "\"target\":\"work\"}");
}

static PromptAnswer decode(const char *text)
{
    const Prompt prompt = sample();

    return prompt_decode(&prompt, text, strlen(text));
}

static void test_exactly_an_offered_target_is_a_yes(void **state)
{
    (void) state;

    assert_int_equal(decode("allow:work").result, PROMPT_YES);
    assert_int_equal(decode("allow:work").target, 0);
    assert_int_equal(decode("allow:@dispvm:media-dvm").result, PROMPT_YES);
    assert_int_equal(decode("allow:@dispvm:media-dvm").target, 1);
}

static void test_no_word_at_all_is_an_agent_that_died(void **state)
{
    (void) state;

    assert_int_equal(decode("").result, PROMPT_DIED);
}

static void test_anything_else_is_a_no(void **state)
{
    static const char *const texts[] = {
        "deny",
        "allow",
        "allow:",
        "allow:work\n",
        " allow:work",
        "allow:work ",
        "allow: work",
        "ALLOW:work",
        "allow:wor",
        "allow:workk",
        "allow:vault",
        "allow:sys-usb",
        "allow:dom0",
        "allow:@dispvm",
        "allow:media-dvm",
        "allow:workallow:work",
        "allow:work\nallow:work",
        "a",
        "\n",
    };
    const Prompt prompt = sample();

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_int_equal(decode(texts[i]).result, PROMPT_NO);
    assert_int_equal(prompt_decode(&prompt, "allow:work\0", 11).result,
                     PROMPT_NO);
    assert_int_equal(prompt_decode(&prompt, "allow:work", 9).result, PROMPT_NO);
}

/* There may be something behind those that were offered. */
static void test_what_was_not_offered_is_a_no(void **state)
{
    Prompt prompt = sample();

    (void) state;

    assert_int_equal(prompt_decode(&prompt, "allow:work", 10).result,
                     PROMPT_YES);
    prompt.n_targets = 0;
    assert_int_equal(prompt_decode(&prompt, "allow:work", 10).result,
                     PROMPT_NO);
}

static void test_zeroed_memory_is_no_yes(void **state)
{
    static const PromptAnswer zero;

    (void) state;

    assert_int_equal(zero.result, PROMPT_NO);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_prompt_is_as_wire_has_it),
        cmocka_unit_test(test_the_preselected_target_need_not_be_the_first),
        cmocka_unit_test(test_without_a_plain_name_the_argument_is_the_rule),
        cmocka_unit_test(test_the_largest_prompt_is_written),
        cmocka_unit_test(test_a_notification_is_as_wire_has_it),
        cmocka_unit_test(test_exactly_an_offered_target_is_a_yes),
        cmocka_unit_test(test_no_word_at_all_is_an_agent_that_died),
        cmocka_unit_test(test_anything_else_is_a_no),
        cmocka_unit_test(test_what_was_not_offered_is_a_no),
        cmocka_unit_test(test_zeroed_memory_is_no_yes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
