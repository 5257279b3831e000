/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Status: what needs the person's attention, if anything does
 */

#include "dom0/ctl/view.h"

/* @status is what GetStatus answers, if possible with the list "qubes" that
 * ListQubes answers, and passed_over_look() has put into its "rules". @is_bare:
 * without a heading. */
void status_attention(View *view, const json_t *status, bool is_bare);
