/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The names of all qubes there are, as the daemon tells them
 */

#include "common/qube-name.h"

/*
 * Ordered by name as strcmp() does, into malloc()ed memory; NULL if the daemon
 * at @path, or qubesd, cannot be asked.
 */
QubeName *qube_names_ask(const char *path, size_t *ret_n);
