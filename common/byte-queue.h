/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Byte queue: a bounded queue of bytes
 *
 * Takes memory as it is needed and gives it back when it is empty, so that an
 * idle peer costs nothing. Embed it; a zeroed one with its @max set is ready.
 */

#include "common/util.h"

typedef struct ByteQueue {
    size_t max; /* never more bytes than this */
    char *data;
    size_t size; /* of data */
    size_t start;
    size_t end;
} ByteQueue;

/* Free what it holds; it is empty then. */
void byte_queue_clear(ByteQueue *queue);

size_t byte_queue_len(const ByteQueue *queue);
/* The first byte; never NULL. */
const char *byte_queue_data(const ByteQueue *queue);

/*
 * Room for 1 to @want bytes at the end, as far as @max allows: its size, 0 if
 * the queue is full, or -ENOMEM. Say with byte_queue_filled() how much was
 * used.
 */
ssize_t byte_queue_space(ByteQueue *queue, char **ret, size_t want);
void byte_queue_filled(ByteQueue *queue, size_t n);

/* All of it, or -ENOBUFS and nothing of it, or -ENOMEM. */
int byte_queue_append(ByteQueue *queue, const char *data, size_t len);

/* Drop @n bytes at the start. */
void byte_queue_drop(ByteQueue *queue, size_t n);
