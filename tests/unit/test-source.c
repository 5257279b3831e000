/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dom0/core/source.h"
#include "dom0/core/waiter.h"
#include "tests/support/test.h"

#define BEGIN_USEC (UINT64_C(86400) * USEC_PER_SEC)

static Source *source;

static int set_up(void **state)
{
    const QubeName name = { "sys-usb" };

    (void) state;

    return source_new(&source, &name);
}

static int tear_down(void **state)
{
    (void) state;

    source = source_free(source);
    return 0;
}

static Record record_of(const char *name, const char *parent)
{
    Record record = { .action = RECORD_ADD };

    record.class = device_name_parse_any(&record.device, name, strlen(name));
    assert_int_not_equal(record.class, DEVICE_CLASS_INVALID);
    if (parent)
        record.parent_class =
            device_name_parse_any(&record.parent, parent, strlen(parent));
    return record;
}

static Device *add(const char *name, const char *parent)
{
    const Record record = record_of(name, parent);
    Device *device = NULL;

    assert_int_equal(source_add(source, &device, &record), 0);
    return device;
}

/* noes */

static void test_three_noes_silence_for_a_minute(void **state)
{
    uint64_t now_usec = BEGIN_USEC;

    (void) state;

    source_on_no(source, now_usec);
    assert_false(source_is_quiet(source, now_usec));
    source_on_no(source, now_usec);
    assert_false(source_is_quiet(source, now_usec));
    source_on_no(source, now_usec);
    assert_true(source_is_quiet(source, now_usec));
    assert_true(source_is_quiet(source, now_usec + 60 * USEC_PER_SEC - 1));
    assert_false(source_is_quiet(source, now_usec + 60 * USEC_PER_SEC));
}

static void test_each_further_no_doubles_it_up_to_an_hour(void **state)
{
    uint64_t now_usec = BEGIN_USEC, minutes = 1;

    (void) state;

    source_on_no(source, now_usec);
    source_on_no(source, now_usec);
    for (size_t i = 0; i < 100; i++) {
        uint64_t pause_usec = minutes * 60 * USEC_PER_SEC;

        source_on_no(source, now_usec);
        assert_true(source_is_quiet(source, now_usec + pause_usec - 1));
        now_usec += pause_usec;
        assert_false(source_is_quiet(source, now_usec));
        minutes = minutes * 2 > 60 ? 60 : minutes * 2;
    }
    assert_int_equal(minutes, 60);
}

static void test_a_yes_ends_the_silence(void **state)
{
    (void) state;

    for (size_t i = 0; i < 5; i++)
        source_on_no(source, BEGIN_USEC);
    assert_true(source_is_quiet(source, BEGIN_USEC));
    source_on_yes(source);
    assert_false(source_is_quiet(source, BEGIN_USEC));
    /* and the count */
    source_on_no(source, BEGIN_USEC);
    source_on_no(source, BEGIN_USEC);
    assert_false(source_is_quiet(source, BEGIN_USEC));
    source_on_no(source, BEGIN_USEC);
    assert_false(source_is_quiet(source, BEGIN_USEC + 60 * USEC_PER_SEC));
}

/* devices */

static void test_devices_are_found_by_class_and_name(void **state)
{
    Device *disk = add("sda", NULL), *stick = add("2-1", NULL);

    (void) state;

    assert_ptr_equal(
        source_find(source, DEVICE_CLASS_BLOCK, &disk->record.device), disk);
    assert_ptr_equal(
        source_find(source, DEVICE_CLASS_USB, &stick->record.device), stick);
    assert_null(source_find(source, DEVICE_CLASS_USB, &disk->record.device));
    source_forget(source, disk);
    assert_int_equal(source->n_devices, 1);
    assert_ptr_equal(source->devices, stick);
}

static void test_devices_are_found_in_whatever_order_they_come_and_go(
    void **state)
{
    enum { N = 61 }; /* a prime: steps of any length reach all */
    Device *devices[N];
    char name[16];

    (void) state;

    for (size_t step = 1; step < 8; step++) {
        for (size_t i = 0; i < N; i++) {
            (void) snprintf(name, sizeof(name),
                            i * step % N < 20 ? "1-%zu" : "sd%zu",
                            i * step % N);
            devices[i * step % N] = add(name, NULL);
        }
        for (size_t n_gone = 0; n_gone < N; n_gone++) {
            size_t gone = (n_gone * 17 + 5) % N;

            for (size_t i = 0; i < N; i++)
                if (devices[i])
                    assert_ptr_equal(source_find(source,
                                                 devices[i]->record.class,
                                                 &devices[i]->record.device),
                                     devices[i]);
            {
                const Record record = devices[gone]->record;

                source_forget(source, devices[gone]);
                devices[gone] = NULL;
                assert_null(source_find(source, record.class, &record.device));
            }
        }
        assert_int_equal(source->n_devices, 0);
    }
}

