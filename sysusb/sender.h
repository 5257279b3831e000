/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Sender: tells dom0 of some devices once and prints what it answers
 *
 * hello, one "add" for each device, end of input; then one answer for each,
 * in the order of outcomes.
 */

#include <systemd/sd-event.h>

#include "sysusb/options.h"

/*
 * Runs to the end. Answers the exit status: the highest of all devices
 * (DESIGN 3), or a negative errno. SIGCHLD must be blocked, SIGPIPE ignored.
 */
int sender_run(sd_event *event, const SendOptions *options);
