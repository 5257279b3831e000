/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Look at one device of libudev's, and at what the USB qube does with it
 *
 * Feeds sysusb/core from udev, sysfs, /proc/self/mountinfo and /proc/swaps.
 */

#include <libudev.h>

#include "common/record.h"
#include "sysusb/core/export.h"

typedef struct UdevLook {
    Export export;
    /* class and device are set unless export is EXPORT_NO_DEVICE or
     * EXPORT_NAME or EXPORT_HUB; the rest if it is there */
    Record record;
} UdevLook;

/*
 * What is @device, which udev has dealt with? Answers 1; 0, and sets only
 * @ret->export, if it has no name that dom0 could know it by; or a negative
 * errno if not all was told (udev_not_told()): it may be there all the same, or
 * in use, and @ret says nothing.
 */
int udev_look(UdevLook *ret, struct udev_device *device, bool export_qemu);

/* The same for a device that went away: EXPORT_GONE and its name. */
int udev_look_gone(UdevLook *ret, struct udev_device *device);

/*
 * After libudev or the kernel has answered nothing, with @error: the negative
 * errno if it was interrupted or lacked memory or descriptors, so that what was
 * asked for may be there; else 0.
 */
int udev_not_told(int error);
