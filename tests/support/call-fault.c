/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "tests/support/call-fault.h"
#include "tests/support/fault-site.h"
#include "tests/support/test.h"

static bool armed;
static unsigned int held;
static bool new_only;
static bool byte_by_byte;
static bool writes_too;
static bool interrupted;
static size_t countdown;
static int error_given;
static const char *failed;

void call_fault_begin(size_t n, int error)
{
    armed = true;
    new_only = false;
    byte_by_byte = false;
    interrupted = false;
    countdown = n;
    error_given = error;
    failed = NULL;
}

void call_fault_begin_new(int error)
{
    call_fault_begin(0, error);
    new_only = true;
}

void call_fault_shorten(bool writes)
{
    byte_by_byte = true;
    writes_too = writes;
}

void call_fault_begin_short(bool writes)
{
    call_fault_begin(SIZE_MAX, 0);
    call_fault_shorten(writes);
}

void call_fault_hold(bool hold)
{
    held = hold ? held + 1 : held - 1;
}

bool call_fault_end(void)
{
    armed = false;
    byte_by_byte = false;
    return failed != NULL;
}

const char *call_fault_name(void)
{
    return failed ? failed : "";
}

bool call_fault_is_transfer(void)
{
    static const char *const names[] = { "read", "write", "recv", "send" };

    for (size_t i = 0; failed && i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(failed, names[i]) == 0)
            return true;
    return false;
}

bool call_fault_fails_at(const char *name, const void *site)
{
    if (!armed || failed || held > 0)
        return false;
    if (new_only ? fault_site_is_noted(site) : countdown-- > 0)
        return false;

    failed = name;
    errno = error_given;
    fault_site_note(site);
    return true;
}

/* A transfer; its size may be cut. */
static bool transfer_fails(const char *name, const void *site, size_t *size)
{
    bool reads = name[0] == 'r';

    if (armed && held == 0 && byte_by_byte && (reads || writes_too)) {
        interrupted = !interrupted;
        if (interrupted) {
            errno = EINTR;
            return true;
        }
        if (*size > 1)
            *size = 1;
    }
    return call_fault_fails_at(name, site);
}

#define WRAP(type, fn, parameters, arguments) \
    type __real_##fn parameters;              \
    type __wrap_##fn parameters;              \
    type __wrap_##fn parameters               \
    {                                         \
        if (call_fault_fails(#fn))            \
            return -1;                        \
        return __real_##fn arguments;         \
    }
/* what answers the error itself, as those of systemd do */
#define WRAP_NEGATIVE(sign, fn, parameters, arguments) \
    int __real_##fn parameters;                        \
    int __wrap_##fn parameters;                        \
    int __wrap_##fn parameters                         \
    {                                                  \
        if (call_fault_fails(#fn))                     \
            return sign error_given;                   \
        return __real_##fn arguments;                  \
    }
#define WRAP_TRANSFER(fn, name, parameters, arguments)  \
    ssize_t __real_##fn parameters;                     \
    ssize_t __wrap_##fn parameters;                     \
    ssize_t __wrap_##fn parameters                      \
    {                                                   \
        const void *site = __builtin_return_address(0); \
                                                        \
        if (transfer_fails(name, site, &size))          \
            return -1;                                  \
        return __real_##fn arguments;                   \
    }

WRAP(int,
     socket,
     (int domain, int type, int protocol),
     (domain, type, protocol))
WRAP(int,
     connect,
     (int fd, const struct sockaddr *address, socklen_t len),
     (fd, address, len))
WRAP(int,
     accept4,
     (int fd, struct sockaddr *address, socklen_t *len, int flags),
     (fd, address, len, flags))
WRAP(int, shutdown, (int fd, int how), (fd, how))
WRAP(int,
     renameat,
     (int from, const char *old, int to, const char *new),
     (from, old, to, new))
WRAP(int, fstat, (int fd, struct stat *st), (fd, st))
WRAP(int, stat, (const char *path, struct stat *st), (path, st))
WRAP(int, lstat, (const char *path, struct stat *st), (path, st))
WRAP(int,
     fstatat,
     (int dir, const char *path, struct stat *st, int flags),
     (dir, path, st, flags))
WRAP(int, access, (const char *path, int mode), (path, mode))
WRAP(int,
     faccessat,
     (int dir, const char *path, int mode, int flags),
     (dir, path, mode, flags))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
WRAP(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(int,
     bind,
     (int fd, const struct sockaddr *address, socklen_t len),
     (fd, address, len))
WRAP(int, listen, (int fd, int backlog), (fd, backlog))
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout))
WRAP(int,
     ppoll,
     (struct pollfd * fds,
      nfds_t n,
      const struct timespec *timeout,
      const sigset_t *mask),
     (fds, n, timeout, mask))
WRAP(int,
     setrlimit,
     (int resource, const struct rlimit *limit),
     (resource, limit))
WRAP(int, getrlimit, (int resource, struct rlimit *limit), (resource, limit))
WRAP(int,
     sigprocmask,
     (int how, const sigset_t *set, sigset_t *old),
     (how, set, old))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, fsync, (int fd), (fd))
WRAP(int,
     getsockopt,
     (int fd, int level, int option, void *value, socklen_t *len),
     (fd, level, option, value, len))
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(int,
     signalfd,
     (int fd, const sigset_t *mask, int flags),
     (fd, mask, flags))

WRAP_TRANSFER(getrandom,
              "getrandom",
              (void *data, size_t size, unsigned int flags),
              (data, size, flags))
WRAP_TRANSFER(read, "read", (int fd, void *data, size_t size), (fd, data, size))
WRAP_TRANSFER(write,
              "write",
              (int fd, const void *data, size_t size),
              (fd, data, size))
WRAP_TRANSFER(recv,
              "recv",
              (int fd, void *data, size_t size, int flags),
              (fd, data, size, flags))
WRAP_TRANSFER(send,
              "send",
              (int fd, const void *data, size_t size, int flags),
              (fd, data, size, flags))
/* what the first two are where the compiler knows the room */
WRAP_TRANSFER(__read_chk,
              "read",
              (int fd, void *data, size_t size, size_t room),
              (fd, data, size, room))
WRAP_TRANSFER(__recv_chk,
              "recv",
              (int fd, void *data, size_t size, size_t room, int flags),
              (fd, data, size, room, flags))

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    long argument;

    va_start(list, command);
    argument = va_arg(list, long);
    va_end(list);
    if (call_fault_fails("fcntl"))
        return -1;
    return __real_fcntl(fd, command, argument);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
    if (call_fault_fails("open"))
        return -1;
    return __real_open(path, flags, mode);
}

/* what it is where the compiler sees no mode */
WRAP(int, __open_2, (const char *path, int flags), (path, flags))

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
    if (call_fault_fails("openat"))
        return -1;
    return __real_openat(dir, path, flags, mode);
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    void *argument;

    va_start(list, request);
    argument = va_arg(list, void *);
    va_end(list);
    if (call_fault_fails("ioctl"))
        return -1;
    return __real_ioctl(fd, request, argument);
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    return call_fault_fails("fopen") ? NULL : __real_fopen(path, mode);
}

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path)
{
    return call_fault_fails("opendir") ? NULL : __real_opendir(path);
}

struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir)
{
    return call_fault_fails("readdir") ? NULL : __real_readdir(dir);
}

WRAP_NEGATIVE(+,
              posix_spawn,
              (pid_t * ret,
               const char *path,
               const posix_spawn_file_actions_t *actions,
               const posix_spawnattr_t *attributes,
               char *const argv[],
               char *const environment[]),
              (ret, path, actions, attributes, argv, environment))
WRAP_NEGATIVE(+,
              posix_spawn_file_actions_init,
              (posix_spawn_file_actions_t * actions),
              (actions))
WRAP_NEGATIVE(+,
              posix_spawn_file_actions_adddup2,
              (posix_spawn_file_actions_t * actions, int fd, int new_fd),
              (actions, fd, new_fd))
WRAP_NEGATIVE(+,
              posix_spawn_file_actions_addclosefrom_np,
              (posix_spawn_file_actions_t * actions, int fd),
              (actions, fd))
WRAP_NEGATIVE(-,
              sd_journal_sendv,
              (const struct iovec *fields, int n),
              (fields, n))
WRAP_NEGATIVE(-, sd_id128_get_boot, (sd_id128_t * ret), (ret))
WRAP_NEGATIVE(-,
              sd_listen_fds_with_names,
              (int unset, char ***ret),
              (unset, ret))
WRAP_NEGATIVE(-,
              sd_is_socket,
              (int fd, int family, int type, int listening),
              (fd, family, type, listening))
WRAP_NEGATIVE(-,
              sd_event_add_io,
              (sd_event * event,
               sd_event_source **ret,
               int fd,
               uint32_t events,
               sd_event_io_handler_t fn,
               void *userdata),
              (event, ret, fd, events, fn, userdata))
WRAP_NEGATIVE(-,
              sd_event_add_defer,
              (sd_event * event,
               sd_event_source **ret,
               sd_event_handler_t fn,
               void *userdata),
              (event, ret, fn, userdata))
WRAP_NEGATIVE(-,
              sd_event_add_time,
              (sd_event * event,
               sd_event_source **ret,
               clockid_t clock,
               uint64_t usec,
               uint64_t accuracy,
               sd_event_time_handler_t fn,
               void *userdata),
              (event, ret, clock, usec, accuracy, fn, userdata))
WRAP_NEGATIVE(-,
              sd_event_add_child,
              (sd_event * event,
               sd_event_source **ret,
               pid_t pid,
               int options,
               sd_event_child_handler_t fn,
               void *userdata),
              (event, ret, pid, options, fn, userdata))
WRAP_NEGATIVE(-,
              sd_event_add_inotify,
              (sd_event * event,
               sd_event_source **ret,
               const char *path,
               uint32_t mask,
               sd_event_inotify_handler_t fn,
               void *userdata),
              (event, ret, path, mask, fn, userdata))
WRAP_NEGATIVE(-,
              sd_event_source_set_io_events,
              (sd_event_source * source, uint32_t events),
              (source, events))

WRAP_NEGATIVE(-,
              sd_event_add_signal,
              (sd_event * event,
               sd_event_source **ret,
               int signal,
               sd_event_signal_handler_t fn,
               void *userdata),
              (event, ret, signal, fn, userdata))
WRAP_NEGATIVE(-, sd_event_new, (sd_event * *ret), (ret))
WRAP_NEGATIVE(-,
              sd_event_set_watchdog,
              (sd_event * event, int yes),
              (event, yes))
WRAP_NEGATIVE(-,
              sd_event_source_set_priority,
              (sd_event_source * source, int64_t priority),
              (source, priority))

size_t n_descriptors(void)
{
    DIR *dir = __real_opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (__real_readdir(dir))
        n++;
    (void) closedir(dir);
    return n;
}
