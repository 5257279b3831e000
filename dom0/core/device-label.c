/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/device-label.h"

DeviceLabel device_label(const Properties *properties)
{
    const char *vendor = properties->vendor, *model = properties->model;
    char text[2 * RECORD_TEXT_MAX + 2] = "";
    DeviceLabel label;

    (void) text_format(text, sizeof(text), "%s%s%s", vendor,
                       vendor[0] && model[0] ? " " : "", model);
    (void) text_escape(label.s, sizeof(label.s), text, strlen(text));
    return label;
}
