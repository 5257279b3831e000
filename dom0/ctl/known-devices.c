/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/wire/record-wire.h"
#include "dom0/ctl/known-devices.h"
#include "dom0/ctl/view.h"

/* The record that the device was reported by: its line is written anew, and
 * read as any other. */
static bool decode_record(Record *ret, const json_t *device)
{
    json_t *parent = json_object_get(device, "parent");
    json_t *properties = json_object_get(device, "properties");
    _cleanup_(json_decrefp) json_t *line = NULL;
    _cleanup_(freep) char *text = NULL;
    WireMessage message;

    line = json_pack("{s:s, s:i, s:s, s:s, s:s, s:O}", "type", "event", "seq",
                     1, "action", "present", "class",
                     member_text(device, "class"), "device",
                     member_text(device, "device"), "properties", properties);
    if (json_is_string(parent) && json_object_set(line, "parent", parent) < 0)
        return false;
    text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (!text ||
        wire_decode(&message, text, strlen(text), NULL) != STATUS_INVALID)
        return false;
    *ret = message.record;
    return true;
}

static bool decode_device(KnownDevice *ret, const json_t *device)
{
    const char *source = member_text(device, "source");

    ret->json = device;
    return qube_name_parse(&ret->source, source, strlen(source)) &&
           decode_record(&ret->record, device);
}

int known_devices_ask(KnownDevices *ret, ClientError *error, const char *path)
{
    KnownDevices known = {};
    const json_t *device;
    size_t index;
    int r;

    r = client_list(&known.list, error, path, "ListDevices", "devices");
    if (r < 0)
        return r;
    known.devices =
        calloc(json_array_size(known.list) + 1, sizeof(*known.devices));
    if (!known.devices) {
        json_decref(known.list);
        *error = (ClientError){ .s = "out of memory" };
        return -ENOMEM;
    }
    json_array_foreach(known.list, index, device)
    {
        if (decode_device(&known.devices[known.n_devices], device))
            known.n_devices++;
    }
    *ret = known;
    return 0;
}

void known_devices_clear(KnownDevices *devices)
{
    json_decref(devices->list);
    free(devices->devices);
    *devices = (KnownDevices){};
}

const KnownDevice *known_devices_find(const KnownDevices *devices,
                                      const DeviceArg *device)
{
    for (size_t i = 0; i < devices->n_devices; i++) {
        const KnownDevice *known = &devices->devices[i];

        if (known->record.class == device->class &&
            device_name_equal(&known->record.device, &device->device) &&
            qube_name_equal(&known->source, &device->source))
            return known;
    }
    return NULL;
}
