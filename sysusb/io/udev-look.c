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

#define PATH_SIZE 4096U

static void closedirp(DIR **folder)
{
    if (*folder)
        (void) closedir(*folder);
}

static const char *node_property(void *device, const char *name)
{
    return udev_device_get_property_value(device, name);
}

static const char *node_attribute(void *device, const char *name)
{
    return udev_device_get_sysattr_value(device, name);
}

static UdevNode node_of(struct udev_device *device)
{
    return (UdevNode){
        .sysname = udev_device_get_sysname(device),
        .subsystem = udev_device_get_subsystem(device),
        .devtype = udev_device_get_devtype(device),
        .devpath = udev_device_get_devpath(device),
        .device = device,
        .property = node_property,
        .attribute = node_attribute,
    };
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
static char *read_table(const char *path)
{
    char *table = NULL;
    size_t len;

    return read_file(&table, &len, path, TABLE_MAX) < 0 ? NULL : table;
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

static bool folder_has_entries(const char *path)
{
    _cleanup_(closedirp) DIR *folder = opendir(path);
    const struct dirent *entry;

    if (!folder)
        return false;
    while ((entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            return true;
    return false;
}

/* What is done with the one block device @name, which sysfs has at @path. */
static UdevUse use_of_one(const char *path,
                          const char *name,
                          const UseTables *tables)
{
    _cleanup_(fd_closep) int fd = -1;
    BlockNumber number = { .name = name };
    char file[PATH_SIZE], text[32] = {};
    ssize_t n;

    (void) text_format(file, sizeof(file), "%s/holders", path);
    if (folder_has_entries(file))
        return UDEV_USE_HELD;

    (void) text_format(file, sizeof(file), "%s/dev", path);
    fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return UDEV_USE_NONE;
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return UDEV_USE_NONE;
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
static UdevUse use_of(struct udev_device *device)
{
    _cleanup_(use_tables_clear) UseTables tables = {
        .mounts = read_table(MOUNTINFO_FILE),
        .swaps = read_table(SWAPS_FILE),
    };
    const char *path = udev_device_get_syspath(device);
    const char *name = udev_device_get_sysname(device);
    _cleanup_(closedirp) DIR *folder = NULL;
    const struct dirent *entry;
    UdevUse use = use_of_one(path, name, &tables);

    folder = opendir(path);
    while (use == UDEV_USE_NONE && folder && (entry = readdir(folder))) {
        char part[PATH_SIZE];

        if (strncmp(entry->d_name, name, strlen(name)) != 0)
            continue;
        (void) text_format(part, sizeof(part), "%s/%s", path, entry->d_name);
        use = use_of_one(part, entry->d_name, &tables);
    }
    return use;
}

/* Whether a folder above the loop device's file has the file that hides it. */
static bool is_hidden_loop(struct udev_device *device)
{
    const char *backing =
        udev_device_get_sysattr_value(device, "loop/backing_file");
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
    }
    return false;
}

/*
 * The descriptors of the USB device; @ret owns them. A device has them for as
 * long as it is there. Returns a negative errno for want of resources, else 0.
 */
static int look_at_descriptors(UdevView *view,
                               char **ret,
                               struct udev_device *usb)
{
    static const uint8_t unreadable[1];
    char path[PATH_SIZE];
    int r;

    (void) text_format(path, sizeof(path), "%s/descriptors",
                       udev_device_get_syspath(usb));
    r = read_file(ret, &view->descriptors_len, path, USB_DESCRIPTORS_MAX);
    if (r == -ENOENT || r == -ENODEV)
        return 0;
    view->descriptors = r < 0 ? unreadable : (const uint8_t *) *ret;
    return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? r : 0;
}

bool udev_look(UdevLook *ret, struct udev_device *device, bool export_qemu)
{
    _cleanup_(freep) char *descriptors = NULL;
    /* parents belong to @device */
    struct udev_device *disk = NULL, *usb;
    UdevNode self_node = node_of(device), disk_node, usb_node;
    UdevView view = { .self = &self_node };

    *ret = (UdevLook){};
    if (self_node.subsystem && strcmp(self_node.subsystem, "block") == 0) {
        if (self_node.devtype && strcmp(self_node.devtype, "partition") == 0)
            disk = udev_device_get_parent_with_subsystem_devtype(
                device, "block", "disk");
        view.use = use_of(device);
        view.loop_hidden = is_hidden_loop(device);
    }
    if (disk) {
        disk_node = node_of(disk);
        view.disk = &disk_node;
    }
    usb = udev_device_get_parent_with_subsystem_devtype(device, "usb",
                                                        "usb_device");
    if (usb) {
        usb_node = node_of(usb);
        view.usb = &usb_node;
    }
    if (self_node.devtype && strcmp(self_node.devtype, "usb_device") == 0)
        usb = device;
    if (usb)
        ret->error = look_at_descriptors(&view, &descriptors, usb);

    ret->export = export_decide(&view, export_qemu);
    return udev_record_build(&ret->record, &view);
}

bool udev_look_gone(UdevLook *ret, struct udev_device *device)
{
    UdevNode node = node_of(device);

    *ret = (UdevLook){ .export = EXPORT_GONE };
    return udev_record_name(&ret->record, &node);
}
