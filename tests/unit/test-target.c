/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/target.h"
#include "tests/support/test.h"

static bool parse(Target *ret, const char *text)
{
    return target_parse(ret, text, strlen(text));
}

static void test_the_three_kinds_are_read_and_written_back(void **state)
{
    static const struct {
        const char *text;
        TargetKind kind;
        const char *name;
    } good[] = {
        { "work", TARGET_QUBE, "work" },
        { "my.qube_2-x", TARGET_QUBE, "my.qube_2-x" },
        { "@dispvm", TARGET_DISPVM_DEFAULT, "" },
        { "@dispvm:media-dvm", TARGET_DISPVM, "media-dvm" },
        { "@dispvm:abcdefghijklmnopqrstuvwxyz01234", TARGET_DISPVM,
          "abcdefghijklmnopqrstuvwxyz01234" },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        char text[TARGET_STRING_MAX + 1];
        Target target;

        assert_true(parse(&target, good[i].text));
        assert_int_equal(target.kind, good[i].kind);
        assert_string_equal(target.name.s, good[i].name);
        assert_string_equal(target_to_string(&target, text), good[i].text);
    }
}

static void test_anything_else_is_refused_and_leaves_the_result_alone(
    void **state)
{
    static const char *const bad[] = {
        "",         "@",           "@dispvm:",     "@dispv",
        "@dispvmx", "@anyvm",      "@adminvm",     "@default",
        "dom0",     "@dispvm:1st", "@dispvm:dom0", "@dispvm:@dispvm",
        "1st",      "a b",         "@tag:x",       "-x",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        Target target = { .kind = TARGET_QUBE, .name = { "work" } };

        assert_false(parse(&target, bad[i]));
        assert_int_equal(target.kind, TARGET_QUBE);
        assert_string_equal(target.name.s, "work");
    }
}

static void test_targets_are_equal_in_kind_and_name(void **state)
{
    Target qube, template, other, plain;

    (void) state;

    assert_true(parse(&qube, "work"));
    assert_true(parse(&template, "@dispvm:work"));
    assert_true(parse(&other, "@dispvm:vault"));
    assert_true(parse(&plain, "@dispvm"));
    assert_true(target_equal(&qube, &qube));
    assert_true(target_equal(&plain, &plain));
    assert_false(target_equal(&qube, &template));
    assert_false(target_equal(&template, &other));
    assert_false(target_equal(&template, &plain));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_three_kinds_are_read_and_written_back),
        cmocka_unit_test(
            test_anything_else_is_refused_and_leaves_the_result_alone),
        cmocka_unit_test(test_targets_are_equal_in_kind_and_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
