/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Text as the Unicode standard says it, without a call of common/text: its
 * tables are written down here once more, from the standard
 */

#include "tests/support/bytes.h"

/* The length of the first character, 0 if it is not well-formed UTF-8. */
size_t unicode_first(uint32_t *ret, Bytes text);

/* General category Cc: U+0000-001F and U+007F-009F */
bool unicode_is_control(uint32_t c);

/* Bidi_Control, Default_Ignorable_Code_Point, separators of lines, interlinear
 * annotations and private use: what cannot be seen, or changes how others are.
 */
bool unicode_is_hidden(uint32_t c);

/* Well-formed, and without control characters. */
bool unicode_is_plain(Bytes text);
