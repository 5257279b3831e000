/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/wire/control-buffer.h"

void control_buffer_clear(ControlBuffer *buffer)
{
    byte_queue_clear(&buffer->bytes);
    buffer->scanned = 0;
}

bool control_buffer_has_message(ControlBuffer *buffer, size_t *ret_len)
{
    size_t len = byte_queue_len(&buffer->bytes);
    const char *data = byte_queue_data(&buffer->bytes);
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

void control_buffer_drop(ControlBuffer *buffer, size_t len)
{
    byte_queue_drop(&buffer->bytes, len + 1);
    buffer->scanned = 0;
}
