/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Refused: devices that are there and not reported, each to be logged once
 *
 * udev tells of a device several times. Holds REFUSED_MAX of them; over that
 * the oldest is forgotten, and may be logged once more. A zeroed Refused is
 * empty.
 */

#include "common/record.h"

#define REFUSED_MAX 64U

typedef struct RefusedDevice {
    DeviceClass class; /* DEVICE_CLASS_INVALID: a free place */
    DeviceName device;
    bool unseen; /* since the sweep began */
} RefusedDevice;

typedef struct Refused {
    size_t next; /* the place that is taken next */
    RefusedDevice devices[REFUSED_MAX];
} Refused;

/* Whether the device was not known yet; it is now. */
bool refused_note(Refused *refused, const Record *seen);

/* It is gone, or not refused any more. */
void refused_forget(Refused *refused, const Record *seen);

/* Around an enumeration: what is not noted between the two is forgotten. */
void refused_sweep_begin(Refused *refused);
void refused_sweep_end(Refused *refused);
