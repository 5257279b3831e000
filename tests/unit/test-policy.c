/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/wire/policy.h"
#include "tests/support/test.h"

static PolicyQuestion question(const char *target, bool assume_yes)
{
    PolicyQuestion ret = { .assume_yes = assume_yes };

    assert_true(qube_name_parse(&ret.source, "sys-usb", 7));
    assert_true(target_parse(&ret.target, target, strlen(target)));
    return ret;
}

static void check_encode(const char *target, bool assume, const char *expected)
{
    const PolicyQuestion asked = question(target, assume);
    char request[POLICY_REQUEST_MAX];
    size_t len = policy_encode(request, &asked);

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(request, expected, len);
}

static void test_a_question_is_as_wire_has_it(void **state)
{
    (void) state;

    check_encode("work", false,
                 "source=dom0\nintended_target=work\n"
                 "service_and_arg=autoattach.Attach+sys-usb\n"
                 "just_evaluate=yes\n\n");
    check_encode("work", true,
                 "source=dom0\nintended_target=work\n"
                 "service_and_arg=autoattach.Attach+sys-usb\n"
                 "just_evaluate=yes\nassume_yes_for_ask=yes\n\n");
}

static void test_disposables_are_written_as_in_a_rule(void **state)
{
    (void) state;

    check_encode("@dispvm", false,
                 "source=dom0\nintended_target=@dispvm\n"
                 "service_and_arg=autoattach.Attach+sys-usb\n"
                 "just_evaluate=yes\n\n");
    check_encode("@dispvm:media-dvm", false,
                 "source=dom0\nintended_target=@dispvm:media-dvm\n"
                 "service_and_arg=autoattach.Attach+sys-usb\n"
                 "just_evaluate=yes\n\n");
}

static void test_the_longest_names_fit(void **state)
{
    PolicyQuestion asked = { .target.kind = TARGET_DISPVM, .assume_yes = true };
    char request[POLICY_REQUEST_MAX];

    (void) state;

    memset(asked.source.s, 'a', QUBE_NAME_MAX);
    memset(asked.target.name.s, 'b', QUBE_NAME_MAX);
    assert_in_range(policy_encode(request, &asked), 1, sizeof(request) - 1);
    assert_non_null(strstr(request, "bbb\nservice_and_arg="));
    assert_non_null(strstr(request, "\nassume_yes_for_ask=yes\n\n"));
}

static PolicyAnswer decode(const char *text)
{
    return policy_decode(text, strlen(text));
}

static void test_the_two_answers_are_known(void **state)
{
    (void) state;

    assert_int_equal(decode("result=allow"), POLICY_YES);
    assert_int_equal(decode("result=deny"), POLICY_NO);
}

static void test_anything_else_is_no_answer(void **state)
{
    static const char *const texts[] = {
        "",
        "allow",
        "result=",
        "result=allo",
        "result=allow\n",
        " result=allow",
        "result=allowed",
        "RESULT=ALLOW",
        "result=ask",
        "result=deny\nresult=allow",
        "result=allow\nresult=deny",
        "user=DEFAULT\nresult=allow\ntarget=work",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_int_equal(decode(texts[i]), POLICY_SILENT);
    assert_int_equal(policy_decode("result=allow\0", 13), POLICY_SILENT);
    assert_int_equal(policy_decode("result=allow", 11), POLICY_SILENT);
}

static void test_zeroed_memory_is_no_yes(void **state)
{
    static const PolicyAnswer zero;

    (void) state;

    assert_int_equal(zero, POLICY_NO);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_is_as_wire_has_it),
        cmocka_unit_test(test_disposables_are_written_as_in_a_rule),
        cmocka_unit_test(test_the_longest_names_fit),
        cmocka_unit_test(test_the_two_answers_are_known),
        cmocka_unit_test(test_anything_else_is_no_answer),
        cmocka_unit_test(test_zeroed_memory_is_no_yes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
