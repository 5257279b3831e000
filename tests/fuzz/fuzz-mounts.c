/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Tables of mounts and of swaps, and a device's number
 *
 * Any bytes as one of them do no harm. As the name of a folder or a file in a
 * line of the kernel's they change nothing in which device the line is of.
 */

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sysusb/core/mounts.h"
#include "tests/fuzz/taken.h"
#include "tests/support/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const BlockNumber sda1 = { 8, 1, "sda1" };

static char *format(const char *form, const char *word)
{
    size_t size = strlen(form) + strlen(word) + 1;
    char *text = malloc(size);
    const char *place = strchr(form, '@');

    assert(text && place);
    (void) snprintf(text, size, "%.*s%s%s", (int) (place - form), form, word,
                    place + 1);
    return text;
}

static void check_mount(const char *form, const char *word, bool wanted)
{
    _cleanup_(freep) char *text = format(form, word);

    assert(mounts_have(text, &sda1) == wanted);
}

static void check_swap(const char *form, const char *word, bool wanted)
{
    _cleanup_(freep) char *text = format(form, word);

    assert(swaps_have(text, &sda1) == wanted);
}

/* The kernel escapes blanks. */
static void check_word(const char *word)
{
    check_mount("9 1 8:2 / /@ rw master:1 - ext4 /dev/sdb1 rw\n", word, false);
    check_mount("9 1 8:2 / /@ rw - ext4 none rw\n9 1 8:1 / /a rw - ext4 a rw\n",
                word, true);
    check_mount("9 1 8:1 /@ /mnt rw - ext4 /dev/root rw\n", word, true);
    /* btrfs has a number of its own */
    check_mount("9 1 0:45 /@ /mnt rw - btrfs /dev/sda1 rw\n", word, true);
    check_mount("9 1 0:45 / /mnt rw - btrfs /@ rw\n", word,
                strcmp(word, "dev/sda1") == 0);
    check_swap("Filename Type\n/dev/@ partition 1 0 -2\n", word,
               strcmp(word, "sda1") == 0);
    check_swap("Filename Type\n/@ file 1 0 -2\n/dev/sda1 partition 1 0 -2\n",
               word, true);
}

static bool is_number(Bytes text)
{
    return text.len > 0 && bytes_are_all_of(text, DIGITS) &&
           strtoul(text.start, NULL, 10) <= UINT_MAX;
}

/* MAJOR:MINOR and nothing else */
static void check_number(const char *text)
{
    BlockNumber number = { 77, 78, "sda1" };
    Bytes minor = { text, strlen(text) };
    Bytes major = bytes_before(minor, ':', &minor);
    bool good = is_number(major) && is_number(minor);

    assert(block_number_parse(&number, text) == good);
    assert(number.major == (good ? strtoul(major.start, NULL, 10) : 77));
    assert(number.minor == (good ? strtoul(minor.start, NULL, 10) : 78));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    bool mounted, swapped;

    if (!text)
        return 0;
    mounted = mounts_have(text, &sda1);
    swapped = swaps_have(text, &sda1);
    fuzz_set_taken(mounted || swapped);
    check_number(text);
    if (strcspn(text, " \t\n") == strlen(text))
        check_word(text);
    return 0;
}
