/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <libudev.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/sys/log.h"
#include "common/text.h"
#include "sysusb/io/udev-source.h"

/* events dealt with in one turn of the loop, so that others get theirs */
#define EVENTS_PER_TURN 64U

#define PATH_SIZE 4096U

struct UdevSource {
    struct udev *udev;
    struct udev_monitor *monitor;
    sd_event_source *io_source;
    sd_event_source *soon_source;
    bool lost_events;

    bool export_qemu;
    const UdevSourceOps *ops;
    void *userdata;
};

/*
 * Whether udevd is done with a device that was found, not announced: 1, 0 or a
 * negative errno. The property is what udev_device_get_is_initialized() goes
 * by, but can be mocked.
 */
static int is_initialized(struct udev_device *device)
{
    if (udev_device_get_property_value(device, "USEC_INITIALIZED"))
        return 1;
    return udev_not_told(errno);
}

/* Whether udevd is at a device that was found: its properties are there before
 * its programs, of which Qubes' tells dom0 of the device, have run (since
 * systemd 256). */
static bool is_pending(struct udev_device *device)
{
    const char *value = udev_device_get_property_value(device, "ID_PROCESSING");

    return value && strcmp(value, "1") == 0;
}

/* @r is negative if a device was not told: as if its event was lost. */
static void source_note(UdevSource *source, int r)
{
    if (r < 0)
        source->lost_events = true;
}

static void source_look(UdevSource *source, struct udev_device *device)
{
    UdevLook look;
    int r = udev_look(&look, device, source->export_qemu);

    source_note(source, r);
    if (r > 0)
        source->ops->on_look(&look, source->userdata);
}

/* Look at one that was found beside another's event, unless it is to have one
 * itself. */
static void source_look_beside(UdevSource *source, struct udev_device *device)
{
    int r = is_initialized(device);

    source_note(source, r);
    if (r > 0 && !is_pending(device))
        source_look(source, device);
}

/* If the device is a partition, look at its disk, too: the disk becomes free or
 * in use together with it, and gets no event of its own. */
static void source_look_at_disk(UdevSource *source, struct udev_device *device)
{
    struct udev_device *disk =
        udev_device_get_parent_with_subsystem_devtype(device, "block", "disk");

    if (disk)
        source_look_beside(source, disk);
    else
        source_note(source, udev_not_told(errno));
}

static void source_look_at(UdevSource *source, const char *name)
{
    struct udev_device *device =
        udev_device_new_from_subsystem_sysname(source->udev, "block", name);

    if (!device) {
        source_note(source, udev_not_told(errno));
        return;
    }
    source_look_at_disk(source, device);
    source_look_beside(source, device);
    udev_device_unref(device);
}

/* The same for what a device lies on, as of device-mapper. When that is free
 * again, Qubes' own rules make an event of it. */
