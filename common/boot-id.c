/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/boot-id.h"
#include "common/text.h"

bool boot_id_parse(BootId *ret,
                   const char *untrusted_text,
                   size_t untrusted_len)
{
    BootId boot_id = {};

    if (untrusted_len != BOOT_ID_LEN ||
        !text_is_hex(untrusted_text, untrusted_len, false))
        return false;

    for (size_t i = 0; i < untrusted_len; i++) {
        char c = untrusted_text[i];

        boot_id.s[i] = c >= 'A' && c <= 'F' ? (char) (c - 'A' + 'a') : c;
    }
    *ret = boot_id;
    return true;
}

bool boot_id_equal(const BootId *a, const BootId *b)
{
    return strcmp(a->s, b->s) == 0;
}
