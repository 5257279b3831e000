/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as a text to be shown and as a name
 *
 * What is shown is the text, character by character, and what is no character,
 * cannot be seen or changes how others are shown is escaped. What is taken as a
 * name is that name, of the characters that qubesd takes, and nothing else is.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/device.h"
#include "common/qube-name.h"
#include "common/text.h"
#include "tests/fuzz/taken.h"
#include "tests/support/names.h"
#include "tests/support/unicode.h"

#define SHORT_SIZE 16U
#define PIECE_SIZE 16U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Marks are too many for a list of our own; that they have no width is seen to
 * in test-text. */
static bool is_escaped(uint32_t c)
{
    return unicode_is_control(c) || unicode_is_hidden(c) || text_is_mark(c);
}

static void require_safe(const char *shown)
{
    Bytes text = { shown, strlen(shown) };

    while (text.len > 0) {
        uint32_t c;
        size_t n = unicode_first(&c, text);

        require(n > 0 && !is_escaped(c));
        text = bytes_behind(text, n);
    }
}

/* How the first character, or what is none, is shown; answers its length. */
static size_t show_first(char ret[static PIECE_SIZE], Bytes text)
{
    uint32_t c = 0;
    size_t n = unicode_first(&c, text);

    if (n == 0)
        (void) snprintf(ret, PIECE_SIZE, "\\x%02x",
                        (unsigned char) text.start[0]);
    else if (c == '\\' || c == '\n')
        (void) snprintf(ret, PIECE_SIZE, c == '\n' ? "\\n" : "\\\\");
    else if (is_escaped(c))
        (void) snprintf(ret, PIECE_SIZE, "\\u{%x}", c);
    else
        (void) snprintf(ret, PIECE_SIZE, "%.*s", (int) n, text.start);
    return n > 0 ? n : 1;
}

static void require_meaning(const char *shown, Bytes text)
{
    Bytes rest = { shown, strlen(shown) };

    while (text.len > 0) {
        char piece[PIECE_SIZE];

        text = bytes_behind(text, show_first(piece, text));
        require(bytes_begin(rest, piece));
        rest = bytes_behind(rest, strlen(piece));
    }
    require(rest.len == 0);
}

static void fuzz_escape(const char *text, size_t len)
{
    size_t size = len * TEXT_ESCAPE_FACTOR + 1;
    char *whole = malloc(size), *cut = malloc(SHORT_SIZE);

    require(whole && cut);
    (void) text_escape(whole, size, text, len);
    require_safe(whole);
    require_meaning(whole, (Bytes){ text, len });
    (void) text_escape(cut, SHORT_SIZE, text, len);
    require_safe(cut);
    if (strlen(whole) < SHORT_SIZE) {
        require(strcmp(whole, cut) == 0);
    } else {
        size_t kept = strlen(cut) - 3;

        require(strcmp(cut + kept, "...") == 0);
        require(memcmp(whole, cut, kept) == 0);
    }
    free(whole);
    free(cut);
}

static void fuzz_characters(const char *data, size_t len)
{
    Bytes text = { data, len };

    require(text_is_plain(data, len) == unicode_is_plain(text));
    while (text.len > 0) {
        uint32_t c = UINT32_MAX, wanted = UINT32_MAX;
        size_t n = unicode_first(&wanted, text);

        require(text_decode_utf8(&c, text.start, text.len) == n);
        require(c == wanted);
        require(n == 0 || text_is_deceptive(c) == unicode_is_hidden(c));
        text = bytes_behind(text, n > 0 ? n : 1);
    }
}

static void fuzz_names(const char *data, size_t len)
{
    const Bytes text = { data, len };
    DeviceName device = { "untouched" };
    QubeName qube = { "untouched" };
    DeviceClass class = name_is_port(text)    ? DEVICE_CLASS_USB
                        : name_is_block(text) ? DEVICE_CLASS_BLOCK
                                              : DEVICE_CLASS_INVALID;

    require(device_name_parse_any(&device, data, len) == class);
    require(class != DEVICE_CLASS_INVALID ? bytes_are(text, device.s)
                                          : strcmp(device.s, "untouched") == 0);
    require(qube_name_parse(&qube, data, len) == name_is_qube(text));
    require(name_is_qube(text) ? bytes_are(text, qube.s)
                               : strcmp(qube.s, "untouched") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_set_taken(text_is_plain((const char *) data, size));
    fuzz_characters((const char *) data, size);
    fuzz_escape((const char *) data, size);
    fuzz_names((const char *) data, size);
    return 0;
}
