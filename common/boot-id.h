/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Boot id: tells one boot of a qube from the next
 *
 * /proc/sys/kernel/random/boot_id without its dashes.
 */

#include "common/util.h"

#define BOOT_ID_LEN 32U

typedef struct BootId {
    char s[BOOT_ID_LEN + 1]; /* hex digits, lower case */
} BootId;

/* Exactly 32 hex digits; upper case is taken as lower case. */
_must_check_ bool boot_id_parse(BootId *ret,
                                const char *untrusted_text,
                                size_t untrusted_len);

bool boot_id_equal(const BootId *a, const BootId *b);
