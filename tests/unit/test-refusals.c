/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/core/refusals.h"
#include "tests/support/test.h"

static void note(Refusals *refusals, const char *source, Status status)
{
    Refusal refusal = { .status = status };

    assert_true(qube_name_parse(&refusal.source, source, strlen(source)));
    refusals_note(refusals, &refusal);
}

static void test_the_last_one_of_a_source_counts(void **state)
{
    Refusals refusals = {};

    (void) state;
    note(&refusals, "sys-usb", STATUS_UNSUPPORTED_VERSION);
    note(&refusals, "sys-usb2", STATUS_TOO_LARGE);
    note(&refusals, "sys-usb", STATUS_MALFORMED);
    assert_int_equal(refusals.n, 2);
    assert_string_equal(refusals.list[0].source.s, "sys-usb2");
    assert_string_equal(refusals.list[1].source.s, "sys-usb");
    assert_int_equal(refusals.list[1].status, STATUS_MALFORMED);
}

static void test_one_that_is_understood_again_is_forgotten(void **state)
{
    Refusals refusals = {};

    (void) state;
    refusals_clear(&refusals, &(QubeName){ "sys-usb" });
    note(&refusals, "sys-usb", STATUS_MALFORMED);
    note(&refusals, "sys-usb2", STATUS_MALFORMED);
    refusals_clear(&refusals, &(QubeName){ "sys-usb" });
    assert_int_equal(refusals.n, 1);
    assert_string_equal(refusals.list[0].source.s, "sys-usb2");
}

static void test_the_oldest_makes_room(void **state)
{
    Refusals refusals = {};

    (void) state;
    for (size_t i = 0; i < REFUSALS_MAX + 2; i++) {
        char name[8];

        (void) snprintf(name, sizeof(name), "q%zu", i);
        note(&refusals, name, STATUS_MALFORMED);
    }
    assert_int_equal(refusals.n, REFUSALS_MAX);
    assert_string_equal(refusals.list[0].source.s, "q2");
    assert_string_equal(refusals.list[REFUSALS_MAX - 1].source.s, "q17");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_one_of_a_source_counts),
        cmocka_unit_test(test_one_that_is_understood_again_is_forgotten),
        cmocka_unit_test(test_the_oldest_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
