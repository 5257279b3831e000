/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <string.h>
#include <wchar.h>

#include "common/rate.h"
#include "common/text.h"
#include "dom0/ctl/show.h"

#define ELLIPSIS "..."
#define PIECE    16U

#define MINUTE_USEC (60 * USEC_PER_SEC)
#define HOUR_USEC   (60 * MINUTE_USEC)
#define DAY_USEC    (24 * HOUR_USEC)

/* One character, escaped where it is not plainly visible; answers how many
 * bytes it took. */
static size_t show_one(char ret[static PIECE],
                       const char *untrusted_text,
                       size_t len,
                       bool utf8)
{
    uint32_t code_point;
    size_t n = text_decode_utf8(&code_point, untrusted_text, len);

    if (n == 0) {
        (void) text_format(ret, PIECE, "\\x%02x",
                           (unsigned char) untrusted_text[0]);
        return 1;
    }
    if (code_point == '\\')
        (void) text_format(ret, PIECE, "\\");
    else if (code_point >= 0x80 &&
             (!utf8 || wcwidth((wchar_t) code_point) <= 0))
        (void) text_format(ret, PIECE, "\\u{%" PRIx32 "}", code_point);
    else
        text_escape(ret, PIECE, untrusted_text, n);
    return n;
}

/* Fill @ret between @used and @end, with a backslash before each @special
 * letter; what has no room ends in an ellipsis. */
static size_t fill(ShowText *ret,
                   size_t used,
                   size_t end,
                   const char *untrusted_text,
                   const char *special,
                   bool utf8)
{
    size_t len = untrusted_text ? strlen(untrusted_text) : 0;

    while (len > 0) {
        char piece[PIECE];
        size_t n = show_one(piece, untrusted_text, len, utf8);
        size_t piece_len;

        if (strchr(special, *untrusted_text))
            (void) text_format(piece, sizeof(piece), "\\%c", *untrusted_text);
        piece_len = strlen(piece);
        if (used + piece_len + strlen(ELLIPSIS) > end) {
            memcpy(ret->s + used, ELLIPSIS, strlen(ELLIPSIS));
            return used + strlen(ELLIPSIS);
        }
        memcpy(ret->s + used, piece, piece_len);
        used += piece_len;
        untrusted_text += n;
        len -= n;
    }
    return used;
}

const char *show_text(ShowText *ret, const char *untrusted_text, bool utf8)
{
    size_t used = fill(ret, 0, SHOW_TEXT_MAX, untrusted_text, "", utf8);

    ret->s[used] = '\0';
    return ret->s;
}

static const char *quote(ShowText *ret,
                         const char *untrusted_text,
                         const char *special,
                         bool utf8)
{
    size_t used;

    ret->s[0] = '"';
    used = fill(ret, 1, SHOW_TEXT_MAX - 1, untrusted_text, special, utf8);
    ret->s[used++] = '"';
    ret->s[used] = '\0';
    return ret->s;
}

const char *show_quoted(ShowText *ret, const char *untrusted_text, bool utf8)
{
    return quote(ret, untrusted_text, "\"\\", utf8);
}

const char *show_quoted_escaped(ShowText *ret,
                                const char *untrusted_text,
                                bool utf8)
{
    return quote(ret, untrusted_text, "\"", utf8);
}

/* The width of one character that show_text() let pass. */
static size_t char_width(const char *text, size_t len, size_t *ret_n)
{
    uint32_t code_point;
    size_t n = text_decode_utf8(&code_point, text, len);
    int width = n > 0 ? wcwidth((wchar_t) code_point) : 1;

    *ret_n = n > 0 ? n : 1;
    return width > 0 ? (size_t) width : 1;
}

size_t show_width(const char *text)
{
    size_t len = strlen(text), width = 0, n;

    for (; len > 0; text += n, len -= n)
        width += char_width(text, len, &n);
    return width;
}

size_t show_width_of(const char *untrusted_text, size_t n, bool utf8)
{
    size_t len = strlen(untrusted_text), width = 0;

    for (; n > 0 && len > 0; n--) {
        char piece[PIECE];
        size_t taken = show_one(piece, untrusted_text, len, utf8);

        width += show_width(piece);
        untrusted_text += taken;
        len -= taken;
    }
    return width;
}

size_t show_fit(const char *text, size_t columns)
{
    size_t len = strlen(text), at = 0, n;

    while (at < len) {
        size_t width = char_width(text + at, len - at, &n);

        if (width > columns)
            break;
        columns -= width;
        at += n;
    }
    return at;
}

const char *show_span(ShowText *ret, uint64_t usec)
{
    uint64_t unit = USEC_PER_SEC;
    const char *name = "s";

    if (usec >= 2 * DAY_USEC) {
        unit = DAY_USEC;
        name = "days";
    } else if (usec >= 2 * HOUR_USEC) {
        unit = HOUR_USEC;
        name = "h";
    } else if (usec >= 2 * MINUTE_USEC) {
        unit = MINUTE_USEC;
        name = "min";
    }
    (void) text_format(ret->s, sizeof(ret->s), "%" PRIu64 " %s", usec / unit,
                       name);
    return ret->s;
}

const char *show_exact_span(ShowText *ret, uint64_t usec)
{
    static const struct {
        uint64_t unit_usec;
        const char *name;
    } units[] = { { DAY_USEC, "days" },
                  { HOUR_USEC, "h" },
                  { MINUTE_USEC, "min" },
                  { USEC_PER_SEC, "s" } };
    size_t i = 0;

    while (i + 1 < ARRAY_SIZE(units) &&
           (usec < 2 * units[i].unit_usec || usec % units[i].unit_usec != 0))
        i++;
    (void) text_format(ret->s, sizeof(ret->s), "%" PRIu64 " %s",
                       usec / units[i].unit_usec, units[i].name);
    return ret->s;
}

const char *show_age(ShowText *ret, uint64_t now_usec, uint64_t then_usec)
{
    /* the clock may have been set back */
    uint64_t usec = now_usec > then_usec ? now_usec - then_usec : 0;
    size_t len;

    if (usec < USEC_PER_SEC) {
        (void) text_format(ret->s, sizeof(ret->s), "just now");
        return ret->s;
    }
    len = strlen(show_span(ret, usec));
    (void) text_format(ret->s + len, sizeof(ret->s) - len, " ago");
    return ret->s;
}

const char *show_bytes(ShowText *ret, uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
    uint64_t tenths = bytes / 1024 * 10 + bytes % 1024 * 10 / 1024;
    size_t unit = 0;

    while (tenths >= 10240 && unit + 1 < ARRAY_SIZE(units)) {
        tenths /= 1024;
        unit++;
    }
    (void) text_format(ret->s, sizeof(ret->s), "%" PRIu64 ".%" PRIu64 " %s",
                       tenths / 10, tenths % 10, units[unit]);
    return ret->s;
}

const char *show_count(ShowText *ret, uint64_t n, const char *noun)
{
    if (n == 0)
        (void) text_format(ret->s, sizeof(ret->s), "no %ss", noun);
    else
        (void) text_format(ret->s, sizeof(ret->s), "%" PRIu64 " %s%s", n, noun,
                           n == 1 ? "" : "s");
    return ret->s;
}
