/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule files to the disk
 *
 * Whole or not at all: whoever reads the folder sees the old file or the new
 * one. A new file belongs to whoever writes it and is readable for all, a
 * replaced one keeps owner and mode, as long as rules_files_read() would take
 * them.
 */

#include "common/util.h"

/* Make or replace the file @path. Negative errno. */
int rules_file_write(const char *path, const char *text, size_t len);

/* Remove the file. Negative errno. */
int rules_file_delete(const char *path);

/* 0 if a file in the folder could be written, else the negative errno that
 * tells why not. */
int rules_folder_is_writable(const char *dir_path);
