/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/fault.h"
#include "tests/support/manager-rig.h"
#include "tests/support/test.h"

#define RULES                                         \
    "disks: allow block name sd* type disk to work\n" \
    "ask: ask block name vd* to { work vault }\n"     \
    "no: deny block name zram*\n"                     \
    "stick: allow usb to vault\n"

static ManagerRig rig;
static uint64_t usb;

/* Nothing fails in here; the test says when. */
static void begin(void)
{
    (void) fault_end();
    rig_begin(&rig, RULES);
    usb = rig_connect(&rig, "sys-usb", 'a');
}

/* It goes its usual way. */
static void attach(const char *device)
{
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, device), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

static void let_through(void)
{
    PolicyQuestion question;
    uint64_t id;

    while (manager_next_question(rig.manager, &id, &question))
        manager_on_verdict(rig.manager, id, POLICY_YES, rig.now);
}

static Status last_status(void)
{
    const History *history = manager_history(rig.manager);

    assert_true(history_count(history) > 0);
    return history_get(history, history_count(history) - 1)->status;
}

/* Whatever is still to be done is done. */
static void serve_all(void)
{
    AdminRequest request;
    uint64_t call;

    let_through();
    while (manager_next_call(rig.manager, &call, &request)) {
        rig_reply(&rig, call,
                  request.method == ADMIN_AVAILABLE ? answer_listed(NULL)
                  : request.method == ADMIN_CURRENT_STATE
                      ? answer_power(POWER_RUNNING)
                      : answer_of(ADMIN_OK));
        let_through();
    }
    while (rig_answer(&rig) != 0)
        ;
}

static void test_a_manager_is_made_or_not(void **state)
{
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        _cleanup_(manager_freep) Manager *manager = NULL;
        int r = manager_new(&manager, false);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(manager);
        n_faults++;
    }
    assert_true(n_faults >= 4);
}

static void test_a_connection_is_granted_or_not(void **state)
{
    const QubeName name = { "sys-usb" };
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        uint64_t id = 0;
        Status status;

        (void) fault_end();
        rig_begin(&rig, RULES);
        fault_begin(n);
        status = manager_connect(rig.manager, &name, rig.now, &id);
        if (!fault_end()) {
            assert_int_equal(status, STATUS_INVALID);
            rig_end(&rig);
            break;
        }
        assert_int_equal(status, STATUS_INTERNAL);
        n_faults++;
        usb = rig_connect(&rig, "sys-usb", 'a');
        attach("sda");
        rig_end(&rig);
    }
    assert_int_equal(n_faults, 1);
}

static void test_a_record_is_taken_or_refused_and_the_next_one_works(
    void **state)
{
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        Status status;

        begin();
        fault_begin(n);
        status = rig_tell(&rig, usb, RECORD_ADD, "sda");
        if (!fault_end()) {
            assert_int_equal(status, 0);
            rig_end(&rig);
            break;
        }
        assert_true(status == STATUS_INTERNAL || status == STATUS_TOO_MANY);
        /* what was taken for it is given back: it may fail any time */
        for (size_t i = 0; i < SOURCE_JOBS_MAX; i++) {
            fault_begin(n > 0); /* the device may be known by now */
            status = rig_tell(&rig, usb, RECORD_ADD, "sda");
            assert_true(fault_end());
            assert_true(status == STATUS_INTERNAL || status == STATUS_TOO_MANY);
        }
        assert_true(rig_is_quiet(&rig));
        assert_int_equal(rig_answer(&rig), 0);
        n_faults++;
        attach("sdb");
        attach("sda");
        rig_end(&rig);
    }
    assert_true(n_faults >= 3); /* who waits, the device, the job */
}

static void test_another_plug_is_taken_or_refused(void **state)
{
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        Record other;
        Status status;

        begin();
        other = rig_record(RECORD_ADD, "sda");
        attach("sda");
        assert_true(
            properties_set_text(&other.properties, PROPERTY_SERIAL, "x", 1));
        fault_begin(n);
        status = rig_tell_record(&rig, usb, &other);
        if (!fault_end()) {
            assert_int_equal(status, 0);
            rig_end(&rig);
            break;
        }
        n_faults++;
        /* what is left of the first is seen to, now or the next time */
        if (status != STATUS_INVALID)
            assert_true(status == STATUS_INTERNAL || status == STATUS_TOO_MANY);
        serve_all();
        attach("sdb");
        rig_end(&rig);
    }
    assert_true(n_faults >= 2);
}

static void test_a_remove_without_memory_can_be_told_again(void **state)
{
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        Status status;

        begin();
        attach("sda");
        fault_begin(n);
        status = rig_tell(&rig, usb, RECORD_REMOVE, "sda");
        if (!fault_end()) {
            assert_int_equal(status, 0);
            rig_end(&rig);
            break;
        }
        assert_true(status == STATUS_INTERNAL || status == STATUS_TOO_MANY);
        n_faults++;
        assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
        rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
        assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
        attach("sda");
        rig_end(&rig);
    }
    assert_true(n_faults >= 2);
}

