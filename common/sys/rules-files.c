/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/sys/rules-files.h"
#include "common/text.h"

#define ERROR_MAX 255U

static void dir_closep(DIR **dir)
{
    if (*dir)
        (void) closedir(*dir);
}

static char *duplicate(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static void file_clear(RulesFile *file)
{
    free(file->name);
    free(file->contents);
    free(file->error);
    *file = (RulesFile){};
}

/* Formats the error of a file; answers 0 or -ENOMEM. */
#define SET_ERROR(file, ...)                                       \
    ({                                                             \
        char _error_[ERROR_MAX + 1];                               \
        (void) text_format(_error_, sizeof(_error_), __VA_ARGS__); \
        set_error(file, _error_);                                  \
    })

static int set_error(RulesFile *file, const char *error)
{
    assert(!file->error);

    free(file->contents);
    file->contents = NULL;
    file->len = 0;
    file->error = duplicate(error);
    return file->error ? 0 : -ENOMEM;
}

/* @what is "file" or "folder", @path what a command would call it. */
static int check_owner(RulesFile *file,
                       const struct stat *status,
                       const char *what,
                       const char *path,
                       uid_t owner)
{
    if (owner == RULES_OWNER_ANY)
        return 0;
    if (status->st_uid != 0 && status->st_uid != owner)
        return SET_ERROR(file,
                         "the %s belongs to user %u, who must not make rules; "
                         "run: sudo chown root %s",
                         what, (unsigned int) status->st_uid, path);
    if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return SET_ERROR(file,
                         "the %s is writable for its group or for others, who "
                         "could make rules; run: sudo chmod go-w %s",
                         what, path);
    return 0;
}

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFLNK:
        return "a symbolic link";
    case S_IFDIR:
        return "a folder";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    case S_IFCHR:
    case S_IFBLK:
        return "a device";
    }
    return "something else";
}

static int check_status(RulesFile *file,
                        const struct stat *status,
                        const char *path,
                        uid_t owner)
{
    if (!S_ISREG(status->st_mode))
        return SET_ERROR(file,
                         "this is %s; a rule file is a regular file: put the "
                         "rules themselves there",
                         kind_of(status->st_mode));
    if (status->st_size > (off_t) RULES_FILE_SIZE_MAX)
        return SET_ERROR(file,
                         "the file has more than 1 MiB; split it into several "
                         "files");
    return check_owner(file, status, "file", path, owner);
}

static int no_access(RulesFile *file, int error)
{
    errno = error;
    return SET_ERROR(file, "cannot be read: %m");
}

