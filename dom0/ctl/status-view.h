/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Status view: what GetStatus answers, for a person
 *
 * In this order: is it working; what needs attention; what is attached where;
 * jobs in work; last outcomes. It fits the terminal's rows, unless it is to be
 * whole.
 */

#include <jansson.h>

#include "dom0/ctl/terminal.h"

typedef enum ViewDetail {
    VIEW_ATTENTION, /* what needs attention, if anything does */
    VIEW_SCREEN,
    VIEW_WHOLE,
} ViewDetail;

/* A member that is missing in @status, as with a daemon of another version, is
 * taken as empty or zero. */
void status_view(const Terminal *terminal,
                 const json_t *status,
                 ViewDetail detail);
