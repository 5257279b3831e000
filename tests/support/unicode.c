/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "tests/support/unicode.h"

/* Table 3-7: first bytes, what the second can be, and how many there are */
static const struct {
    unsigned char first[2];
    unsigned char second[2];
    size_t len;
} sequences[] = {
    { { 0x00, 0x7f }, {}, 1 },
    { { 0xc2, 0xdf }, { 0x80, 0xbf }, 2 },
    { { 0xe0, 0xe0 }, { 0xa0, 0xbf }, 3 },
    { { 0xe1, 0xec }, { 0x80, 0xbf }, 3 },
    { { 0xed, 0xed }, { 0x80, 0x9f }, 3 },
    { { 0xee, 0xef }, { 0x80, 0xbf }, 3 },
    { { 0xf0, 0xf0 }, { 0x90, 0xbf }, 4 },
    { { 0xf1, 0xf3 }, { 0x80, 0xbf }, 4 },
    { { 0xf4, 0xf4 }, { 0x80, 0x8f }, 4 },
};

typedef struct Range {
    uint32_t first, last;
} Range;

/* PropList.txt, DerivedCoreProperties.txt and UnicodeData.txt of Unicode 14 */
static const Range bidi_controls[] = {
    { 0x61c, 0x61c },
    { 0x200e, 0x200f },
    { 0x202a, 0x202e },
    { 0x2066, 0x2069 },
};
static const Range default_ignorable[] = {
    { 0xad, 0xad },       { 0x34f, 0x34f },     { 0x61c, 0x61c },
    { 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },
    { 0x200b, 0x200f },   { 0x202a, 0x202e },   { 0x2060, 0x206f },
    { 0x3164, 0x3164 },   { 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff },
    { 0xffa0, 0xffa0 },   { 0xfff0, 0xfff8 },   { 0x1bca0, 0x1bca3 },
    { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
};
static const Range others[] = {
    { 0x2028, 0x2029 },    /* Zl, Zp */
    { 0xfff9, 0xfffb },    /* interlinear annotations */
    { 0xe000, 0xf8ff },    /* private use */
    { 0xe1000, 0xeffff },  /* the rest of the plane of specials */
    { 0xf0000, 0x10ffff }, /* private use */
};

static bool is_in(uint32_t c, const Range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

static bool is_between(unsigned char byte, const unsigned char range[2])
{
    return byte >= range[0] && byte <= range[1];
}

size_t unicode_first(uint32_t *ret, Bytes text)
{
    static const unsigned char any[2] = { 0x80, 0xbf };
    const unsigned char *bytes = (const unsigned char *) text.start;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(sequences); i++)
        if (text.len >= sequences[i].len &&
            is_between(bytes[0], sequences[i].first))
            break;
    if (i == ARRAY_SIZE(sequences))
        return 0;
    for (size_t at = 1; at < sequences[i].len; at++)
        if (!is_between(bytes[at], at == 1 ? sequences[i].second : any))
            return 0;

    /* Table 3-6 */
    *ret = sequences[i].len == 1 ? bytes[0]
           : sequences[i].len == 2
               ? (bytes[0] - 0xc0U) * 0x40 + (bytes[1] - 0x80U)
           : sequences[i].len == 3
               ? (bytes[0] - 0xe0U) * 0x1000 + (bytes[1] - 0x80U) * 0x40 +
                     (bytes[2] - 0x80U)
               : (bytes[0] - 0xf0U) * 0x40000 + (bytes[1] - 0x80U) * 0x1000 +
                     (bytes[2] - 0x80U) * 0x40 + (bytes[3] - 0x80U);
    return sequences[i].len;
}

bool unicode_is_control(uint32_t c)
{
    return c <= 0x1f || (c >= 0x7f && c <= 0x9f);
}

bool unicode_is_hidden(uint32_t c)
{
    return is_in(c, bidi_controls, ARRAY_SIZE(bidi_controls)) ||
           is_in(c, default_ignorable, ARRAY_SIZE(default_ignorable)) ||
           is_in(c, others, ARRAY_SIZE(others));
}

bool unicode_is_plain(Bytes text)
{
    while (text.len > 0) {
        uint32_t c;
        size_t n = unicode_first(&c, text);

        if (n == 0 || unicode_is_control(c))
            return false;
        text = bytes_behind(text, n);
    }
    return true;
}
