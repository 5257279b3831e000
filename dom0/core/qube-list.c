/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "dom0/core/qube-list.h"

QubeList *qube_list_new(size_t max)
{
    assert(max <= QUBE_LIST_MAX);

    return calloc(1, sizeof(QubeList) + max * sizeof(QubeInfo));
}

QubeList *qube_list_free(QubeList *list)
{
    free(list);
    return NULL;
}

/* The name is the first member. */
static int compare_names(const void *a, const void *b)
{
    const QubeName *name_a = a, *name_b = b;

    return strcmp(name_a->s, name_b->s);
}

void qube_list_sort(QubeList *list)
{
    qsort(list->qubes, list->n_qubes, sizeof(list->qubes[0]), compare_names);
}

const QubeInfo *qube_list_find(const QubeList *list, const QubeName *name)
{
    return bsearch(name, list->qubes, list->n_qubes, sizeof(list->qubes[0]),
                   compare_names);
}
