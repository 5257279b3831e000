/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/sys/socket.h"

static int address_make(struct sockaddr_un *ret, const char *path)
{
    size_t len = strlen(path);

    if (len == 0)
        return -EINVAL;
    if (len >= sizeof(ret->sun_path))
        return -ENAMETOOLONG;

    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(ret->sun_path, path, len + 1);
    return 0;
}

static int socket_new(void)
{
    int fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ? -errno : fd;
}

int socket_connect(const char *path)
{
    _cleanup_(fd_closep) int fd = -1;
    struct sockaddr_un address;
    int r;

    r = address_make(&address, path);
    if (r < 0)
        return r;
    fd = socket_new();
    if (fd < 0)
        return fd;
    do
        r = connect(fd, (const struct sockaddr *) &address, sizeof(address));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;

    return take_fd(&fd);
}

/* Whether a socket lies at @path that no process listens at any more. */
static bool is_stale(const char *path)
{
    _cleanup_(fd_closep) int fd = -1;
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket_connect(path);
    return fd == -ECONNREFUSED;
}

int socket_listen(const char *path, mode_t mode)
{
    _cleanup_(fd_closep) int fd = -1;
    struct sockaddr_un address;
    int r;

    r = address_make(&address, path);
    if (r < 0)
        return r;
    fd = socket_new();
    if (fd < 0)
        return fd;

    if (is_stale(path) && unlink(path) < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
        return -errno;
    if (chmod(path, mode) < 0 || listen(fd, SOCKET_BACKLOG) < 0)
        return -errno;

    return take_fd(&fd);
}
