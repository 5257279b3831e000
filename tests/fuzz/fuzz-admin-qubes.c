/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Answers to admin.vm.List: whatever it says, what is taken from it is of its
 * form and in order, and each qube is found by its name. Said in our own words,
 * it is taken as the same list.
 */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "dom0/wire/admin-qubes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_qube(const QubeList *list, size_t i)
{
    const QubeInfo *qube = &list->qubes[i], *found;
    size_t len = strnlen(qube->class, sizeof(qube->class));
    QubeName again;

    assert(qube_name_parse(&again, qube->name.s, strlen(qube->name.s)));
    assert(len <= QUBE_CLASS_MAX);
    assert(qube->power <= POWER_CRASHED);
    assert(i == 0 || strcmp(list->qubes[i - 1].name.s, qube->name.s) <= 0);
    found = qube_list_find(list, &qube->name);
    assert(found && qube_name_equal(&found->name, &qube->name));
}

#define SAID_MAX (QUBE_NAME_MAX + QUBE_CLASS_MAX + 64U)

/* In the form of qubesd. */
static char *say(const QubeList *list, size_t *ret_len)
{
    size_t size = 2 + list->n_qubes * SAID_MAX, len = 2;
    char *text = malloc(size);

    assert(text);
    memcpy(text, "0", 2);
    for (size_t i = 0; i < list->n_qubes; i++) {
        const QubeInfo *qube = &list->qubes[i];
        int n = snprintf(text + len, size - len, "%s%s%s%s%s\n", qube->name.s,
                         qube->class[0] ? " class=" : "", qube->class,
                         qube->power != POWER_UNKNOWN ? " state=" : "",
                         qube->power != POWER_UNKNOWN
                             ? power_state_to_string(qube->power)
                             : "");

        assert(n > 0 && (size_t) n < size - len);
        len += (size_t) n;
    }
    *ret_len = len;
    return text;
}

static bool has_name_of(const QubeList *list, size_t i, size_t j)
{
    return j < list->n_qubes &&
           qube_name_equal(&list->qubes[i].name, &list->qubes[j].name);
}

static void check_again(const QubeList *list)
{
    _cleanup_(qube_list_freep) QubeList *again = NULL;
    _cleanup_(freep) char *text = NULL;
    size_t len;
    int r;

    text = say(list, &len);
    r = admin_decode_qubes(&again, text, len);
    assert(r == 0 && again->n_qubes == list->n_qubes);
    for (size_t i = 0; i < list->n_qubes; i++) {
        const QubeInfo *a = &list->qubes[i], *b = &again->qubes[i];

        assert(qube_name_equal(&a->name, &b->name));
        /* of several of one name either may be first */
        if (!has_name_of(list, i, i + 1) && !has_name_of(list, i, i - 1))
            assert(strcmp(a->class, b->class) == 0 && a->power == b->power);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(qube_list_freep) QubeList *list = NULL;

    if (admin_decode_qubes(&list, (const char *) data, size) < 0) {
        assert(!list);
        return 0;
    }
    assert(list->n_qubes <= QUBE_LIST_MAX && list->n_qubes <= size);
    for (size_t i = 0; i < list->n_qubes; i++)
        check_qube(list, i);
    check_again(list);
    return 0;
}
