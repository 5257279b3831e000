/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as a text to be shown and as a name
 *
 * What is shown is plain text without deceptive characters, and within its
 * size. What is taken as a name is that name, of the characters that qubesd
 * takes, and nothing else is.
 */

#include <stdlib.h>
#include <string.h>

#include "common/device.h"
#include "common/qube-name.h"
#include "common/text.h"
#include "tests/support/bytes.h"

#define SHORT_SIZE 16U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_safe(const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        uint32_t code_point;
        size_t n = text_decode_utf8(&code_point, text, len);

        require(n > 0 && text_is_plain(text, n) &&
                !text_is_deceptive(code_point));
        text += n;
        len -= n;
    }
}

static void fuzz_escape(const char *text, size_t len)
{
    size_t size = len * TEXT_ESCAPE_FACTOR + 1;
    char *whole = malloc(size), *cut = malloc(SHORT_SIZE);

    require(whole && cut);
    (void) text_escape(whole, size, text, len);
    require_safe(whole);
    (void) text_escape(cut, SHORT_SIZE, text, len);
    require_safe(cut);
    if (strlen(whole) < SHORT_SIZE)
        require(strcmp(whole, cut) == 0);
    else
        require(strcmp(cut + strlen(cut) - 3, "...") == 0);
    free(whole);
    free(cut);
}

/* [a-zA-Z][a-zA-Z0-9_.-]{0,30} */
static bool is_qube(Bytes text)
{
    return text.len > 0 && text.len <= QUBE_NAME_MAX &&
           bytes_are_all_of((Bytes){ text.start, 1 }, LETTERS) &&
           bytes_are_all_of(text, LETTERS DIGITS "_.-");
}

/* [0-9]+-[0-9]+(\.[0-9]+)* */
static bool is_port(Bytes text)
{
    Bytes bus = bytes_before(text, '-', &text), number;
    bool good = bus.len > 0 && text.len > 0;

    good = good && bytes_are_all_of(bus, DIGITS);
    good = good && text.start[text.len - 1] != '.';
    good = good && bus.len + 1 + text.len <= DEVICE_NAME_MAX;
    while (good && text.len > 0) {
        number = bytes_before(text, '.', &text);
        good = number.len > 0 && bytes_are_all_of(number, DIGITS);
    }
    return good;
}

static bool is_block(Bytes text)
{
    return text.len > 0 && text.len <= DEVICE_BLOCK_NAME_MAX &&
           bytes_are_all_of(text, LOWER DIGITS "-");
}

static void fuzz_names(const char *data, size_t len)
{
    const Bytes text = { data, len };
    DeviceName device = {};
    QubeName qube = {};
    DeviceClass class = is_port(text)    ? DEVICE_CLASS_USB
                        : is_block(text) ? DEVICE_CLASS_BLOCK
                                         : DEVICE_CLASS_INVALID;

    require(device_name_parse_any(&device, data, len) == class);
    require(class != DEVICE_CLASS_INVALID ? bytes_are(text, device.s)
                                          : device.s[0] == '\0');
    require(qube_name_parse(&qube, data, len) == is_qube(text));
    require(is_qube(text) ? bytes_are(text, qube.s) : qube.s[0] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_escape((const char *) data, size);
    fuzz_names((const char *) data, size);
    return 0;
}
