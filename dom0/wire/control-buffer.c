/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/wire/control-buffer.h"

#define SIZE_MIN 4096U

void control_buffer_clear(ControlBuffer *buffer)
{
    free(buffer->data);
    *buffer = (ControlBuffer){ .max = buffer->max };
}

size_t control_buffer_len(const ControlBuffer *buffer)
{
    return buffer->end - buffer->start;
}

const char *control_buffer_data(const ControlBuffer *buffer)
{
    return buffer->data ? buffer->data + buffer->start : "";
}

/* Move what there is to the front. */
static void pack(ControlBuffer *buffer)
{
    if (buffer->start == 0)
        return;
    memmove(buffer->data, buffer->data + buffer->start,
            control_buffer_len(buffer));
    buffer->end -= buffer->start;
    buffer->start = 0;
}

/* Doubling, so that many small pieces cost no more than one large one. */
static int grow(ControlBuffer *buffer, size_t needed)
{
    size_t size = buffer->size ? buffer->size : SIZE_MIN;
    char *data;

    while (size < needed)
        size *= 2;
    if (size > buffer->max)
        size = buffer->max;
    data = realloc(buffer->data, size);
    if (!data)
        return -ENOMEM;

    buffer->data = data;
    buffer->size = size;
    return 0;
}

ssize_t control_buffer_space(ControlBuffer *buffer, char **ret, size_t want)
{
    size_t len = control_buffer_len(buffer);
    int r;

    if (want > buffer->max - len)
        want = buffer->max - len;
    if (buffer->size - buffer->end < want)
        pack(buffer);
    if (buffer->size - buffer->end < want) {
        r = grow(buffer, len + want);
        if (r < 0)
            return r;
    }

    *ret = buffer->data + buffer->end;
    return (ssize_t) want;
}

void control_buffer_filled(ControlBuffer *buffer, size_t n)
{
    assert(n <= buffer->size - buffer->end);

    buffer->end += n;
}

int control_buffer_append(ControlBuffer *buffer, const char *data, size_t len)
{
    char *space;
    ssize_t n;

    if (len > buffer->max - control_buffer_len(buffer))
        return -ENOBUFS;
    n = control_buffer_space(buffer, &space, len);
    if (n < 0)
        return (int) n;

    memcpy(space, data, len);
    control_buffer_filled(buffer, len);
    return 0;
}

void control_buffer_drop(ControlBuffer *buffer, size_t n)
{
    assert(n <= control_buffer_len(buffer));

    buffer->start += n;
    buffer->scanned = 0;
    if (buffer->start == buffer->end)
        control_buffer_clear(buffer);
}

bool control_buffer_has_message(ControlBuffer *buffer, size_t *ret_len)
{
    size_t len = control_buffer_len(buffer);
    const char *data = control_buffer_data(buffer);
    const char *nul;

    if (buffer->scanned == len)
        return false;
    nul = memchr(data + buffer->scanned, '\0', len - buffer->scanned);
    if (!nul) {
        buffer->scanned = len;
        return false;
    }

    buffer->scanned = (size_t) (nul - data);
    *ret_len = buffer->scanned;
    return true;
}
