/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * QubeList: all qubes there are, and whether they run
 */

#include "dom0/core/admin.h"

/* more than any machine has; a longer list is garbage */
#define QUBE_LIST_MAX  4096U
#define QUBE_CLASS_MAX 31U

typedef struct QubeInfo {
    QubeName name;
    char class[QUBE_CLASS_MAX + 1]; /* as "AppVM": letters only */
    PowerState power;
} QubeInfo;

typedef struct QubeList {
    size_t n_qubes;
    QubeInfo qubes[]; /* ordered by name, as strcmp() does */
} QubeList;

/* Room for @max qubes, and none in it yet; NULL without memory. */
QubeList *qube_list_new(size_t max);
QubeList *qube_list_free(QubeList *list);

/* Put what was filled in into order. */
void qube_list_sort(QubeList *list);
/* NULL if there is none of that name; the list must be sorted. */
const QubeInfo *qube_list_find(const QubeList *list, const QubeName *name);

DEFINE_CLEANUP(QubeList *, qube_list_free)
