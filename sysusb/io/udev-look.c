/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/text.h"
#include "sysusb/core/mounts.h"
#include "sysusb/core/udev-record.h"
#include "sysusb/core/usb-interfaces.h"
#include "sysusb/io/udev-look.h"

#define MOUNTINFO_FILE "/proc/self/mountinfo"
#define SWAPS_FILE     "/proc/swaps"
/* more mounts than that are cut: such a device is then offered, and dom0 finds
 * out that qubesd does not list it */
#define TABLE_MAX (4U * 1024 * 1024)
/* the first buffer for a file */
#define FILE_MIN 4096U

/* in a folder: loop files below it are not exported (Qubes) */
#define LOOP_HIDE_FILE "/.qubes-exclude-block-devices"

/* in sysfs' path of all that hangs on USB */
#define ROOT_HUB "/usb"

#define PATH_SIZE 4096U

static void closedirp(DIR **folder)
{
    if (*folder)
        (void) closedir(*folder);
}

/* A device that is looked at, and where the first error goes of those for
 * which something was not told. */
typedef struct Looking {
    struct udev_device *device;
    int *error;
} Looking;

int udev_not_told(int error)
{
    return is_lack(error) ? -error : 0;
}

static void note_error(int *ret_error, int error)
{
    if (*ret_error == 0)
        *ret_error = udev_not_told(error);
}

static const char *node_property(void *device, const char *name)
{
    const Looking *looking = device;
    const char *value = udev_device_get_property_value(looking->device, name);

    if (!value)
        note_error(looking->error, errno);
    return value;
}

static const char *node_attribute(void *device, const char *name)
{
    const Looking *looking = device;
    const char *value = udev_device_get_sysattr_value(looking->device, name);

    if (!value)
        note_error(looking->error, errno);
    return value;
}

/* Both may also be missing without an error. */
static UdevNode node_of(Looking *looking)
{
    struct udev_device *device = looking->device;
    UdevNode node = {
        .sysname = udev_device_get_sysname(device),
        .devpath = udev_device_get_devpath(device),
        .device = looking,
        .property = node_property,
        .attribute = node_attribute,
    };

    errno = 0;
    node.subsystem = udev_device_get_subsystem(device);
    if (!node.subsystem)
        note_error(looking->error, errno);
    errno = 0;
    node.devtype = udev_device_get_devtype(device);
    if (!node.devtype)
        note_error(looking->error, errno);
    return node;
}

/*
 * A file of /proc or sysfs, whose size is known only at its end, with a NUL
 * behind it. What is much longer than @max is cut. Returns 0 or a negative
 * errno.
 */
static int read_file(char **ret, size_t *ret_len, const char *path, size_t max)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_(freep) char *data = NULL;
    size_t size = 0, len = 0;
    ssize_t n;

    if (fd < 0)
        return -errno;
    do {
        if (len + 1 >= size) {
            char *larger;

            size = size == 0 ? FILE_MIN : size * 2;
            larger = realloc(data, size);
            if (!larger)
                return -ENOMEM;
            data = larger;
        }
        n = read(fd, data + len, size - len - 1);
        if (n > 0)
            len += (size_t) n;
    } while ((n > 0 && len < max) || (n < 0 && errno == EINTR));
    if (n < 0)
        return -errno;

    data[len] = '\0';
    *ret = TAKE_PTR(data);
    *ret_len = len;
    return 0;
}

/* NULL if it is unreadable */
static char *read_table(int *ret_error, const char *path)
{
    char *table = NULL;
    size_t len;
    int r = read_file(&table, &len, path, TABLE_MAX);

    if (r < 0)
        note_error(ret_error, -r);
    return table;
}

typedef struct UseTables {
    char *mounts;
    char *swaps;
} UseTables;

static void use_tables_clear(UseTables *tables)
{
    free(tables->mounts);
    free(tables->swaps);
}

/* NULL, too, if it could not be read. */
static const struct dirent *next_entry(int *ret_error, DIR *folder)
{
    const struct dirent *entry;

    errno = 0;
    entry = folder ? readdir(folder) : NULL;
    if (!entry)
        note_error(ret_error, errno);
    return entry;
}

static DIR *open_folder(int *ret_error, const char *path)
{
    DIR *folder = opendir(path);

    if (!folder)
        note_error(ret_error, errno);
    return folder;
}

static bool folder_has_entries(int *ret_error, const char *path)
{
    _cleanup_(closedirp) DIR *folder = open_folder(ret_error, path);
    const struct dirent *entry;

    while ((entry = next_entry(ret_error, folder)))
        if (entry->d_name[0] != '.')
            return true;
    return false;
}

/* What is done with the one block device @name, which sysfs has at @path. */
static UdevUse use_of_one(int *ret_error,
                          const char *path,
                          const char *name,
                          const UseTables *tables)
{
    _cleanup_(freep) char *text = NULL;
    BlockNumber number = { .name = name };
    char file[PATH_SIZE];
    size_t len;
    int r;

    (void) text_format(file, sizeof(file), "%s/holders", path);
    if (folder_has_entries(ret_error, file))
        return UDEV_USE_HELD;

    (void) text_format(file, sizeof(file), "%s/dev", path);
    r = read_file(&text, &len, file, FILE_MIN);
    if (!text) {
        note_error(ret_error, -r);
        return UDEV_USE_NONE;
    }
    text[strcspn(text, "\n")] = '\0';
    if (!block_number_parse(&number, text))
        return UDEV_USE_NONE;

    if (tables->mounts && mounts_have(tables->mounts, &number))
        return UDEV_USE_MOUNTED;
    if (tables->swaps && swaps_have(tables->swaps, &number))
        return UDEV_USE_SWAP;
    return UDEV_USE_NONE;
}

