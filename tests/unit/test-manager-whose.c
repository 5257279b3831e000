/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is attached under the name of a device of ours may be the person's: of
 * another qube, or another plug. */

#include <string.h>

#include "dom0/core/manager.h"
#include "tests/support/test.h"

#define RULES "r: allow any to work\n"
#include "tests/support/manager-fixture.h"

#define OTHER "0781:5581:5D64:u080650:1.0"

/* Listed there under this identity. */
static AdminAnswer answer_as(const char *devid)
{
    AdminAnswer answer = answer_listed(NULL);

    assert_true(identity_parse(&answer.listing.identity, devid, strlen(devid)));
    return answer;
}

/* Of two qubes. */
static AdminAnswer answer_both(void)
{
    AdminAnswer answer = answer_listed(NULL);

    answer.listing.namesake = true;
    return answer;
}

/* What is at @target is looked at, and nothing else is done before that is
 * answered. */
static void look_finds(const char *device,
                       const char *target,
                       AdminAnswer answer)
{
    AdminRequest request;
    const uint64_t call = rig_call_to(&rig, ADMIN_ATTACHED, &request);

    assert_string_equal(request.dest.s, target);
    assert_string_equal(request.backend.s, "sys-usb");
    assert_string_equal(request.port.s, device);
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, call, answer);
}

