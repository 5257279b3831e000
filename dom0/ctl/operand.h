/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a person types for a device, a number or a span of time
 *
 * Each parser answers false, after a message on standard error that says what
 * would be right.
 */

#include <jansson.h>

#include "common/device.h"
#include "common/qube-name.h"

typedef struct DeviceArg {
    QubeName source;
    DeviceClass class;
    DeviceName device;
} DeviceArg;

/* SOURCE:DEVICE, as "sys-usb:sda" or "sys-usb:2-1.4" */
_must_check_ bool device_arg_parse(DeviceArg *ret, const char *text);
/* {"source":...,"device":...}; NULL without memory. */
json_t *device_arg_to_json(const DeviceArg *device);

/* "30s", "5m", "2h", "1d"; a number alone are seconds. */
_must_check_ bool time_arg_parse(uint64_t *ret_usec, const char *text);

_must_check_ bool number_arg_parse(uint32_t *ret, const char *text);

/* Say that no such device is reported; answers the exit status. */
int complain_no_device(const char *name);
