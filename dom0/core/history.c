/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>

#include "dom0/core/history.h"

struct History {
    size_t capacity;
    size_t n_entries;
    size_t oldest;
    uint64_t last_serial;
    HistoryEntry entries[];
};

int history_new(History **ret, size_t capacity)
{
    History *history;
    size_t size;

    assert(ret);
    assert(capacity > 0);

    if (__builtin_mul_overflow(capacity, sizeof(history->entries[0]), &size) ||
        __builtin_add_overflow(size, sizeof(*history), &size))
        return -ENOMEM;

    history = calloc(1, size);
    if (!history)
        return -ENOMEM;

    history->capacity = capacity;

    *ret = history;
    return 0;
}

History *history_free(History *history)
{
    free(history);
    return NULL;
}

void history_add(History *history, const HistoryEntry *entry)
{
    size_t slot;

    assert(entry->status != STATUS_INVALID);

    slot = (history->oldest + history->n_entries) % history->capacity;
    if (history->n_entries == history->capacity)
        history->oldest = (history->oldest + 1) % history->capacity;
    else
        history->n_entries++;

    history->entries[slot] = *entry;
    history->entries[slot].serial = ++history->last_serial;
}

size_t history_count(const History *history)
{
    return history->n_entries;
}

uint64_t history_dropped(const History *history)
{
    return history->last_serial - history->n_entries;
}

uint64_t history_last_serial(const History *history)
{
    return history->last_serial;
}

const HistoryEntry *history_get(const History *history, size_t index)
{
    assert(index < history->n_entries);

    return &history->entries[(history->oldest + index) % history->capacity];
}

const HistoryEntry *history_find(const History *history, uint64_t serial)
{
    uint64_t n_dropped = history_dropped(history);

    if (serial <= n_dropped || serial > history->last_serial)
        return NULL;
    return history_get(history, (size_t) (serial - n_dropped - 1));
}
