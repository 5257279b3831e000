/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What qubesd's events have told before a record came, and which ones are
 * due. */

#include <string.h>

#include "dom0/core/source.h"

void source_note_early(Source *source, const AdminEvent *event)
{
    (void) source_take_early(source, event->class, &event->port);
    source->early[source->next_early++] =
        (EarlyAttach){ .class = event->class,
                       .device = event->port,
                       .qube = event->subject,
                       .has_identity = event->has_identity,
                       .identity = event->identity };
    source->next_early %= SOURCE_EARLY_MAX;
}

void source_on_filled(Source *source,
                      const Device *filler,
                      const QubeName *disposable)
{
    for (Device *device = source->devices; device; device = device->next)
        if (device != filler && qube_name_equal(&device->made, disposable))
            device->made = (QubeName){};
}

Announced *source_find_announced(Source *source,
                                 DeviceClass class,
                                 const DeviceName *device)
{
    for (size_t i = 0; i < SOURCE_ANNOUNCED_MAX; i++)
        if (source->announced[i].class == class &&
            device_name_equal(&source->announced[i].device, device))
            return &source->announced[i];
    return NULL;
}

void source_announce(Source *source, const AdminEvent *event)
{
    Announced *announced =
        source_find_announced(source, event->class, &event->port);

    if (!announced) {
        announced = &source->announced[source->next_announced++];
        source->next_announced %= SOURCE_ANNOUNCED_MAX;
    }
    *announced = (Announced){ .class = event->class,
                              .device = event->port,
                              .has_identity = event->has_identity,
                              .identity = event->identity };
}

void source_unannounce(Source *source,
                       DeviceClass class,
                       const DeviceName *device)
{
    Announced *announced = source_find_announced(source, class, device);

    if (announced)
        *announced = (Announced){};
}

void source_clear_announced(Source *source)
{
    memset(source->announced, 0, sizeof(source->announced));
}

void source_expect_detach(Source *source,
                          DeviceClass class,
                          const DeviceName *device,
                          const QubeName *qube,
                          bool ours,
                          uint64_t now_usec)
{
    source->expected[source->next_expected++] =
        (ExpectedDetach){ .class = class,
                          .device = *device,
                          .qube = *qube,
                          .ours = ours,
                          .since_usec = now_usec };
    source->next_expected %= SOURCE_EXPECTED_MAX;
}

/* SOURCE_EXPECTED_MAX if there is none. */
static size_t find_expected(const Source *source,
                            DeviceClass class,
                            const DeviceName *device,
                            const QubeName *qube,
                            uint64_t now_usec)
{
    size_t i = 0;

    for (; i < SOURCE_EXPECTED_MAX; i++) {
        const ExpectedDetach *expected = &source->expected[i];

        if (expected->ours && expected->class == class &&
            device_name_equal(&expected->device, device) &&
            qube_name_equal(&expected->qube, qube) &&
            now_usec <= expected->since_usec + SOURCE_EXPECTED_USEC)
            break;
    }
    return i;
}

bool source_expects_detach(const Source *source,
                           DeviceClass class,
                           const DeviceName *device,
                           const QubeName *qube,
                           uint64_t now_usec)
{
    return find_expected(source, class, device, qube, now_usec) <
           SOURCE_EXPECTED_MAX;
}

bool source_take_expected(Source *source,
                          DeviceClass class,
                          const DeviceName *device,
                          const QubeName *qube,
                          uint64_t now_usec)
{
    size_t i = find_expected(source, class, device, qube, now_usec);

    if (i == SOURCE_EXPECTED_MAX)
        return false;
    source->expected[i] = (ExpectedDetach){};
    return true;
}

QubeName source_past_holder(const Source *source,
                            DeviceClass class,
                            const DeviceName *device)
{
    for (size_t i = 0; i < SOURCE_EXPECTED_MAX; i++) {
        const ExpectedDetach *expected = &source->expected[i];

        if (!expected->ours && expected->class == class &&
            device_name_equal(&expected->device, device))
            return expected->qube;
    }
    return (QubeName){};
}

void source_forget_past_holder(Source *source,
                               DeviceClass class,
                               const DeviceName *device)
{
    for (size_t i = 0; i < SOURCE_EXPECTED_MAX; i++) {
        ExpectedDetach *expected = &source->expected[i];

        if (!expected->ours && expected->class == class &&
            device_name_equal(&expected->device, device))
            *expected = (ExpectedDetach){};
    }
}

void source_clear_expected(Source *source)
{
    memset(source->expected, 0, sizeof(source->expected));
}

bool source_has_early_of(const Source *source, const Record *usb)
{
    for (size_t i = 0; i < SOURCE_EARLY_MAX; i++) {
        const EarlyAttach *early = &source->early[i];

        if (early->class == DEVICE_CLASS_BLOCK && early->has_identity &&
            identity_is_of(&early->identity, usb->properties.vendor_id,
                           usb->properties.product_id))
            return true;
    }
    return false;
}

QubeName source_take_early(Source *source,
                           DeviceClass class,
                           const DeviceName *device)
{
    for (size_t i = 0; i < SOURCE_EARLY_MAX; i++) {
        EarlyAttach *early = &source->early[i];
        QubeName qube = early->qube;

        if (early->class != class || !device_name_equal(&early->device, device))
            continue;
        *early = (EarlyAttach){};
        return qube;
    }
    return (QubeName){};
}

void source_free_early(Source *source, const QubeName *qube, uint64_t now_usec)
{
    for (size_t i = 0; i < SOURCE_EARLY_MAX; i++) {
        EarlyAttach *early = &source->early[i];

        if (!qube_name_equal(&early->qube, qube))
            continue;
        if (early->class == DEVICE_CLASS_USB)
            source_on_port_detached(source, &early->device, qube, now_usec);
        *early = (EarlyAttach){};
    }
}

void source_clear_early(Source *source)
{
    memset(source->early, 0, sizeof(source->early));
}
