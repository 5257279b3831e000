/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Random devices come, change, are used and go, in N_WALKS walks. Dom0 is
 * modelled as a table of what it was told. Whatever the walk, replaying what
 * the snapshot wants sent gives exactly what the snapshot holds; nothing is
 * said twice; and nothing that is there is ever told as gone.
 */

#include <string.h>

#include "sysusb/core/snapshot.h"
#include "tests/support/test.h"

#define N_WALKS   (500U / TESTS_SHARE)
#define N_STEPS   200U
#define N_DEVICES 8U

typedef struct Told {
    bool known;
    Record record; /* action RECORD_PRESENT */
} Told;

typedef struct Walk {
    uint64_t random;
    Presence there[N_DEVICES];
    Told told[N_DEVICES];
    Snapshot *snapshot;
} Walk;

static uint64_t draw(Walk *walk, uint64_t bound)
{
    /* xorshift64*: the same walks in every run */
    walk->random ^= walk->random >> 12;
    walk->random ^= walk->random << 25;
    walk->random ^= walk->random >> 27;
    return (walk->random * UINT64_C(0x2545f4914f6cdd1d) >> 33) % bound;
}

static Record device(size_t index, int64_t diskseq)
{
    static const char *const names[N_DEVICES] = { "1-1",  "2-1.4", "sda",
                                                  "sda1", "sda2",  "sdb",
                                                  "sdb1", "sr0" };
    Record record = { .action = RECORD_PRESENT };
    const char *name = names[index];

    record.class = device_name_parse_any(&record.device, name, strlen(name));
    if (strlen(name) == 4) {
        record.parent_class = DEVICE_CLASS_BLOCK;
        memcpy(record.parent.s, name, 3);
    }
    assert_true(
        properties_set_number(&record.properties, PROPERTY_DISKSEQ, diskseq));
    return record;
}

static size_t index_of(const Record *record)
{
    for (size_t i = 0; i < N_DEVICES; i++) {
        Record candidate = device(i, 0);

        if (device_name_equal(&candidate.device, &record->device))
            return i;
    }
    fail();
    return 0;
}

/* What dom0 makes of a line. */
static void replay(Walk *walk, const Record *line)
{
    Told *told = &walk->told[index_of(line)];

    switch (line->action) {
    case RECORD_ADD:
        assert_false(told->known);
        break;
    case RECORD_CHANGE:
        assert_true(told->known);
        break;
    case RECORD_REMOVE:
        assert_true(told->known);
        assert_int_equal(walk->there[index_of(line)], PRESENCE_NONE);
        told->known = false;
        return;
    case RECORD_PRESENT:
    case RECORD_ACTION_INVALID:
        fail();
    }
    told->known = true;
    told->record = *line;
    told->record.action = RECORD_PRESENT;
}

static void step_event(Walk *walk)
{
    size_t index = draw(walk, N_DEVICES);
    Presence presence = (Presence) draw(walk, 3);
    Record seen = device(index, (int64_t) draw(walk, 2)), line;
    int r;

    walk->there[index] = presence;
    r = snapshot_note(walk->snapshot, &line, &seen, presence);
    assert_in_range(r, 0, 1);
    if (r == 1)
        replay(walk, &line);
    assert_int_equal(index_of(&seen), index);
}

/* Events were lost: devices changed unseen, and all are looked at anew. */
static void step_sweep(Walk *walk)
{
    Record line;

    for (size_t i = 0; i < N_DEVICES; i++)
        walk->there[i] = (Presence) draw(walk, 4);
    snapshot_sweep_begin(walk->snapshot);
    for (size_t i = 0; i < N_DEVICES; i++) {
        Record seen = device(i, (int64_t) draw(walk, 2));

        if (walk->there[i] != PRESENCE_NONE &&
            snapshot_note(walk->snapshot, &line, &seen, walk->there[i]) == 1)
            replay(walk, &line);
    }
    while (snapshot_sweep_next(walk->snapshot, &line))
        replay(walk, &line);
}

static void check(const Walk *walk)
{
    size_t n_known = 0;

    for (size_t i = 0; i < N_DEVICES; i++) {
        n_known += walk->told[i].known;
        /* what is offered is told, what is not there is not */
        if (walk->there[i] == PRESENCE_OFFERED ||
            walk->there[i] == PRESENCE_PENDING)
            assert_true(walk->told[i].known);
        if (walk->there[i] == PRESENCE_NONE)
            assert_false(walk->told[i].known);
    }
    assert_int_equal(snapshot_count(walk->snapshot), n_known);
    for (size_t i = 0; i < n_known; i++) {
        const Record *record = snapshot_get(walk->snapshot, i);

        assert_true(walk->told[index_of(record)].known);
        assert_true(record_equal(&walk->told[index_of(record)].record, record));
    }
}

static void test_replaying_what_is_sent_gives_the_picture(void **state)
{
    (void) state;

    for (uint64_t n = 1; n <= N_WALKS; n++) {
        Walk walk = { .random = n * UINT64_C(0x9e3779b97f4a7c15) };

        assert_int_equal(snapshot_new(&walk.snapshot), 0);
        for (unsigned int i = 0; i < N_STEPS; i++) {
            if (draw(&walk, 10) == 0)
                step_sweep(&walk);
            else
                step_event(&walk);
            check(&walk);
        }
        walk.snapshot = snapshot_free(walk.snapshot);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaying_what_is_sent_gives_the_picture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
