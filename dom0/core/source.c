/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/core/source.h"

/* USB device, disk, partition: no chain of parents is longer */
#define PARENTS_MAX 3U

static const QuotaLimit attach_limit = { .max = SOURCE_ATTACHES_MAX,
                                         .span_usec = SOURCE_MINUTE_USEC };
static const QuotaLimit path_limit = { .max = SOURCE_PATH_ATTACHES_MAX,
                                       .span_usec = SOURCE_MINUTE_USEC };

const RateLimit source_line_limit = { .interval_usec = SOURCE_LINES_USEC,
                                      .burst = SOURCE_LINES_BURST };

int source_new(Source **ret, const QubeName *name)
{
    Source *source = calloc(1, sizeof(*source));

    if (!source)
        return -ENOMEM;

    source->name = *name;
    *ret = source;
    return 0;
}

Source *source_free(Source *source)
{
    if (!source)
        return NULL;

    while (source->devices)
        source_forget(source, source->devices);
    source_clear_memories(source);
    while (source->paths) {
        PathQuota *path = source->paths;

        source->paths = path->next;
        free(path);
    }
    free(source);
    return NULL;
}

unsigned int source_count_connections(const Source *source)
{
    unsigned int n = 0;

    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++)
        n += source->connections[i].id != 0;
    return n;
}

bool source_has_picture(const Source *source)
{
    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++)
        if (source->connections[i].id != 0 && source->connections[i].synced)
            return true;
    return false;
}

SourceConnection *source_find_connection(Source *source, uint64_t id)
{
    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++)
        if (source->connections[i].id == id)
            return &source->connections[i];
    return NULL;
}

uint8_t source_connection_bit(const Source *source, uint64_t id)
{
    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++)
        if (source->connections[i].id == id)
            return (uint8_t) (1U << i);
    return 0;
}

bool source_is_picturing(const Source *source, const Device *device)
{
    for (size_t i = 0; i < SOURCE_CONNECTIONS_MAX; i++)
        if (source->connections[i].picturing &&
            (device->told_by & 1U << i) != 0)
            return true;
    return false;
}

bool source_is_idle(const Source *source, uint64_t now_usec)
{
    return source->n_devices == 0 && source->n_jobs == 0 &&
           source->probe_call == 0 && source->n_waiters == 0 &&
           source->n_calls == 0 && source_count_connections(source) == 0 &&
           !source_remembers(source, now_usec) &&
           (source->resumed_usec == 0 ||
            now_usec > source->resumed_usec + PLUG_RESUME_USEC) &&
           (source->n_noes == 0 ||
            now_usec >= source->no_usec + SOURCE_QUIET_MAX_USEC) &&
           rate_is_full(&source->lines, &source_line_limit, now_usec) &&
           quota_is_idle(&source->attaches, source->attach_times, &attach_limit,
                         now_usec);
}

void source_on_yes(Source *source)
{
    source->n_noes = 0;
    source->quiet_usec = 0;
}

void source_on_no(Source *source, uint64_t now_usec)
{
    uint64_t pause_usec = SOURCE_QUIET_USEC;

    source->n_noes++;
    source->no_usec = now_usec;
    if (source->n_noes < SOURCE_NOES_MAX)
        return;
    for (uint32_t i = SOURCE_NOES_MAX;
         i < source->n_noes && pause_usec < SOURCE_QUIET_MAX_USEC; i++)
        pause_usec *= 2;
    if (pause_usec > SOURCE_QUIET_MAX_USEC)
        pause_usec = SOURCE_QUIET_MAX_USEC;
    source->quiet_usec = now_usec + pause_usec;
}

bool source_is_quiet(const Source *source, uint64_t now_usec)
{
    return now_usec < source->quiet_usec;
}

bool device_is_quiet(const Device *device, uint64_t now_usec)
{
    return source_is_quiet(device->source, now_usec) && !device->wanted;
}

/* The index in by_name at which the device is, or at which it would be
 * inserted. */
