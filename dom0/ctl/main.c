/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <locale.h>

#include "dom0/ctl/commands.h"

int main(int argc, char **argv)
{
    Terminal terminal;

    (void) setlocale(LC_CTYPE, "");
    terminal_init(&terminal, stdout);
    return command_main(ctl_commands, ctl_n_commands, argc, argv, &terminal);
}
