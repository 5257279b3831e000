/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * PlugMemory: what is kept of a device that went, in case the plug stayed
 *
 * A USB detach makes the kernel probe the device anew, and after a suspend all
 * devices go and come: their records look like those of another plug, but what
 * the person said of the plug still holds. A device that comes is the same
 * plug as one that went (DESIGN 6) when both are alike, see
 * plug_memory_is_of(), and
 *
 *   - the USB device it is a part of has stayed, or is itself the same plug, or
 *   - it came within PLUG_REPROBE_USEC of a detach of its USB port, or
 *   - it went and came within PLUG_RESUME_USEC of its qube's resumption.
 *
 * diskseq does not count: another probe gives another number. All times are
 * CLOCK_MONOTONIC, which stands still while the machine is suspended.
 */

#include "common/qube-name.h"
#include "common/rate.h"
#include "common/record.h"

#define PLUG_REPROBE_USEC (3 * USEC_PER_SEC)
#define PLUG_RESUME_USEC  (60 * USEC_PER_SEC)
/* of one source; when full, the oldest is dropped. All of them are looked at
 * for each device that a detach may concern, and written with each change of
 * state. */
#define PLUG_MEMORIES_MAX 128U

typedef struct PlugMemory PlugMemory;

struct PlugMemory {
    PlugMemory *next; /* newest first */

    /* what the device was; absent properties are "" or 0 */
    DeviceClass class;
    DeviceName device;
    DeviceType devtype;
    uint8_t partition;
    char vendor_id[5];
    char product_id[5];
    char serial[RECORD_TEXT_MAX + 1];
    char path[RECORD_LONG_MAX + 1];
    uint64_t likeness; /* see plug_likeness() */

    uint64_t lineage;     /* of the plug, see Device */
    uint64_t usb_lineage; /* of the USB device it was a part of; 0: none */
    DeviceName usb;       /* its port, or its own; "": none */
    uint64_t gone_usec;
    uint64_t detached_usec; /* of the USB port, the last time; 0: never */

    bool detached_by_user;
    bool refused_by_user;
    QubeName stopped; /* the target that had it, and that stopped; "" */

    /* Our Detach found that this target did not have the device any more. If
     * qubesd's detach event comes and the device was not @removed, the person
     * has detached it. "": not so. */
    QubeName missing_from;
    bool removed; /* qubesd took it off its list */
    /* one that is alike has come since, and was not the same plug */
    bool replaced;
    /* The connection to the forwarder was lost while the device could still
     * come back in time: if the next picture has it, it counts as having come
     * back right after it went. */
    bool open;
};

/* Fill in what the device was. */
void plug_memory_set(PlugMemory *ret, const Record *record);

/* Whether the device of @record is alike: same class, ids, serial and path
 * (without a path none is), and the same part of its USB device. */
bool plug_memory_is_of(const PlugMemory *memory, const Record *record);

/* The same number for all records that are alike, so that among many memories
 * only a few have to be looked at. */
uint64_t plug_likeness(const Record *record);

/*
 * Whether a device that is alike and came at @came_usec is the same plug.
 *
 * @usb_lineage is that of the USB device it is a part of now; 0: none.
 * @resumed_usec is when its qube resumed last; 0: never.
 */
bool plug_memory_holds(const PlugMemory *memory,
                       uint64_t usb_lineage,
                       uint64_t came_usec,
                       uint64_t resumed_usec);

/* Whether plug_memory_holds() is false from now on, but for a part of a USB
 * device that has stayed. */
bool plug_memory_is_over(const PlugMemory *memory,
                         uint64_t resumed_usec,
                         uint64_t now_usec);
