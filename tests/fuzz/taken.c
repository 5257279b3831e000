/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "tests/fuzz/taken.h"

static bool last_taken;

void fuzz_set_taken(bool taken)
{
    last_taken = taken;
}

bool fuzz_was_taken(void)
{
    return last_taken;
}
