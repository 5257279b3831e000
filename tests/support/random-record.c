/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "tests/support/random-record.h"

static char pick(Random *random, const char *from)
{
    return from[random_below(random, strlen(from))];
}

/* A code point that a text may hold, often one at the edge of a range. */
static uint32_t random_code_point(Random *random)
{
    static const uint32_t edges[] = {
        0x20,   '"',    '\\',   '/',    0x7e,   0xa0,    0x7ff,    0x800,
        0xd7ff, 0xe000, 0x200b, 0x202e, 0xffff, 0x10000, 0x10ffff,
    };
    uint32_t code_point;

    if (random_below(random, 4) == 0)
        return edges[random_below(random, ARRAY_SIZE(edges))];
    if (random_bool(random))
        return 0x20 + (uint32_t) random_below(random, 0x5f);
    do
        code_point = (uint32_t) random_below(random, 0x110000);
    while (code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f) ||
           (code_point >= 0xd800 && code_point <= 0xdfff));
    return code_point;
}

static size_t encode_utf8(char ret[static 4], uint32_t code_point)
{
    size_t n = code_point < 0x80      ? 1
               : code_point < 0x800   ? 2
               : code_point < 0x10000 ? 3
                                      : 4;
    static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

    for (size_t i = n; i-- > 1; code_point >>= 6)
        ret[i] = (char) (0x80 | (code_point & 0x3f));
    ret[0] = (char) (leads[n] | code_point);
    return n;
}

static size_t random_text(Random *random, char *ret, size_t max)
{
    /* short ones, and often one that reaches the limit */
    size_t want =
        random_below(random, 3) == 0 ? max : 1 + random_below(random, max);
    size_t len = 0;

    while (len < want) {
        char bytes[4];
        size_t n = encode_utf8(bytes, random_code_point(random));

        if (len + n > want) {
            ret[len++] = 'x';
            continue;
        }
        memcpy(ret + len, bytes, n);
        len += n;
    }
    return len;
}

static size_t random_hex(Random *random, char *ret, size_t n, bool lower_only)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = pick(random, lower_only ? "0123456789abcdef"
                                         : "0123456789abcdefABCDEF");
    return n;
}

static int64_t random_number(Random *random, PropertyKey key)
{
    if (key == PROPERTY_PARTITION)
        return 1 + (int64_t) random_below(random, RECORD_PARTITION_MAX);
    switch (random_below(random, 4)) {
    case 0:
        return 0;
    case 1:
        return RECORD_NUMBER_MAX;
    default:
        return (int64_t) (random_next(random) >>
                          (1 + random_below(random, 63)));
    }
}

static bool set_property(Random *random, Properties *ret, PropertyKey key)
{
    static const char *const devtypes[] = { "disk", "partition", "usb_device" };
    char text[RECORD_LONG_MAX];
    const char *devtype;
    size_t len;

    switch (property_form(key)) {
    case PROPERTY_FORM_HEX4_LOWER:
    case PROPERTY_FORM_HEX4:
        len = random_hex(random, text, 4,
                         property_form(key) == PROPERTY_FORM_HEX4_LOWER);
        return properties_set_text(ret, key, text, len);
    case PROPERTY_FORM_TEXT:
        len = random_text(random, text, property_text_max(key));
        return properties_set_text(ret, key, text, len);
    case PROPERTY_FORM_DEVTYPE:
        devtype = devtypes[random_below(random, ARRAY_SIZE(devtypes))];
        return properties_set_text(ret, key, devtype, strlen(devtype));
    case PROPERTY_FORM_INTERFACES:
        for (size_t n = 1 + random_below(random, RECORD_INTERFACES_MAX); n > 0;
             n--) {
            len = random_hex(random, text, 6, false);
            if (!properties_add_interface(ret, text, len))
                return false;
        }
        return true;
    case PROPERTY_FORM_NUMBER:
        return properties_set_number(ret, key, random_number(random, key));
    case PROPERTY_FORM_BOOL:
        properties_set_bool(ret, key, random_bool(random));
        return true;
    }
    return false;
}

static void random_name(Random *random, DeviceName *ret, DeviceClass class)
{
    char text[DEVICE_NAME_MAX];
    size_t len = 0;
    bool good;

    if (class == DEVICE_CLASS_BLOCK) {
        /* a letter first, so that no name can be taken for a USB port */
        text[len++] = pick(random, "abcdefghijklmnopqrstuvwxyz");
        for (size_t n = random_below(random, DEVICE_BLOCK_NAME_MAX); n > 0; n--)
            text[len++] = pick(random, "abcdefghijklmnopqrstuvwxyz0123456789-");
    } else {
        text[len++] = pick(random, "0123456789");
        text[len++] = '-';
        text[len++] = pick(random, "0123456789");
        for (size_t n = random_below(random, 15); n > 0; n--) {
            if (len + 2 <= DEVICE_NAME_MAX && random_bool(random))
                text[len++] = '.';
            if (len < DEVICE_NAME_MAX)
                text[len++] = pick(random, "0123456789");
        }
    }
    good = device_name_parse(ret, class, text, len);
    assert(good);
}

static DeviceClass random_class(Random *random)
{
    return random_bool(random) ? DEVICE_CLASS_BLOCK : DEVICE_CLASS_USB;
}

Record random_record(Random *random)
{
    Record record = {
        .action = (RecordAction) (RECORD_PRESENT + random_below(random, 4)),
        .class = random_class(random),
    };

    random_name(random, &record.device, record.class);
    if (random_bool(random)) {
        record.parent_class = random_class(random);
        random_name(random, &record.parent, record.parent_class);
    }
    for (size_t i = 0; i < N_PROPERTIES; i++)
        if (random_below(random, 3) > 0) {
            bool good =
                set_property(random, &record.properties, (PropertyKey) i);

            assert(good);
        }
    return record;
}
