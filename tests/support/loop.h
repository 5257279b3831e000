/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Tests of what runs in an event loop: without sleeping, and with deadlines of
 * seconds that come after milliseconds
 *
 * Link with -Wl,--wrap=sd_event_add_time_relative and
 * -Wl,--wrap=sd_event_source_set_time_relative.
 */

#include <systemd/sd-event.h>

#include "common/util.h"

/* a test that waits longer than this has failed */
#define GIVE_UP_USEC UINT64_C(60000000)

/* by what all relative times are divided from now on */
extern uint64_t loop_divisor;

/* Where set: asked before a timer is made, or one is set anew, which fails with
 * errno if it says so; as call_fault_fails_at() does. */
extern bool (*loop_add_time_fails)(const char *name, const void *site);
extern bool (*loop_set_time_fails)(const char *name, const void *site);

/* What is ready now, until nothing is. */
void loop_settle(sd_event *event);

/* Run until @condition. */
#define LOOP_UNTIL(event, condition)                              \
    do {                                                          \
        while (!(condition))                                      \
            assert_true(sd_event_run((event), GIVE_UP_USEC) > 0); \
    } while (0)
