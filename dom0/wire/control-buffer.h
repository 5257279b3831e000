/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Control buffer: a bounded queue of bytes, with messages ended by NUL
 *
 * Takes memory as it is needed and gives it back when it is empty, so that an
 * idle client costs nothing. Embed it; a zeroed one with its @max set is
 * ready.
 */

#include "common/util.h"

typedef struct ControlBuffer {
    size_t max; /* never more bytes than this */
    char *data;
    size_t size; /* of data */
    size_t start;
    size_t end;
    size_t scanned; /* from start: no NUL before here */
} ControlBuffer;

/* Free what it holds; it is empty then. */
void control_buffer_clear(ControlBuffer *buffer);

size_t control_buffer_len(const ControlBuffer *buffer);
const char *control_buffer_data(const ControlBuffer *buffer);

/*
 * Room for 1 to @want bytes at the end, as far as @max allows: its size, 0 if
 * the buffer is full, or -ENOMEM. Say with control_buffer_filled() how much
 * was used.
 */
ssize_t control_buffer_space(ControlBuffer *buffer, char **ret, size_t want);
void control_buffer_filled(ControlBuffer *buffer, size_t n);

/* All of it, or -ENOBUFS and nothing of it, or -ENOMEM. */
int control_buffer_append(ControlBuffer *buffer, const char *data, size_t len);

/* Drop @n bytes at the start. */
void control_buffer_drop(ControlBuffer *buffer, size_t n);

/*
 * Whether there is a whole message at the start, and its length without the
 * NUL. It stays there until len + 1 bytes are dropped.
 */
bool control_buffer_has_message(ControlBuffer *buffer, size_t *ret_len);
