/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sysusb/core/refused.h"

static RefusedDevice *find(Refused *refused, const Record *seen)
{
    for (size_t i = 0; i < REFUSED_MAX; i++)
        if (refused->devices[i].class == seen->class &&
            device_name_equal(&refused->devices[i].device, &seen->device))
            return &refused->devices[i];
    return NULL;
}

bool refused_note(Refused *refused, const Record *seen)
{
    RefusedDevice *known = find(refused, seen);

    if (known) {
        known->unseen = false;
        return false;
    }
    refused->devices[refused->next] =
        (RefusedDevice){ .class = seen->class, .device = seen->device };
    refused->next = (refused->next + 1) % REFUSED_MAX;
    return true;
}

void refused_forget(Refused *refused, const Record *seen)
{
    RefusedDevice *known = find(refused, seen);

    if (known)
        *known = (RefusedDevice){};
}

void refused_sweep_begin(Refused *refused)
{
    for (size_t i = 0; i < REFUSED_MAX; i++)
        refused->devices[i].unseen = true;
}

void refused_sweep_end(Refused *refused)
{
    for (size_t i = 0; i < REFUSED_MAX; i++)
        if (refused->devices[i].unseen)
            refused->devices[i] = (RefusedDevice){};
}