static void source_look_below(UdevSource *source, struct udev_device *device)
{
    char path[PATH_SIZE];
    const struct dirent *entry;
    DIR *folder;

    (void) text_format(path, sizeof(path), "%s/slaves",
                       udev_device_get_syspath(device));
    folder = opendir(path);
    if (!folder) {
        source_note(source, udev_not_told(errno));
        return;
    }
    while ((errno = 0, entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            source_look_at(source, entry->d_name);
    source_note(source, udev_not_told(errno));
    (void) closedir(folder);
}

static void source_deal_with(UdevSource *source, struct udev_device *device)
{
    const char *action = udev_device_get_action(device);

    if (action && strcmp(action, "remove") == 0) {
        UdevLook look;
        int r = udev_look_gone(&look, device);

        source_note(source, r);
        if (r > 0)
            source->ops->on_look(&look, source->userdata);
        return;
    }

    /* add, change, bind, unbind, move, ...: the device is there, as udev has it
     * now */
    source_look_at_disk(source, device);
    source_look_below(source, device);
    source_look(source, device);
}

static bool is_drained(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) == 0;
}

static int source_on_io(sd_event_source *io_source,
                        int fd,
                        uint32_t revents,
                        void *userdata)
{
    UdevSource *source = userdata;

    (void) io_source;
    (void) revents;

    for (unsigned int i = 0; i < EVENTS_PER_TURN; i++) {
        struct udev_device *device;

        errno = 0;
        device = udev_monitor_receive_device(source->monitor);
        if (device) {
            source_deal_with(source, device);
            udev_device_unref(device);
            continue;
        }
        /* the kernel dropped some, or we could not hold one */
        if (errno == ENOBUFS || errno == ENOMEM)
            source->lost_events = true;
        else
            break;
    }

    if (source->lost_events && is_drained(fd)) {
        log_message(LOG_WARNING,
                    "Events were lost; looking at everything anew");
        source->lost_events = false;
        return udev_source_enumerate_soon(source);
    }
    return 0;
}

static int source_find(UdevSource *source, struct udev_device *device)
{
    UdevLook look;
    int r = udev_look(&look, device, source->export_qemu);

    if (r <= 0)
        return r;
    if (look.export == EXPORT_OFFERED && is_pending(device))
        look.export = EXPORT_PENDING;
    source->ops->on_look(&look, source->userdata);
    return 0;
}

/*
 * A device that udev has not dealt with yet will have its event, and so will
 * one that has gone meanwhile. If a device is not told (udev_not_told()), that
 * is an error: it must not be reported as gone.
 */
static int source_look_at_path(UdevSource *source, const char *path)
{
    struct udev_device *device;
    int r;

    device = udev_device_new_from_syspath(source->udev, path);
    if (!device)
        return udev_not_told(errno);
    r = is_initialized(device);
    if (r > 0)
        r = source_find(source, device);
    udev_device_unref(device);
    return r;
}

static int source_look_at_all(UdevSource *source,
                              struct udev_enumerate *enumerate)
{
    struct udev_list_entry *first, *entry;

    errno = 0;
    first = udev_enumerate_get_list_entry(enumerate);
    if (!first)
        return udev_not_told(errno);
    udev_list_entry_foreach(entry, first)
    {
        int r = source_look_at_path(source, udev_list_entry_get_name(entry));

        if (r < 0)
            return r;
    }
    return 0;
}

int udev_source_enumerate(UdevSource *source)
{
    struct udev_enumerate *enumerate = udev_enumerate_new(source->udev);
    int r;

    if (!enumerate)
        return -ENOMEM;

    r = udev_enumerate_add_match_subsystem(enumerate, "block");
    if (r >= 0)
        r = udev_enumerate_add_match_subsystem(enumerate, "usb");
    if (r >= 0)
        r = udev_enumerate_scan_devices(enumerate);
    if (r >= 0) {
        source->ops->on_enumerate_begin(source->userdata);
        r = source_look_at_all(source, enumerate);
    }
    if (r >= 0)
        source->ops->on_enumerate_end(source->userdata);

    udev_enumerate_unref(enumerate);
    return r < 0 ? r : 0;
}

static int source_on_soon(sd_event_source *soon_source, void *userdata)
{
    (void) soon_source;

    return udev_source_enumerate(userdata);
}

int udev_source_enumerate_soon(UdevSource *source)
{
    return sd_event_source_set_enabled(source->soon_source, SD_EVENT_ONESHOT);
}

static int source_listen(UdevSource *source)
{
    int r;

    source->udev = udev_new();
    if (!source->udev)
        return -ENOMEM;
    source->monitor = udev_monitor_new_from_netlink(source->udev, "udev");
    if (!source->monitor)
        return errno > 0 ? -errno : -ENOMEM;

    r = udev_monitor_filter_add_match_subsystem_devtype(source->monitor,
                                                        "block", NULL);
    if (r >= 0)
        r = udev_monitor_filter_add_match_subsystem_devtype(
            source->monitor, "usb", "usb_device");
    if (r < 0)
        return r;

    /* It needs CAP_NET_ADMIN to go over the system's limit; without, a smaller
     * queue only means that more is enumerated anew. */
    (void) udev_monitor_set_receive_buffer_size(source->monitor,
                                                UDEV_SOURCE_BUFFER);
    return udev_monitor_enable_receiving(source->monitor);
}

int udev_source_new(UdevSource **ret,
                    sd_event *event,
                    bool export_qemu,
                    const UdevSourceOps *ops,
                    void *userdata)
{
    _cleanup_(udev_source_freep) UdevSource *source = NULL;
    int r;

    source = calloc(1, sizeof(*source));
    if (!source)
        return -ENOMEM;
    source->export_qemu = export_qemu;
    source->ops = ops;
    source->userdata = userdata;

    r = source_listen(source);
    if (r < 0)
        return r;
    r = sd_event_add_io(event, &source->io_source,
                        udev_monitor_get_fd(source->monitor), EPOLLIN,
                        source_on_io, source);
    if (r < 0)
        return r;
    r = sd_event_source_set_exit_on_failure(source->io_source, true);
    if (r < 0)
        return r;
    r = sd_event_add_defer(event, &source->soon_source, source_on_soon, source);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(source->soon_source, SD_EVENT_OFF);
    if (r < 0)
        return r;
    /* after all events that are there, however many turns they take */
    r = sd_event_source_set_priority(source->soon_source,
                                     SD_EVENT_PRIORITY_IDLE);
    if (r < 0)
        return r;
    r = sd_event_source_set_exit_on_failure(source->soon_source, true);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(source);
    return 0;
}

UdevSource *udev_source_free(UdevSource *source)
{
    if (!source)
        return NULL;

    sd_event_source_disable_unref(source->soon_source);
    sd_event_source_disable_unref(source->io_source);
    udev_monitor_unref(source->monitor);
    udev_unref(source->udev);
    free(source);
    return NULL;
}
