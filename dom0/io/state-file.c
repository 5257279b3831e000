/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/io/state-file.h"

#define STATE_NAME  "state"
#define STATE_NEXT  "state.next"
#define STATE_ASIDE "state.bad"
#define STATE_MODE  0600

void state_file_init(StateFile *file, const char *dir_path)
{
    *file = (StateFile){ .dir_path = dir_path, .fd = -1 };
}

void state_file_close(StateFile *file)
{
    file->fd = fd_close(file->fd);
}

static int open_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* Our own file, and nobody else's. */
static int check(int fd, size_t max, size_t *ret_size)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) ||
        (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return -EPERM;
    if (st.st_size < 0 || (uintmax_t) st.st_size > max)
        return -EFBIG;
    *ret_size = (size_t) st.st_size;
    return 0;
}

static int read_all(int fd, char *buffer, size_t size, size_t *ret_len)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(fd, buffer + len, size - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t) n;
    }
    *ret_len = len;
    return 0;
}

/* Keep only the last text in the buffer. */
static size_t keep_last(char *buffer, size_t len)
{
    const char *end = memrchr(buffer, '\0', len), *begin;

    if (!end)
        return len;
    begin = memrchr(buffer, '\0', (size_t) (end - buffer));
    begin = begin ? begin + 1 : buffer;
    len = (size_t) (end - begin);
    memmove(buffer, begin, len);
    return len;
}

int state_file_read(char **ret,
                    size_t *ret_len,
                    const StateFile *file,
                    size_t max)
{
    _cleanup_(fd_closep) int dir = open_dir(file->dir_path), fd = -1;
    _cleanup_(freep) char *buffer = NULL;
    size_t size = 0;
    int r;

    if (dir < 0)
        return dir;
    /* a FIFO must not keep us */
    fd = openat(dir, STATE_NAME,
                O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? -EPERM : -errno;
    r = check(fd, max + STATE_FILE_TEXTS_MAX, &size);
    if (r < 0)
        return r;
    buffer = malloc(size + 1);
    if (!buffer)
        return -ENOMEM;
    r = read_all(fd, buffer, size, &size);
    if (r < 0)
        return r;
    size = keep_last(buffer, size);
    if (size > max)
        return -EFBIG;

    *ret = TAKE_PTR(buffer);
    *ret_len = size;
    return 0;
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

/* A new file, and nobody else's. */
static int create_next(const char *path)
{
    int fd = openat(AT_FDCWD, path,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                    STATE_MODE);

    return fd < 0 ? -errno : fd;
}

/* Whether one more text fits into the file, and the file is as we have left it:
 * somebody may have removed or cut it. */
static bool takes(const StateFile *file, size_t size)
{
    struct stat st;

    return file->fd >= 0 && file->size + size <= STATE_FILE_TEXTS_MAX &&
           fstat(file->fd, &st) == 0 && st.st_nlink > 0 &&
           (uintmax_t) st.st_size == file->size;
}

static int replace(StateFile *file, const char *text, size_t size)
{
    char next[PATH_MAX], path[PATH_MAX];
    _cleanup_(fd_closep) int fd = -1;
    int r;

    if ((size_t) snprintf(next, sizeof(next), "%s/" STATE_NEXT,
                          file->dir_path) >= sizeof(next) ||
        (size_t) snprintf(path, sizeof(path), "%s/" STATE_NAME,
                          file->dir_path) >= sizeof(path))
        return -ENAMETOOLONG;

    fd = create_next(next);
    if (fd == -EEXIST) {
        /* an earlier run has left it half written */
        (void) unlinkat(AT_FDCWD, next, 0);
        fd = create_next(next);
    }
    if (fd < 0)
        return fd;
    r = write_all(fd, text, size);
    if (r >= 0 && renameat(AT_FDCWD, next, AT_FDCWD, path) < 0)
        r = -errno;
    if (r < 0) {
        (void) unlinkat(AT_FDCWD, next, 0);
        return r;
    }

    file->fd = take_fd(&fd);
    file->size = size;
    return 0;
}

int state_file_write(StateFile *file, const char *text, size_t len)
{
    size_t size = len + 1; /* with the NUL */

    assert(strlen(text) == len);

    if (takes(file, size) && write_all(file->fd, text, size) >= 0) {
        file->size += size;
        return 0;
    }
    /* part of the text may have been written: do not use this file any more */
    state_file_close(file);
    return replace(file, text, size);
}

int state_file_set_aside(const StateFile *file)
{
    _cleanup_(fd_closep) int dir = open_dir(file->dir_path);

    if (dir < 0)
        return dir;
    return renameat(dir, STATE_NAME, dir, STATE_ASIDE) < 0 ? -errno : 0;
}
