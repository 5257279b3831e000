/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The names of all qubes there are, as the daemon tells them
 */

#include <jansson.h>

#include "common/qube-name.h"

/*
 * Ordered by name as strcmp() does, into malloc()ed memory; NULL if the daemon
 * at @path, or qubesd, cannot be asked.
 */
QubeName *qube_names_ask(const char *path, size_t *ret_n);

/* The same of a list of Qube that was told; NULL without memory. */
QubeName *qube_names_of(const json_t *qubes, size_t *ret_n);

/* The list of Qube for who can do without: NULL if it does not come at once,
 * as from a qubesd that hangs. */
json_t *qube_list_ask(const char *path);
