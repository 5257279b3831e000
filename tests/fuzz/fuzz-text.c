/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as a text to be shown and as a name
 *
 * What is shown is plain text without deceptive characters, and within its
 * size. What is taken as a name holds no byte that could harm a header.
 */

#include <stdlib.h>
#include <string.h>

#include "common/device.h"
#include "common/qube-name.h"
#include "common/text.h"

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

static void fuzz_names(const char *text, size_t len)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    DeviceName device;
    QubeName qube;

    if (device_name_parse_any(&device, text, len) != DEVICE_CLASS_INVALID)
        require(strlen(device.s) == len && memcmp(device.s, text, len) == 0 &&
                strspn(device.s, safe) == len);
    if (qube_name_parse(&qube, text, len))
        require(strlen(qube.s) == len && memcmp(qube.s, text, len) == 0 &&
                strspn(qube.s, safe) == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_escape((const char *) data, size);
    fuzz_names((const char *) data, size);
    return 0;
}
