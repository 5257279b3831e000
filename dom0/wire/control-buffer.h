/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Control buffer: bytes in any pieces, messages ended by NUL out
 *
 * Read into @bytes; no byte is looked at twice. Embed it; a zeroed one with
 * the queue's @max set is ready.
 */

#include "common/byte-queue.h"

typedef struct ControlBuffer {
    ByteQueue bytes;
    size_t scanned; /* so many of them are not NUL */
} ControlBuffer;

/* Free what it holds; it is empty then. */
void control_buffer_clear(ControlBuffer *buffer);

/*
 * Whether there is a whole message at the start, and its length without the
 * NUL. It stays there until control_buffer_drop().
 */
bool control_buffer_has_message(ControlBuffer *buffer, size_t *ret_len);
/* Drop the message of @len bytes, and its NUL. */
void control_buffer_drop(ControlBuffer *buffer, size_t len);
