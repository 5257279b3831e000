/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Daemon: joins the manager with the world
 *
 * Adapters tell the manager what happened; daemon_pump() then does what it
 * wants done. One loop, one thread.
 */

#include "dom0/options.h"

typedef struct Daemon Daemon;

/* @options is borrowed. What fails has been logged. */
int daemon_new(Daemon **ret, const Options *options);
Daemon *daemon_free(Daemon *daemon);

/* Until SIGTERM or SIGINT; a negative errno if the loop itself failed. */
int daemon_run(Daemon *daemon);

DEFINE_CLEANUP(Daemon *, daemon_free)
