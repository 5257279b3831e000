/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Device classes and device names
 *
 * A DeviceName is the name under which qubesd knows a device of a source: the
 * kernel name of a block device (as "sda1") or the port of a USB device (as
 * "2-1.4"). It can only be made by device_name_parse() and friends, so whoever
 * holds one holds bytes out of [a-z0-9.-]: safe in a request header, in a log
 * and in a prompt.
 */

#include "common/util.h"

/* longest block name that qubesd accepts: [a-z0-9-]{1,12} (WIRE 5) */
#define DEVICE_BLOCK_NAME_MAX 12U
/* "BUS-PORT.PORT...": the USB standard allows 7 tiers; this leaves room */
#define DEVICE_NAME_MAX 31U

/* 0 is no class: zeroed memory never names a device. */
typedef enum DeviceClass {
    DEVICE_CLASS_INVALID,
    DEVICE_CLASS_BLOCK,
    DEVICE_CLASS_USB,
} DeviceClass;

typedef struct DeviceName {
    char s[DEVICE_NAME_MAX + 1];
} DeviceName;

/* "block" and "usb"; NULL for DEVICE_CLASS_INVALID. */
const char *device_class_to_string(DeviceClass class);
DeviceClass device_class_from_string(const char *untrusted_text);

/* A name of the given class, or nothing. */
_must_check_ bool device_name_parse(DeviceName *ret,
                                    DeviceClass class,
                                    const char *untrusted_name,
                                    size_t untrusted_len);

/*
 * A name of either class. What has the form of a USB port is one: the kernel
 * begins every block device's name with a letter. Answers the class, or
 * DEVICE_CLASS_INVALID.
 */
_must_check_ DeviceClass device_name_parse_any(DeviceName *ret,
                                               const char *untrusted_name,
                                               size_t untrusted_len);

bool device_name_equal(const DeviceName *a, const DeviceName *b);

/*
 * Whether the block device @partition is, by the kernel's way of naming, a
 * partition of @disk: "sda1" of "sda", "nvme0n1p2" of "nvme0n1".
 */
bool device_name_is_partition_of(const DeviceName *partition,
                                 const DeviceName *disk);
