/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/daemon.h"

int main(int argc, char **argv)
{
    Options options; /* outlives the daemon, which borrows it */
    _cleanup_(daemon_freep) Daemon *daemon = NULL;

    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_WRONG:
        return EXIT_USAGE;
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_RUN:
        break;
    }

    if (daemon_new(&daemon, &options) < 0 || daemon_run(daemon) < 0)
        return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
