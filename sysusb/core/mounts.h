/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The kernel's tables of what is mounted and what is swapped to
 * (proc_pid_mountinfo(5), /proc/swaps)
 */

#include "common/util.h"

/* A block device: its number and its name below /dev. */
typedef struct BlockNumber {
    unsigned int major, minor;
    const char *name; /* as "sda1" */
} BlockNumber;

/* "8:1" as in sysfs. */
_must_check_ bool block_number_parse(BlockNumber *ret, const char *text);

/*
 * Whether a line of mountinfo is of this device: by its number, or, for file
 * systems over several devices (btrfs), which have a number of their own, by
 * the name of the device it was mounted from.
 */
bool mounts_have(const char *mountinfo, const BlockNumber *device);

bool swaps_have(const char *swaps, const BlockNumber *device);
