/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/device.h"
#include "sysusb/core/export.h"
#include "sysusb/core/usb-interfaces.h"

/* majors as text: so they are in udev's properties (linux/major.h) */
#define MAJOR_LOOP "7"
#define MAJOR_NBD  "43"
#define MAJOR_XEN  "202"

static bool is(const char *untrusted_text, const char *wanted)
{
    return untrusted_text && strcmp(untrusted_text, wanted) == 0;
}

static bool starts_with(const char *untrusted_text, const char *start)
{
    return strncmp(untrusted_text, start, strlen(start)) == 0;
}

static bool is_name(const UdevNode *node, DeviceClass class)
{
    DeviceName name;

    return device_name_parse(&name, class, node->sysname,
                             strlen(node->sysname));
}

/* udev-qubes-block.rules */
static Export decide_by_rules(const UdevNode *node)
{
    const char *major = udev_node_property(node, "MAJOR");
    const char *exported =
        udev_node_property(node, "QUBES_EXPORT_BLOCK_DEVICE");
    const char *dm_name = udev_node_property(node, "DM_NAME");

    /* On loop devices Qubes' own rules set UDISKS_IGNORE, after having looked
     * at it: there it says nothing. */
    if (is(udev_node_property(node, "UDISKS_IGNORE"), "1") &&
        !is(major, MAJOR_LOOP))
        return EXPORT_UDISKS_IGNORE;
    if (is(major, MAJOR_XEN))
        return EXPORT_XEN_FRONTEND;
    if (is(udev_node_property(node, "DM_UDEV_DISABLE_DISK_RULES_FLAG"), "1") &&
        !is(exported, "1"))
        return EXPORT_DM_DISABLED;
    if (is(exported, "0"))
        return EXPORT_EXCLUDED;
    if (starts_with(node->sysname, "dm-") &&
        (!dm_name || *dm_name == '\0' || starts_with(dm_name, "snapshot-") ||
         starts_with(dm_name, "origin-")))
        return EXPORT_DM_INTERNAL;
    if (starts_with(node->sysname, "zram"))
        return EXPORT_ZRAM;
    return EXPORT_OFFERED;
}

/* A disk of size 0 is an empty slot (DESIGN 3). A drive for optical media
 * keeps a size when it is empty; udev looks at the medium. */
static bool lacks_medium(const UdevView *view)
{
    const char *size = udev_node_attribute(view->self, "size");

    if (is(udev_node_property(view->self, "ID_TYPE"), "cd") &&
        !is(udev_node_property(view->self, "ID_CDROM_MEDIA"), "1"))
        return true;
    return !view->disk && is(size, "0");
}

/* udev-block-add-change */
static Export decide_by_state(const UdevView *view)
{
    const char *major = udev_node_property(view->self, "MAJOR");

    if (is(major, MAJOR_LOOP) &&
        !udev_node_attribute(view->self, "loop/backing_file"))
        return EXPORT_LOOP_EMPTY;
    if (is(major, MAJOR_NBD) && !udev_node_attribute(view->self, "pid"))
        return EXPORT_NBD_EMPTY;
    if (view->loop_hidden)
        return EXPORT_LOOP_HIDDEN;
    /* a device without a size went away while we looked at it */
    if (!udev_node_attribute(view->self, "size"))
        return EXPORT_GONE;
    if (lacks_medium(view))
        return EXPORT_NO_MEDIUM;

    switch (view->use) {
    case UDEV_USE_MOUNTED:
        return EXPORT_IN_USE_MOUNTED;
    case UDEV_USE_SWAP:
        return EXPORT_IN_USE_SWAP;
    case UDEV_USE_HELD:
        return EXPORT_IN_USE_HELD;
    case UDEV_USE_NONE:
        break;
    }
    return EXPORT_OFFERED;
}

static Export decide_block(const UdevView *view)
{
    Export export;

    if (!is_name(view->self, DEVICE_CLASS_BLOCK))
        return EXPORT_NAME;
    export = decide_by_rules(view->self);
    return export == EXPORT_OFFERED ? decide_by_state(view) : export;
}

/* "class/subclass/protocol" of the device, in decimal */
static bool is_hub(const UdevNode *node)
{
    const char *type = udev_node_property(node, "TYPE");

    return type && (starts_with(type, "9/") || is(type, "9"));
}

/*
 * Whether the event is of an earlier device at this port: by the time udev
 * comes to the "unbind" of that, sysfs may have the next one. Each plug has
 * another device number: "007" in the event, "7" in sysfs.
 */
static bool is_replaced(const UdevNode *node)
{
    const char *number = udev_node_property(node, "DEVNUM");
    const char *now = udev_node_attribute(node, "devnum");

    return number && now &&
           strcmp(number + strspn(number, "0"), now + strspn(now, "0")) != 0;
}

