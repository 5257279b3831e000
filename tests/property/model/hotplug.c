/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "tests/property/model/forwarder.h"
#include "tests/property/model/hotplug.h"
#include "tests/property/model/qubesd.h"
#include "tests/property/model/world.h"

/* "u" stands before each */
#define CODE_LEN          6U
#define QDB_MAX_USEC      (300 * USEC_PER_MSEC)
#define UDEV_MAX_USEC     (300 * USEC_PER_MSEC)
#define CHILDREN_MAX_USEC (800 * USEC_PER_MSEC)
#define TAKE_MAX_USEC     (400 * USEC_PER_MSEC)
#define IDENTITY_USEC     (60 * USEC_PER_MSEC)
#define NATIVE_MAX_USEC   (600 * USEC_PER_MSEC)
#define RESET_MIN_USEC    (200 * USEC_PER_MSEC)
#define RESET_MAX_USEC    (1500 * USEC_PER_MSEC)
#define LINGER_USEC       (1 * USEC_PER_SEC)
#define SWAP_MAX_USEC     (300 * USEC_PER_MSEC)
#define LIST_MAX_USEC     (20 * USEC_PER_SEC)
#define RESUME_MIN_USEC   (500 * USEC_PER_MSEC)
#define RESUME_MAX_USEC   (15 * USEC_PER_SEC)

#define BLOCK_SIZE 16000000

static const ThingKind *kind_of(const Dev *dev)
{
    return catalogue_get((size_t) dev->thing);
}

/* the channels to qubesd and to the forwarder */

static void dev_publish(Model *m, int index, bool there, RecordAction action)
{
    SourceWorld *source = &m->sources[m->devs[index].source];

    dues_add_after(m, &source->qdb_usec, delay(m, QDB_MAX_USEC), DUE_QDB, index,
                   there);
    dues_add_after(m, &source->udev_usec, delay(m, UDEV_MAX_USEC), DUE_UDEV,
                   index, (int) action);
}

static int dev_new(Model *m, const Dev *dev)
{
    SourceWorld *source = &m->sources[dev->source];
    int index = (int) m->n_devs;

    if (m->n_devs == DEVS_MAX || source->n_active == ACTIVE_MAX)
        return NONE;

    m->devs[m->n_devs++] = *dev;
    m->devs[index].boot = source->boot;
    m->devs[index].exists = true;
    m->devs[index].other_mode = m->things[dev->thing].other_mode;
    m->devs[index].attached_to = NOWHERE;
    m->devs[index].lingers_at = NOWHERE;
    m->devs[index].echo_at = NOWHERE;
    source->active[source->n_active++] = index;
    dev_publish(m, index, true, RECORD_ADD);
    return index;
}

static void dev_remove(Model *m, int index)
{
    m->devs[index].exists = false;
    dev_publish(m, index, false, RECORD_REMOVE);
}

/* Whether a device has this name, or what is left of one. */
static bool letter_is_used(const Model *m,
                           unsigned int source,
                           unsigned int letter)
{
    const SourceWorld *world = &m->sources[source];
    int seat = seat_block(source, letter, 0);

    for (size_t i = 0; i < world->n_active; i++) {
        const Dev *dev = &m->devs[world->active[i]];

        if ((dev->exists || dev->attached_to != NOWHERE) &&
            (dev->seat == seat || seat_is_part_of(dev->seat, seat)))
            return true;
    }
    return false;
}

static unsigned int free_letter(const Model *m, unsigned int source)
{
    unsigned int letter = 0;

    while (letter < LETTERS && letter_is_used(m, source, letter))
        letter++;
    return letter;
}

static void parts_new(Model *m, int disk)
{
    const Dev parent = m->devs[disk];
    const ThingKind *kind = kind_of(&parent);

    for (unsigned int part = 1; part <= kind->n_parts; part++) {
        Dev dev = { .thing = parent.thing,
                    .source = parent.source,
                    .port = parent.port,
                    .class = DEVICE_CLASS_BLOCK,
                    .seat = parent.seat + (int) part,
                    .parent = disk,
                    .disk = parent.disk,
                    .part = part,
                    .diskseq = parent.diskseq };

        (void) dev_new(m, &dev);
    }
}

