/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Answers to admin.vm.List: whatever it says, what is taken from it is of its
 * form and in order, and each qube is found by its name.
 */

#include <assert.h>
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
    return 0;
}
