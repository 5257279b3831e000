/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a process costs that has the libraries of ours and does nothing. It ends
 * with its standard input.
 */

#include <stdio.h>

#include <jansson.h>
#include <systemd/sd-event.h>
#ifdef WITH_UDEV
#include <libudev.h>
#endif

#include "common/util.h"

int main(void)
{
    /* named, so that they are linked; never called */
    void (*const volatile used[])(void) = {
        (void (*)(void)) json_delete,
        (void (*)(void)) sd_event_new,
#ifdef WITH_UDEV
        (void (*)(void)) udev_new,
#endif
    };
    char end;

    (void) puts(used[0] ? "ready" : "");
    (void) fflush(stdout);
    return read(STDIN_FILENO, &end, 1) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
