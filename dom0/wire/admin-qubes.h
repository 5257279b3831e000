/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The answer to admin.vm.List (WIRE 1)
 *
 *     NAME class=AppVM state=Running uuid=...      (one line per qube)
 */

#include "dom0/core/qube-list.h"

/*
 * -EBADMSG for an exception and for whatever else is no such list, also for one
 * whose last line does not end; -ENOMEM.
 * Keys that are not known are passed over.
 */
int admin_decode_qubes(QubeList **ret,
                       const char *untrusted_data,
                       size_t untrusted_len);
