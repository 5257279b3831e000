/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/ctl/commands.h"

const Command *const ctl_commands[] = {
    &status_command, &devices_command, &history_command, &rules_command,
    &check_command,  &explain_command, &suggest_command, &add_command,
    &remove_command, &retry_command,   &detach_command,  &pause_command,
    &resume_command, &reload_command,  &wait_command,
};
const size_t ctl_n_commands = ARRAY_SIZE(ctl_commands);
