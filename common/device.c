/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/device.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_block_name(const char *name, size_t len)
{
    if (len == 0 || len > DEVICE_BLOCK_NAME_MAX)
        return false;

    for (size_t i = 0; i < len; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || is_digit(name[i]) ||
              name[i] == '-'))
            return false;

    return true;
}

/* [0-9]+-[0-9]+(\.[0-9]+)* */
static bool is_usb_port(const char *name, size_t len)
{
    size_t n_digits = 0;
    bool dash = false;

    if (len == 0 || len > DEVICE_NAME_MAX)
        return false;

    for (size_t i = 0; i < len; i++) {
        if (is_digit(name[i])) {
            n_digits++;
            continue;
        }
        if (n_digits == 0 || name[i] != (dash ? '.' : '-'))
            return false;
        dash = true;
        n_digits = 0;
    }

    return dash && n_digits > 0;
}

const char *device_class_to_string(DeviceClass class)
{
    switch (class) {
    case DEVICE_CLASS_BLOCK:
        return "block";
    case DEVICE_CLASS_USB:
        return "usb";
    case DEVICE_CLASS_INVALID:
        break;
    }
    return NULL;
}

DeviceClass device_class_from_string(const char *untrusted_text)
{
    if (strcmp(untrusted_text, "block") == 0)
        return DEVICE_CLASS_BLOCK;
    if (strcmp(untrusted_text, "usb") == 0)
        return DEVICE_CLASS_USB;
    return DEVICE_CLASS_INVALID;
}

bool device_name_parse(DeviceName *ret,
                       DeviceClass class,
                       const char *untrusted_name,
                       size_t untrusted_len)
{
    DeviceName name = {};
    bool good = false;

    switch (class) {
    case DEVICE_CLASS_BLOCK:
        good = is_block_name(untrusted_name, untrusted_len);
        break;
    case DEVICE_CLASS_USB:
        good = is_usb_port(untrusted_name, untrusted_len);
        break;
    case DEVICE_CLASS_INVALID:
        break;
    }
    if (!good)
        return false;

    memcpy(name.s, untrusted_name, untrusted_len);
    *ret = name;
    return true;
}

DeviceClass device_name_parse_any(DeviceName *ret,
                                  const char *untrusted_name,
                                  size_t untrusted_len)
{
    static const DeviceClass classes[] = { DEVICE_CLASS_USB,
                                           DEVICE_CLASS_BLOCK };

    for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
        if (device_name_parse(ret, classes[i], untrusted_name, untrusted_len))
            return classes[i];

    return DEVICE_CLASS_INVALID;
}

bool device_name_equal(const DeviceName *a, const DeviceName *b)
{
    return strcmp(a->s, b->s) == 0;
}

bool device_name_is_partition_of(const DeviceName *partition,
                                 const DeviceName *disk)
{
    size_t len = strlen(disk->s);
    const char *tail;

    if (len == 0 || strncmp(partition->s, disk->s, len) != 0)
        return false;

    /* a disk whose name ends in a digit has a "p" before the number */
    tail = partition->s + len;
    if (is_digit(disk->s[len - 1]) && *tail++ != 'p')
        return false;
    if (*tail == '\0')
        return false;
    for (; *tail; tail++)
        if (!is_digit(*tail))
            return false;

    return true;
}
