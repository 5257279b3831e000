/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * qrexec-client-vm's stand-in (see the one in tests/sim) at little cost: it
 * links its caller to the socket SERVICE in SIM_QREXEC_DIR. When a record has
 * come from the caller and when an answer has been handed on it tells the
 * datagram socket BENCH_RELAY: "record NS" or "answer NS" and the line.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/bench/bench.h"

#define CHUNK 65536U

static int tell_socket(void)
{
    const char *path = getenv("BENCH_RELAY");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (!path || strlen(path) >= sizeof(address.sun_path))
        die("BENCH_RELAY is missing");
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
        die("%s: %s", path, strerror(errno));
    return fd;
}

static void tell(int fd,
                 const char *what,
                 uint64_t ns,
                 const char *data,
                 size_t len)
{
    char text[CHUNK + 64];
    int head = snprintf(text, sizeof(text), "%s %" PRIu64 " ", what, ns);

    memcpy(text + head, data, len);
    send_all(fd, text, (size_t) head + len);
}

int main(int argc, char **argv)
{
    const char *dir = getenv("SIM_QREXEC_DIR"), *service = argv[argc - 1];
    char path[256], data[CHUNK];
    struct pollfd pollers[2];
    int told = tell_socket(), peer, len;

    if (argc < 3 || !dir)
        die("usage: qrexec-client-vm [--] dom0 SERVICE");
    (void) snprintf(path, sizeof(path), "%s/%.*s", dir,
                    (int) strcspn(service, "+"), service);
    peer = connect_to(path);
    len = snprintf(data, sizeof(data), "%s%s sys-usb name dom0", service,
                   strchr(service, '+') ? "" : "+");
    send_all(peer, data, (size_t) len + 1); /* with its NUL */

    pollers[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    pollers[1] = (struct pollfd){ .fd = peer, .events = POLLIN };
    for (;;) {
        ssize_t n;

        if (poll(pollers, ARRAY_SIZE(pollers), -1) < 0)
            die("poll: %s", strerror(errno));
        if (pollers[0].revents) {
            uint64_t ns = now_ns();

            n = read(STDIN_FILENO, data, sizeof(data));
            if (n <= 0)
                return EXIT_SUCCESS;
            send_all(peer, data, (size_t) n);
            tell(told, "record", ns, data, (size_t) n);
        }
        if (pollers[1].revents) {
            n = recv(peer, data, sizeof(data), 0);
            if (n <= 0)
                return EXIT_SUCCESS;
            if (write(STDOUT_FILENO, data, (size_t) n) != n)
                return EXIT_FAILURE;
            tell(told, "answer", now_ns(), data, (size_t) n);
        }
    }
}
