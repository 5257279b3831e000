/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What is a state file (state-wire.h), without a check of the code that is
 * tested
 */

#include "tests/support/bytes.h"

bool form_is_state(Bytes text);
