/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Shrink: a failing history as small as it can be, and in words. */

#include "tests/property/model/history.h"

void history_shrink(ModelHistory *history);
void history_print(const ModelHistory *history);
