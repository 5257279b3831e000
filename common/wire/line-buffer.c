/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/wire/line-buffer.h"

struct LineBuffer {
    size_t max;
    size_t start;   /* of the line to be found next */
    size_t end;     /* of what was filled in */
    size_t scanned; /* no newline between start and here */
    char data[];    /* max + 1: the longest line and its newline */
};

int line_buffer_new(LineBuffer **ret, size_t max)
{
    LineBuffer *buffer;

    assert(max > 0 && max < SIZE_MAX / 2);

    buffer = malloc(sizeof(*buffer) + max + 1);
    if (!buffer)
        return -ENOMEM;

    *buffer = (LineBuffer){ .max = max };
    *ret = buffer;
    return 0;
}

LineBuffer *line_buffer_free(LineBuffer *buffer)
{
    free(buffer);
    return NULL;
}

char *line_buffer_space(LineBuffer *buffer, size_t *ret_size)
{
    if (buffer->start > 0) {
        memmove(buffer->data, buffer->data + buffer->start,
                buffer->end - buffer->start);
        buffer->end -= buffer->start;
        buffer->scanned -= buffer->start;
        buffer->start = 0;
    }

    *ret_size = buffer->max + 1 - buffer->end;
    return buffer->data + buffer->end;
}

void line_buffer_filled(LineBuffer *buffer, size_t n)
{
    assert(n <= buffer->max + 1 - buffer->end);

    buffer->end += n;
}

/* The end of the next line, or NULL. */
static char *find_newline(LineBuffer *buffer)
{
    char *newline = memchr(buffer->data + buffer->scanned, '\n',
                           buffer->end - buffer->scanned);

    /* do not look at the same bytes twice */
    buffer->scanned =
        newline ? (size_t) (newline - buffer->data) : buffer->end;
    return newline;
}

static bool is_too_long(const LineBuffer *buffer)
{
    return buffer->end - buffer->start > buffer->max;
}

bool line_buffer_is_ready(LineBuffer *buffer)
{
    return find_newline(buffer) || is_too_long(buffer);
}

LineResult line_buffer_next(LineBuffer *buffer,
                            const char **ret_untrusted_line,
                            size_t *ret_untrusted_len)
{
    char *newline = find_newline(buffer);

    if (!newline)
        return is_too_long(buffer) ? LINE_TOO_LONG : LINE_NONE;

    *ret_untrusted_line = buffer->data + buffer->start;
    *ret_untrusted_len = (size_t) (newline - buffer->data) - buffer->start;
    buffer->start = (size_t) (newline - buffer->data) + 1;
    buffer->scanned = buffer->start;
    return LINE_GOOD;
}

bool line_buffer_has_partial(const LineBuffer *buffer)
{
    return buffer->end > buffer->start;
}