/* It is the person's: nothing is detached. */
static void be_left_alone(void)
{
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

static void be_told(AdminEventType type, const char *device)
{
    rig_notice(&rig, type, "sys-usb", device,
               type == ADMIN_EVENT_ATTACH || type == ADMIN_EVENT_DETACH ? "work"
                                                                        : NULL);
}

/* The person has attached the next stick to work. */
static void attach_next(const char *device)
{
    be_told(ADMIN_EVENT_DEVICE_ADDED, device);
    be_told(ADMIN_EVENT_ATTACH, device);
}

/* The record that ours is gone comes after all, and nothing is left of it. */
static void be_gone_late(const char *device)
{
    assert_int_equal(tell(RECORD_REMOVE, device), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_what_is_attached_is_looked_at_before_every_detach(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    for (unsigned int i = 0; i <= JOB_RETRIES_MAX; i++) {
        look_finds("sda", "work", answer_listed(NULL));
        rig_serve(&rig, ADMIN_DETACH, answer_error(ADMIN_ERROR_OTHER));
        look_finds("sda", "work", answer_listed(NULL));
        assert_true(rig_is_quiet(&rig));
        if (i < JOB_RETRIES_MAX)
            rig_pass(&rig, JOB_RETRY_USEC(i));
    }
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
}

static void test_what_is_not_there_is_not_detached(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look_finds("sda", "work", answer_of(ADMIN_OK));
    be_left_alone();
}

/* dom0's own disk, of which no forwarder tells. */
static void test_a_disk_of_a_qube_that_is_no_source_is_left(void **state)
{
    (void) state;

    attach("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "dom0", "sda", "work");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look_finds("sda", "work", answer_both());
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    look_finds("sda", "work", answer_of(ADMIN_OK));
    be_left_alone();
}

/* Of which not even an event told. */
static void test_so_is_a_usb_device(void **state)
{
    (void) state;

    attach("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    for (unsigned int i = 0; i <= JOB_RETRIES_MAX; i++) {
        look_finds("2-1", "work", answer_both());
        assert_true(rig_is_quiet(&rig));
        if (i < JOB_RETRIES_MAX)
            rig_pass(&rig, JOB_RETRY_USEC(i));
    }
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
}

/* Where the source says that what the person names is attached, too. */
static void test_so_is_it_by_the_command(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "2-1", "vault");
    assert_int_equal(detach("2-1"), 0);
    look_finds("2-1", "vault", answer_both());
    assert_true(rig_is_quiet(&rig));
}

/* Another source calls while our Attach is under way. */
static void test_so_is_it_where_an_attach_is_undone(void **state)
{
    const Record other = rig_record(RECORD_ADD, "sda");
    uint64_t second = rig_connect(&rig, "sys-usb2", 'b');
    uint64_t call;

    (void) state;

    call = attach_half("sda");
    rig_set_rules(&rig, "r: allow any from sys-usb to work\n");
    assert_int_equal(rig_tell_record(&rig, second, &other), STATUS_NO_RULE);
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb2", "sda", "work");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    look_finds("sda", "work", answer_both());
    assert_true(rig_is_quiet(&rig));
}

static void test_another_stick_is_not_detached_in_place_of_ours(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look_finds("sda", "work", answer_as(OTHER));
    be_left_alone();
}

static void test_nor_where_an_attach_is_undone(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    look_finds("sda", "work", answer_as(OTHER));
    assert_true(rig_is_quiet(&rig));
}

/* Nor is the disposable shut down that it is in. */
static void test_nor_is_what_it_is_in_shut_down(void **state)
{
    (void) state;

    attach_to_disposable("d: allow block to @dispvm:media close\n");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look_finds("sda", "disp1", answer_as(OTHER));
    be_left_alone();
}

static void test_nor_is_what_was_made_for_ours_done_away_with(void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "d: allow block to @dispvm:media\n");
    begin("sda");
    serve_disposable();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    look_finds("sda", "disp1", answer_as(OTHER));
    assert_true(rig_is_quiet(&rig));
}

/* What we have failed to detach is still what it was. */
static void test_nor_after_a_detach_that_failed(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look_finds("sda", "work", answer_as(OTHER));
    be_left_alone();
}

/* Its identity may have changed by the attach. */
static void test_an_identity_that_tells_nothing_may_be_of_ours(void **state)
{
    static const char *const cases[] = { "0000:0000::?******:1", ":None", "odd",
                                         "0781:5581:4C53:u080650:2.0",
                                         "0781:5581:4C53" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        attach("sda");
        assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
        look_finds("sda", "work", answer_as(cases[i]));
        rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
        assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    }
    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look_finds("sda", "work", answer_unknown());
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

/* An Attach that was bound to nothing may have taken any. */
static void test_what_was_bound_to_nothing_is_detached_as_what_it_is(void **s)
{
    (void) s;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_odd());
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_odd());
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look_finds("sda", "work", answer_as(OTHER));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

/* The person wants away what is there, whatever we take it for. */
static void test_the_command_detaches_what_is_there(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(detach("sda"), 0);
    look_finds("sda", "work", answer_as(OTHER));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

/* Nothing was begun by the look. */
static void test_a_look_that_takes_too_long_is_made_again(void **state)
{
    (void) state;

    attach("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look_finds("sda", "work", answer_of(ADMIN_TIMED_OUT));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    look_finds("sda", "work", answer_listed(NULL));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
}

/* The look found it, but events come before the Detach is sent. */
static void test_a_detach_is_not_sent_for_what_was_told_detached(void **state)
{
    (void) state;

    attach("sda");
    be_told(ADMIN_EVENT_ATTACH, "sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    look_finds("sda", "work", answer_listed(NULL));
    be_told(ADMIN_EVENT_DEVICE_REMOVED, "sda");
    be_told(ADMIN_EVENT_DETACH, "sda");
    attach_next("sda");
    look_finds("sda", "work", answer_listed(NULL));
    be_left_alone();
}

/* It came and went while qubesd's answer was on its way. */
static void test_what_went_before_its_attach_was_answered_is_over(void **state)
{
    static const char *const devices[] = { "sda", "2-1" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        const uint64_t call = attach_half(devices[i]);

        be_told(ADMIN_EVENT_ATTACH, devices[i]);
        be_told(ADMIN_EVENT_DEVICE_REMOVED, devices[i]);
        be_told(ADMIN_EVENT_DETACH, devices[i]);
        rig_reply(&rig, call, answer_of(ADMIN_OK));
        assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
        rig_pass(&rig, 5 * USEC_PER_SEC);
        attach_next(devices[i]);
        be_gone_late(devices[i]);
    }
}

/* Of a USB device its end is told first, and then its attach. */
static void test_what_is_attached_after_it_was_listed_anew_is_hers(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half("2-1");
    be_told(ADMIN_EVENT_DEVICE_REMOVED, "2-1");
    be_told(ADMIN_EVENT_DETACH, "2-1");
    be_told(ADMIN_EVENT_ATTACH, "2-1");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    rig_pass(&rig, 5 * USEC_PER_SEC);
    attach_next("2-1");
    be_gone_late("2-1");
}

/* That it is listed is told late, and then of our own attach, of which it was
 * not known whether it went well. */
static void test_but_not_what_may_be_of_our_own_attach(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_odd());
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_GARBAGE));
    assert_int_equal(rig_answer(&rig), STATUS_QUBESD_REFUSED);
    be_told(ADMIN_EVENT_DEVICE_ADDED, "sda");
    be_told(ADMIN_EVENT_ATTACH, "sda");
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
    unplug("sda");
}

/* The person has detached it, pulled it, and attached the next one: a look that
 * is made because of the first finds the last. */
static void test_a_look_takes_no_other_stick_for_ours(void **state)
{
    uint64_t call;

    (void) state;

    attach("sda");
    be_told(ADMIN_EVENT_ATTACH, "sda");
    be_told(ADMIN_EVENT_DETACH, "sda");
    call = rig_call(&rig, ADMIN_ATTACHED);
    be_told(ADMIN_EVENT_DEVICE_REMOVED, "sda");
    rig_reply(&rig, call, answer_as(OTHER));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    attach_next("sda");
    be_gone_late("sda");
}

/* The same, but it is told before the look is answered. */
static void test_nor_where_that_was_told_before(void **state)
{
    static ReportDevice device;
    DeviceCursor cursor = {};
    uint64_t call;

    (void) state;

    attach("sda");
    be_told(ADMIN_EVENT_ATTACH, "sda");
    be_told(ADMIN_EVENT_DETACH, "sda");
    call = rig_call(&rig, ADMIN_ATTACHED);
    be_told(ADMIN_EVENT_DEVICE_REMOVED, "sda");
    attach_next("sda");
    rig_reply(&rig, call, answer_as(OTHER));
    rig_serve(&rig, ADMIN_ATTACHED, answer_as(OTHER)); /* once more */
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    assert_true(manager_next_device(rig.manager, &cursor, &device));
    assert_string_equal(device.attached_to.s, "work");
    be_gone_late("sda");
}

/* Both sticks look alike. */
static void test_nor_one_that_is_listed_anew_after_the_look(void **state)
{
    uint64_t call;

    (void) state;

    attach("sda");
    be_told(ADMIN_EVENT_ATTACH, "sda");
    be_told(ADMIN_EVENT_DETACH, "sda");
    call = rig_call(&rig, ADMIN_ATTACHED);
    be_told(ADMIN_EVENT_DEVICE_REMOVED, "sda");
    rig_reply(&rig, call, answer_listed(NULL));
    attach_next("sda");
    be_gone_late("sda");
}

/* What others have attached is not bound to anything of ours. */
static void test_a_look_at_what_is_hers_compares_nothing(void **state)
{
    (void) state;

    attach("sda");
    detach_by_person("sda");
    be_told(ADMIN_EVENT_ATTACH, "sda");
    be_told(ADMIN_EVENT_DETACH, "sda");
    rig_serve(&rig, ADMIN_ATTACHED, answer_as(OTHER));
    assert_true(rig_is_quiet(&rig));
    be_gone_late("sda");
    assert_int_equal(history_count(manager_history(rig.manager)), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_what_is_attached_is_looked_at_before_every_detach),
        TEST(test_what_is_not_there_is_not_detached),
        TEST(test_a_disk_of_a_qube_that_is_no_source_is_left),
        TEST(test_so_is_a_usb_device),
        TEST(test_so_is_it_by_the_command),
        TEST(test_so_is_it_where_an_attach_is_undone),
        TEST(test_another_stick_is_not_detached_in_place_of_ours),
        TEST(test_nor_where_an_attach_is_undone),
        TEST(test_nor_is_what_it_is_in_shut_down),
        TEST(test_nor_is_what_was_made_for_ours_done_away_with),
        TEST(test_nor_after_a_detach_that_failed),
        TEST(test_an_identity_that_tells_nothing_may_be_of_ours),
        TEST(test_what_was_bound_to_nothing_is_detached_as_what_it_is),
        TEST(test_the_command_detaches_what_is_there),
        TEST(test_a_look_that_takes_too_long_is_made_again),
        TEST(test_a_detach_is_not_sent_for_what_was_told_detached),
        TEST(test_what_went_before_its_attach_was_answered_is_over),
        TEST(test_what_is_attached_after_it_was_listed_anew_is_hers),
        TEST(test_but_not_what_may_be_of_our_own_attach),
        TEST(test_a_look_takes_no_other_stick_for_ours),
        TEST(test_nor_where_that_was_told_before),
        TEST(test_nor_one_that_is_listed_anew_after_the_look),
        TEST(test_a_look_at_what_is_hers_compares_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