static void test_an_attach_without_memory_waits_for_its_turn(void **state)
{
    size_t n_faults = 0;

    (void) state;

    /* what comes of the answer of Available, with one fault in it */
    FAULT_LOOP(n) {
        uint64_t call;

        begin();
        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
        call = rig_call(&rig, ADMIN_AVAILABLE);
        fault_begin(n);
        rig_reply(&rig, call, answer_listed(NULL));
        if (!fault_end()) {
            rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
            assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
            rig_end(&rig);
            break;
        }
        n_faults++;
        assert_true(rig_is_quiet(&rig));
        rig_pass(&rig, USEC_PER_SEC);
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
        assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
        rig_end(&rig);
    }
    assert_int_equal(n_faults, 1);
}

/* What was to be decided for another reason than a record is not lost. */
static void test_what_is_resumed_without_memory_is_decided_later(void **state)
{
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        begin();
        manager_pause(rig.manager, MANAGER_PAUSE_FOREVER, rig.now);
        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_PAUSED);
        fault_begin(n);
        manager_resume(rig.manager, rig.now);
        if (!fault_end()) {
            rig_end(&rig);
            break;
        }
        n_faults++;
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(last_status(), STATUS_INTERNAL);
            assert_true(rig_is_quiet(&rig));
            assert_int_equal(manager_next_usec(rig.manager),
                             rig.now.monotonic_usec + MANAGER_ROOM_USEC);
            fault_begin(i);
            rig_pass(&rig, MANAGER_ROOM_USEC);
            assert_int_equal(fault_end(), i == 0);
        }
        serve_all();
        assert_int_equal(last_status(), STATUS_ATTACHED);
        assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
        rig_end(&rig);
    }
    assert_int_equal(n_faults, 1);
}

static void test_what_the_person_wants_is_done_or_can_be_told_again(
    void **state)
{
    DeviceRef ref = { .source = { "sys-usb" },
                      .class = DEVICE_CLASS_BLOCK,
                      .device = { "sda" } };
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        Status detached, retried;

        begin();
        attach("sda");
        fault_begin(n);
        detached = manager_detach(rig.manager, &ref, 1000, rig.now);
        retried = manager_retry(rig.manager, &ref, 1001, rig.now);
        if (!fault_end()) {
            assert_int_equal(detached, 0);
            assert_int_equal(retried, 0);
            rig_end(&rig);
            break;
        }
        assert_true(detached == STATUS_INTERNAL || retried == STATUS_INTERNAL);
        n_faults++;
        serve_all();
        if (manager_retry(rig.manager, &ref, 1002, rig.now) == 0)
            serve_all();
        assert_int_equal(manager_detach(rig.manager, &ref, 1000, rig.now), 0);
        rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
        assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
        rig_end(&rig);
    }
    assert_true(n_faults >= 4);
}

static bool is_attached(const char *device)
{
    DeviceRef ref = { .source = { "sys-usb" }, .class = DEVICE_CLASS_USB };
    ReportDevice found;

    assert_true(device_name_parse(&ref.device, DEVICE_CLASS_USB, device,
                                  strlen(device)));
    return manager_find_attached(rig.manager, &ref, NULL, &found);
}

/* A USB device, plugged in, pulled out and plugged in again, with one fault
 * somewhere: the next time all is as if there had been none. */
static void test_a_usb_device_gets_over_any_fault(void **state)
{
    static const RecordAction actions[] = { RECORD_ADD, RECORD_REMOVE,
                                            RECORD_ADD };
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        bool delivered;

        begin();
        fault_begin(n);
        for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
            const Record stick = rig_record_at(actions[i], "2-1", "2-1", "A");

            (void) rig_tell_record(&rig, usb, &stick);
            serve_all();
        }
        delivered = fault_end();
        rig_pass(&rig, 10 * USEC_PER_SEC);
        serve_all();
        for (size_t i = 1; i < ARRAY_SIZE(actions); i++) {
            const Record stick = rig_record_at(actions[i], "2-1", "2-1", "A");

            (void) rig_tell_record(&rig, usb, &stick);
            serve_all();
            rig_pass(&rig, 10 * USEC_PER_SEC);
            serve_all();
            assert_int_equal(is_attached("2-1"), actions[i] == RECORD_ADD);
        }
        rig_end(&rig);
        if (!delivered)
            break;
        n_faults++;
    }
    assert_true(n_faults >= 8);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_manager_is_made_or_not),
        cmocka_unit_test(test_a_connection_is_granted_or_not),
        cmocka_unit_test(
            test_a_record_is_taken_or_refused_and_the_next_one_works),
        cmocka_unit_test(test_another_plug_is_taken_or_refused),
        cmocka_unit_test(test_a_remove_without_memory_can_be_told_again),
        cmocka_unit_test(test_an_attach_without_memory_waits_for_its_turn),
        cmocka_unit_test(test_what_is_resumed_without_memory_is_decided_later),
        cmocka_unit_test(
            test_what_the_person_wants_is_done_or_can_be_told_again),
        cmocka_unit_test(test_a_usb_device_gets_over_any_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
