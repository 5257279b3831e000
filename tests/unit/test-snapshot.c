/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sysusb/core/snapshot.h"
#include "tests/support/test.h"

static Record record_of(const char *name, int64_t diskseq)
{
    Record record = { .action = RECORD_PRESENT };

    record.class = device_name_parse_any(&record.device, name, strlen(name));
    assert_int_not_equal(record.class, DEVICE_CLASS_INVALID);
    assert_true(
        properties_set_number(&record.properties, PROPERTY_DISKSEQ, diskseq));
    return record;
}

/* The action of what is to be sent, or RECORD_ACTION_INVALID for nothing. */
static RecordAction note(Snapshot *snapshot,
                         const char *name,
                         int64_t diskseq,
                         Presence presence)
{
    Record seen = record_of(name, diskseq), sent;
    int r = snapshot_note(snapshot, &sent, &seen, presence);

    assert_in_range(r, 0, 1);
    if (r == 0)
        return RECORD_ACTION_INVALID;
    assert_string_equal(sent.device.s, name);
    return sent.action;
}

static Snapshot *new_snapshot(void)
{
    Snapshot *snapshot;

    assert_int_equal(snapshot_new(&snapshot), 0);
    return snapshot;
}

static void test_add_change_and_remove_follow_from_what_is_known(void **state)
{
    _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();

    (void) state;

    assert_int_equal(note(s, "sda", 1, PRESENCE_NONE), RECORD_ACTION_INVALID);
    assert_int_equal(note(s, "sda", 1, PRESENCE_OFFERED), RECORD_ADD);
    assert_int_equal(note(s, "sda", 1, PRESENCE_OFFERED),
                     RECORD_ACTION_INVALID);
    assert_int_equal(note(s, "sda", 2, PRESENCE_OFFERED), RECORD_CHANGE);
    assert_int_equal(note(s, "2-1", 0, PRESENCE_OFFERED), RECORD_ADD);
    assert_int_equal(note(s, "sda", 0, PRESENCE_NONE), RECORD_REMOVE);
    assert_int_equal(note(s, "sda", 0, PRESENCE_NONE), RECORD_ACTION_INVALID);
    assert_int_equal(note(s, "sda", 2, PRESENCE_OFFERED), RECORD_ADD);
    assert_int_equal(snapshot_count(s), 2);
}

static void test_what_is_in_use_is_not_newly_offered(void **state)
{
    _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();

    (void) state;

    assert_int_equal(note(s, "sda", 1, PRESENCE_IN_USE), RECORD_ACTION_INVALID);
    assert_int_equal(snapshot_count(s), 0);
    assert_int_equal(note(s, "sda", 1, PRESENCE_OFFERED), RECORD_ADD);
}

static void test_what_becomes_in_use_stays_and_is_offered_again(void **state)
{
    _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();

    (void) state;

    assert_int_equal(note(s, "sda", 1, PRESENCE_OFFERED), RECORD_ADD);
    assert_int_equal(note(s, "sda", 1, PRESENCE_IN_USE), RECORD_ACTION_INVALID);
    assert_int_equal(snapshot_count(s), 1);
    assert_int_equal(note(s, "sda", 1, PRESENCE_IN_USE), RECORD_ACTION_INVALID);
    assert_int_equal(note(s, "sda", 1, PRESENCE_OFFERED), RECORD_CHANGE);
    assert_int_equal(note(s, "sda", 1, PRESENCE_OFFERED),
                     RECORD_ACTION_INVALID);
    /* another disk under the same name is told, used or not */
    assert_int_equal(note(s, "sda", 2, PRESENCE_IN_USE), RECORD_CHANGE);
    assert_int_equal(note(s, "sda", 2, PRESENCE_NONE), RECORD_REMOVE);
}

