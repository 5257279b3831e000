/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which interfaces a USB device has: all of them, or none are told
 *
 * A rule that keeps keyboards away goes by this list. One that lacks an
 * interface, or that is left out, would make a device look more harmless than
 * it is: such a device is not reported (export.h).
 */

#include "common/record.h"
#include "sysusb/core/udev-view.h"

/* 0 is what is not reported. */
typedef enum UsbInterfaces {
    USB_INTERFACES_UNSURE,   /* malformed, or none at all */
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
