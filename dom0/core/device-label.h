/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a device calls itself, for a person: its vendor's and its model's name
 */

#include "common/record.h"

#define DEVICE_LABEL_MAX 127U

typedef struct DeviceLabel {
    char s[DEVICE_LABEL_MAX + 1]; /* escaped; "" if it says nothing */
} DeviceLabel;

DeviceLabel device_label(const Properties *properties);
