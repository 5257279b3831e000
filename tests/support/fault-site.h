/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Where faults were injected, for tests/fault-sites.py. */

#include <stdbool.h>

/*
 * Note that what is called from @address, a return address, has failed: to the
 * file that AUTOATTACH_FAULT_SITES names, if it is set. errno stays as it is.
 */
void fault_site_note(const void *address);

/* Whether that was noted before, in this process. */
bool fault_site_is_noted(const void *address);
