/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A service descriptor read once more (WIRE 2), in another way than the decoder
 */

#include "tests/support/names.h"

/* Whether @data begins with a good one; then @source is in it, and @rest is
 * what is behind its NUL. */
static inline bool descriptor_is_good(Bytes data, Bytes *source, Bytes *rest)
{
    Bytes text = bytes_before(data, '\0', rest);

    /* without its NUL it has no end */
    if (text.len == data.len || !bytes_begin(text, "autoattach.Event+ "))
        return false;
    text = bytes_behind(text, strlen("autoattach.Event+ "));
    *source = bytes_before(text, ' ', &text);
    return name_is_qube(*source) && !bytes_are(*source, "dom0") &&
           (bytes_are(text, "name dom0") || bytes_are(text, "keyword adminvm"));
}