/* The disks of a thing; @parent is its USB device, or NONE. */
static void disks_new(Model *m, const Dev *like, int parent)
{
    const ThingKind *kind = kind_of(like);

    for (unsigned int disk = 0; disk < kind->n_disks; disk++) {
        SourceWorld *source = &m->sources[like->source];
        unsigned int letter =
            kind->vendor_id ? free_letter(m, like->source) : LETTERS;
        bool empty =
            kind->slots && (m->things[like->thing].media & (1U << disk)) == 0;
        Dev dev = { .thing = like->thing,
                    .source = like->source,
                    .port = like->port,
                    .class = DEVICE_CLASS_BLOCK,
                    .seat = seat_block(like->source, letter, 0),
                    .parent = parent,
                    .disk = disk,
                    .empty = empty,
                    .diskseq = ++source->diskseq };
        int index;

        if (kind->vendor_id && letter >= LETTERS)
            return;
        index = dev_new(m, &dev);
        if (index != NONE && !empty)
            parts_new(m, index);
    }
}

static void thing_appear(Model *m, int thing)
{
    const ThingKind *kind = catalogue_get((size_t) thing);
    Dev dev = { .thing = thing,
                .source = (unsigned int) m->things[thing].source,
                .port = m->things[thing].port,
                .class = DEVICE_CLASS_USB,
                .parent = NONE };
    int index;

    /* a name that is still in use is not given again */
    if (!kind->vendor_id && letter_is_used(m, dev.source, LETTERS))
        return;
    if (!kind->vendor_id) {
        disks_new(m, &dev, NONE);
        return;
    }
    dev.seat = seat_usb(dev.source, dev.port);
    index = dev_new(m, &dev);
    if (index != NONE && kind->n_disks > 0)
        dues_add(m, m->now.monotonic_usec + delay(m, CHILDREN_MAX_USEC),
                 DUE_CHILDREN, index, 0, 0);
}

/* Partitions first, then disks, then the USB device. */
static void thing_vanish(Model *m, int thing, bool usb_too)
{
    for (int pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < m->n_devs; i++) {
            const Dev *dev = &m->devs[i];
            int its = dev->class == DEVICE_CLASS_USB ? 2 : dev->part == 0;

            if (dev->exists && dev->thing == thing && its == pass &&
                (pass < 2 || usb_too))
                dev_remove(m, (int) i);
        }
}

static bool source_is_up(const Model *m, int source)
{
    PowerState power = m->qubes[source].power;

    return power == POWER_RUNNING || power == POWER_HALTING ||
           power == POWER_PAUSED;
}

/* hands */

bool thing_plug(Model *m, int thing, unsigned int source, unsigned int port)
{
    for (size_t i = 0; i < THINGS; i++)
        if (m->things[i].source == (int) source && m->things[i].port == port)
            return false;

    m->things[thing].source = (int) source;
    m->things[thing].port = port;
    trace(m, "        %s is plugged into %s, port %u",
          catalogue_get((size_t) thing)->label, m->qubes[source].name.s, port);
    if (source_is_up(m, (int) source))
        thing_appear(m, thing);
    return true;
}

void thing_unplug(Model *m, int thing)
{
    trace(m, "        %s is unplugged", catalogue_get((size_t) thing)->label);
    m->things[thing].source = NOWHERE;
    thing_vanish(m, thing, true);
}

void thing_swap(Model *m, int thing, int other)
{
    int source = m->things[thing].source;

    if (source == NOWHERE || m->things[other].source != NOWHERE ||
        thing == THING_INNER || other == THING_INNER)
        return;
    thing_unplug(m, thing);
    (void) thing_plug(m, other, (unsigned int) source, m->things[thing].port);
}

void thing_cross(Model *m, int seat, AdminMethod method)
{
    const Exchange exchange = m->exchange;
    int dev = seat == NO_SEAT ? NONE : dev_listed_at(m, seat);

    if (!exchange.is_due || exchange.method != method || dev == NONE ||
        m->devs[dev].thing != exchange.thing)
        return;
    m->exchange = (Exchange){};
    dues_add(m, m->now.monotonic_usec + delay(m, SWAP_MAX_USEC), DUE_SWAP,
             exchange.thing, exchange.other, 0);
}

