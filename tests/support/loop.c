/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "tests/support/loop.h"
#include "tests/support/test.h"

int __real_sd_event_add_time_relative(sd_event *event,
                                      sd_event_source **ret,
                                      clockid_t clock,
                                      uint64_t usec,
                                      uint64_t accuracy,
                                      sd_event_time_handler_t fn,
                                      void *userdata);
int __wrap_sd_event_add_time_relative(sd_event *event,
                                      sd_event_source **ret,
                                      clockid_t clock,
                                      uint64_t usec,
                                      uint64_t accuracy,
                                      sd_event_time_handler_t fn,
                                      void *userdata);
int __real_sd_event_source_set_time_relative(sd_event_source *source,
                                             uint64_t usec);
int __wrap_sd_event_source_set_time_relative(sd_event_source *source,
                                             uint64_t usec);

uint64_t loop_divisor = 1;
bool (*loop_add_time_fails)(const char *name, const void *site);
bool (*loop_set_time_fails)(const char *name, const void *site);

int __wrap_sd_event_add_time_relative(sd_event *event,
                                      sd_event_source **ret,
                                      clockid_t clock,
                                      uint64_t usec,
                                      uint64_t accuracy,
                                      sd_event_time_handler_t fn,
                                      void *userdata)
{
    if (loop_add_time_fails && loop_add_time_fails("sd_event_add_time_relative",
                                                   __builtin_return_address(0)))
        return -errno;
    /* the accuracy of a quarter of a second is not enough then */
    return __real_sd_event_add_time_relative(
        event, ret, clock, usec / loop_divisor, loop_divisor > 1 ? 1 : accuracy,
        fn, userdata);
}

int __wrap_sd_event_source_set_time_relative(sd_event_source *source,
                                             uint64_t usec)
{
    if (loop_set_time_fails &&
        loop_set_time_fails("sd_event_source_set_time_relative",
                            __builtin_return_address(0)))
        return -errno;
    if (loop_divisor > 1)
        (void) sd_event_source_set_time_accuracy(source, 1);
    return __real_sd_event_source_set_time_relative(source,
                                                    usec / loop_divisor);
}

void loop_settle(sd_event *event)
{
    int r;

    do {
        r = sd_event_run(event, 0);
        assert_return_code(r, 0);
    } while (r > 0);
}
