/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* UdevNodes from tables: "NAME=value" is a property, "name:value" sysfs. */

#include <string.h>

#include "sysusb/core/udev-view.h"

static inline const char *table_find(void *device, const char *name, char mark)
{
    size_t len = strlen(name);

    for (const char *const *line = device; *line; line++)
        if (strncmp(*line, name, len) == 0 && (*line)[len] == mark)
            return *line + len + 1;
    return NULL;
}

static inline const char *table_property(void *device, const char *name)
{
    return table_find(device, name, '=');
}

static inline const char *table_attribute(void *device, const char *name)
{
    return table_find(device, name, ':');
}

/* @lines ends with NULL. */
static inline UdevNode table_node(const char *subsystem,
                                  const char *sysname,
                                  const char **lines)
{
    return (UdevNode){
        .sysname = sysname,
        .subsystem = subsystem,
        .devtype = table_find(lines, "DEVTYPE", '='),
        .devpath = "/devices/pci0000:00/0000:00:06.0/usb2/2-1",
        .device = lines,
        .property = table_property,
        .attribute = table_attribute,
    };
}

/* One node out of lines. */
#define TABLE(...) ((const char *[]){ __VA_ARGS__, NULL })