void thing_on_replug(Model *m, const Due *due)
{
    if (m->things[due->a].source != NOWHERE)
        return;
    (void) thing_plug(m, due->a, (unsigned int) due->b / PORTS,
                      (unsigned int) due->b % PORTS);
}

static int usb_of_thing(const Model *m, int thing)
{
    for (size_t i = m->n_devs; i-- > 0;)
        if (m->devs[i].exists && m->devs[i].thing == thing &&
            m->devs[i].class == DEVICE_CLASS_USB)
            return (int) i;
    return NONE;
}

static bool thing_exists(const Model *m, int thing)
{
    for (size_t i = m->n_devs; i-- > 0;)
        if (m->devs[i].exists && m->devs[i].thing == thing)
            return true;
    return false;
}

void thing_change_mode(Model *m, int thing)
{
    int index = usb_of_thing(m, thing);

    m->things[thing].other_mode ^= true;
    trace(m, "        %s changes its mode",
          catalogue_get((size_t) thing)->label);
    if (index == NONE)
        return;
    thing_vanish(m, thing, true);
    dues_add(m,
             m->now.monotonic_usec +
                 delay_between(m, RESET_MIN_USEC, RESET_MAX_USEC),
             DUE_RESET, thing, 0, m->sources[m->devs[index].source].boot);
}

void thing_change_medium(Model *m, int thing, unsigned int slot)
{
    bool in;

    m->things[thing].media ^= 1U << slot;
    in = (m->things[thing].media & (1U << slot)) != 0;
    trace(m, "        the medium of slot %u goes %s", slot, in ? "in" : "out");
    for (size_t i = 0, n = m->n_devs; i < n; i++) {
        Dev *dev = &m->devs[i];
        SourceWorld *source = &m->sources[dev->source];

        if (!dev->exists || dev->thing != thing || dev->disk != slot ||
            dev->class != DEVICE_CLASS_BLOCK)
            continue;
        if (dev->part > 0) {
            dev_remove(m, (int) i);
            continue;
        }
        /* for qubesd the slot stays */
        dev->empty = !in;
        if (in)
            dev->diskseq = ++source->diskseq;
        dues_add_after(m, &source->udev_usec, delay(m, UDEV_MAX_USEC), DUE_UDEV,
                       (int) i, in ? (int) RECORD_ADD : (int) RECORD_REMOVE);
        if (in)
            parts_new(m, (int) i);
    }
}

void dev_on_reset(Model *m, const Due *due)
{
    int source = m->things[due->a].source;

    if (source != NOWHERE && source_is_up(m, source) &&
        m->sources[source].boot == due->life && !thing_exists(m, due->a))
        thing_appear(m, due->a);
}

/* the source's qube */

void source_boot(Model *m, unsigned int source)
{
    m->sources[source].boot++;
    m->sources[source].diskseq = 0;
    for (int thing = 0; thing < THINGS; thing++)
        if (m->things[thing].source == (int) source)
            thing_appear(m, thing);
    forwarder_start(m, source, USEC_PER_SEC);
}

void source_down(Model *m, unsigned int source)
{
    SourceWorld *world = &m->sources[source];

    forwarder_stop(m, source);
    forwarder_lose_hands(m, source);
    world->boot++;
    for (size_t i = 0; i < world->n_active; i++) {
        Dev *dev = &m->devs[world->active[i]];

        dev->exists = false;
        dev->published = false;
        dev->in_udev = false;
    }
    source_refresh(m, source);
    for (size_t i = 0; i < m->n_devs; i++)
        if (m->devs[i].source == source && m->devs[i].attached_to != NOWHERE)
            dev_detach(m, (int) i, CAUSE_STOP);
    source_prune(m, source);
}

void source_suspend(Model *m, unsigned int source)
{
    const AdminEvent event = { .type = ADMIN_EVENT_DOMAIN_RESUMED,
                               .subject = m->qubes[source].name };

    trace(m, "        %s is suspended and resumed", m->qubes[source].name.s);
    qubesd_emit(m, &event, CAUSE_GONE, ACTOR_NOBODY);
    for (int thing = 0; thing < THINGS; thing++)
        if (m->things[thing].source == (int) source)
            thing_vanish(m, thing, true);
    dues_add(m,
             m->now.monotonic_usec +
                 delay_between(m, RESUME_MIN_USEC, RESUME_MAX_USEC),
             DUE_RESUME, (int) source, 0, m->sources[source].boot);
}

