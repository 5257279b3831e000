/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Snapshot: what is plugged in, as dom0 has been told or will be
 *
 * Told of every device as it is seen, it answers what is to be sent. A device
 * that is as it was is not sent again. It holds SNAPSHOT_MAX devices, as many
 * as dom0 keeps of one source; what is over is left out and counted until the
 * next sweep.
 *
 * In order: USB devices, disks, partitions, so that a parent comes before what
 * hangs on it.
 */

#include "common/record.h"
#include "sysusb/core/export.h"

#define SNAPSHOT_MAX 512U

typedef struct Snapshot Snapshot;

int snapshot_new(Snapshot **ret);
Snapshot *snapshot_free(Snapshot *snapshot);

/*
 * @seen is there (or, for PRESENCE_NONE, is not; then class and device of it
 * count). Answers 1 and in @ret what is to be sent: "add" for a new device,
 * "change" for one that is known and looks different, or is the same but free
 * again after it was in use, "remove" for one that is gone. 0: nothing is. What
 * is new and PRESENCE_PENDING is told, lest dom0 takes it for gone, and once
 * more when udev is done with it. -ENOSPC: it is new and there is no room.
 * -ENOMEM.
 */
int snapshot_note(Snapshot *snapshot,
                  Record *ret,
                  const Record *seen,
                  Presence presence);

/*
 * @seen goes: if it is a USB device that is known, its parts go first. Answers
 * in @ret the "remove" of one part, partitions before disks, and false when
 * there is none left. To be called before snapshot_note(): dom0 takes the parts
 * of a device that goes for gone, and has to be told anew of parts with the
 * same names that have come since.
 */
bool snapshot_drop_part(Snapshot *snapshot, Record *ret, const Record *seen);

/*
 * A sweep: after snapshot_sweep_begin() note everything that is there; then
 * snapshot_sweep_next() answers, one by one, the "remove" of each device that
 * was not noted, and false when there is none left.
 */
void snapshot_sweep_begin(Snapshot *snapshot);
bool snapshot_sweep_next(Snapshot *snapshot, Record *ret);

size_t snapshot_count(const Snapshot *snapshot);
/* Action is RECORD_PRESENT; valid until the next note or sweep. */
const Record *snapshot_get(const Snapshot *snapshot, size_t index);

/* Devices that there was no room for since the last sweep began. */
size_t snapshot_left_out(const Snapshot *snapshot);

DEFINE_CLEANUP(Snapshot *, snapshot_free)
