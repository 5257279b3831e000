/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The subcommands, in the order of --help. */

#include "dom0/ctl/command.h"

extern const Command status_command;
extern const Command check_command;

extern const Command *const ctl_commands[];
extern const size_t ctl_n_commands;
