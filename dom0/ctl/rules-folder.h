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
/* what makes one that is missing */
#define RULES_FOLDER_MAKE "sudo mkdir -m 755"

typedef struct RulesFolder {
    char path[RULES_FOLDER_MAX + 1];
    bool is_given;   /* by --rules-dir */
    bool is_daemons; /* the daemon has told it, and so sees what changes */
    /* whose files the daemon takes, beside those of root; of --rules-dir
     * RULES_OWNER_ANY */
    uid_t owner;
} RulesFolder;

/* A negative errno if it cannot be told, for want of memory or descriptors:
 * the usual one may be another then. */
int rules_folder_find(RulesFolder *ret, const Arguments *arguments);

/* Whether the path leads to the folder. */
bool rules_folder_is(const RulesFolder *folder, const char *path);

/* Whose files are taken there: those of RULES_OWNER_ANY, but where the path is
 * the folder or leads into it. */
uid_t rules_folder_owner_at(const RulesFolder *folder, const char *path);
