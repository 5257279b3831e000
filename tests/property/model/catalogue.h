/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Catalogue: what can be plugged in where, and what it is called there
 *
 * A thing is one piece of hardware. A seat is a name that a device can have in
 * a source, as sys-usb:sda1; all seats there can be are numbered.
 */

#include "common/device.h"
#include "common/util.h"

#define SOURCES   2
#define PORTS     4 /* of one source; the last one is no USB port */
#define USB_PORTS 3
#define DISKS_MAX 2 /* of one thing */
#define PARTS_MAX 4 /* of one disk */

#define LETTERS         6 /* sda..sdf */
#define SEATS_OF_LETTER (1 + PARTS_MAX)
#define SEATS_OF_SOURCE (USB_PORTS + (LETTERS + 1) * SEATS_OF_LETTER)
#define SEATS           (SOURCES * SEATS_OF_SOURCE)
#define NO_SEAT         (-1)

typedef struct ThingKind {
    const char *label;     /* for the person who reads a history */
    const char *vendor_id; /* NULL: it is no USB device */
    const char *product_id;
    const char *mode_product_id; /* after a change of its mode; or NULL */
    const char *serial;          /* or NULL */
    const char *interfaces;      /* as in the identity: "u080650" */
    const char *fs_uuid; /* of its last partition, or its disk; or NULL */
    unsigned int n_disks;
    unsigned int n_parts; /* of each disk */
    bool slots;           /* its disks are slots, with or without a medium */
} ThingKind;

/* in the catalogue's order */
typedef enum ThingIndex {
    THING_STICK,
    THING_TWIN_1, /* two that cannot be told apart */
    THING_TWIN_2,
    THING_BIG_DISK,
    THING_READER,
    THING_KEY,
    THING_PHONE,
    THING_ODD, /* its identity can never be sent */
    THING_INNER,
    THINGS,
} ThingIndex;

const ThingKind *catalogue_get(size_t index);

/* Where it is plugged in, as udev says. */
const char *port_path(unsigned int port);

int seat_usb(unsigned int source, unsigned int port);
/* @part 0: the disk itself; letter LETTERS is nvme0n1 */
int seat_block(unsigned int source, unsigned int letter, unsigned int part);
/* NO_SEAT if there is no such name. */
int seat_find(unsigned int source, DeviceClass class, const char *name);

unsigned int seat_source(int seat);
DeviceClass seat_class(int seat);
DeviceName seat_name(int seat);
/* Whether @part, a partition, is one of @disk. */
bool seat_is_part_of(int part, int disk);
