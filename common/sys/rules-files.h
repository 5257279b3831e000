/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule files from the disk
 *
 * Rules decide which qube gets which device, so only who is trusted may write
 * those that are in force: a file, and the folder that it is in, must belong to
 * root or to the @owner that is given, and be writable for nobody else. What
 * cannot be read is an error of that file, never a hang: nothing but regular
 * files is opened.
 */

#include <sys/types.h>

#include "common/rules-file.h"

#define RULES_FILE_SIZE_MAX ((size_t) 1024 * 1024)
#define RULES_FILES_MAX     1024U
/* of rules that are only looked at: whoever may write them */
#define RULES_OWNER_ANY ((uid_t) -1)

/*
 * Read all files of the folder that end in ".rules" and do not begin with a
 * dot. What is wrong with the folder is the error of one entry that has its
 * path as name. Fails with -ENOENT if there is no such folder, and -ENOMEM.
 */
int rules_files_read(RulesFiles **ret, const char *dir_path, uid_t owner);

/* Why a file of that name is none of these; NULL if it is one. */
const char *rules_file_passed_over(const char *name);

/* Read one file, whatever its name. Fails only with -ENOMEM. */
int rules_files_read_one(RulesFiles **ret, const char *path, uid_t owner);

/* Read what comes from @fd until its end as one file of that name; also who may
 * write it is not looked at. Fails only with -ENOMEM. */
int rules_files_read_stream(RulesFiles **ret, const char *name, int fd);

RulesFiles *rules_files_free(RulesFiles *files);

DEFINE_CLEANUP(RulesFiles *, rules_files_free)