/*
 * What is done with the device or, if it is a disk, with its partitions:
 * folders that begin with its name. Qubes also asks device-mapper for the open
 * count of a dm device. Here, who holds one open but has not mounted it and is
 * no device above it can only be the backend of a qube that it is attached to:
 * that does not count.
 */
static UdevUse use_of(int *ret_error, struct udev_device *device)
{
    _cleanup_(use_tables_clear) UseTables tables = {
        .mounts = read_table(ret_error, MOUNTINFO_FILE),
        .swaps = read_table(ret_error, SWAPS_FILE),
    };
    const char *path = udev_device_get_syspath(device);
    const char *name = udev_device_get_sysname(device);
    _cleanup_(closedirp) DIR *folder = NULL;
    const struct dirent *entry;
    UdevUse use = use_of_one(ret_error, path, name, &tables);

    folder = open_folder(ret_error, path);
    while (use == UDEV_USE_NONE && (entry = next_entry(ret_error, folder))) {
        char part[PATH_SIZE];

        if (strncmp(entry->d_name, name, strlen(name)) != 0)
            continue;
        (void) text_format(part, sizeof(part), "%s/%s", path, entry->d_name);
        use = use_of_one(ret_error, part, entry->d_name, &tables);
    }
    return use;
}

/* Whether a folder above the loop device's file has the file that hides it. */
static bool is_hidden_loop(int *ret_error, const UdevNode *node)
{
    const char *backing = udev_node_attribute(node, "loop/backing_file");
    char path[PATH_SIZE], file[PATH_SIZE + sizeof(LOOP_HIDE_FILE)];
    char *slash;

    if (!backing || backing[0] != '/')
        return false;

    (void) text_format(path, sizeof(path), "%s", backing);
    while ((slash = strrchr(path, '/')) && slash != path) {
        *slash = '\0';
        (void) text_format(file, sizeof(file), "%s" LOOP_HIDE_FILE, path);
        if (access(file, F_OK) == 0)
            return true;
        note_error(ret_error, errno);
    }
    return false;
}

/* The descriptors of the USB device; @ret owns them. A device has them for as
 * long as it is there. */
static void look_at_descriptors(UdevView *view,
                                char **ret,
                                int *ret_error,
                                struct udev_device *usb)
{
    static const uint8_t unreadable[1];
    char path[PATH_SIZE];
    int r;

    (void) text_format(path, sizeof(path), "%s/descriptors",
                       udev_device_get_syspath(usb));
    r = read_file(ret, &view->descriptors_len, path, USB_DESCRIPTORS_MAX);
    if (r == -ENOENT || r == -ENODEV)
        return;
    view->descriptors = r < 0 ? unreadable : (const uint8_t *) *ret;
    note_error(ret_error, -r);
}

static bool is_text(const char *text, const char *wanted)
{
    return text && strcmp(text, wanted) == 0;
}

/*
 * Whether libudev found nothing that the device hangs on, though it is there: a
 * partition is part of a disk, and what lies below "usb1" or "usb2", the root
 * hubs, is part of a USB device. Where libudev cannot read it may go on to the
 * top, and say that there is none.
 */
static bool lacks_parent(const UdevView *view, Export export)
{
    const UdevNode *self = view->self;

    if (export_presence(export) == PRESENCE_NONE ||
        !is_text(self->subsystem, "block"))
        return false;
    return (is_text(self->devtype, "partition") && !view->disk) ||
           (strstr(self->devpath, ROOT_HUB) && !view->usb);
}

int udev_look(UdevLook *ret, struct udev_device *device, bool export_qemu)
{
    _cleanup_(freep) char *descriptors = NULL;
    /* parents belong to @device */
    struct udev_device *disk = NULL, *usb;
    int error = 0, named;
    Looking self = { device, &error }, above, port;
    UdevNode self_node = node_of(&self), disk_node, usb_node;
    UdevView view = { .self = &self_node };

    *ret = (UdevLook){};
    if (is_text(self_node.subsystem, "block")) {
        if (is_text(self_node.devtype, "partition"))
            disk = udev_device_get_parent_with_subsystem_devtype(
                device, "block", "disk");
        view.use = use_of(&error, device);
        view.loop_hidden = is_hidden_loop(&error, &self_node);
    }
    if (disk) {
        above = (Looking){ disk, &error };
        disk_node = node_of(&above);
        view.disk = &disk_node;
    }
    usb = udev_device_get_parent_with_subsystem_devtype(device, "usb",
                                                        "usb_device");
    if (usb) {
        port = (Looking){ usb, &error };
        usb_node = node_of(&port);
        view.usb = &usb_node;
    }
    if (is_text(self_node.devtype, "usb_device"))
        usb = device;
    if (usb)
        look_at_descriptors(&view, &descriptors, &error, usb);

    ret->export = export_decide(&view, export_qemu);
    named = udev_record_build(&ret->record, &view);
    if (lacks_parent(&view, ret->export))
        note_error(&error, ENOMEM);
    return error < 0 ? error : named;
}

int udev_look_gone(UdevLook *ret, struct udev_device *device)
{
    int error = 0, named;
    Looking looking = { device, &error };
    UdevNode node = node_of(&looking);

    *ret = (UdevLook){ .export = EXPORT_GONE };
    named = udev_record_name(&ret->record, &node);
    return error < 0 ? error : named;
}
