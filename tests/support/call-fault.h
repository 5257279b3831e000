/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Fault injection: let the n-th system call fail
 *
 * Linked with --wrap for the calls that our shells make: all of read, write,
 * recv, send, socket, connect, accept4, shutdown, fcntl, open, openat,
 * renameat, fstat and pipe2 that the code under test makes, and the test itself
 * unless it holds. As with fault.h, in a loop:
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
/* From now on each read and recv, and with @writes each write and send, moves
 * one byte, and every other one is interrupted first. */
void call_fault_begin_short(bool writes);

/* While held, nothing fails and nothing is counted. */
void call_fault_hold(bool hold);

/* Switch injection off and say whether the fault was delivered. */
bool call_fault_end(void);
/* The call that failed, as "send"; "" if none did. */
const char *call_fault_name(void);
/* Whether it was one that moves bytes, and may be told to try again. */
bool call_fault_is_transfer(void);