void source_on_resume(Model *m, const Due *due)
{
    if (m->sources[due->a].boot != due->life)
        return;
    for (int thing = 0; thing < THINGS; thing++)
        if (m->things[thing].source == due->a && !thing_exists(m, thing))
            thing_appear(m, thing);
}

/* Whether qubesd or the forwarder is still to hear of it. */
static bool is_untold(const Model *m, int index)
{
    for (size_t i = 0; i < m->n_dues; i++)
        if ((m->dues[i].kind == DUE_QDB || m->dues[i].kind == DUE_UDEV) &&
            m->dues[i].a == index)
            return true;
    return false;
}

void source_prune(Model *m, unsigned int source)
{
    SourceWorld *world = &m->sources[source];

    for (size_t i = world->n_active; i-- > 0;) {
        const Dev *dev = &m->devs[world->active[i]];

        if (dev->exists || dev->published || dev->in_udev ||
            dev->attached_to != NOWHERE || is_untold(m, world->active[i]))
            continue;
        world->n_active--;
        memmove(&world->active[i], &world->active[i + 1],
                (world->n_active - i) * sizeof(world->active[0]));
    }
}

/* Where the source says that it is. */
int dev_seems_at(const Model *m, const Dev *dev)
{
    if (dev->attached_to != NOWHERE || !m->knobs.echoes ||
        m->now.monotonic_usec >= dev->lingers_usec)
        return dev->attached_to;
    return dev->lingers_at;
}

/* qubesd reads the whole list anew, and tells of what it has not told yet. */
static void source_echo(Model *m, unsigned int source, DeviceClass class)
{
    SourceWorld *world = &m->sources[source];

    for (size_t i = 0; m->qubesd_up && i < world->n_active; i++) {
        Dev *dev = &m->devs[world->active[i]];
        int before = dev->echo_at;

        if (dev->class != class || dev->attached_to != NOWHERE)
            continue;
        dev->echo_at = dev_is_listed(m, dev) ? dev_seems_at(m, dev) : NOWHERE;
        if (before != NOWHERE && before != dev->echo_at)
            dev_tell(m, dev, ADMIN_EVENT_DETACH, before, CAUSE_ECHO,
                     ACTOR_NOBODY);
        if (dev->echo_at != NOWHERE && before != dev->echo_at)
            dev_tell(m, dev, ADMIN_EVENT_ATTACH, dev->echo_at, CAUSE_ECHO,
                     ACTOR_NOBODY);
    }
}

void qubesd_read_anew(Model *m)
{
    for (size_t i = 0; i < m->n_devs; i++) {
        Dev *dev = &m->devs[i];

        dev->echo_at = dev->attached_to == NOWHERE && dev_is_listed(m, dev)
                           ? dev_seems_at(m, dev)
                           : NOWHERE;
    }
}

void source_on_list(Model *m, const Due *due)
{
    source_echo(m, (unsigned int) due->a, DEVICE_CLASS_USB);
}

void source_refresh(Model *m, unsigned int source)
{
    SourceWorld *world = &m->sources[source];
    bool changed[2] = {}; /* block, USB */

    for (size_t i = 0; i < world->n_active; i++) {
        Dev *dev = &m->devs[world->active[i]];
        bool listed = dev_is_listed(m, dev);
        char devid[IDENTITY_MAX + 1];
        AdminEvent event = { .type = listed ? ADMIN_EVENT_DEVICE_ADDED
                                            : ADMIN_EVENT_DEVICE_REMOVED,
                             .subject = m->qubes[source].name,
                             .class = dev->class,
                             .port = seat_name(dev->seat) };

        if (listed == dev->was_listed)
            continue;
        dev->was_listed = listed;
        changed[dev->class == DEVICE_CLASS_USB] = true;
        if (listed) {
            event.has_identity = identity_parse(&event.identity, devid,
                                                dev_identity(m, dev, devid));
        }
        qubesd_emit(m, &event, CAUSE_GONE, ACTOR_NOBODY);
    }
    if (changed[0])
        source_echo(m, source, DEVICE_CLASS_BLOCK);
    if (changed[1])
        source_echo(m, source, DEVICE_CLASS_USB);
}

