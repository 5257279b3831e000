/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>

#include "dom0/core/source.h"

/* The lineage of a USB device was set: its parts take it over. */
static void source_relate_parts(const Device *usb)
{
    if (usb->record.class != DEVICE_CLASS_USB)
        return;
    for (Device *part = usb->source->devices; part; part = part->next)
        if (part->plugged && part != usb && device_usb(part) == usb)
            part->usb_lineage = usb->lineage;
}

static void memory_free(Source *source, PlugMemory *memory)
{
    PlugMemory **link = &source->memories;

    while (*link != memory)
        link = &(*link)->next;
    *link = memory->next;
    source->n_memories--;
    free(memory);
}

/* Another USB device has come into the port: what was there before has really
 * been unplugged, with all that hung on it. */
static void memories_drop_others(const Device *device)
{
    Source *source = device->source;

    if (device->record.class != DEVICE_CLASS_USB)
        return;
    for (PlugMemory *memory = source->memories, *next; memory; memory = next) {
        next = memory->next;
        if (memory->class == DEVICE_CLASS_USB &&
            device_name_equal(&memory->device, &device->record.device) &&
            !plug_memory_is_of(memory, &device->record)) {
            uint64_t lineage = memory->lineage;

            for (PlugMemory *part = source->memories, *after; part;
                 part = after) {
                after = part->next;
                if (part->lineage == lineage || part->usb_lineage == lineage)
                    memory_free(source, part);
            }
            next = source->memories;
        }
    }
}

int device_arrive(Device *device,
                  uint64_t plug,
                  uint64_t lineage,
                  uint64_t now_usec)
{
    const Device *usb;

    if (!device->memory)
        device->memory = calloc(1, sizeof(*device->memory));
    if (!device->memory)
        return -ENOMEM;

    device->plugged = true;
    device->plug = plug;
    device->lineage = lineage;
    device->came_usec = now_usec;
    device->usb_port = (DeviceName){};
    if (device->record.class == DEVICE_CLASS_BLOCK)
        device->usb_port = device_usb_name(device);
    memories_drop_others(device);
    usb = device_usb(device);
    device->usb_lineage = usb && usb != device ? usb->lineage : 0;
    source_relate_parts(device);
    return 0;
}

/* Whether nothing that comes can be the same plug as @memory any more. */
static bool memory_is_over(const Source *source,
                           const PlugMemory *memory,
                           uint64_t now_usec)
{
    const uint64_t usb_lineage = memory->usb_lineage;
    const Device *usb =
        usb_lineage != 0 ? source_find(source, DEVICE_CLASS_USB, &memory->usb)
                         : NULL;
    const PlugMemory *gone =
        usb_lineage != 0 ? source_find_memory(source, usb_lineage) : NULL;

    if (usb && usb->plugged && usb->lineage == usb_lineage)
        return false;
    /* its USB device may itself come back as the same plug */
    if (gone && !plug_memory_is_over(gone, source->resumed_usec, now_usec))
        return false;
    return plug_memory_is_over(memory, source->resumed_usec, now_usec);
}

/* Drop what is over, and the oldest if there are too many. */
static void memories_prune(Source *source, uint64_t now_usec)
{
    for (PlugMemory *memory = source->memories, *next; memory; memory = next) {
        next = memory->next;
        if (memory_is_over(source, memory, now_usec) ||
            (!next && source->n_memories >= PLUG_MEMORIES_MAX))
            memory_free(source, memory);
    }
}

/* Whether it makes a difference that it is the same plug when it comes back. */
static bool is_worth_remembering(const Device *device)
{
    if (device->detached_by_user || device->refused_by_user ||
        device->stopped.s[0] != '\0')
        return true;
    if (device->record.class != DEVICE_CLASS_USB)
        return false;
    if (device->holding != HOLDING_NOTHING || device->attached_to.s[0])
        return true; /* it may turn out later that the person detached it */
    for (const PlugMemory *part = device->source->memories; part;
         part = part->next)
        if (part->usb_lineage == device->lineage)
            return true;
    return false;
}

/* @usec, or 0 if it was too long ago to have to do with a new probe. */
static uint64_t recent(uint64_t usec, uint64_t now_usec)
{
    return usec + PLUG_REPROBE_USEC >= now_usec ? usec : 0;
}

/* This plug goes. What went from its place before it came is another plug, and
 * nothing that comes is taken for that any more. */