static size_t source_place(const Source *source,
                           DeviceClass class,
                           const DeviceName *name)
{
    size_t begin = 0, end = source->n_devices;

    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        const Record *record = &source->by_name[middle]->record;
        int order = record->class != class ? (int) record->class - (int) class
                                           : strcmp(record->device.s, name->s);

        if (order == 0)
            return middle;
        if (order < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

Device *source_find(const Source *source,
                    DeviceClass class,
                    const DeviceName *name)
{
    size_t place = source_place(source, class, name);
    Device *device = place < source->n_devices ? source->by_name[place] : NULL;

    return device && device->record.class == class &&
                   device_name_equal(&device->record.device, name)
               ? device
               : NULL;
}

int source_add(Source *source, Device **ret, const Record *record)
{
    size_t place;
    Device *device;

    if (source->n_devices >= SOURCE_DEVICES_MAX)
        return -ENOBUFS;
    device = calloc(1, sizeof(*device));
    if (!device)
        return -ENOMEM;

    device->source = source;
    device->record = *record;
    device->next = source->devices;
    source->devices = device;
    place = source_place(source, record->class, &record->device);
    memmove(source->by_name + place + 1, source->by_name + place,
            (source->n_devices - place) * sizeof(*source->by_name));
    source->by_name[place] = device;
    source->n_devices++;
    *ret = device;
    return 0;
}

void source_forget(Source *source, Device *device)
{
    size_t place =
        source_place(source, device->record.class, &device->record.device);
    Device **link = &source->devices;

    assert(!device->job && !device->queued);
    assert(source->by_name[place] == device);

    while (*link != device)
        link = &(*link)->next;
    *link = device->next;
    source->n_devices--;
    memmove(source->by_name + place, source->by_name + place + 1,
            (source->n_devices - place) * sizeof(*source->by_name));
    free(device->memory);
    free(device);
}

DeviceName device_usb_name(const Device *device)
{
    const Device *at = device;

    assert(device);
    /* found when the device came: by now its parents' names may be of other
     * devices */
    if (device->usb_port.s[0] != '\0')
        return device->usb_port;
    for (size_t i = 0; at && i < PARENTS_MAX; i++) {
        const Record *record = &at->record;

        if (record->class == DEVICE_CLASS_USB)
            return record->device;
        if (record->parent_class == DEVICE_CLASS_USB)
            return record->parent;
        if (record->parent_class == DEVICE_CLASS_INVALID)
            break;
        at = source_find(at->source, record->parent_class, &record->parent);
    }
    /* a parent in between is not known (any more) */
    return device->usb_port;
}

bool device_is_ancestor(const Device *ancestor, const Device *device)
{
    const Record *record = &ancestor->record;
    DeviceName port;

    if (ancestor == device)
        return false;
    if (record->class == DEVICE_CLASS_BLOCK)
        return device->record.class == DEVICE_CLASS_BLOCK &&
               (device_name_is_partition_of(&device->record.device,
                                            &record->device) ||
                (device->record.parent_class == DEVICE_CLASS_BLOCK &&
                 device_name_equal(&device->record.parent, &record->device)));

    port = device_usb_name(device);
    return device->record.class == DEVICE_CLASS_BLOCK &&
           device_name_equal(&port, &record->device);
}

Device *device_usb(const Device *device)
{
    DeviceName usb = device_usb_name(device);
    Device *found =
        usb.s[0] ? source_find(device->source, DEVICE_CLASS_USB, &usb) : NULL;

    return found && found->plugged ? found : NULL;
}

bool device_is_same_usb(const Device *a, const Device *b)
{
    DeviceName port_a = device_usb_name(a), port_b;

    if (a == b)
        return true;
    if (port_a.s[0] == '\0')
        return false;
    port_b = device_usb_name(b);
    return device_name_equal(&port_a, &port_b);
}

bool device_is_attached(const Device *device)
{
    return device->holding != HOLDING_NOTHING ||
           device->attached_to.s[0] != '\0';
}

bool device_closes(const Device *device, const QubeName *disposable)
{
    for (size_t i = 0; i < DEVICE_CLOSE_MAX; i++)
        if (disposable->s[0] != '\0' &&
            qube_name_equal(&device->close[i], disposable))
            return true;
    return false;
}

void close_list_add(QubeName list[static DEVICE_CLOSE_MAX],
                    const QubeName *disposable)
{
    memmove(list + 1, list, (DEVICE_CLOSE_MAX - 1) * sizeof(list[0]));
    list[0] = *disposable;
}

void device_drop_close(Device *device, const QubeName *disposable)
{
    size_t n = 0;

    for (size_t i = 0; i < DEVICE_CLOSE_MAX; i++)
        if (!qube_name_equal(&device->close[i], disposable))
            device->close[n++] = device->close[i];
    while (n < DEVICE_CLOSE_MAX)
        device->close[n++] = (QubeName){};
}

bool device_is_left_alone(const Device *device)
{
    /* the device itself is one of them */
    for (const Device *other = device->source->devices; other;
         other = other->next)
        if (other->detached_by_user && device_is_same_usb(device, other))
            return true;
    return false;
}

bool device_shares_no(const Device *a, const Device *b)
{
    return a == b ||
           (a->record.class == b->record.class && device_excludes(a, b));
}

bool device_is_refused(const Device *device)
{
    for (const Device *other = device->source->devices; other;
         other = other->next)
        if (other->refused_by_user && device_shares_no(device, other))
            return true;
    return false;
}

void device_forgive(Device *device)
{
    DeviceName usb = device_usb_name(device);

    device->detached_by_user = false;
    device->refused_by_user = false;
    device->stopped = (QubeName){};
    if (usb.s[0])
        source_forgive_memories(device->source, &usb);
    else
        source_forgive_memory(device->source, &device->record);
    for (Device *other = device->source->devices; other; other = other->next) {
        if (device_is_same_usb(device, other))
            other->detached_by_user = false;
        if (device_shares_no(device, other))
            other->refused_by_user = false;
    }
}

bool device_excludes(const Device *a, const Device *b)
{
    return a != b && (device_is_ancestor(a, b) || device_is_ancestor(b, a));
}

/* Drop paths that limit nothing any more: so there are no more of them than the
 * source may make attaches in SOURCE_MINUTE_USEC. */
static void paths_prune(Source *source, uint64_t now_usec)
{
    PathQuota **link = &source->paths;

    while (*link) {
        PathQuota *path = *link;

        if (quota_is_idle(&path->quota, path->times, &path_limit, now_usec)) {
            *link = path->next;
            free(path);
        } else {
            link = &path->next;
        }
    }
}

static PathQuota *paths_find(Source *source, const char *name)
{
    for (PathQuota *path = source->paths; path; path = path->next)
        if (strcmp(path->path, name) == 0)
            return path;
    return NULL;
}

bool source_take_attach(Source *source,
                        const Device *device,
                        uint64_t now_usec,
                        uint64_t *ret_when_usec)
{
    const Properties *properties = &device->record.properties;
    const char *name = properties_have(properties, PROPERTY_PATH)
                           ? properties->path
                           : device->record.device.s;
    PathQuota *path;

    if (!quota_peek(&source->attaches, source->attach_times, &attach_limit,
                    now_usec, ret_when_usec))
        return false;

    paths_prune(source, now_usec);
    path = paths_find(source, name);
    if (path && !quota_peek(&path->quota, path->times, &path_limit, now_usec,
                            ret_when_usec))
        return false;
    if (!path) {
        path = calloc(1, sizeof(*path));
        if (!path) {
            *ret_when_usec = now_usec + USEC_PER_SEC;
            return false;
        }
        memcpy(path->path, name, strlen(name));
        path->next = source->paths;
        source->paths = path;
    }

    quota_take(&source->attaches, source->attach_times, &attach_limit,
               now_usec);
    quota_take(&path->quota, path->times, &path_limit, now_usec);
    return true;
}
