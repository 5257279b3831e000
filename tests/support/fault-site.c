/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/fault-site.h"

/* each is noted once; more are noted as often as they come */
#define SITES_MAX 1024U

/* the linker's: where this program begins, and the end of its code */
extern const char __ehdr_start[], etext[];

static uintptr_t sites[SITES_MAX];
static size_t n_sites;
static bool begun;

/* Past the wrappers, and what stands before libc. */
static void append(uintptr_t site)
{
    const char *path = getenv("AUTOATTACH_FAULT_SITES");
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (begun ? O_APPEND : O_TRUNC);
    char line[32];
    int len = snprintf(line, sizeof(line), "%#jx\n", (uintmax_t) site);
    long fd = path ? syscall(SYS_openat, AT_FDCWD, path, flags, 0644) : -1;

    if (fd < 0)
        return;
    begun = true;
    (void) syscall(SYS_write, fd, line, len);
    (void) syscall(SYS_close, fd);
}

static uintptr_t site_of(const void *address)
{
    return (uintptr_t) address - (uintptr_t) __ehdr_start;
}

bool fault_site_is_noted(const void *address)
{
    for (size_t i = 0; i < n_sites; i++)
        if (sites[i] == site_of(address))
            return true;
    return false;
}

void fault_site_note(const void *address)
{
    uintptr_t site = site_of(address);
    int error = errno;

    /* a library's call is none of ours */
    if (site >= site_of(etext) || fault_site_is_noted(address))
        return;
    if (n_sites < SITES_MAX)
        sites[n_sites++] = site;
    append(site);
    errno = error;
}