/* what USB passthrough does to the disks */

void usb_capture(Model *m, int index)
{
    thing_vanish(m, m->devs[index].thing, false);
}

void usb_release(Model *m, int index)
{
    Dev *dev = &m->devs[index];
    uint64_t now_usec = m->now.monotonic_usec;

    dev->lingers_usec = now_usec + LINGER_USEC;
    if (m->knobs.silent && !m->sources[dev->source].fwd_runs &&
        qube_runs(m, (int) dev->source))
        forwarder_start(m, dev->source, LINGER_USEC);
    /* things that are of no meaning here are plugged in, too */
    if (m->knobs.echoes && chance(m, 4)) {
        dues_add(m, now_usec + delay(m, LINGER_USEC), DUE_LIST,
                 (int) dev->source, 0, 0);
        dues_add(m, now_usec + delay(m, LIST_MAX_USEC), DUE_LIST,
                 (int) dev->source, 0, 0);
    }
    if (!dev->exists)
        return;
    if (m->knobs.reprobe < 2) {
        dues_add(m, now_usec + delay(m, CHILDREN_MAX_USEC), DUE_CHILDREN, index,
                 m->knobs.reprobe == 1, 0);
        return;
    }
    thing_vanish(m, dev->thing, true);
    dues_add(m, now_usec + delay_between(m, RESET_MIN_USEC, RESET_MAX_USEC),
             DUE_RESET, dev->thing, 0, m->sources[dev->source].boot);
}

void dev_on_children(Model *m, const Due *due)
{
    const Dev *dev = &m->devs[due->a];

    if (!dev->exists || dev->attached_to != NOWHERE)
        return;
    for (size_t i = 0; i < m->n_devs; i++)
        if (m->devs[i].exists && m->devs[i].thing == dev->thing &&
            m->devs[i].class == DEVICE_CLASS_BLOCK)
            return;
    disks_new(m, dev, due->a);
    if (due->b) {
        /* and go once more */
        thing_vanish(m, dev->thing, false);
        dues_add(m, m->now.monotonic_usec + delay(m, CHILDREN_MAX_USEC),
                 DUE_CHILDREN, due->a, 0, 0);
    }
}

/* the channels' other ends */

void dev_on_qdb(Model *m, const Due *due)
{
    Dev *dev = &m->devs[due->a];

    if (dev->boot != m->sources[dev->source].boot)
        return;
    dev->published = due->b;
    if (dev->published && chance(m, 12)) {
        dev->early = true;
        dues_add(m, m->now.monotonic_usec + delay(m, IDENTITY_USEC),
                 DUE_IDENTITY, due->a, 0, 0);
    }
    source_refresh(m, dev->source);
    if (dev->published && dev->seat == m->native_seat)
        dues_add(m, m->now.monotonic_usec + delay(m, NATIVE_MAX_USEC),
                 DUE_NATIVE, due->a, 0, 0);
    /* now and then the hypervisor keeps what is no longer there */
    if (!dev->published && dev->attached_to != NOWHERE &&
        (dev->class == DEVICE_CLASS_USB || !chance(m, 6)))
        dues_add(m, m->now.monotonic_usec + delay(m, TAKE_MAX_USEC), DUE_TAKE,
                 due->a, 0, 0);
    source_prune(m, dev->source);
}

void dev_on_udev(Model *m, const Due *due)
{
    Dev *dev = &m->devs[due->a];

    if (dev->boot != m->sources[dev->source].boot)
        return;
    if (due->b == RECORD_ADD)
        dev->in_udev = true;
    else if (due->b == RECORD_REMOVE && !dev->exists)
        dev->in_udev = false;
    /* nor is there a partition of what is no disk any more */
    if (!(dev->empty || (dev->part > 0 && m->devs[dev->parent].empty)) ||
        due->b == RECORD_REMOVE)
        forwarder_on_udev(m, due->a, (RecordAction) due->b);
    source_prune(m, dev->source);
}

void dev_on_take(Model *m, const Due *due)
{
    if (m->devs[due->a].attached_to != NOWHERE && !m->devs[due->a].published)
        dev_detach(m, due->a, CAUSE_GONE);
}

void dev_on_identity(Model *m, const Due *due)
{
    m->devs[due->a].early = false;
}

