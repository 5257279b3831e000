/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The floor of the forwarder: a bare libudev monitor that tells the datagram
 * socket BENCH_RELAY of each event: "udev NS ACTION NAME".
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <libudev.h>

#include "tests/bench/bench.h"

/* umockdev names a monitor's socket by the number of its descriptor: it has to
 * be none that the forwarder's could have */
#define DESCRIPTORS_LEFT_OUT 64

int main(void)
{
    const char *path = getenv("BENCH_RELAY");
    int told = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct udev_monitor *monitor;
    struct udev *udev;
    struct pollfd poller = { .events = POLLIN };

    for (int fd = 0; fd < DESCRIPTORS_LEFT_OUT; fd = dup(STDERR_FILENO))
        if (fd < 0)
            die("dup: %s", strerror(errno));
    udev = udev_new();
    monitor = udev ? udev_monitor_new_from_netlink(udev, "udev") : NULL;
    if (!path || strlen(path) >= sizeof(address.sun_path) || !monitor ||
        udev_monitor_enable_receiving(monitor) < 0)
        die("cannot listen to udev");
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(told, (const struct sockaddr *) &address, sizeof(address)) < 0)
        die("%s: %s", path, strerror(errno));
    (void) puts("ready");
    (void) fflush(stdout);

    poller.fd = udev_monitor_get_fd(monitor);
    while (poll(&poller, 1, -1) > 0) {
        uint64_t ns = now_ns();
        struct udev_device *device = udev_monitor_receive_device(monitor);
        char text[256];
        int len;

        if (!device)
            continue;
        len = snprintf(text, sizeof(text), "udev %" PRIu64 " %s %s", ns,
                       udev_device_get_action(device),
                       udev_device_get_sysname(device));
        send_all(told, text, (size_t) len);
        udev_device_unref(device);
    }
    die("poll: %s", strerror(errno));
}
