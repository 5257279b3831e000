/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * KnownDevices: what is plugged in, as the daemon tells it, as records
 */

#include "common/record.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/operand.h"

typedef struct KnownDevice {
    QubeName source;
    Record record;
    const json_t *json; /* of type Device, see the interface */
} KnownDevice;

typedef struct KnownDevices {
    json_t *list; /* what each device's json belongs to */
    KnownDevice *devices;
    size_t n_devices;
} KnownDevices;

/* Ask the daemon at @path. What is no record is left out. */
int known_devices_ask(KnownDevices *ret, ClientError *error, const char *path);
void known_devices_clear(KnownDevices *devices);

/* NULL if it is not plugged in. */
const KnownDevice *known_devices_find(const KnownDevices *devices,
                                      const DeviceArg *device);