void dev_on_native(Model *m, const Due *due)
{
    Dev *dev = &m->devs[due->a];

    if (m->qubesd_up && dev_is_listed(m, dev) &&
        dev_attached_at(m, dev->seat) == NONE && dev->seat == m->native_seat &&
        qube_runs(m, m->native_to))
        dev_attach(m, due->a, m->native_to, ACTOR_QUBES);
}

/* what is said of a device */

int dev_listed_at(const Model *m, int seat)
{
    const SourceWorld *source = &m->sources[seat_source(seat)];

    for (size_t i = source->n_active; i-- > 0;)
        if (m->devs[source->active[i]].seat == seat &&
            dev_is_listed(m, &m->devs[source->active[i]]))
            return source->active[i];
    return NONE;
}

int dev_attached_at(const Model *m, int seat)
{
    const SourceWorld *source = &m->sources[seat_source(seat)];

    for (size_t i = source->n_active; i-- > 0;)
        if (m->devs[source->active[i]].seat == seat &&
            m->devs[source->active[i]].attached_to != NOWHERE)
            return source->active[i];
    return NONE;
}

static void set_text(Properties *properties, PropertyKey key, const char *text)
{
    if (text)
        assert(properties_set_text(properties, key, text, strlen(text)));
}

static const char *product_of(const Dev *dev)
{
    const ThingKind *kind = kind_of(dev);

    return dev->other_mode && kind->mode_product_id ? kind->mode_product_id
                                                    : kind->product_id;
}

Record dev_record(const Model *m, const Dev *dev, RecordAction action)
{
    const ThingKind *kind = kind_of(dev);
    Record record = { .action = action,
                      .class = dev->class,
                      .device = seat_name(dev->seat) };
    Properties *properties = &record.properties;
    bool last = dev->part == kind->n_parts;

    if (dev->parent != NONE) {
        record.parent_class = m->devs[dev->parent].class;
        record.parent = seat_name(m->devs[dev->parent].seat);
    }
    set_text(properties, PROPERTY_VENDOR_ID, kind->vendor_id);
    set_text(properties, PROPERTY_PRODUCT_ID, product_of(dev));
    set_text(properties, PROPERTY_SERIAL, kind->serial);
    set_text(properties, PROPERTY_PATH, port_path(dev->port));
    if (dev->class == DEVICE_CLASS_USB) {
        set_text(properties, PROPERTY_DEVTYPE, "usb_device");
        for (const char *code = kind->interfaces; *code; code += 1 + CODE_LEN)
            assert(properties_add_interface(properties, code + 1, CODE_LEN));
        return record;
    }
    set_text(properties, PROPERTY_DEVTYPE, dev->part ? "partition" : "disk");
    if (dev->part)
        assert(
            properties_set_number(properties, PROPERTY_PARTITION, dev->part));
    if (last)
        set_text(properties, PROPERTY_FS_UUID, kind->fs_uuid);
    assert(properties_set_number(properties, PROPERTY_SIZE, BLOCK_SIZE));
    assert(properties_set_number(properties, PROPERTY_DISKSEQ, dev->diskseq));
    return record;
}

size_t dev_identity(const Model *m, const Dev *dev, char ret[IDENTITY_MAX + 1])
{
    const size_t size = IDENTITY_MAX + 1;
    const ThingKind *kind = kind_of(dev);
    const Dev *parent = dev->parent == NONE ? NULL : &m->devs[dev->parent];
    char of_disk[IDENTITY_MAX + 1];

    if (dev->early || !dev->published)
        return text_format(ret, size, "0000:0000::?******");
    if (dev->part > 0) {
        if (!parent || !dev_is_listed(m, parent))
            return text_format(ret, size, "0000:0000::?******:%u", dev->part);
        (void) dev_identity(m, parent, of_disk);
        return text_format(ret, size, "%s:%u", of_disk, dev->part);
    }
    if (!kind->vendor_id)
        return text_format(ret, size, ":None");
    return text_format(ret, size, "%s:%s:%s:%s%s", kind->vendor_id,
                       product_of(dev), kind->serial ? kind->serial : "",
                       kind->interfaces,
                       dev->class == DEVICE_CLASS_BLOCK ? ":1.0" : "");
}
