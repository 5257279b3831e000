/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The state file: one file in a folder of ours, of which the last text counts
 *
 * It holds texts, each with a NUL behind it. A new one is put behind the
 * others, which takes one system call; when there is no room for more, or it
 * is not certain that the file is as we have left it, a new file takes its
 * place. A reader sees the old text or the new one, whatever happens in
 * between: what has no NUL behind it was cut off, as by a kill, and does not
 * count. The folder is on a tmpfs (DESIGN 2), so reading and writing do not
 * block.
 */

#include "common/util.h"

/* a file is replaced when one more text would make it larger than this */
#define STATE_FILE_TEXTS_MAX ((size_t) 32 * 1024)

typedef struct StateFile {
    const char *dir_path; /* borrowed */
    int fd;               /* the file that we have written; -1: none */
    size_t size;
} StateFile;

void state_file_init(StateFile *file, const char *dir_path);
void state_file_close(StateFile *file);

/*
 * The last text, or all of a file without a NUL; to be freed. -ENOENT: there is
 * no file; -EPERM: it is not a regular file, or belongs neither to us nor to
 * root, or others may write to it; -EFBIG: it is larger than @max and what
 * other texts may take; or the errno of reading it.
 */
int state_file_read(char **ret,
                    size_t *ret_len,
                    const StateFile *file,
                    size_t max);

/* @text has a NUL behind it, and none within. */
int state_file_write(StateFile *file, const char *text, size_t len);

/* Keep a file that cannot be read, under another name, for a person to look
 * at. */
int state_file_set_aside(const StateFile *file);
