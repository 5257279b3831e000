/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/plug-memory.h"

/* FNV-1a */
#define DIGEST_BEGIN  UINT64_C(0xcbf29ce484222325)
#define DIGEST_FACTOR UINT64_C(0x100000001b3)

/* The value of a text property, "" if it is absent. */
static const char *text_of(const Properties *properties, PropertyKey key)
{
    return properties_have(properties, key)
               ? properties_get_text(properties, key)
               : "";
}

static uint64_t mix(uint64_t digest, const char *text)
{
    for (; *text; text++)
        digest = (digest ^ (uint8_t) *text) * DIGEST_FACTOR;
    return (digest ^ UINT8_MAX) * DIGEST_FACTOR;
}

uint64_t plug_likeness(const Record *record)
{
    static const PropertyKey keys[] = { PROPERTY_PATH, PROPERTY_VENDOR_ID,
                                        PROPERTY_PRODUCT_ID, PROPERTY_SERIAL };
    uint64_t digest = DIGEST_BEGIN;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        digest = mix(digest, text_of(&record->properties, keys[i]));
    return digest;
}

void plug_memory_set(PlugMemory *ret, const Record *record)
{
    const Properties *properties = &record->properties;

    ret->likeness = plug_likeness(record);
    ret->class = record->class;
    ret->device = record->device;
    ret->devtype = properties->devtype;
    ret->partition = properties->partition;
    (void) text_format(ret->vendor_id, sizeof(ret->vendor_id), "%s",
                       text_of(properties, PROPERTY_VENDOR_ID));
    (void) text_format(ret->product_id, sizeof(ret->product_id), "%s",
                       text_of(properties, PROPERTY_PRODUCT_ID));
    (void) text_format(ret->serial, sizeof(ret->serial), "%s",
                       text_of(properties, PROPERTY_SERIAL));
    (void) text_format(ret->path, sizeof(ret->path), "%s",
                       text_of(properties, PROPERTY_PATH));
}

bool plug_memory_is_of(const PlugMemory *memory, const Record *record)
{
    const Properties *properties = &record->properties;

    return memory->class == record->class &&
           memory->devtype == properties->devtype &&
           memory->partition == properties->partition &&
           memory->path[0] != '\0' &&
           strcmp(memory->path, text_of(properties, PROPERTY_PATH)) == 0 &&
           strcmp(memory->vendor_id, text_of(properties, PROPERTY_VENDOR_ID)) ==
               0 &&
           strcmp(memory->product_id,
                  text_of(properties, PROPERTY_PRODUCT_ID)) == 0 &&
           strcmp(memory->serial, text_of(properties, PROPERTY_SERIAL)) == 0;
}

bool plug_memory_holds(const PlugMemory *memory,
                       uint64_t usb_lineage,
                       uint64_t came_usec,
                       uint64_t resumed_usec)
{
    if (came_usec < memory->gone_usec)
        return false; /* both were there */
    if (usb_lineage != 0 && memory->usb_lineage == usb_lineage)
        return true;
    /* qubesd may tell of the detach when the device has come already */
    if (memory->detached_usec != 0 &&
        came_usec + PLUG_REPROBE_USEC >= memory->detached_usec &&
        came_usec <= memory->detached_usec + PLUG_REPROBE_USEC)
        return true;
    /* it may go while the qube is being suspended, and come before the event
     * that tells that it has resumed */
    return resumed_usec != 0 &&
           memory->gone_usec + PLUG_RESUME_USEC >= resumed_usec &&
           came_usec + PLUG_RESUME_USEC >= resumed_usec &&
           came_usec <= resumed_usec + PLUG_RESUME_USEC;
}

bool plug_memory_is_over(const PlugMemory *memory,
                         uint64_t resumed_usec,
                         uint64_t now_usec)
{
    bool resumed = resumed_usec != 0 &&
                   memory->gone_usec + PLUG_RESUME_USEC >= resumed_usec;
    uint64_t from_usec = resumed && resumed_usec > memory->gone_usec
                             ? resumed_usec
                             : memory->gone_usec;

    /* a device that came in time may be recognised only once its qube's
     * resumption is told, which may take as long again */
    return now_usec > from_usec + 2 * PLUG_RESUME_USEC;
}
