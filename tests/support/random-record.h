/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Random records: every form, every length up to the limits, all of UTF-8. */

#include "common/record.h"
#include "tests/support/random.h"

Record random_record(Random *random);
