/* SPDX-License-Identifier: GPL-2.0-or-later */

/* qubes-autoattach-send */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/status.h"
#include "sysusb/sender.h"

static int run(const SendOptions *options)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    sigset_t signals;
    int r;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;

    r = sd_event_default(&event);
    if (r < 0)
        return r;
    return sender_run(event, options);
}

int main(int argc, char **argv)
{
    SendOptions options;
    int r;

    switch (send_options_parse(&options, argc, argv)) {
    case OPTIONS_WRONG:
        return EXIT_USAGE;
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_RUN:
        break;
    }

    r = run(&options);
    if (r < 0) {
        (void) fprintf(stderr, "qubes-autoattach-send: %s\n", strerror(-r));
        return status_exit(STATUS_INTERNAL);
    }
    return r;
}
