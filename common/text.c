/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define ELLIPSIS "..."

static size_t sequence_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    if (lead >= 0xf0 && lead <= 0xf4)
        return 4;
    return 0;
}

size_t text_decode_utf8(uint32_t *ret,
                        const char *untrusted_text,
                        size_t untrusted_len)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint32_t code_point;
    size_t len;

    if (untrusted_len == 0)
        return 0;
    len = sequence_length((unsigned char) untrusted_text[0]);
    if (len == 0 || len > untrusted_len)
        return 0;

    code_point = (unsigned char) untrusted_text[0];
    if (len > 1)
        code_point &= 0x7fU >> len;
    for (size_t i = 1; i < len; i++) {
        unsigned char byte = (unsigned char) untrusted_text[i];

        if ((byte & 0xc0) != 0x80)
            return 0;
        code_point = code_point << 6 | (byte & 0x3f);
    }
    if (code_point < smallest[len] || code_point > 0x10ffff ||
        (code_point >= 0xd800 && code_point <= 0xdfff))
        return 0;

    *ret = code_point;
    return len;
}

static bool is_control(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f);
}

bool text_is_plain(const char *untrusted_text, size_t untrusted_len)
{
    while (untrusted_len > 0) {
        uint32_t code_point;
        size_t n = text_decode_utf8(&code_point, untrusted_text, untrusted_len);

        if (n == 0 || is_control(code_point))
            return false;
        untrusted_text += n;
        untrusted_len -= n;
    }
    return true;
}

bool text_is_hex(const char *untrusted_text, size_t len, bool lower_only)
{
    for (size_t i = 0; i < len; i++) {
        char c = untrusted_text[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
              (!lower_only && c >= 'A' && c <= 'F')))
            return false;
    }
    return true;
}

bool text_is_deceptive(uint32_t code_point)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        { 0x00ad, 0x00ad },   { 0x034f, 0x034f },   { 0x061c, 0x061c },
        { 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },
        { 0x200b, 0x200f },   { 0x2028, 0x202e },   { 0x2060, 0x206f },
        { 0x3164, 0x3164 },   { 0xd800, 0xf8ff },   { 0xfe00, 0xfe0f },
        { 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },
        { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0x10ffff },
    };

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        if (code_point >= ranges[i].first && code_point <= ranges[i].last)
            return true;
    return false;
}

/* One character in its safe form; answers how many bytes it took of the text */
static size_t escape_one(char ret[static 16], const char *text, size_t len)
{
    uint32_t code_point;
    size_t n = text_decode_utf8(&code_point, text, len);

    if (n == 0) {
        (void) snprintf(ret, 16, "\\x%02x", (unsigned char) text[0]);
        return 1;
    }
    if (code_point == '\\')
        (void) snprintf(ret, 16, "\\\\");
    else if (code_point == '\n')
        (void) snprintf(ret, 16, "\\n");
    else if (is_control(code_point) || text_is_deceptive(code_point) ||
             text_is_mark(code_point))
        (void) snprintf(ret, 16, "\\u{%x}", (unsigned int) code_point);
    else
        (void) snprintf(ret, 16, "%.*s", (int) n, text);
    return n;
}

char *text_escape(char *ret,
                  size_t size,
                  const char *untrusted_text,
                  size_t untrusted_len)
{
    size_t used = 0, mark = 0;

    assert(size > 0);

    while (untrusted_len > 0) {
        char piece[16];
        size_t n = escape_one(piece, untrusted_text, untrusted_len);
        size_t piece_len = strlen(piece);

        if (used + piece_len >= size) {
            if (mark + strlen(ELLIPSIS) < size) {
                memcpy(ret + mark, ELLIPSIS, strlen(ELLIPSIS));
                used = mark + strlen(ELLIPSIS);
            }
            break;
        }
        memcpy(ret + used, piece, piece_len);
        used += piece_len;
        /* the last place from which the ellipsis still fits */
        if (used + strlen(ELLIPSIS) < size)
            mark = used;
        untrusted_text += n;
        untrusted_len -= n;
    }
    ret[used] = '\0';
    return ret;
}

/* The length without the beginning of a character at the end. */
static size_t whole_length(const char *text, size_t len)
{
    for (size_t n = 1; n <= 3 && n <= len; n++) {
        unsigned char byte = (unsigned char) text[len - n];

        if ((byte & 0xc0) != 0x80)
            return sequence_length(byte) > n ? len - n : len;
    }
    return len;
}

size_t text_format_list(char *ret,
                        size_t size,
                        const char *format,
                        va_list args)
{
    size_t len = 0;
    int n;

    assert(size > 0);

    n = vsnprintf(ret, size, format, args);
    if (n > 0)
        len = (size_t) n < size ? (size_t) n : whole_length(ret, size - 1);
    ret[len] = '\0';
    return len;
}

size_t text_format(char *ret, size_t size, const char *format, ...)
{
    va_list args;
    size_t len;

    va_start(args, format);
    len = text_format_list(ret, size, format, args);
    va_end(args);
    return len;
}
