/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside of the command explain
 *
 *     explain-file     records out of a file, by the rules on the disk
 *     explain          a device that the daemon knows
 */

#include "dom0/ctl/command.h"
#include "dom0/ctl/explain-view.h"

/* Answers the exit status. */
int explain_file_run(const Arguments *arguments, Terminal *terminal);

/* How much is to be shown. */
ExplainDetail explain_detail(const Arguments *arguments);
