/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside of the command explain
 *
 *     explain-file     records out of a file, by the rules on the disk
 *     explain          a device that the daemon knows
 */

#include "dom0/ctl/client.h"
#include "dom0/ctl/explain-view.h"
#include "dom0/ctl/operand.h"

/* Answers the exit status. */
int explain_file_run(const Arguments *arguments, Terminal *terminal);

/*
 * What the daemon at @path says of a device: of type Explanation, with all
 * "steps" in it. See client_receive() for the errors.
 */
int explain_device(json_t **ret,
                   ClientError *error,
                   const char *path,
                   const DeviceArg *device);

/* How much is to be shown. */
ExplainDetail explain_detail(const Arguments *arguments);