static void test_so_many_devices_are_known_and_no_more(void **state)
{
    char name[16];
    Record record;
    Device *device;

    (void) state;

    for (size_t i = 0; i < SOURCE_DEVICES_MAX; i++) {
        (void) snprintf(name, sizeof(name), "1-%zu", i + 1);
        add(name, NULL);
    }
    record = record_of("sda", NULL);
    assert_int_equal(source_add(source, &device, &record), -ENOBUFS);
    source_forget(source, source->devices);
    assert_int_equal(source_add(source, &device, &record), 0);
}

static void test_parts_of_one_plug_exclude_one_another(void **state)
{
    static const char *const names[] = { "2-1", "sda",  "sda1", "sda2",
                                         "sdb", "sdb1", "sdc",  "2-2" };
    static const char *const parents[] = { NULL,  "2-1", "sda", "sda",
                                           "2-1", "sdb", NULL,  NULL };
    static const char *const excludes[] = {
        ".xxxxx..", /* the USB device: all below it */
        "x.xx....", /* a disk: its partitions, not another disk */
        "xx......", /* a partition: not its siblings */
        "xx......", "x....x..", "x...x...", "........", "........",
    };
    Device *devices[ARRAY_SIZE(names)];

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        devices[i] = add(names[i], parents[i]);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
            assert_int_equal(device_excludes(devices[i], devices[j]),
                             excludes[i][j] == 'x');
            assert_int_equal(device_is_ancestor(devices[i], devices[j]),
                             i < j && excludes[i][j] == 'x');
        }
}

static void test_a_partition_excludes_its_disk_whatever_it_says(void **state)
{
    Device *disk = add("sda", NULL), *part = add("sda1", NULL);
    Device *nvme = add("nvme0n1", NULL), *nvme_part = add("nvme0n1p2", NULL);

    (void) state;

    assert_true(device_excludes(disk, part));
    assert_true(device_excludes(nvme_part, nvme));
    assert_false(device_excludes(disk, nvme_part));
}

static void test_parents_in_a_circle_end(void **state)
{
    Device *a = add("sda", "sdb"), *b = add("sdb", "sda");
    Device *own = add("sdc", "sdc"), *far = add("sdd", NULL);

    (void) state;

    assert_true(device_excludes(a, b));
    assert_false(device_excludes(own, own));
    assert_false(device_excludes(own, far));
    assert_false(device_excludes(a, far));
}

/* rates */

static void test_a_path_has_twenty_attaches_a_minute(void **state)
{
    Device *device = add("sda", NULL), *other = add("sdb", NULL);
    uint64_t when_usec = 0;

    (void) state;

    assert_true(properties_set_text(&device->record.properties, PROPERTY_PATH,
                                    "pci-1", 5));
    for (size_t i = 0; i < SOURCE_PATH_ATTACHES_MAX; i++)
        assert_true(
            source_take_attach(source, device, BEGIN_USEC + i, &when_usec));
    assert_false(
        source_take_attach(source, device, BEGIN_USEC + 30, &when_usec));
    assert_int_equal(when_usec, BEGIN_USEC + SOURCE_MINUTE_USEC);
    /* another name at the same path is no way around, another path is */
    other->record.properties = device->record.properties;
    assert_false(
        source_take_attach(source, other, BEGIN_USEC + 30, &when_usec));
    assert_true(properties_set_text(&other->record.properties, PROPERTY_PATH,
                                    "pci-2", 5));
    assert_true(source_take_attach(source, other, BEGIN_USEC + 30, &when_usec));
    assert_true(source_take_attach(
        source, device, BEGIN_USEC + SOURCE_MINUTE_USEC, &when_usec));
}

static void test_a_source_has_sixty_attaches_a_minute(void **state)
{
    uint64_t when_usec = 0;
    char name[16];
    Device *late;

    (void) state;

    for (size_t i = 0; i < SOURCE_ATTACHES_MAX; i++) {
        (void) snprintf(name, sizeof(name), "1-%zu", i + 1);
        assert_true(source_take_attach(source, add(name, NULL), BEGIN_USEC + i,
                                       &when_usec));
    }
    late = add("sda", NULL);
    assert_false(
        source_take_attach(source, late, BEGIN_USEC + 100, &when_usec));
    assert_int_equal(when_usec, BEGIN_USEC + SOURCE_MINUTE_USEC);
    /* what was refused was not counted, neither here nor there */
    assert_true(source_take_attach(source, late, when_usec, &when_usec));
    assert_false(source_is_idle(source, when_usec));
}

