/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/core/orphans.h"
#include "tests/support/test.h"

static bool add(Orphans *orphans, size_t number)
{
    char text[16];
    QubeName name;

    (void) snprintf(text, sizeof(text), "disp%zu", number);
    assert_true(qube_name_parse(&name, text, strlen(text)));
    return orphans_add(orphans, &name);
}

static void test_one_more_than_there_is_room_for_is_left(void **state)
{
    Orphans orphans = {};
    AdminRequest request;

    (void) state;

    for (size_t i = 0; i < ORPHANS_MAX; i++)
        assert_true(add(&orphans, i));
    assert_false(add(&orphans, ORPHANS_MAX));
    orphans_await(&orphans, 7);
    for (size_t i = 0; i < ORPHANS_MAX; i++) {
        char name[16];

        assert_true(orphans_next_call(&orphans, 10 + i, &request));
        assert_int_equal(request.method, ADMIN_KILL);
        (void) snprintf(name, sizeof(name), "disp%zu", i);
        assert_string_equal(request.dest.s, name);
        assert_string_equal(orphans_get(&orphans, i)->s, name);
    }
    assert_false(orphans_next_call(&orphans, 100, &request));
}

static void test_one_that_is_awaited_takes_a_place_without_a_name(void **state)
{
    Orphans orphans = {};
    AdminRequest request;

    (void) state;

    orphans_await(&orphans, 7);
    assert_null(orphans_get(&orphans, 0));
    assert_false(orphans_next_call(&orphans, 8, &request));
    for (size_t i = 1; i < ORPHANS_MAX; i++)
        assert_true(add(&orphans, i));
    assert_false(add(&orphans, ORPHANS_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_more_than_there_is_room_for_is_left),
        cmocka_unit_test(test_one_that_is_awaited_takes_a_place_without_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
