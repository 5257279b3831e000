/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Whether the last input was taken, as each target says: the names of seeds
 * promise it, and replay holds them to it
 */

#include "common/util.h"

void fuzz_set_taken(bool taken);
bool fuzz_was_taken(void);