static void test_parents_come_first(void **state)
{
    static const char *const order[] = { "2-1", "2-2", "sda", "sdb", "sda1" };
    _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
    Record part = record_of("sda1", 1), sent;

    (void) state;

    part.parent_class = DEVICE_CLASS_BLOCK;
    memcpy(part.parent.s, "sda", sizeof("sda"));
    assert_int_equal(snapshot_note(s, &sent, &part, PRESENCE_OFFERED), 1);
    assert_int_equal(note(s, "sda", 1, PRESENCE_OFFERED), RECORD_ADD);
    assert_int_equal(note(s, "2-1", 1, PRESENCE_OFFERED), RECORD_ADD);
    assert_int_equal(note(s, "sdb", 1, PRESENCE_OFFERED), RECORD_ADD);
    assert_int_equal(note(s, "2-2", 1, PRESENCE_OFFERED), RECORD_ADD);
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        assert_string_equal(snapshot_get(s, i)->device.s, order[i]);
        assert_int_equal(snapshot_get(s, i)->action, RECORD_PRESENT);
    }
}

static void test_a_removal_says_who_and_not_what(void **state)
{
    _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
    Record part = record_of("sda1", 1), sent;

    (void) state;

    part.parent_class = DEVICE_CLASS_BLOCK;
    memcpy(part.parent.s, "sda", sizeof("sda"));
    assert_int_equal(snapshot_note(s, &sent, &part, PRESENCE_OFFERED), 1);
    part = record_of("sda1", 0);
    assert_int_equal(snapshot_note(s, &sent, &part, PRESENCE_NONE), 1);
    assert_int_equal(sent.action, RECORD_REMOVE);
    assert_int_equal(sent.class, DEVICE_CLASS_BLOCK);
    assert_string_equal(sent.parent.s, "sda");
    assert_int_equal(sent.properties.present, 0);
}

static Record child_of(const char *name, const char *parent)
{
    Record record = record_of(name, 1);

    record.parent_class =
        device_name_parse_any(&record.parent, parent, strlen(parent));
    assert_int_not_equal(record.parent_class, DEVICE_CLASS_INVALID);
    return record;
}

/* A forwarder that started between two sticks in one port had found the new
 * disk, then read of the old stick's going: dom0 took the disk for gone. */
static void test_parts_of_what_goes_are_told_anew(void **state)
{
    static const char *const gone[] = { "sda1", "sda" };
    _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
    const Record parts[] = { child_of("sda", "2-2"), child_of("sda1", "sda"),
                             child_of("sdb", "2-1") };
    Record stick = record_of("2-2", 1), hub = record_of("2-3", 1), sent;

    (void) state;

    (void) note(s, "2-1", 1, PRESENCE_OFFERED);
    (void) note(s, "2-2", 1, PRESENCE_OFFERED);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        assert_int_equal(snapshot_note(s, &sent, &parts[i], PRESENCE_OFFERED),
                         1);
    /* one that is not exported may have parts that are */
    assert_false(snapshot_drop_part(s, &sent, &hub));
    /* a disk that is not offered does not take a partition along */
    assert_false(snapshot_drop_part(s, &sent, &parts[0]));
    for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
        assert_true(snapshot_drop_part(s, &sent, &stick));
        assert_int_equal(sent.action, RECORD_REMOVE);
        assert_string_equal(sent.device.s, gone[i]);
    }
    assert_false(snapshot_drop_part(s, &sent, &stick));
    assert_int_equal(note(s, "2-2", 0, PRESENCE_NONE), RECORD_REMOVE);
    assert_int_equal(snapshot_count(s), 2);
    assert_int_equal(snapshot_note(s, &sent, &parts[0], PRESENCE_OFFERED), 1);
    assert_int_equal(sent.action, RECORD_ADD);
}

