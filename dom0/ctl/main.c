/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

#include "dom0/ctl/commands.h"

/* A stream that is closed must not become a socket or a rule file, which get
 * the lowest number that is free. Opened the wrong way round it fails where it
 * is used, as it should. */
static void keep_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void) open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    Terminal terminal;

    keep_streams();
    (void) setlocale(LC_CTYPE, "");
    terminal_init(&terminal, stdout);
    return command_main(ctl_commands, ctl_n_commands, argc, argv, &terminal);
}
