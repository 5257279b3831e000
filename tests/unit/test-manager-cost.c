/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a source may make the manager do for one line: texts, and devices, that
 * are compared are counted, which takes no clock. */

#include <stdio.h>
#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/manager-rig.h"
#include "tests/support/test.h"

/* of each device that is known; a few to find it by its name, as many for each
 * parent */
#define COMPARISONS_MAX (64U * SOURCE_DEVICES_MAX)

static size_t n_compared;

/* the names that --wrap gives */
int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);

int __wrap_strcmp(const char *a, const char *b)
{
    n_compared++;
    return __real_strcmp(a, b);
}

bool __real_device_excludes(const Device *a, const Device *b);
bool __wrap_device_excludes(const Device *a, const Device *b);

bool __wrap_device_excludes(const Device *a, const Device *b)
{
    n_compared++;
    return __real_device_excludes(a, b);
}

static ManagerRig rig;
static uint64_t connection;

static void tell(const char *device, const char *parent)
{
    Record record = rig_record(RECORD_ADD, device);

    record.parent_class = DEVICE_CLASS_BLOCK;
    assert_true(device_name_parse(&record.parent, DEVICE_CLASS_BLOCK, parent,
                                  strlen(parent)));
    assert_int_equal(rig_tell_record(&rig, connection, &record),
                     STATUS_NO_RULE);
}

/* As many as there may be, each a part of a part of a part of what is not
 * there, so that all of its parents are looked for. */
static int set_up(void **state)
{
    (void) state;

    rig_begin(&rig, "stick: allow block name zzz to work\n");
    connection = rig_connect(&rig, "sys-usb", '1');
    tell("xx", "ww");
    tell("yy", "xx");
    tell("zz", "yy");
    for (size_t i = 3; i < SOURCE_DEVICES_MAX - 1; i++) {
        char name[DEVICE_BLOCK_NAME_MAX + 1];

        (void) snprintf(name, sizeof(name), "a%zu", i);
        tell(name, "zz");
    }
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    rig_end(&rig);
    return 0;
}

static void tell_usb(RecordAction action, const char *serial)
{
    Record record = rig_record_at(action, "2-1", "2-1", serial);

    n_compared = 0;
    (void) rig_tell_record(&rig, connection, &record);
    assert_in_range(n_compared, 1, COMPARISONS_MAX);
}

static void test_a_line_about_a_usb_device_is_cheap_among_many_parts(
    void **state)
{
    (void) state;

    tell_usb(RECORD_ADD, "one");
    tell_usb(RECORD_ADD, "two"); /* another plug */
    tell_usb(RECORD_REMOVE, "two");
}

static void test_an_event_about_a_usb_device_is_cheap_among_many_parts(
    void **state)
{
    (void) state;

    tell_usb(RECORD_ADD, "one");
    n_compared = 0;
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "2-1", NULL);
    assert_in_range(n_compared, 1, COMPARISONS_MAX);
}

/* a disk in the USB device at 2-1; all begin alike */
static Record disk(RecordAction action, size_t i, const char *serial)
{
    char name[DEVICE_BLOCK_NAME_MAX + 1], path[RECORD_LONG_MAX + 1];
    Record record;

    (void) snprintf(name, sizeof(name), "sd%c%c", 'a' + (char) (i / 26),
                    'a' + (char) (i % 26));
    record = rig_record_at(action, name, "2-1", serial);
    memset(path, 'p', RECORD_LONG_MAX);
    assert_true(properties_set_text(&record.properties, PROPERTY_PATH, path,
                                    RECORD_LONG_MAX));
    return record;
}

/* The person has detached all of them; then they went, and others came. */
static void test_an_event_is_cheap_among_many_plugs_that_went(void **state)
{
    const size_t n = PLUG_MEMORIES_MAX - 2;
    Record record = rig_record_at(RECORD_ADD, "2-1", "2-1", "usb");

    (void) state;

    rig_end(&rig);
    rig_begin(&rig, "stick: allow block name zzz to work\n");
    connection = rig_connect(&rig, "sys-usb", '1');
    (void) rig_tell_record(&rig, connection, &record);
    for (size_t i = 0; i < n; i++) {
        DeviceRef ref = { .source = rig_qube("sys-usb"),
                          .class = DEVICE_CLASS_BLOCK };

        record = disk(RECORD_ADD, i, "one");
        ref.device = record.device;
        (void) rig_tell_record(&rig, connection, &record);
        (void) manager_detach(rig.manager, &ref, manager_new_asker(rig.manager),
                              rig.now);
    }
    for (size_t i = 0; i < n; i++) {
        record = disk(RECORD_REMOVE, i, "one");
        (void) rig_tell_record(&rig, connection, &record);
    }
    for (size_t i = 0; i < SOURCE_DEVICES_MAX - 1; i++) {
        record = disk(RECORD_ADD, i, "two");
        (void) rig_tell_record(&rig, connection, &record);
    }

    n_compared = 0;
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_in_range(n_compared, 1, COMPARISONS_MAX);
}

/* Policy and qubesd answer; each Attach is refused. */
static void serve(void)
{
    PolicyQuestion question;
    AdminRequest request;
    uint64_t id;

    while (manager_next_question(rig.manager, &id, &question))
        manager_on_verdict(rig.manager, id, POLICY_YES, rig.now);
    while (manager_next_call(rig.manager, &id, &request))
        rig_reply(&rig, id,
                  request.method == ADMIN_AVAILABLE
                      ? answer_listed(NULL)
                      : answer_error(ADMIN_ERROR_VALUE));
    while (rig_answer(&rig) != STATUS_INVALID)
        ;
}

/* As many as may be have used up their source's rate, and wait. */
static void test_a_line_is_cheap_while_many_wait_for_their_turn(void **state)
{
    const size_t n = SOURCE_ATTACHES_MAX + SOURCE_JOBS_MAX - 6;
    Record record;

    (void) state;

    rig_end(&rig);
    rig_begin(&rig, "stick: allow block type disk to work\n");
    connection = rig_connect(&rig, "sys-usb", '1');
    for (size_t i = 0; i < n; i++) {
        record = disk(RECORD_ADD, i, "one");
        record.parent_class = DEVICE_CLASS_INVALID;
        /* each has a path of its own, with a rate of its own */
        assert_true(properties_set_text(&record.properties, PROPERTY_PATH,
                                        record.device.s,
                                        strlen(record.device.s)));
        assert_int_equal(rig_tell_record(&rig, connection, &record), 0);
        serve();
    }

    n_compared = 0;
    assert_int_equal(rig_tell(&rig, connection, RECORD_ADD, "zz1"),
                     STATUS_NO_RULE);
    assert_in_range(n_compared, 1, COMPARISONS_MAX);
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_a_line_about_a_usb_device_is_cheap_among_many_parts),
        test(test_an_event_about_a_usb_device_is_cheap_among_many_parts),
        test(test_an_event_is_cheap_among_many_plugs_that_went),
        test(test_a_line_is_cheap_while_many_wait_for_their_turn),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