static void test_paths_do_not_pile_up(void **state)
{
    uint64_t now_usec = BEGIN_USEC, when_usec;
    Device *device = add("sda", NULL);
    char path[16];

    (void) state;

    for (size_t i = 0; i < 1000; i++) {
        size_t n = 0;

        (void) snprintf(path, sizeof(path), "pci-%zu", i);
        assert_true(properties_set_text(&device->record.properties,
                                        PROPERTY_PATH, path, strlen(path)));
        (void) source_take_attach(source, device, now_usec, &when_usec);
        now_usec += USEC_PER_SEC;
        for (PathQuota *quota = source->paths; quota; quota = quota->next)
            n++;
        assert_true(n <= SOURCE_ATTACHES_MAX);
    }
}

static void test_a_source_is_idle_when_nothing_is_known_of_it(void **state)
{
    Device *device;

    (void) state;

    assert_true(source_is_idle(source, BEGIN_USEC));
    source->connections[2].id = 7;
    assert_int_equal(source_count_connections(source), 1);
    assert_ptr_equal(source_find_connection(source, 7),
                     &source->connections[2]);
    assert_false(source_has_picture(source));
    source->connections[2].synced = true;
    assert_true(source_has_picture(source));
    assert_false(source_is_idle(source, BEGIN_USEC));
    source->connections[2] = (SourceConnection){};
    device = add("sda", NULL);
    assert_false(source_is_idle(source, BEGIN_USEC));
    source_forget(source, device);
    assert_true(source_is_idle(source, BEGIN_USEC));
    assert_true(rate_take(&source->lines, &source_line_limit, BEGIN_USEC));
    assert_false(source_is_idle(source, BEGIN_USEC));
    assert_true(source_is_idle(source, BEGIN_USEC + SOURCE_LINES_USEC));
    /* what comes now is the same plug as what went before the suspension */
    source->resumed_usec = BEGIN_USEC;
    assert_false(source_is_idle(source, BEGIN_USEC + PLUG_RESUME_USEC));
    assert_true(source_is_idle(source, BEGIN_USEC + PLUG_RESUME_USEC + 1));
    source_on_no(source, BEGIN_USEC);
    assert_false(source_is_idle(source, BEGIN_USEC + SOURCE_LINES_USEC));
}

/* waiters */

static void test_waiters_are_first_in_first_out_and_counted(void **state)
{
    WaiterList list;

    (void) state;

    waiters_init(&list);
    assert_null(waiters_pop(&list));
    for (int64_t seq = 1; seq <= SOURCE_JOBS_MAX; seq++) {
        Waiter *waiter = waiter_new(source, (uint64_t) seq % 3, seq);

        assert_non_null(waiter);
        waiters_push(&list, waiter);
    }
    assert_null(waiter_new(source, 1, 4711));
    waiters_drop(&list, 1);
    for (int64_t seq = 1; seq <= SOURCE_JOBS_MAX; seq++) {
        Waiter *waiter;

        if (seq % 3 == 1)
            continue;
        waiter = waiters_pop(&list);
        assert_int_equal(waiter->seq, seq);
        waiter_free(waiter);
    }
    assert_null(waiters_pop(&list));
    assert_int_equal(source->n_waiters, 0);

    /* all of them, then it is as good as new */
    waiters_push(&list, waiter_new(source, 5, 1));
    waiters_drop(&list, 5);
    waiters_push(&list, waiter_new(source, 6, 2));
    assert_int_equal(list.first->seq, 2);
    waiters_clear(&list);
    assert_int_equal(source->n_waiters, 0);
}

/* what went, and may come back */

static Device *arrive(const char *name, const char *parent, uint64_t plug)
{
    Device *device = add(name, parent);

    device->plugged = true;
    assert_int_equal(device_arrive(device, plug, plug, BEGIN_USEC), 0);
    return device;
}

static void test_what_is_forgiven_of_a_plug_is_all_of_it(void **state)
{
    Device *disk = arrive("sda", NULL, 1);

    (void) state;

    disk->detached_by_user = disk->refused_by_user = true;
    disk->stopped = (QubeName){ "work" };
    device_remember(disk, BEGIN_USEC);
    assert_int_equal(source->n_memories, 1);
    assert_true(source->memories->detached_by_user);
    source_forgive_memories(source, NULL);
    assert_false(source->memories->detached_by_user);
    assert_false(source->memories->refused_by_user);
    assert_string_equal(source->memories->stopped.s, "");
}

