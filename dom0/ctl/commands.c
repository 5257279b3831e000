/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/ctl/commands.h"

const Command *const ctl_commands[] = {
    &status_command,
    &check_command,
};
const size_t ctl_n_commands = ARRAY_SIZE(ctl_commands);
