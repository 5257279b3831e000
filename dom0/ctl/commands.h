/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The subcommands, in the order of --help. */

#include "dom0/ctl/command.h"

extern const Command status_command;
extern const Command devices_command;
extern const Command history_command;
extern const Command rules_command;
extern const Command check_command;
extern const Command explain_command;
extern const Command suggest_command;
extern const Command add_command;
extern const Command remove_command;
extern const Command retry_command;
extern const Command detach_command;
extern const Command pause_command;
extern const Command resume_command;
extern const Command reload_command;
extern const Command wait_command;

extern const Command *const ctl_commands[];
extern const size_t ctl_n_commands;
