/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What udev and sysfs tell of one device
 *
 * The seam between libudev and the pure code: the adapter fills it in, tests
 * and the fuzzer do so from tables. All texts and bytes are the
 * device's or the kernel's, unchecked, and live as long as the view.
 */

#include "common/util.h"

/* One device: the one in question or one that it hangs on. */
typedef struct UdevNode {
    const char *sysname;   /* as "sda1" or "2-1.4" */
    const char *subsystem; /* as "block"; may be NULL */
    const char *devtype;   /* as "partition"; may be NULL */
    const char *devpath;   /* below /sys */

    void *device; /* for the two below: each answers a text or NULL */
    const char *(*property)(void *device, const char *name);
    const char *(*attribute)(void *device, const char *name);
} UdevNode;

/* What the USB qube itself does with a block device. */
typedef enum UdevUse {
    UDEV_USE_NONE,
    UDEV_USE_MOUNTED, /* it or one of its partitions */
    UDEV_USE_SWAP,
    UDEV_USE_HELD, /* another device lies on it: device-mapper, md */
} UdevUse;

typedef struct UdevView {
    const UdevNode *self;
    const UdevNode *disk; /* of a partition; else NULL */
    const UdevNode *usb;  /* the usb_device that it hangs on, or NULL */
    UdevUse use;
    bool loop_hidden; /* a loop file in a folder hidden from export */
    /* sysfs' "descriptors" of the USB device that it is or is in: NULL if there
     * is no such file, as of what is gone; none of it, if it is unreadable */
    const uint8_t *descriptors;
    size_t descriptors_len;
} UdevView;

static inline const char *udev_node_property(const UdevNode *node,
                                             const char *name)
{
    return node->property(node->device, name);
}

static inline const char *udev_node_attribute(const UdevNode *node,
                                              const char *name)
{
    return node->attribute(node->device, name);
}
