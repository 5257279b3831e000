/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* This boot's id, as the kernel has it. */

#include "common/boot-id.h"

int boot_id_read(BootId *ret);