static void test_a_sweep_finds_what_is_gone(void **state)
{
    _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
    Record gone;

    (void) state;

    (void) note(s, "2-1", 1, PRESENCE_OFFERED);
    (void) note(s, "sda", 1, PRESENCE_OFFERED);
    (void) note(s, "sdb", 1, PRESENCE_OFFERED);
    snapshot_sweep_begin(s);
    assert_int_equal(note(s, "sda", 1, PRESENCE_IN_USE), RECORD_ACTION_INVALID);
    assert_int_equal(note(s, "sdc", 1, PRESENCE_OFFERED), RECORD_ADD);
    assert_true(snapshot_sweep_next(s, &gone));
    assert_string_equal(gone.device.s, "sdb");
    assert_int_equal(gone.action, RECORD_REMOVE);
    assert_true(snapshot_sweep_next(s, &gone));
    assert_string_equal(gone.device.s, "2-1");
    assert_false(snapshot_sweep_next(s, &gone));
    assert_int_equal(snapshot_count(s), 2);
}

static void test_what_udev_is_at_is_told_again_when_it_is_done(void **state)
{
    _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
    Record gone;

    (void) state;

    (void) note(s, "sda", 1, PRESENCE_OFFERED);
    snapshot_sweep_begin(s);
    assert_int_equal(note(s, "sda", 2, PRESENCE_PENDING),
                     RECORD_ACTION_INVALID);
    /* after a restart dom0 may know it, and must not take it for gone */
    assert_int_equal(note(s, "sdb", 1, PRESENCE_PENDING), RECORD_ADD);
    assert_int_equal(note(s, "sdb", 1, PRESENCE_PENDING),
                     RECORD_ACTION_INVALID);
    assert_false(snapshot_sweep_next(s, &gone));
    assert_int_equal(snapshot_count(s), 2);

    /* dom0 may have looked for it too early: it is told anew */
    assert_int_equal(note(s, "sdb", 1, PRESENCE_OFFERED), RECORD_CHANGE);
    assert_int_equal(note(s, "sdb", 1, PRESENCE_OFFERED),
                     RECORD_ACTION_INVALID);
    assert_int_equal(note(s, "sda", 1, PRESENCE_OFFERED),
                     RECORD_ACTION_INVALID);
}

static void test_what_is_over_the_limit_is_left_out_and_counted(void **state)
{
    _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
    Record over = record_of("sda", 1), sent;
    char name[16];

    (void) state;

    for (unsigned int i = 0; i < SNAPSHOT_MAX; i++) {
        (void) snprintf(name, sizeof(name), "1-%u", i);
        assert_int_equal(note(s, name, 1, PRESENCE_OFFERED), RECORD_ADD);
    }
    assert_int_equal(snapshot_left_out(s), 0);
    assert_int_equal(snapshot_note(s, &sent, &over, PRESENCE_OFFERED), -ENOSPC);
    assert_int_equal(snapshot_left_out(s), 1);
    /* those that are known are not affected */
    assert_int_equal(note(s, "1-7", 2, PRESENCE_OFFERED), RECORD_CHANGE);
    assert_int_equal(note(s, "1-7", 2, PRESENCE_NONE), RECORD_REMOVE);
    assert_int_equal(snapshot_note(s, &sent, &over, PRESENCE_OFFERED), 1);
    snapshot_sweep_begin(s);
    assert_int_equal(snapshot_left_out(s), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_change_and_remove_follow_from_what_is_known),
        cmocka_unit_test(test_what_is_in_use_is_not_newly_offered),
        cmocka_unit_test(test_what_becomes_in_use_stays_and_is_offered_again),
        cmocka_unit_test(test_parents_come_first),
        cmocka_unit_test(test_a_removal_says_who_and_not_what),
        cmocka_unit_test(test_parts_of_what_goes_are_told_anew),
        cmocka_unit_test(test_a_sweep_finds_what_is_gone),
        cmocka_unit_test(test_what_udev_is_at_is_told_again_when_it_is_done),
        cmocka_unit_test(test_what_is_over_the_limit_is_left_out_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
