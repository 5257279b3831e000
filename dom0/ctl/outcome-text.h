/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Outcome as text: how it ended with a device, and why
 *
 *     sys-usb:sda "SanDisk Ultra": rule backup asked, you said no; ...
 */

#include "dom0/ctl/view.h"

/* The reason alone: what happened, by which rule, to which target. */
void outcome_reason(const View *view,
                    char *ret,
                    size_t size,
                    const json_t *outcome);
/* The same behind the device and what it calls itself. */
void outcome_text(const View *view,
                  char *ret,
                  size_t size,
                  const json_t *outcome);
Style outcome_style(const json_t *outcome);
