/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The clocks, in microseconds. */

#include "common/util.h"

uint64_t clock_monotonic_usec(void);
/* monotonic, and goes on while the computer sleeps */
uint64_t clock_boottime_usec(void);
uint64_t clock_realtime_usec(void);
