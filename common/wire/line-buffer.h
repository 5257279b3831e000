/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Line buffer: bytes in any pieces, lines out
 *
 * Holds at most one line of @max bytes (without its newline) and what was read
 * behind it. A line that is longer is found out as soon as its first byte too
 * many is there, not at its end.
 */

#include "common/util.h"

typedef struct LineBuffer LineBuffer;

typedef enum LineResult {
    LINE_NONE, /* not complete yet */
    LINE_GOOD,
    LINE_TOO_LONG,
} LineResult;

int line_buffer_new(LineBuffer **ret, size_t max);
LineBuffer *line_buffer_free(LineBuffer *buffer);

/*
 * Room to read into, at least one byte after line_buffer_next() has answered
 * LINE_NONE. Tell with line_buffer_filled() how much was read.
 */
char *line_buffer_space(LineBuffer *buffer, size_t *ret_size);
void line_buffer_filled(LineBuffer *buffer, size_t n);

/* Whether line_buffer_next() has something to tell: not LINE_NONE. */
bool line_buffer_is_ready(LineBuffer *buffer);

/*
 * The next line, without its newline; it belongs to the buffer and is gone
 * with the next call. Unless it is LINE_GOOD nothing is set.
 */
LineResult line_buffer_next(LineBuffer *buffer,
                            const char **ret_untrusted_line,
                            size_t *ret_untrusted_len);

/* Whether there are bytes of a line that has not ended. */
bool line_buffer_has_partial(const LineBuffer *buffer);

DEFINE_CLEANUP(LineBuffer *, line_buffer_free)
