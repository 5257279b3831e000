/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Fault injection: let the n-th system call fail
 *
 * Linked with --wrap for the calls that our shells make (CMakeLists.txt of
 * tests/fault lists them), also for those of sd-event that make one for us, as
 * epoll_ctl() and inotify_add_watch(). The test's own count, too, unless it
 * holds. As with fault.h, in a loop:
 *
 *     for (size_t n = 0; ; n++) {
 *         call_fault_begin(n, ENOSPC);
 *         r = thing_do();
 *         if (!call_fault_end()) // not reached: all were tried
 *             break;
 *         ...
 *     }
 */

#include <stdbool.h>
#include <stddef.h>

void call_fault_begin(size_t n, int error);
/* Not the n-th one, but the first from a place where none has failed so far in
 * this process: where others take part, the n-th may be another each time. */
void call_fault_begin_new(int error);
/* Until the end each read and recv, and with @writes each write and send, moves
 * one byte, and every other one is interrupted first: that is not counted. */
void call_fault_shorten(bool writes);
/* The same, and none fails. */
void call_fault_begin_short(bool writes);

/* While held, nothing fails and nothing is counted; until as many times told
 * not to. */
void call_fault_hold(bool hold);
/* The same for libudev alone (udev-fault.c), which tells some errors only. */
void call_fault_hold_udev(bool hold);

/* For further wrappers: whether this call, of this name, is to fail. */
#define call_fault_fails(name) \
    call_fault_fails_at(name, __builtin_return_address(0))
bool call_fault_fails_at(const char *name, const void *site);

/* Switch injection off and say whether the fault was delivered. */
bool call_fault_end(void);
/* The call that failed, as "send"; "" if none did. */
const char *call_fault_name(void);
/* Whether it was one that moves bytes, and may be told to try again. */
bool call_fault_is_transfer(void);

/* How many are open in this process; this count never fails. */
size_t n_descriptors(void);
