/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sysusb/io/udev-find.h"

static void udev_freep(struct udev **udev)
{
    (void) udev_unref(*udev);
}

static void udev_device_freep(struct udev_device **device)
{
    (void) udev_device_unref(*device);
}

/* After libudev has answered NULL. */
static int no_device(void)
{
    int r = udev_not_told(errno);

    return r < 0 ? r : -ENODEV;
}

static int find_by_path(struct udev_device **ret,
                        struct udev *udev,
                        const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
    if (!S_ISBLK(st.st_mode))
        return -ENOTBLK;
    *ret = udev_device_new_from_devnum(udev, 'b', st.st_rdev);
    return *ret ? 0 : no_device();
}

static int find_by_name(struct udev_device **ret,
                        struct udev *udev,
                        const char *untrusted_name)
{
    DeviceName name;
    DeviceClass class =
        device_name_parse_any(&name, untrusted_name, strlen(untrusted_name));

    if (class == DEVICE_CLASS_INVALID)
        return -ENODEV;
    *ret = udev_device_new_from_subsystem_sysname(
        udev, device_class_to_string(class), name.s);
    return *ret ? 0 : no_device();
}

int udev_find(UdevLook *ret, const char *untrusted_name, bool export_qemu)
{
    _cleanup_(udev_device_freep) struct udev_device *device = NULL;
    _cleanup_(udev_freep) struct udev *udev = udev_new();
    int r;

    if (!udev)
        return -ENOMEM;
    r = strchr(untrusted_name, '/')
            ? find_by_path(&device, udev, untrusted_name)
            : find_by_name(&device, udev, untrusted_name);
    if (r < 0)
        return r;

    r = udev_look(ret, device, export_qemu);
    return r < 0 ? r : 0;
}
