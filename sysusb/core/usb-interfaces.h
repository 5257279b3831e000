/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which interfaces a USB device has: all of them, or none are told
 *
 * A rule that keeps keyboards away goes by this list. One that lacks an
 * interface, or that is left out, would make a device look more harmless than
 * it is: such a device is not reported (export.h).
 *
 * udev's list, ID_USB_INTERFACES, can lack some (udev-builtin-usb_id.c). It
 * looks only at the first page of sysfs' "descriptors", stops at a descriptor
 * of 2 bytes and after 72 interfaces, and never sees one at the very end. The
 * device chooses all that. So what else the kernel has found is added from the
 * same file: the device descriptor, then all configurations, each cut to the
 * descriptors that the kernel could make out (usb_parse_configuration()).
 */

#include "common/record.h"
#include "sysusb/core/udev-view.h"

/* what sysfs gives of "descriptors" at most; the rest of longer ones is cut */
#define USB_DESCRIPTORS_MAX (18U + 65535U)

/* 0 is what is not reported. */
typedef enum UsbInterfaces {
    USB_INTERFACES_UNSURE,   /* malformed, cut, unreadable, or none at all */
    USB_INTERFACES_TOO_MANY, /* over RECORD_INTERFACES_MAX kinds */
    USB_INTERFACES_WHOLE,
} UsbInterfaces;

/*
 * Add to @ret the interfaces of the USB device that @view is of or that it is
 * in; each kind (class, subclass, protocol) once. Nothing is added unless it is
 * USB_INTERFACES_WHOLE; so is the empty list of what is in no USB device.
 */
_must_check_ UsbInterfaces usb_interfaces_take(Properties *ret,
                                               const UdevView *view);
