/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What Qubes exports to other qubes, and what it leaves out
 *
 * The same choice as Qubes' own udev rules and scripts make (WIRE 5;
 * qubes-linux-utils, udev/: udev-qubes-block.rules, udev-block-add-change,
 * udev-qubes-usb.rules, udev-usb-add-change), so that dom0 is not told of what
 * qubesd will never list. With one difference: for Qubes a device that is
 * attached or in use is not there. For us it is: "remove" means unplugged, and
 * dom0 would detach what it has just attached. So
 *
 *  - whether a qube has it, or has its disk or a partition of it, does not
 *    count at all: it is plugged in. The picture after a restart must have it;
 *  - what the USB qube itself uses (mounted, swap, below another device) is
 *    EXPORT_IN_USE_*: there, but not newly offered. The snapshot keeps it if it
 *    was known, and offers it once it is free.
 *
 * And we refuse, EXPORT_INTERFACES_*, a USB device whose interfaces cannot be
 * told to dom0 one and all, and the disks in it: a rule that keeps keyboards
 * away would not know one (usb-interfaces.h).
 */

#include "sysusb/core/udev-view.h"

/* 0 is what is not exported: zeroed memory is never offered. */
typedef enum Export {
    EXPORT_NO_DEVICE,
    EXPORT_GONE,
    EXPORT_NAME,
    EXPORT_UDISKS_IGNORE,
    EXPORT_EXCLUDED,
    EXPORT_XEN_FRONTEND,
    EXPORT_ZRAM,
    EXPORT_DM_INTERNAL,
    EXPORT_DM_DISABLED,
    EXPORT_LOOP_EMPTY,
    EXPORT_LOOP_HIDDEN,
    EXPORT_NBD_EMPTY,
    EXPORT_NO_MEDIUM,
    EXPORT_HUB,
    EXPORT_VHCI,
    EXPORT_QEMU,
    EXPORT_IN_USE_MOUNTED,
    EXPORT_IN_USE_SWAP,
    EXPORT_IN_USE_HELD,
    EXPORT_INTERFACES_UNSURE,
    EXPORT_INTERFACES_MANY,
    EXPORT_PENDING, /* never decided; the caller knows */
    EXPORT_OFFERED,
} Export;
#define N_EXPORTS (EXPORT_OFFERED + 1)

typedef enum Presence {
    PRESENCE_NONE,   /* not there, or never exported */
    PRESENCE_IN_USE, /* there, but not newly offered */
    PRESENCE_OFFERED,
    PRESENCE_PENDING, /* offered, but udev is at it: its event is to come */
} Presence;

/*
 * @export_qemu: also devices that QEMU emulates, which Qubes leaves out; for
 * tests in virtual machines.
 */
Export export_decide(const UdevView *view, bool export_qemu);

Presence export_presence(Export export);

/* Whether Qubes exports it, but we do not report it. */
bool export_is_refused(Export export);

/* Why it is not exported, as the end of "Qubes does not export it: ...", or of
 * "it is not reported: ..." if it is refused. */
const char *export_reason(Export export);
