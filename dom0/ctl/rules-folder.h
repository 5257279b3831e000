/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The folder that rules are read from and written to
 *
 * What --rules-dir says; else that of the daemon, if it can be reached; else
 * the usual one.
 */

#include "dom0/ctl/command.h"

#define RULES_FOLDER_MAX 4095U

typedef struct RulesFolder {
    char path[RULES_FOLDER_MAX + 1];
    bool is_daemons; /* the daemon has told it, and so sees what changes */
} RulesFolder;

void rules_folder_find(RulesFolder *ret, const Arguments *arguments);