static void memories_drop_older(Source *source, const Device *device)
{
    DeviceName port = device_usb_name(device);
    bool is_usb = device->record.class == DEVICE_CLASS_USB;

    for (PlugMemory *memory = source->memories, *next; memory; memory = next) {
        next = memory->next;
        /* a part of this USB device that has not come back yet */
        if (is_usb && memory->usb_lineage == device->lineage)
            continue;
        if (memory->gone_usec < device->came_usec &&
            (plug_memory_is_of(memory, &device->record) ||
             (is_usb && device_name_equal(&memory->usb, &port))))
            memory_free(source, memory);
    }
}

void device_remember(Device *device, uint64_t now_usec)
{
    Source *source = device->source;
    PlugMemory *memory;
    DeviceName port = device_usb_name(device);

    memories_prune(source, now_usec);
    memories_drop_older(source, device);
    if (!is_worth_remembering(device))
        return;
    memory = TAKE_PTR(device->memory);
    assert(memory);
    *memory = (PlugMemory){
        .next = source->memories,
        .lineage = device->lineage,
        .usb = port,
        .usb_lineage = device->usb_lineage,
        .gone_usec = now_usec,
        .detached_usec =
            recent(source_port_detached_usec(source, &port), now_usec),
        .detached_by_user = device->detached_by_user,
        .refused_by_user = device->refused_by_user,
        .stopped = device->stopped,
        .removed = device->removed || device->added_attached,
    };
    /* what others had attached needs no Detach of ours, that would tell; the
     * event of one that is out for the plug before is no word of the person */
    if (device->record.class == DEVICE_CLASS_USB && !device->job &&
        device->holding == HOLDING_NOTHING)
        memory->missing_from = device->attached_to;
    plug_memory_set(memory, &device->record);
    source->memories = memory;
    source->n_memories++;
}

static bool memory_is_like(const PlugMemory *memory,
                           uint64_t likeness,
                           const Record *record)
{
    return memory->likeness == likeness && plug_memory_is_of(memory, record);
}

/* Whether @device, which is like it, is the same plug. */
static bool memory_holds_for(const PlugMemory *memory, const Device *device)
{
    uint64_t came_usec = memory->open && device->record.action == RECORD_PRESENT
                             ? memory->gone_usec
                             : device->came_usec;

    return plug_memory_holds(memory, device->usb_lineage, came_usec,
                             device->source->resumed_usec);
}

bool device_recall(Device *device)
{
    const Record *record = &device->record;
    const uint64_t likeness = plug_likeness(record);
    Source *source = device->source;
    PlugMemory *found = NULL;

    for (PlugMemory *memory = source->memories; memory; memory = memory->next) {
        bool same_name;

        if (!memory_is_like(memory, likeness, record) ||
            !memory_holds_for(memory, device))
            continue;
        /* several disks of one USB device may be alike: prefer the one of that
         * name */
        same_name = device_name_equal(&memory->device, &record->device);
        if (!same_name && device->lineage != device->plug)
            continue; /* it is known already which one it was */
        if (!found || same_name)
            found = memory;
        if (same_name)
            break;
    }
    if (!found) {
        for (PlugMemory *memory = source->memories; memory;
             memory = memory->next)
            memory->replaced |= memory_is_like(memory, likeness, record);
        return false;
    }

    device->lineage = found->lineage;
    source_relate_parts(device);
    device->detached_by_user |= found->detached_by_user;
    device->refused_by_user |= found->refused_by_user;
    if (device->stopped.s[0] == '\0')
        device->stopped = found->stopped;
    /* the disk of that name may still be to come */
    if (record->class == DEVICE_CLASS_USB ||
        device_name_equal(&found->device, &record->device))
        memory_free(source, found);
    return true;
}

void device_mark_detached(Device *device)
{
    Device *usb = device_usb(device);

    device->detached_by_user = true;
    /* so it still counts when the block devices in it come and go; another one
     * may be in that port by now */
    if (usb && record_same_place(&usb->record, &device->record))
        usb->detached_by_user = true;
}

