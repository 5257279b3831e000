/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The time by all clocks that the manager knows. */

#include "dom0/core/manager.h"

Instant instant_now(void);
