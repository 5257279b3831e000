/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The state file: one file in a folder of ours, replaced as a whole
 *
 * The folder is on a tmpfs (DESIGN 2), so reading and writing do not block. A
 * reader sees the old text or the new one, whatever happens in between.
 */

#include "common/util.h"

/*
 * malloc()ed. -ENOENT: there is none; -EPERM: it is not a regular file, or
 * belongs neither to us nor to root, or others may write to it; -EFBIG: it is
 * larger than @max; or what reading says.
 */
int state_file_read(char **ret,
                    size_t *ret_len,
                    const char *dir_path,
                    size_t max);

int state_file_write(const char *dir_path, const char *text, size_t len);

/* Keep a file that cannot be read, under another name, for a person to look
 * at. */
int state_file_set_aside(const char *dir_path);