static Export decide_usb(const UdevNode *node, bool export_qemu)
{
    if (!is_name(node, DEVICE_CLASS_USB))
        /* the root hubs are "usb1", "usb2" */
        return is_hub(node) ? EXPORT_HUB : EXPORT_NAME;
    if (is_hub(node))
        return EXPORT_HUB;
    /*
     * Unplugged before udev was done with it: as with "unbind", udev's event
     * lacks the properties that tell what it is, and "remove" follows. sysfs
     * may have the next device at the port by now; that has an event of its own
     * once udev is done with it.
     */
    if (!udev_node_attribute(node, "idVendor") ||
        !udev_node_property(node, "ID_VENDOR_ID") || is_replaced(node))
        return EXPORT_GONE;
    if (is(udev_node_property(node, "ID_VENDOR"), "QEMU") && !export_qemu)
        return EXPORT_QEMU;
    if (is(udev_node_property(node, "QUBES_EXPORT_USB_DEVICE"), "0"))
        return EXPORT_EXCLUDED;
    if (strstr(node->devpath, "/vhci_hcd"))
        return EXPORT_VHCI;
    return EXPORT_OFFERED;
}

/* Of what would be exported, or only is in use: @otherwise unless its
 * interfaces are against it. */
static Export decide_by_interfaces(const UdevView *view, Export otherwise)
{
    Properties scratch = {};

    switch (usb_interfaces_take(&scratch, view)) {
    case USB_INTERFACES_UNSURE:
        return EXPORT_INTERFACES_UNSURE;
    case USB_INTERFACES_TOO_MANY:
        return EXPORT_INTERFACES_MANY;
    case USB_INTERFACES_WHOLE:
        break;
    }
    return otherwise;
}

Export export_decide(const UdevView *view, bool export_qemu)
{
    Export export = EXPORT_NO_DEVICE;

    if (is(view->self->subsystem, "block"))
        export = decide_block(view);
    else if (is(view->self->subsystem, "usb") &&
             is(view->self->devtype, "usb_device"))
        export = decide_usb(view->self, export_qemu);

    return export_presence(export) == PRESENCE_NONE
               ? export
               : decide_by_interfaces(view, export);
}

Presence export_presence(Export export)
{
    if (export == EXPORT_OFFERED)
        return PRESENCE_OFFERED;
    if (export == EXPORT_PENDING)
        return PRESENCE_PENDING;
    if (export == EXPORT_IN_USE_MOUNTED || export == EXPORT_IN_USE_SWAP ||
        export == EXPORT_IN_USE_HELD)
        return PRESENCE_IN_USE;
    return PRESENCE_NONE;
}

bool export_is_refused(Export export)
{
    return export == EXPORT_INTERFACES_UNSURE ||
           export == EXPORT_INTERFACES_MANY;
}

const char *export_reason(Export export)
{
    static const char *const reasons[N_EXPORTS] = {
        [EXPORT_NO_DEVICE] = "it is no block or USB device",
        [EXPORT_GONE] = "it is gone",
        [EXPORT_NAME] = "dom0 does not accept such a name",
        [EXPORT_UDISKS_IGNORE] = "a udev rule sets UDISKS_IGNORE=1",
        [EXPORT_EXCLUDED] = "a udev rule excludes it (QUBES_EXPORT_*=0)",
        [EXPORT_XEN_FRONTEND] = "it comes from another qube",
        [EXPORT_ZRAM] = "it is compressed memory",
        [EXPORT_DM_INTERNAL] = "it is internal to device-mapper",
        [EXPORT_DM_DISABLED] = ("device-mapper hides it "
                                "(DM_UDEV_DISABLE_DISK_RULES_FLAG=1)"),
        [EXPORT_LOOP_EMPTY] = "no file is behind this loop device",
        [EXPORT_LOOP_HIDDEN] = ("its file lies in a folder with "
                                ".qubes-exclude-block-devices"),
        [EXPORT_NBD_EMPTY] = "it is not connected",
        [EXPORT_NO_MEDIUM] = "no medium is in it",
        [EXPORT_HUB] = "it is a hub",
        [EXPORT_VHCI] = "it comes from another qube",
        [EXPORT_QEMU] = "it is emulated by QEMU",
        [EXPORT_IN_USE_MOUNTED] = "it, or a part of it, is mounted here",
        [EXPORT_IN_USE_SWAP] = "it, or a part of it, is used as swap here",
        [EXPORT_IN_USE_HELD] = ("another device here, as of device-mapper, "
                                "uses it"),
        [EXPORT_INTERFACES_UNSURE] = ("it cannot be told for sure which USB "
                                      "interfaces it has"),
        [EXPORT_INTERFACES_MANY] = ("it has more kinds of USB interfaces than "
                                    "can be told to dom0"),
        [EXPORT_PENDING] = "udev is not done with it",
        [EXPORT_OFFERED] = "nothing is against it",
    };

    return reasons[export];
}
