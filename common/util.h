/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Language-level helpers. No project types, no I/O.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn)      __attribute__((__cleanup__(fn)))
#define _printf_(fmt, arg) __attribute__((__format__(__printf__, fmt, arg)))
/* held only for its cleanup */
#define _unused_     __attribute__((__unused__))
#define _must_check_ __attribute__((__warn_unused_result__))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Move ownership out of a variable: the variable is left empty. */
#define TAKE_PTR(p)                  \
    ({                               \
        __typeof__(p) _taken_ = (p); \
        (p) = NULL;                  \
        _taken_;                     \
    })

/* Whether @error, an errno, is for want of memory or descriptors, or because of
 * a signal: it says nothing of what was asked for, and may be over next time.
 */
static inline bool is_lack(int error)
{
    return error == ENOMEM || error == EMFILE || error == ENFILE ||
           error == EINTR;
}

static inline int take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* Close @fd unless it is negative. Always returns -1, so `fd = fd_close(fd)`
 * resets it. */
static inline int fd_close(int fd)
{
    if (fd >= 0)
        (void) close(fd);
    return -1;
}

static inline void fd_closep(int *fd)
{
    fd_close(*fd);
}

/* for _cleanup_(freep) on any pointer from malloc() */
static inline void freep(void *pointer)
{
    free(*(void **) pointer);
}

/* Define the `xyz_freep()` companion that _cleanup_() needs. */
#define DEFINE_CLEANUP(type, fn)           \
    static inline void fn##p(type *object) \
    {                                      \
        if (*object)                       \
            fn(*object);                   \
    }
