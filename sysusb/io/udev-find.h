/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Find the one device that a person named. */

#include "sysusb/io/udev-look.h"

/*
 * @untrusted_name is a path below /dev (links are followed), a block device's
 * kernel name or a USB port. -ENODEV if there is no such device, also for what
 * cannot be one's name; -ENOTBLK if the path leads to something else. Other
 * errors are for want of resources.
 */
int udev_find(UdevLook *ret, const char *untrusted_name, bool export_qemu);
