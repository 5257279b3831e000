/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "sysusb/core/snapshot.h"

typedef struct Entry {
    Record record;
    bool in_use; /* or udev is at it: to be told again when that is over */
    bool unseen; /* since the sweep began */
} Entry;

struct Snapshot {
    size_t n_left_out;
    size_t n_entries;
    Entry *entries[SNAPSHOT_MAX];
};

/* where it stands in the order */
static unsigned int rank(const Record *record)
{
    if (record->class == DEVICE_CLASS_USB)
        return 0;
    return record->parent_class == DEVICE_CLASS_BLOCK ? 2 : 1;
}

/* Index of the entry, or n_entries. */
static size_t find(const Snapshot *snapshot, const Record *record)
{
    size_t i;

    for (i = 0; i < snapshot->n_entries; i++)
        if (snapshot->entries[i]->record.class == record->class &&
            device_name_equal(&snapshot->entries[i]->record.device,
                              &record->device))
            break;
    return i;
}

static int insert(Snapshot *snapshot, const Record *record, bool in_use)
{
    size_t at = snapshot->n_entries;
    Entry *entry;

    if (snapshot->n_entries == SNAPSHOT_MAX) {
        snapshot->n_left_out++;
        return -ENOSPC;
    }
    entry = malloc(sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    *entry = (Entry){ .record = *record, .in_use = in_use };
    entry->record.action = RECORD_PRESENT;

    while (at > 0 && rank(&snapshot->entries[at - 1]->record) > rank(record))
        at--;
    memmove(snapshot->entries + at + 1, snapshot->entries + at,
            (snapshot->n_entries - at) * sizeof(snapshot->entries[0]));
    snapshot->entries[at] = entry;
    snapshot->n_entries++;
    return 0;
}

/* Drop the entry and answer its "remove": the name without the properties. */
static void drop(Snapshot *snapshot, size_t index, Record *ret)
{
    Entry *entry = snapshot->entries[index];

    *ret = (Record){
        .action = RECORD_REMOVE,
        .class = entry->record.class,
        .device = entry->record.device,
        .parent_class = entry->record.parent_class,
        .parent = entry->record.parent,
    };
    snapshot->n_entries--;
    memmove(snapshot->entries + index, snapshot->entries + index + 1,
            (snapshot->n_entries - index) * sizeof(snapshot->entries[0]));
    free(entry);
}

static int note_new(Snapshot *snapshot,
                    Record *ret,
                    const Record *seen,
                    bool in_use)
{
    int r = insert(snapshot, seen, in_use);

    if (r < 0)
        return r;
    *ret = *seen;
    ret->action = RECORD_ADD;
    return 1;
}

static int note_known(Entry *entry,
                      Record *ret,
                      const Record *seen,
                      bool in_use)
{
    bool freed = entry->in_use && !in_use;
    Record record = *seen;

    record.action = RECORD_PRESENT;
    entry->in_use = in_use;
    entry->unseen = false;
    if (record_equal(&entry->record, &record) && !freed)
        return 0;

    entry->record = record;
    *ret = record;
    ret->action = RECORD_CHANGE;
    return 1;
}

int snapshot_note(Snapshot *snapshot,
                  Record *ret,
                  const Record *seen,
                  Presence presence)
{
    size_t index = find(snapshot, seen);
    bool known = index < snapshot->n_entries;

    assert(seen->class != DEVICE_CLASS_INVALID);

    switch (presence) {
    case PRESENCE_NONE:
        break;
    case PRESENCE_IN_USE:
        return known ? note_known(snapshot->entries[index], ret, seen, true)
                     : 0;
    case PRESENCE_PENDING:
        if (!known)
            return note_new(snapshot, ret, seen, true);
        snapshot->entries[index]->unseen = false;
        return 0;
    case PRESENCE_OFFERED:
        return known ? note_known(snapshot->entries[index], ret, seen, false)
                     : note_new(snapshot, ret, seen, false);
    }
    if (known)
        drop(snapshot, index, ret);
    return known;
}

static bool is_child(const Record *record, const Record *whole)
{
    return record->parent_class == whole->class &&
           device_name_equal(&record->parent, &whole->device);
}

/* Whether the device of @record hangs on @whole: a disk, or a partition of such
 * a disk. */
static bool is_part(const Snapshot *snapshot,
                    const Record *record,
                    const Record *whole)
{
    const Record disk = { .class = record->parent_class,
                          .device = record->parent };
    size_t at;

    if (is_child(record, whole))
        return true;
    at = disk.class == DEVICE_CLASS_BLOCK ? find(snapshot, &disk)
                                          : snapshot->n_entries;
    return at < snapshot->n_entries &&
           is_child(&snapshot->entries[at]->record, whole);
}

bool snapshot_drop_part(Snapshot *snapshot, Record *ret, const Record *seen)
{
    if (seen->class != DEVICE_CLASS_USB ||
        find(snapshot, seen) == snapshot->n_entries)
        return false;
    for (size_t i = snapshot->n_entries; i > 0; i--)
        if (is_part(snapshot, &snapshot->entries[i - 1]->record, seen)) {
            drop(snapshot, i - 1, ret);
            return true;
        }
    return false;
}

void snapshot_sweep_begin(Snapshot *snapshot)
{
    snapshot->n_left_out = 0;
    for (size_t i = 0; i < snapshot->n_entries; i++)
        snapshot->entries[i]->unseen = true;
}

bool snapshot_sweep_next(Snapshot *snapshot, Record *ret)
{
    /* from the end: a partition goes before its disk */
    for (size_t i = snapshot->n_entries; i > 0; i--)
        if (snapshot->entries[i - 1]->unseen) {
            drop(snapshot, i - 1, ret);
            return true;
        }
    return false;
}

size_t snapshot_count(const Snapshot *snapshot)
{
    return snapshot->n_entries;
}

const Record *snapshot_get(const Snapshot *snapshot, size_t index)
{
    assert(index < snapshot->n_entries);

    return &snapshot->entries[index]->record;
}

size_t snapshot_left_out(const Snapshot *snapshot)
{
    return snapshot->n_left_out;
}

int snapshot_new(Snapshot **ret)
{
    Snapshot *snapshot = calloc(1, sizeof(*snapshot));

    if (!snapshot)
        return -ENOMEM;
    *ret = snapshot;
    return 0;
}

Snapshot *snapshot_free(Snapshot *snapshot)
{
    if (!snapshot)
        return NULL;

    for (size_t i = 0; i < snapshot->n_entries; i++)
        free(snapshot->entries[i]);
    free(snapshot);
    return NULL;
}
