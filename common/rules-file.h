/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RulesFile: one rule file as it was read, or why it was not
 */

#include "common/util.h"

#define RULES_FILE_SUFFIX ".rules"

typedef struct RulesFile {
    char *name;     /* base name; the folder's path, if that is what is wrong */
    char *contents; /* not NUL-terminated; NULL if there is an error */
    size_t len;
    char *error; /* what is wrong and what would be right, or NULL */
} RulesFile;

typedef struct RulesFiles {
    size_t n_files;
    RulesFile *files; /* ordered by name, as strcmp() does */
} RulesFiles;
