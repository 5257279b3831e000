/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * An input of a fuzz target as what udev and sysfs say
 *
 * It is lines: "NAME=value" is a property, "name:value" sysfs; empty lines
 * divide the device itself, its disk and its USB device. The device itself has
 * two that are not sysfs: "use:mounted", swap or held, and "hidden:", a loop
 * file that is; a USB device has "descriptors:" in hex.
 */

#include "sysusb/core/udev-view.h"

#define UDEV_INPUT_LINES_MAX 64U
#define UDEV_INPUT_NODES     3U

typedef struct UdevInput {
    char *text;
    uint8_t *descriptors;
    const char *lines[UDEV_INPUT_NODES][UDEV_INPUT_LINES_MAX + 1];
    UdevNode nodes[UDEV_INPUT_NODES];
    UdevView view; /* of the above */
} UdevInput;

/* @ret is not to be moved. */
void udev_input_read(UdevInput *ret, const char *data, size_t size);
void udev_input_clear(UdevInput *input);
