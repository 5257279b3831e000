/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "sysusb/core/mounts.h"

#define DEV_FOLDER "/dev/"

/* "36 35 8:1 / /mnt rw,noatime master:1 - ext4 /dev/sda1 rw": the number is
 * the third word; the source is the second one behind the lone dash. */
#define MOUNT_NUMBER_WORD 2U
#define MOUNT_SOURCE_WORD 2U

static const char *skip_words(const char *text, size_t n_words)
{
    for (; n_words > 0; n_words--) {
        text += strcspn(text, " \n");
        text += strspn(text, " ");
    }
    return text;
}

static bool parse_unsigned(unsigned int *ret, const char **text)
{
    unsigned int number = 0;
    const char *at = *text;

    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, 10U, &number) ||
            __builtin_add_overflow(number, (unsigned int) (*at - '0'), &number))
            return false;
    if (at == *text)
        return false;

    *ret = number;
    *text = at;
    return true;
}

static bool parse_pair(BlockNumber *ret, const char **text)
{
    if (!parse_unsigned(&ret->major, text) || **text != ':')
        return false;
    (*text)++;
    return parse_unsigned(&ret->minor, text);
}

bool block_number_parse(BlockNumber *ret, const char *text)
{
    BlockNumber number = *ret;

    if (!parse_pair(&number, &text) || *text != '\0')
        return false;

    *ret = number;
    return true;
}

/* Whether the word at @text is the device's node. */
static bool is_node(const char *text, const BlockNumber *device)
{
    size_t len = strlen(device->name);

    if (strncmp(text, DEV_FOLDER, strlen(DEV_FOLDER)) != 0)
        return false;
    text += strlen(DEV_FOLDER);
    return strncmp(text, device->name, len) == 0 &&
           strchr(" \t\n", text[len]) != NULL;
}

static bool mount_is_of(const char *line, const BlockNumber *device)
{
    const char *word = skip_words(line, MOUNT_NUMBER_WORD);
    BlockNumber number = {};

    if (parse_pair(&number, &word) && number.major == device->major &&
        number.minor == device->minor)
        return true;

    /* words are escaped: a lone dash is the separator and nothing else */
    while (*word != '\0' && *word != '\n') {
        bool dash = strncmp(word, "- ", 2) == 0;

        if (dash)
            return is_node(skip_words(word, MOUNT_SOURCE_WORD), device);
        word = skip_words(word, 1);
    }
    return false;
}

static bool swap_is_of(const char *line, const BlockNumber *device)
{
    return is_node(line, device);
}

static bool any_line(const char *table,
                     const BlockNumber *device,
                     bool (*is_of)(const char *line, const BlockNumber *device))
{
    while (*table != '\0') {
        if (is_of(table, device))
            return true;
        table += strcspn(table, "\n");
        table += *table == '\n';
    }
    return false;
}

bool mounts_have(const char *mountinfo, const BlockNumber *device)
{
    return any_line(mountinfo, device, mount_is_of);
}

bool swaps_have(const char *swaps, const BlockNumber *device)
{
    return any_line(swaps, device, swap_is_of);
}
