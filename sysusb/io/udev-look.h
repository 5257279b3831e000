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
    /* a negative errno if it could not be looked at for want of resources: it
     * may be there all the same, and export says nothing */
    int error;
    Export export;
    /* class and device are set unless export is EXPORT_NO_DEVICE or
     * EXPORT_NAME or EXPORT_HUB; the rest if it is there */
    Record record;
} UdevLook;

/*
 * What is @device, which udev has dealt with? Answers false, and sets only
 * @ret->export, if it has no name that dom0 could know it by.
 */
bool udev_look(UdevLook *ret, struct udev_device *device, bool export_qemu);

/* The same for a device that went away: EXPORT_GONE and its name. */
bool udev_look_gone(UdevLook *ret, struct udev_device *device);