void source_on_port_detached(Source *source,
                             const DeviceName *port,
                             const QubeName *qube,
                             uint64_t now_usec)
{
    source->port_detaches[source->next_port_detach++] =
        (PortDetach){ .port = *port, .qube = *qube, .when_usec = now_usec };
    source->next_port_detach %= SOURCE_PORT_DETACHES_MAX;
    /* a device that went long before did not go because of this detach */
    for (PlugMemory *memory = source->memories; memory; memory = memory->next)
        if (device_name_equal(&memory->usb, port) &&
            recent(memory->gone_usec, now_usec) != 0)
            memory->detached_usec = now_usec;
}

uint64_t source_port_detached_usec(const Source *source, const DeviceName *port)
{
    uint64_t newest_usec = 0;

    for (size_t i = 0; i < SOURCE_PORT_DETACHES_MAX; i++)
        if (source->port_detaches[i].when_usec > newest_usec &&
            device_name_equal(&source->port_detaches[i].port, port))
            newest_usec = source->port_detaches[i].when_usec;
    return newest_usec;
}

void source_on_port_listed(Source *source, const DeviceName *port)
{
    for (size_t i = 0; i < SOURCE_PORT_DETACHES_MAX; i++)
        source->port_detaches[i].relisted |=
            device_name_equal(&source->port_detaches[i].port, port);
    /* what is attached stays on the list: that it was taken off was missed */
    for (PlugMemory *memory = source->memories; memory; memory = memory->next)
        memory->removed |= memory->class == DEVICE_CLASS_USB &&
                           memory->missing_from.s[0] != '\0' &&
                           device_name_equal(&memory->device, port);
}

bool source_port_is_stale(const Source *source,
                          const DeviceName *port,
                          const QubeName *qube,
                          uint64_t now_usec)
{
    for (size_t i = 0; i < SOURCE_PORT_DETACHES_MAX; i++) {
        const PortDetach *detach = &source->port_detaches[i];

        if (detach->when_usec != 0 && !detach->relisted &&
            now_usec <= detach->when_usec + JOB_PORT_STALE_USEC &&
            device_name_equal(&detach->port, port) &&
            qube_name_equal(&detach->qube, qube))
            return true;
    }
    return false;
}

void source_on_removed(Source *source,
                       DeviceClass class,
                       const DeviceName *name)
{
    for (PlugMemory *memory = source->memories; memory; memory = memory->next)
        if (memory->class == class && device_name_equal(&memory->device, name))
            memory->removed = true;
}

void source_open_memories(Source *source, uint64_t now_usec)
{
    for (PlugMemory *memory = source->memories; memory; memory = memory->next)
        memory->open |=
            !memory->replaced &&
            plug_memory_holds(memory, 0, now_usec, source->resumed_usec);
}

void source_close_memories(Source *source)
{
    for (PlugMemory *memory = source->memories; memory; memory = memory->next)
        memory->open = false;
}

PlugMemory *source_find_memory(const Source *source, uint64_t lineage)
{
    for (PlugMemory *memory = source->memories; memory; memory = memory->next)
        if (memory->lineage == lineage)
            return memory;
    return NULL;
}

static void memory_forgive(PlugMemory *memory)
{
    memory->detached_by_user = false;
    memory->refused_by_user = false;
    memory->stopped = (QubeName){};
}

void source_forgive_memories(Source *source, const DeviceName *usb)
{
    for (PlugMemory *memory = source->memories; memory; memory = memory->next)
        if (!usb || device_name_equal(&memory->usb, usb))
            memory_forgive(memory);
}

void source_forgive_memory(Source *source, const Record *record)
{
    for (PlugMemory *memory = source->memories; memory; memory = memory->next)
        if (plug_memory_is_of(memory, record))
            memory_forgive(memory);
}

void source_clear_memories(Source *source)
{
    while (source->memories)
        memory_free(source, source->memories);
}

bool source_remembers(const Source *source, uint64_t now_usec)
{
    for (size_t i = 0; i < SOURCE_PORT_DETACHES_MAX; i++)
        if (source->port_detaches[i].when_usec != 0 &&
            now_usec <=
                source->port_detaches[i].when_usec + JOB_PORT_STALE_USEC)
            return true;
    for (size_t i = 0; i < SOURCE_EXPECTED_MAX; i++)
        if (source->expected[i].since_usec != 0 &&
            now_usec <= source->expected[i].since_usec + SOURCE_EXPECTED_USEC)
            return true;
    for (const PlugMemory *memory = source->memories; memory;
         memory = memory->next)
        if (!memory_is_over(source, memory, now_usec))
            return true;
    return false;
}
