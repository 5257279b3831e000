/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/sys/rules-write.h"

#define MODE_NEW     0644
#define MODE_FOREIGN (S_IWGRP | S_IWOTH)

/* The folder of a path, and the name in it. */
static int open_folder(const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    _cleanup_(freep) char *folder = NULL;
    int fd;

    *ret_name = slash ? slash + 1 : path;
    folder = strndup(path, slash ? (size_t) (slash - path) + 1 : 0);
    if (!folder)
        return -ENOMEM;
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        len -= (size_t) n;
    }
    return 0;
}

/* Owner and mode of the file that is replaced, if there is one. */
static int keep_owner(int dir, const char *name, int fd)
{
    mode_t mode = MODE_NEW;
    struct stat old;

    if (fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISREG(old.st_mode))
            return -EEXIST;
        mode = old.st_mode & 0777 & ~(mode_t) MODE_FOREIGN;
        if (geteuid() == 0 && fchown(fd, old.st_uid, old.st_gid) < 0)
            return -errno;
    } else if (errno != ENOENT) {
        return -errno;
    }
    return fchmod(fd, mode) < 0 ? -errno : 0;
}

static int write_file(int dir,
                      const char *name,
                      int fd,
                      const char *text,
                      size_t len)
{
    int r = write_all(fd, text, len);

    if (r == 0)
        r = keep_owner(dir, name, fd);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    return r;
}

int rules_file_write(const char *path, const char *text, size_t len)
{
    _cleanup_(fd_closep) int dir = -1;
    _cleanup_(fd_closep) int fd = -1;
    char next[NAME_MAX + 1];
    const char *name;
    int r;

    dir = open_folder(path, &name);
    if (dir < 0)
        return dir;
    /* a name that begins with a dot is no rule file */
    if ((size_t) snprintf(next, sizeof(next), ".%s.%d.new", name,
                          (int) getpid()) >= sizeof(next))
        return -ENAMETOOLONG;
    (void) unlinkat(dir, next, 0); /* left by a write that was interrupted */
    fd = openat(dir, next, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0600);
    if (fd < 0)
        return -errno;

    r = write_file(dir, name, fd, text, len);
    if (r == 0 && renameat(dir, next, dir, name) < 0)
        r = -errno;
    if (r < 0)
        (void) unlinkat(dir, next, 0);
    else
        (void) fsync(dir);
    return r;
}

int rules_file_delete(const char *path)
{
    _cleanup_(fd_closep) int dir = -1;
    const char *name;

    dir = open_folder(path, &name);
    if (dir < 0)
        return dir;
    if (unlinkat(dir, name, 0) < 0)
        return -errno;
    (void) fsync(dir);
    return 0;
}

int rules_folder_is_writable(const char *dir_path)
{
    return faccessat(AT_FDCWD, dir_path, W_OK | X_OK, AT_EACCESS) < 0 ? -errno
                                                                      : 0;
}
