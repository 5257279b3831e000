/* SPDX-License-Identifier: GPL-2.0-or-later */

/* As call-fault.c, for what libudev opens, reads and takes memory for. */

#include <errno.h>
#include <libudev.h>

#include "tests/support/call-fault.h"

static bool held;

void call_fault_hold_udev(bool hold)
{
    held = hold;
}

#define fails(name) (!held && call_fault_fails(name))

/* a text or an object; NULL with an error */
#define WRAP_POINTER(type, fn, parameters, arguments) \
    type *__real_##fn parameters;                     \
    type *__wrap_##fn parameters;                     \
    type *__wrap_##fn parameters                      \
    {                                                 \
        if (fails(#fn))                               \
            return NULL;                              \
        return __real_##fn arguments;                 \
    }

/* what answers the error itself */
#define WRAP_NEGATIVE(fn, parameters, arguments) \
    int __real_##fn parameters;                  \
    int __wrap_##fn parameters;                  \
    int __wrap_##fn parameters                   \
    {                                            \
        if (fails(#fn))                          \
            return -errno;                       \
        return __real_##fn arguments;            \
    }

WRAP_POINTER(struct udev, udev_new, (void), ())
WRAP_POINTER(struct udev_enumerate,
             udev_enumerate_new,
             (struct udev * udev),
             (udev))
WRAP_NEGATIVE(udev_enumerate_add_match_subsystem,
              (struct udev_enumerate * enumerate, const char *subsystem),
              (enumerate, subsystem))
WRAP_NEGATIVE(udev_enumerate_scan_devices,
              (struct udev_enumerate * enumerate),
              (enumerate))
WRAP_POINTER(struct udev_list_entry,
             udev_enumerate_get_list_entry,
             (struct udev_enumerate * enumerate),
             (enumerate))
WRAP_POINTER(struct udev_device,
             udev_device_new_from_syspath,
             (struct udev * udev, const char *path),
             (udev, path))
WRAP_POINTER(struct udev_device,
             udev_device_new_from_subsystem_sysname,
             (struct udev * udev, const char *subsystem, const char *name),
             (udev, subsystem, name))
WRAP_POINTER(struct udev_device,
             udev_device_new_from_devnum,
             (struct udev * udev, char type, dev_t number),
             (udev, type, number))
WRAP_POINTER(struct udev_device,
             udev_device_get_parent_with_subsystem_devtype,
             (struct udev_device * device,
              const char *subsystem,
              const char *devtype),
             (device, subsystem, devtype))
WRAP_POINTER(const char,
             udev_device_get_subsystem,
             (struct udev_device * device),
             (device))
WRAP_POINTER(const char,
             udev_device_get_devtype,
             (struct udev_device * device),
             (device))
WRAP_POINTER(const char,
             udev_device_get_property_value,
             (struct udev_device * device, const char *key),
             (device, key))
WRAP_POINTER(const char,
             udev_device_get_sysattr_value,
             (struct udev_device * device, const char *name),
             (device, name))
WRAP_POINTER(struct udev_monitor,
             udev_monitor_new_from_netlink,
             (struct udev * udev, const char *name),
             (udev, name))
WRAP_NEGATIVE(udev_monitor_filter_add_match_subsystem_devtype,
              (struct udev_monitor * monitor,
               const char *subsystem,
               const char *devtype),
              (monitor, subsystem, devtype))
WRAP_NEGATIVE(udev_monitor_enable_receiving,
              (struct udev_monitor * monitor),
              (monitor))

/* What it was about is gone from the queue then. */
struct udev_device *__real_udev_monitor_receive_device(
    struct udev_monitor *monitor);
struct udev_device *__wrap_udev_monitor_receive_device(
    struct udev_monitor *monitor);
struct udev_device *__wrap_udev_monitor_receive_device(
    struct udev_monitor *monitor)
{
    struct udev_device *device = __real_udev_monitor_receive_device(monitor);

    if (!device || !fails("udev_monitor_receive_device"))
        return device;
    (void) udev_device_unref(device);
    errno = ENOMEM;
    return NULL;
}
