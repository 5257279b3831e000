/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Text: what may be in it, and how to show it
 *
 * "Plain" text is valid UTF-8 (shortest forms, no surrogates, no more than
 * U+10FFFF) without control characters (U+0000-001F, U+007F-009F).
 */

#include <stdarg.h>

#include "common/util.h"

/*
 * Decode one code point at the start of @untrusted_text. Answers its length in
 * bytes, or 0 if there is no valid one.
 */
size_t text_decode_utf8(uint32_t *ret,
                        const char *untrusted_text,
                        size_t untrusted_len);

bool text_is_plain(const char *untrusted_text, size_t untrusted_len);

/* Whether all bytes are hex digits; also true for no bytes at all. */
bool text_is_hex(const char *untrusted_text, size_t len, bool lower_only);

/* Characters that change how others are shown, or are not shown at all: bidi
 * controls, zero-width and other format characters. */
bool text_is_deceptive(uint32_t code_point);

/* Characters that have no width of their own, but are drawn onto or into the
 * one before them, and several of them onto each other and onto what is around:
 * combining marks. Letters of many languages are made with them. */
bool text_is_mark(uint32_t code_point);

/* longest output for one byte of input, as "\xNN" or "\u{10ffff}" */
#define TEXT_ESCAPE_FACTOR 10U

/*
 * Write @untrusted_text so that it is safe on a terminal and in a log: plain
 * characters that are neither deceptive nor marks as they are, a backslash
 * doubled, everything else as \n, \xNN (a byte that is no UTF-8) or \u{N}.
 * Never more than @size bytes, NUL included; what does not fit is left out at a
 * character's boundary and marked by "..." if there is room. Answers @ret.
 */
char *text_escape(char *ret,
                  size_t size,
                  const char *untrusted_text,
                  size_t untrusted_len);

/*
 * Format into a fixed buffer; what does not fit is cut, at a character's
 * boundary. Answers the length that is in the buffer.
 */
size_t text_format(char *ret, size_t size, const char *format, ...)
    _printf_(3, 4);
size_t text_format_list(char *ret,
                        size_t size,
                        const char *format,
                        va_list args) _printf_(3, 0);
