/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * udev source: devices as they come and go
 *
 * Listens before it looks, so nothing falls between the two. When the kernel
 * had to drop events because we were too slow, everything is enumerated anew.
 * Every enumeration but the first comes after what is still queued: an old
 * event must not undo what a newer enumeration saw.
 */

#include <systemd/sd-event.h>

#include "common/util.h"
#include "sysusb/io/udev-look.h"

typedef struct UdevSource UdevSource;

/* bytes of the kernel's queue; the default of 208 KiB holds a few hundred
 * events */
#define UDEV_SOURCE_BUFFER (8 * 1024 * 1024)

typedef struct UdevSourceOps {
    /* A device was seen, changed or went away (PRESENCE_NONE). */
    void (*on_look)(const UdevLook *look, void *userdata);
    /* Around an enumeration: what is not looked at between the two is gone.
     * Without on_enumerate_end() if the enumeration fails. */
    void (*on_enumerate_begin)(void *userdata);
    void (*on_enumerate_end)(void *userdata);
} UdevSourceOps;

/* Begins to listen. @ops and @userdata outlive the source. */
int udev_source_new(UdevSource **ret,
                    sd_event *event,
                    bool export_qemu,
                    const UdevSourceOps *ops,
                    void *userdata);
UdevSource *udev_source_free(UdevSource *source);

/* Look at everything that is there, now. */
int udev_source_enumerate(UdevSource *source);

/* The same from the event loop, once, however often this is called; may be
 * called from within the callbacks. If it fails the loop ends with the error:
 * without a picture there is nothing to tell. */
int udev_source_enumerate_soon(UdevSource *source);

DEFINE_CLEANUP(UdevSource *, udev_source_free)
