/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/byte-queue.h"

#define SIZE_MIN 4096U

void byte_queue_clear(ByteQueue *queue)
{
    free(queue->data);
    *queue = (ByteQueue){ .max = queue->max };
}

size_t byte_queue_len(const ByteQueue *queue)
{
    return queue->end - queue->start;
}

const char *byte_queue_data(const ByteQueue *queue)
{
    return queue->data ? queue->data + queue->start : "";
}

/* Move what there is to the front. */
static void pack(ByteQueue *queue)
{
    if (queue->start == 0)
        return;
    memmove(queue->data, queue->data + queue->start, byte_queue_len(queue));
    queue->end -= queue->start;
    queue->start = 0;
}

/* Doubling, so that many small pieces cost no more than one large one. */
static int grow(ByteQueue *queue, size_t needed)
{
    size_t size = queue->size ? queue->size : SIZE_MIN;
    char *data;

    while (size < needed)
        size *= 2;
    if (size > queue->max)
        size = queue->max;
    data = realloc(queue->data, size);
    if (!data)
        return -ENOMEM;

    queue->data = data;
    queue->size = size;
    return 0;
}

ssize_t byte_queue_space(ByteQueue *queue, char **ret, size_t want)
{
    size_t len = byte_queue_len(queue);
    int r;

    if (want > queue->max - len)
        want = queue->max - len;
    if (queue->size - queue->end < want)
        pack(queue);
    if (queue->size - queue->end < want) {
        r = grow(queue, len + want);
        if (r < 0)
            return r;
    }

    *ret = queue->data + queue->end;
    return (ssize_t) want;
}

void byte_queue_filled(ByteQueue *queue, size_t n)
{
    assert(n <= queue->size - queue->end);

    queue->end += n;
}

int byte_queue_append(ByteQueue *queue, const char *data, size_t len)
{
    char *space;
    ssize_t n;

    if (len == 0)
        return 0;
    if (len > queue->max - byte_queue_len(queue))
        return -ENOBUFS;
    n = byte_queue_space(queue, &space, len);
    if (n < 0)
        return (int) n;

    memcpy(space, data, len);
    byte_queue_filled(queue, len);
    return 0;
}

void byte_queue_drop(ByteQueue *queue, size_t n)
{
    assert(n <= byte_queue_len(queue));

    queue->start += n;
    if (queue->start == queue->end)
        byte_queue_clear(queue);
}
