/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dom0/wire/admin-qubes.h"
#include "tests/support/test.h"

#define DECODE(ret, text) admin_decode_qubes(ret, text, sizeof(text) - 1)

static void test_a_list_is_read_and_put_into_order(void **state)
{
    _cleanup_(qube_list_freep) QubeList *list = NULL;
    const QubeInfo *qube;

    (void) state;

    assert_int_equal(DECODE(&list,
                            "0\0work class=AppVM state=Running uuid=0b1a\n"
                            "dom0 class=AdminVM state=Running uuid=0\n"
                            "disp12 uuid=1 state=Halted class=DispVM new=1=2\n"
                            "odd class=AppVM state=Sleepwalking\n"
                            "bare\n"),
                     0);
    assert_int_equal(list->n_qubes, 5);
    assert_string_equal(list->qubes[0].name.s, "bare");
    assert_string_equal(list->qubes[4].name.s, "work");

    qube = qube_list_find(list, &(QubeName){ "disp12" });
    assert_non_null(qube);
    assert_string_equal(qube->class, "DispVM");
    assert_int_equal(qube->power, POWER_HALTED);
    assert_int_equal(qube_list_find(list, &(QubeName){ "work" })->power,
                     POWER_RUNNING);
    assert_int_equal(qube_list_find(list, &(QubeName){ "odd" })->power,
                     POWER_UNKNOWN);
    assert_null(qube_list_find(list, &(QubeName){ "works" }));
}

static void test_a_list_that_was_cut_is_refused(void **state)
{
    static const char whole[] = "0\0dom0 class=AdminVM state=Running\n"
                                "work class=AppVM state=Paused\n";
    const size_t first = sizeof("0\0dom0 class=AdminVM state=Running\n") - 1;

    (void) state;

    for (size_t len = 0; len < sizeof(whole); len++) {
        _cleanup_(qube_list_freep) QubeList *list = NULL;
        bool ends = len == 2 || len == first || len == sizeof(whole) - 1;

        assert_int_equal(admin_decode_qubes(&list, whole, len),
                         ends ? 0 : -EBADMSG);
        assert_int_equal(list != NULL, ends);
    }
}

static void test_no_qubes_are_a_list_too(void **state)
{
    _cleanup_(qube_list_freep) QubeList *list = NULL;

    (void) state;

    assert_int_equal(DECODE(&list, "0\0"), 0);
    assert_int_equal(list->n_qubes, 0);
    assert_null(qube_list_find(list, &(QubeName){ "work" }));
}

#define BAD(text) assert_int_equal(DECODE(&list, text), -EBADMSG)

static void test_what_is_no_list_is_refused(void **state)
{
    QubeList *list = NULL;

    (void) state;

    assert_int_equal(admin_decode_qubes(&list, "", 0), -EBADMSG);
    BAD("0");
    BAD("1\0work class=AppVM\n");
    BAD("2\0ProtocolError\0\0no\0");
    BAD("0\0\n");
    BAD("0\0 work class=AppVM\n");
    BAD("0\0wo/rk class=AppVM\n");
    BAD("0\0work class=App/VM\n");
    BAD("0\0work class=\n");
    BAD("0\0work class=Abcdefghijklmnopqrstuvwxyzabcdef\n");
    BAD("0\0work\0more class=AppVM\n");
    BAD("0\0work class=StandaloneVM class=AppVM\n");
    BAD("0\0work state=Running state=Halted\n");
    BAD("0\0work state=NA state=Running\n");
    assert_null(list);
}

static void test_too_many_are_refused(void **state)
{
    static char text[64 * 1024];
    QubeList *list = NULL;
    size_t len = 2;

    (void) state;

    text[0] = '0';
    for (size_t i = 0; i < QUBE_LIST_MAX; i++)
        len += (size_t) snprintf(text + len, sizeof(text) - len, "q%zu\n", i);
    assert_int_equal(admin_decode_qubes(&list, text, len), 0);
    assert_int_equal(list->n_qubes, QUBE_LIST_MAX);
    list = qube_list_free(list);

    len += (size_t) snprintf(text + len, sizeof(text) - len, "q\n");
    assert_int_equal(admin_decode_qubes(&list, text, len), -EBADMSG);
    assert_null(list);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_read_and_put_into_order),
        cmocka_unit_test(test_a_list_that_was_cut_is_refused),
        cmocka_unit_test(test_no_qubes_are_a_list_too),
        cmocka_unit_test(test_what_is_no_list_is_refused),
        cmocka_unit_test(test_too_many_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