static void test_only_what_was_removed_is_marked_so(void **state)
{
    static const DeviceName sda = { "sda" };
    Device *disks[] = { arrive("sda", NULL, 1), arrive("sdb", NULL, 2) };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
        disks[i]->detached_by_user = true;
        device_remember(disks[i], BEGIN_USEC);
    }
    source_on_removed(source, DEVICE_CLASS_BLOCK, &sda);
    assert_int_equal(source->n_memories, 2);
    /* the newest is the first */
    assert_false(source->memories->removed);
    assert_true(source->memories->next->removed);
}

static void test_a_usb_device_is_remembered_for_its_parts(void **state)
{
    Device *usb = arrive("2-1", NULL, 1), *other = arrive("2-2", NULL, 2);
    Device *disk = arrive("sda", "2-1", 3);

    (void) state;

    disk->detached_by_user = true;
    device_remember(disk, BEGIN_USEC);
    assert_int_equal(source->n_memories, 1);
    device_remember(other, BEGIN_USEC);
    assert_int_equal(source->n_memories, 1);
    device_remember(usb, BEGIN_USEC);
    assert_int_equal(source->n_memories, 2);
}

static void test_a_plug_is_remembered_for_two_minutes(void **state)
{
    const PlugMemory memory = { .gone_usec = BEGIN_USEC };
    const uint64_t resumed_usec = BEGIN_USEC + USEC_PER_SEC,
                   kept_usec = 120 * USEC_PER_SEC;

    (void) state;

    assert_false(plug_memory_is_over(&memory, 0, BEGIN_USEC + kept_usec));
    assert_true(plug_memory_is_over(&memory, 0, BEGIN_USEC + kept_usec + 1));
    /* from when its qube was resumed, if that was soon after it went */
    assert_false(
        plug_memory_is_over(&memory, resumed_usec, resumed_usec + kept_usec));
    assert_true(plug_memory_is_over(&memory, resumed_usec,
                                    resumed_usec + kept_usec + 1));
}

static void test_a_device_is_of_one_usb_device_with_itself(void **state)
{
    Device *disk = add("sda", NULL), *other = add("sdb", NULL);

    (void) state;

    assert_true(device_is_same_usb(disk, disk));
    assert_false(device_is_same_usb(disk, other));
}

static void test_an_early_attach_is_of_the_device_that_its_identity_names(
    void **state)
{
    Record usb = record_of("2-1", NULL);
    AdminEvent event = { .type = ADMIN_EVENT_ATTACH,
                         .subject = { "work" },
                         .class = DEVICE_CLASS_BLOCK,
                         .backend = { "sys-usb" },
                         .port = { "sda" } };

    (void) state;

    memcpy(usb.properties.vendor_id, "0781", 5);
    memcpy(usb.properties.product_id, "5581", 5);
    source_note_early(source, &event);
    assert_false(source_has_early_of(source, &usb));
    event.has_identity = true;
    event.identity = (DeviceIdentity){ "0781:5580:x" };
    source_note_early(source, &event);
    assert_false(source_has_early_of(source, &usb));
    event.identity = (DeviceIdentity){ "0781:5581:x" };
    source_note_early(source, &event);
    assert_true(source_has_early_of(source, &usb));
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_three_noes_silence_for_a_minute),
        test(test_each_further_no_doubles_it_up_to_an_hour),
        test(test_a_yes_ends_the_silence),
        test(test_devices_are_found_by_class_and_name),
        test(test_devices_are_found_in_whatever_order_they_come_and_go),
        test(test_so_many_devices_are_known_and_no_more),
        test(test_parts_of_one_plug_exclude_one_another),
        test(test_a_partition_excludes_its_disk_whatever_it_says),
        test(test_parents_in_a_circle_end),
        test(test_a_path_has_twenty_attaches_a_minute),
        test(test_a_source_has_sixty_attaches_a_minute),
        test(test_paths_do_not_pile_up),
        test(test_a_source_is_idle_when_nothing_is_known_of_it),
        test(test_what_is_forgiven_of_a_plug_is_all_of_it),
        test(test_only_what_was_removed_is_marked_so),
        test(test_a_usb_device_is_remembered_for_its_parts),
        test(test_a_plug_is_remembered_for_two_minutes),
        test(test_a_device_is_of_one_usb_device_with_itself),
        test(test_an_early_attach_is_of_the_device_that_its_identity_names),
        test(test_waiters_are_first_in_first_out_and_counted),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