static int read_all(RulesFile *file, int fd)
{
    /* one byte more tells "full" from "too long": a file can still grow */
    size_t size = RULES_FILE_SIZE_MAX + 1;
    char *shorter;

    file->contents = malloc(size);
    if (!file->contents)
        return -ENOMEM;

    while (file->len < size) {
        ssize_t n = read(fd, file->contents + file->len, size - file->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return no_access(file, errno);
        if (n == 0)
            break;
        file->len += (size_t) n;
    }
    if (file->len == size)
        return SET_ERROR(file, "the file has more than 1 MiB; split it into "
                               "several files");

    shorter = malloc(file->len + 1);
    if (!shorter)
        return -ENOMEM;
    memcpy(shorter, file->contents, file->len);
    shorter[file->len] = '\0';
    free(file->contents);
    file->contents = shorter;
    return 0;
}

/* Fill in contents or error of the file @name in the folder @dir_fd. */
static int read_file(RulesFile *file,
                     int dir_fd,
                     const char *name,
                     const char *path,
                     uid_t owner)
{
    _cleanup_(fd_closep) int fd = -1;
    struct stat status;
    int r;

    /* to open what is no regular file may have effects, or block */
    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return no_access(file, errno);
    r = check_status(file, &status, path, owner);
    if (r < 0 || file->error)
        return r;

    /* it may have been replaced meanwhile: check what was opened */
    fd = openat(dir_fd, name,
                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0)
        return no_access(file, errno);
    r = check_status(file, &status, path, owner);
    if (r < 0 || file->error)
        return r;

    return read_all(file, fd);
}

const char *rules_file_passed_over(const char *name)
{
    size_t len = strlen(name), suffix_len = strlen(RULES_FILE_SUFFIX);

    if (name[0] == '.')
        return "its name begins with a dot";
    if (len < suffix_len ||
        strcmp(name + len - suffix_len, RULES_FILE_SUFFIX) != 0)
        return "its name does not end in " RULES_FILE_SUFFIX;
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    const RulesFile *file_a = a, *file_b = b;

    return strcmp(file_a->name, file_b->name);
}

static int files_new(RulesFiles **ret, size_t size)
{
    RulesFiles *files = calloc(1, sizeof(*files));

    if (files)
        files->files = calloc(size, sizeof(*files->files));
    if (!files || !files->files) {
        free(files);
        return -ENOMEM;
    }
    *ret = files;
    return 0;
}

RulesFiles *rules_files_free(RulesFiles *files)
{
    if (!files)
        return NULL;

    for (size_t i = 0; i < files->n_files; i++)
        file_clear(&files->files[i]);
    free(files->files);
    free(files);
    return NULL;
}

static void drop_all(RulesFiles *files)
{
    while (files->n_files > 0)
        file_clear(&files->files[--files->n_files]);
}

/* There must be room. */
static int append(RulesFiles *files, const char *name, RulesFile **ret)
{
    RulesFile *file = &files->files[files->n_files];

    file->name = duplicate(name);
    if (!file->name)
        return -ENOMEM;
    files->n_files++;
    *ret = file;
    return 0;
}

/* Names only; -EFBIG if there are too many. */
static int list_names(RulesFiles *files, DIR *dir)
{
    struct dirent *entry;

    while (errno = 0, (entry = readdir(dir))) {
        RulesFile *file;
        int r;

        if (rules_file_passed_over(entry->d_name))
            continue;
        if (files->n_files == RULES_FILES_MAX)
            return -EFBIG;
        r = append(files, entry->d_name, &file);
        if (r < 0)
            return r;
    }
    return -errno;
}

static int read_files(RulesFiles *files,
                      int dir_fd,
                      const char *dir_path,
                      uid_t owner)
{
    for (size_t i = 0; i < files->n_files; i++) {
        RulesFile *file = &files->files[i];
        char path[ERROR_MAX + 1];
        int r;

        (void) text_format(path, sizeof(path), "%s/%s", dir_path, file->name);
        r = read_file(file, dir_fd, file->name, path, owner);
        if (r < 0)
            return r;
    }
    return 0;
}

/* List the names of the files in the folder, if the folder itself can be
 * trusted; else set the error of @folder. */
static int list_dir(RulesFiles *files,
                    RulesFile *folder,
                    DIR *dir,
                    const char *dir_path,
                    uid_t owner)
{
    struct stat status;
    int r;

    if (fstat(dirfd(dir), &status) < 0)
        return no_access(folder, errno);
    r = check_owner(folder, &status, "folder", dir_path, owner);
    if (r < 0 || folder->error)
        return r;

    r = list_names(files, dir);
    if (r == -EFBIG)
        return SET_ERROR(folder,
                         "the folder has more than %u rule files; join some",
                         RULES_FILES_MAX);
    if (r < 0 && r != -ENOMEM)
        return no_access(folder, -r);
    return r;
}

static int read_dir(RulesFiles *files,
                    RulesFile *folder,
                    const char *dir_path,
                    uid_t owner)
{
    _cleanup_(dir_closep) DIR *dir = opendir(dir_path);
    int r;

    if (!dir)
        return errno == ENOENT || errno == ENOMEM ? -errno
                                                  : no_access(folder, errno);

    r = list_dir(files, folder, dir, dir_path, owner);
    if (r < 0 || folder->error)
        return r;

    qsort(files->files, files->n_files, sizeof(*files->files), compare_names);
    return read_files(files, dirfd(dir), dir_path, owner);
}

int rules_files_read(RulesFiles **ret, const char *dir_path, uid_t owner)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    _cleanup_(file_clear) RulesFile folder = {};
    int r;

    assert(ret);

    r = files_new(&files, RULES_FILES_MAX);
    if (r < 0)
        return r;
    r = read_dir(files, &folder, dir_path, owner);
    if (r < 0)
        return r;

    if (folder.error) {
        RulesFile *file;

        drop_all(files);
        r = append(files, dir_path, &file);
        if (r < 0)
            return r;
        file->error = TAKE_PTR(folder.error);
    }
    *ret = TAKE_PTR(files);
    return 0;
}

int rules_files_read_one(RulesFiles **ret, const char *path, uid_t owner)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    const char *slash = strrchr(path, '/');
    RulesFile *file;
    int r;

    assert(ret);

    r = files_new(&files, 1);
    if (r < 0)
        return r;
    r = append(files, slash && slash[1] ? slash + 1 : path, &file);
    if (r < 0)
        return r;
    r = read_file(file, AT_FDCWD, path, path, owner);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(files);
    return 0;
}

int rules_files_read_stream(RulesFiles **ret, const char *name, int fd)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    RulesFile *file;
    int r;

    assert(ret);

    r = files_new(&files, 1);
    if (r < 0)
        return r;
    r = append(files, name, &file);
    if (r < 0)
        return r;
    r = read_all(file, fd);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(files);
    return 0;
}
