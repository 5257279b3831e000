/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * DESIGN 5 and 6, where their sentences give a number, or name something that
 * ends otherwise than it looks: each test fails if the sentence does not hold.
 */

#include <string.h>

#include "tests/support/test.h"

#define RULES                    \
    "ports: allow usb to work\n" \
    "disks: allow block type disk to work\n"
#define ASK    "disks: ask block type disk to work timeout 60s\n"
#define SECOND USEC_PER_SEC

#include "tests/support/manager-fixture.h"

static AdminAnswer listed_as(const char *untrusted_devid)
{
    AdminAnswer answer = answer_listed(NULL);
    DeviceListing *listing = &answer.listing;

    listing->has_identity = identity_parse(&listing->identity, untrusted_devid,
                                           strlen(untrusted_devid));
    return answer;
}

/* Its target is started, and takes so long. */
static void start_taking(uint64_t usec)
{
    uint64_t start;

    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    start = rig_call(&rig, ADMIN_START);
    rig_pass(&rig, usec);
    rig_reply(&rig, start, answer_of(ADMIN_OK));
}

/* The target that was started is said not to run; that is why. */
static void not_running_because(PowerState power)
{
    begin("sda");
    start_taking(0);
    serve_block_not_running();
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(power));
}

/* CHECKING */

static void test_for_five_seconds_it_may_not_be_listed(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    rig_pass(&rig, 5 * SECOND - 1);
    assert_int_equal(rig_answer(&rig), 0);
    rig_pass(&rig, 1);
    assert_int_equal(rig_answer(&rig), STATUS_NO_SUCH_DEVICE);

    /* the record is answered; listed after all, it is attached all the same */
    assert_true(rig_is_quiet(&rig));
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    see_block_attach();
}

static void test_other_numbers_than_the_record_s_are_311(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("dead:beef:4C53:u080650"));
    rig_pass(&rig, 5 * SECOND);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_true(rig_is_quiet(&rig));
}

#define STORAGE  "0781:5581:4C53:u080650"
#define KEYBOARD "0781:5581:4C53:u030101"

/* A USB stick, as a forwarder tells of it. */
static Status plug_storage(const char *serial)
{
    Record record = rig_record_at(RECORD_ADD, "2-1", "2-1", serial);

    assert_true(properties_add_interface(&record.properties, "080650", 6));
    return rig_tell_record(&rig, usb, &record);
}

/* The device has been put in its place, and the record of that is late. */
static void expect_other(void)
{
    rig_pass(&rig, 5 * SECOND);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_true(rig_is_quiet(&rig));
}

static void test_other_interfaces_than_the_record_s_are_311(void **state)
{
    static const char *const others[] = { KEYBOARD, STORAGE "u030101",
                                          "0781:5581:4C53:u030101u080650" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        assert_int_equal(plug_storage("4C53"), 0);
        rig_serve(&rig, ADMIN_AVAILABLE, listed_as(others[i]));
        expect_other();
    }
}

static void test_what_cannot_be_identified_but_should_is_311(void **state)
{
    (void) state;

    assert_int_equal(plug_storage("4C53"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("0781:5581:it's odd:u030101"));
    expect_other();
    assert_int_equal(plug_storage("4C53"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unknown());
    expect_other();
}

/* The ids stand in front of whatever keeps an identity off the wire. */
static void test_other_numbers_before_an_odd_serial_are_311(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("dead:beef:A=B:u080650:1.0"));
    expect_other();
    assert_int_equal(plug_storage("MY=SERIAL"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("dead:beef:MY=SERIAL:u080650"));
    expect_other();
}

static void test_other_interfaces_behind_an_odd_serial_are_311(void **state)
{
    (void) state;

    assert_int_equal(plug_storage("MY=SERIAL"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("0781:5581:MY=SERIAL:u030101"));
    expect_other();
}

static void test_other_interfaces_behind_no_numbers_are_311(void **state)
{
    (void) state;

    assert_int_equal(plug_storage("4C53"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("0000:0000:4C53:u030101"));
    expect_other();
    assert_int_equal(plug_storage("4C53"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("0781:5581:4C53:u08065"));
    expect_other();
}

static void test_a_disk_of_which_nothing_can_be_told_is_311(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unknown());
    expect_other();
}

static void test_an_odd_usb_device_is_attached_unpinned(void **state)
{
    AdminRequest request;

    (void) state;

    assert_int_equal(plug_storage("it's odd"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("0781:5581:it's odd:u080650"));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    (void) rig_call_to(&rig, ADMIN_ATTACH, &request);
    assert_false(request.pinned);
}

/* Ask, get a yes for the one that is listed as @approved, and list @then. */
static void approve_and_list(DeviceClass class,
                             const char *approved,
                             AdminAnswer then)
{
    Prompt prompt;
    uint64_t window;

    rig_set_rules(&rig, "r: ask any to work\n");
    assert_int_equal(class == DEVICE_CLASS_USB ? tell(RECORD_ADD, "2-1")
                                               : tell(RECORD_ADD, "sda"),
                     0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as(approved));
    window = window_opens(1, &prompt);
    answer_prompt(window, PROMPT_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, then);
}

static void test_another_than_was_approved_is_311(void **state)
{
    static const struct {
        DeviceClass class;
        const char *approved, *then;
    } cases[] = {
        { DEVICE_CLASS_BLOCK, "0781:5581:A=B:u080650:1.0",
          "0781:5581:A=C:u080650:1.0" },
        { DEVICE_CLASS_BLOCK, "0781:5581:4C53:u080650:1.0",
          "0781:5581:A=B:u080650:1.0" },
        { DEVICE_CLASS_BLOCK, "0781:5581:4C53:u080650:1.0", "" },
        { DEVICE_CLASS_USB, STORAGE, "0000:0000:4C53:u080650" },
        { DEVICE_CLASS_USB, STORAGE, ":None" },
        { DEVICE_CLASS_USB, STORAGE, "0781:5581:4C53:?******" },
        { DEVICE_CLASS_USB, STORAGE, KEYBOARD },
        { DEVICE_CLASS_USB, STORAGE, "0781:5581:4C54:u080650" },
        { DEVICE_CLASS_USB, "0781:5581:4C53:?******",
          "0781:5581:4C54:?******" },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        approve_and_list(cases[i].class, cases[i].approved,
                         cases[i].then[0] ? listed_as(cases[i].then)
                                          : answer_unknown());
        expect_other();
    }
}

/* qubesd may come to know what it is. */
static void test_what_was_approved_may_become_known(void **state)
{
    (void) state;

    approve_and_list(DEVICE_CLASS_USB, "0781:5581:4C53:?******",
                     listed_as(STORAGE));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

/* What has no ids can be told from another by what it was listed as. */
static void test_what_was_approved_has_to_be_known_again(void **state)
{
    Record record = rig_record(RECORD_ADD, "sda");
    Prompt prompt;
    uint64_t window;

    (void) state;

    record.properties.vendor_id[0] = record.properties.product_id[0] = '\0';
    rig_set_rules(&rig, "r: ask any to work\n");
    assert_int_equal(rig_tell_record(&rig, usb, &record), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as(":None"));
    window = window_opens(1, &prompt);
    answer_prompt(window, PROMPT_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_unknown());
    expect_other();
}

/* Success of an Attach that was bound to nothing proves nothing. */
static void test_another_than_was_looked_at_is_521(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("0781:5581:A=B:u080650:1.0"));
    call = rig_call_to(&rig, ADMIN_ATTACH, &request);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, listed_as("0781:5581:A=C:u080650:1.0"));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
}

/* A yes to a stick is not one to the keyboard that it has become. */
static void test_what_was_approved_must_have_its_interfaces(void **state)
{
    Prompt prompt;
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, "r: ask usb only-interface 08* to work\n");
    assert_int_equal(plug_storage("4C53"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as(STORAGE));
    window = window_opens(1, &prompt);
    answer_prompt(window, PROMPT_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as(KEYBOARD));
    expect_other();
}

/* ATTACHING */

static void test_without_a_safe_identity_it_is_unpinned_and_told_so(void **s)
{
    AdminRequest request;
    uint64_t call;

    (void) s;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("0781:5581:it's odd"));
    call = rig_call_to(&rig, ADMIN_ATTACH, &request);
    assert_false(request.pinned);
    /* success is no proof then */
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, listed_as("0781:5581:it's odd"));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_string_equal(last_outcome()->detail,
                        "not bound to the device's identity");
}

static void test_one_that_is_being_undone_keeps_its_usb_turn(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(plug("2-2", "B"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
}

/* The look at what is attached has ended for both parts. */
static void test_of_two_parts_that_waited_for_a_look_one_is_attached(void **s)
{
    uint64_t look, disk, part;

    (void) s;

    rig_set_rules(&rig, "r: allow block type { disk partition } to work\n");
    attach_and_rest("sda");
    reconnect();
    look = rig_call(&rig, ADMIN_ATTACHED);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    begin("sda1");
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    disk = rig_call(&rig, ADMIN_AVAILABLE);
    part = rig_call(&rig, ADMIN_AVAILABLE);
    rig_reply(&rig, disk, answer_listed(NULL));
    /* the disk's Attach is wished for, but not sent yet */
    rig_reply(&rig, part, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    (void) rig_call(&rig, ADMIN_ATTACH);
    assert_true(rig_is_quiet(&rig));
}

/* STARTING */

static void test_the_power_state_tells_why_it_does_not_run(void **state)
{
    (void) state;

    not_running_because(POWER_PAUSED);
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);
    assert_string_equal(last_outcome()->detail, "work is Paused");
    assert_true(rig_is_quiet(&rig));
}

static void test_one_that_goes_down_is_started_once_it_is_down(void **state)
{
    (void) state;

    not_running_because(POWER_HALTING);
    rig_pass(&rig, SECOND);
    serve_block_not_running();
    (void) rig_call(&rig, ADMIN_START);
}

static void test_one_that_comes_up_is_tried_again(void **state)
{
    (void) state;

    not_running_because(POWER_TRANSIENT);
    rig_pass(&rig, SECOND);
    finish_block_attach();
}

/* RECHECKING */

static void test_after_a_start_it_has_five_seconds_of_its_own(void **state)
{
    (void) state;

    begin("sda");
    start_taking(100 * SECOND);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    rig_pass(&rig, 4 * SECOND);
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    finish_block_attach();
}

static void test_what_was_seen_last_is_what_it_is_pinned_to(void **state)
{
    AdminRequest request;

    (void) state;

    begin("sda");
    start_taking(0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("0781:5581:4C53:u080662"));
    (void) rig_call_to(&rig, ADMIN_ATTACH, &request);
    assert_true(request.pinned);
    assert_string_equal(request.identity.s, "0781:5581:4C53:u080662");
}

/* The person has not answered in time: the window that is still open. */
static uint64_t let_prompt_expire(void)
{
    uint64_t window;

    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &window);
    rig_pass(&rig, 60 * SECOND);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    return window;
}

static void test_after_a_late_yes_it_is_looked_up_again(void **state)
{
    uint64_t window;

    (void) state;

    window = let_prompt_expire();
    answer_prompt(window, PROMPT_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("dead:beef:4C53:u080650"));
    rig_pass(&rig, 5 * SECOND);
    assert_int_equal(last_outcome()->status, STATUS_SUPERSEDED);
    assert_true(rig_is_quiet(&rig));
}

/* A new job of the plug is on its way to its prompt: the answer is known. */
static void test_a_late_yes_counts_for_a_job_that_is_to_ask(void **state)
{
    uint64_t window, call;

    (void) state;

    window = let_prompt_expire();
    assert_int_equal(retry("sda"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    answer_prompt(window, PROMPT_YES);
    rig_reply(&rig, call, answer_listed(NULL));
    see_block_attach();
    assert_true(rig_is_quiet(&rig));
}

/* VERIFYING */

static void test_the_wrong_device_is_detached_at_once(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, listed_as("0781:5581:it's odd"));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, listed_as("dead:beef:4C53:u080650"));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
    assert_true(rig_is_quiet(&rig));
}

static void test_garbage_is_502_and_not_tried_again(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_GARBAGE));
    assert_int_equal(rig_answer(&rig), STATUS_QUBESD_REFUSED);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_GARBAGE));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_QUBESD_REFUSED);
}

/* what may pass */

static void test_for_three_seconds_a_port_may_seem_attached(void **state)
{
    (void) state;

    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "vault");
    rig_pass(&rig, 3 * SECOND);
    assert_int_equal(tell(RECORD_ADD, "2-1"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("vault"));
    rig_pass(&rig, SECOND);
    be_found_at("vault", STATUS_ATTACHED_ELSEWHERE);
}

static void test_a_job_has_ten_minutes(void **state)
{
    (void) state;

    (void) attach_half("sda");
    rig_pass(&rig, 600 * SECOND - 1);
    assert_int_equal(rig_answer(&rig), 0);
    rig_pass(&rig, 1);
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
}

/* detached by a person */

static void test_our_own_detach_told_after_the_next_attach_is_ours(void **s)
{
    (void) s;

    attach_and_rest("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    serve_block_attach();
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_ATTACHED);
}

static void test_its_usb_device_is_left_alone_when_the_disk_is_gone(void **s)
{
    (void) s;

    rig_set_rules(&rig, "disks: allow block type disk to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    attach_and_rest("sda");
    detach_by_person("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_set_rules(&rig, RULES);
    assert_int_equal(tell(RECORD_CHANGE, "2-1"), STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_what_goes_with_its_usb_device_was_not_taken(void **state)
{
    (void) state;

    rig_set_rules(&rig, "disks: allow block type disk to work\n");
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    attach_and_rest("sda");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "2-1", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
}

static void test_an_unplug_ends_it_though_the_detach_is_not_done(void **state)
{
    (void) state;

    attach_and_rest("sda");
    assert_int_equal(detach_as(0, "sda"), 0);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    see_block_attach();
}

/* the same plug */

/* What has come where 2-1 was, within 3 s of the person's detach. */
static Status come_back_as(Record record)
{
    attach_and_rest("2-1");
    detach_by_person("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    rig_pass(&rig, 3 * SECOND);
    return rig_tell_record(&rig, usb, &record);
}

static void test_a_new_probe_may_take_three_seconds(void **state)
{
    (void) state;

    assert_int_equal(come_back_as(rig_record_at(RECORD_ADD, "2-1", "2-1", "A")),
                     STATUS_DETACHED_BY_USER);
}

static void test_at_another_path_it_is_another_plug(void **state)
{
    (void) state;

    assert_int_equal(come_back_as(rig_record_at(RECORD_ADD, "2-1", "2-2", "A")),
                     0);
}

static void test_with_another_vendor_it_is_another_plug(void **state)
{
    Record other = rig_record_at(RECORD_ADD, "2-1", "2-1", "A");

    (void) state;

    memcpy(other.properties.vendor_id, "0951", 4);
    assert_int_equal(come_back_as(other), 0);
}

static void test_with_another_product_it_is_another_plug(void **state)
{
    Record other = rig_record_at(RECORD_ADD, "2-1", "2-1", "A");

    (void) state;

    memcpy(other.properties.product_id, "1666", 4);
    assert_int_equal(come_back_as(other), 0);
}

/* The source resumes, and what was taken away comes back so much later. */
static Status come_back_after_resumption(uint64_t usec)
{
    attach_and_rest("sda");
    detach_by_person("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "sys-usb");
    rig_pass(&rig, usec);
    return tell(RECORD_ADD, "sda");
}

static void test_for_a_minute_after_a_suspend_it_is_the_same_plug(void **s)
{
    (void) s;

    assert_int_equal(come_back_after_resumption(60 * SECOND),
                     STATUS_DETACHED_BY_USER);
}

static void test_after_that_minute_it_is_another_plug(void **state)
{
    (void) state;

    assert_int_equal(come_back_after_resumption(60 * SECOND + 1), 0);
}

static void test_an_approval_does_not_outlive_a_new_probe(void **state)
{
    Prompt prompt;
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    assert_int_equal(tell(RECORD_ADD, "2-1"), STATUS_NO_RULE);
    prompt_opens("sda", &window);
    answer_prompt(window, PROMPT_YES);
    finish_block_attach();
    /* its target was stopped and starts: it is asked again */
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    window = window_opens(1, &prompt);
    /* the same plug, for what it was attached to; but not for this yes */
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    begin("sda");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    answer_prompt(window, PROMPT_YES);
    (void) rig_call(&rig, ADMIN_PROPERTY_GET);
}

/* a target that starts */

static void test_306_does_not_wait_for_the_target(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow block to work if-running\n");
    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_TARGET_NOT_RUNNING);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_true(rig_is_quiet(&rig));
}

static void test_what_the_person_attached_does_not_come_back(void **state)
{
    (void) state;

    come_attached("sda", "work", STATUS_ALREADY_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "work");
    assert_true(rig_is_quiet(&rig));
}

/* The new probe after the shutdown has detached it is a record. */
static void test_nor_does_its_record_start_the_target_again(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow usb to work\n");
    come_attached("2-1", "work", STATUS_ALREADY_ATTACHED);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "work");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "2-1", "work");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    begin("2-1");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_true(rig_is_quiet(&rig));
}

/* approval (DESIGN 5) */

/* The policy daemon is asked, assuming a yes for "ask" or not. */
static void judge(bool assume_yes, PolicyAnswer answer)
{
    PolicyQuestion question;
    uint64_t id;

    assert_true(manager_next_question(rig.manager, &id, &question));
    assert_int_equal(question.assume_yes, assume_yes);
    manager_on_verdict(rig.manager, id, answer, rig.now);
}

/* The window of a job that offers two targets. */
static uint64_t window_of_two(void)
{
    Prompt prompt;
    uint64_t window = window_opens(2, &prompt);

    assert_int_equal(prompt.n_targets, 2);
    return window;
}

static void test_ask_is_told_from_deny_by_a_second_question(void **state)
{
    (void) state;

    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    judge(false, POLICY_NO);
    judge(true, POLICY_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_POLICY);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    judge(false, POLICY_NO);
    judge(true, POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_PROPERTY_GET); /* the prompt's */
}

static void test_no_answer_of_policy_is_a_no(void **state)
{
    static const struct {
        PolicyAnswer answer;
        Status status;
    } cases[] = {
        { POLICY_SILENT, STATUS_DENIED_BY_POLICY },
        { POLICY_UNREACHABLE, STATUS_UNAVAILABLE },
        { POLICY_TIMED_OUT, STATUS_TIMEOUT },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(tell(RECORD_ADD, "sda"), 0);
        judge(false, cases[i].answer);
        assert_int_equal(rig_answer(&rig), cases[i].status);
        assert_true(rig_is_quiet(&rig));
    }
}

static void test_of_the_two_names_of_a_disposable_the_stricter_counts(void **s)
{
    AdminAnswer media = answer_of(ADMIN_OK);

    (void) s;

    memcpy(media.value.s, "media", 6);
    rig_set_rules(&rig, "d: allow block to @dispvm\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_PROPERTY_GET, media);
    judge(false, POLICY_NO);
    judge(true, POLICY_YES);
    judge(false, POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_PROPERTY_GET); /* the prompt's */
}

static void test_a_yes_in_an_old_window_is_bound_by_policy(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, "r: ask block to { work vault } timeout 60s\n");
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    judge(true, POLICY_YES);
    judge(true, POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    window = window_of_two();
    rig_pass(&rig, 60 * SECOND);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    /* the next job may only have the second one */
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    judge(true, POLICY_NO);
    judge(true, POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    answer_prompt(window, PROMPT_YES); /* to the first */
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_POLICY);
    assert_true(rig_is_quiet(&rig));
}

/* The next job may only have the second one, as the first does not run. */
static void test_a_yes_in_an_old_window_waits_for_its_target(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, "r: ask block to { work vault } when-running "
                        "timeout 60s\n");
    begin("sda");
    for (unsigned int i = 0; i < 2; i++)
        rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    window = window_of_two();
    rig_pass(&rig, 60 * SECOND);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    answer_prompt(window, PROMPT_YES); /* to the first */
    serve_block_not_running();
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    assert_string_equal(last_outcome()->target, "work");
    assert_true(rig_is_quiet(&rig));
}

static void test_an_agent_that_dies_says_no_no(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &window);
    answer_prompt(window, PROMPT_DIED);
    assert_int_equal(rig_answer(&rig), STATUS_UNAVAILABLE);
    assert_int_equal(tell(RECORD_CHANGE, "sda"), 0);
}

static void test_another_gui_domain_is_503(void **state)
{
    AdminAnswer guivm = answer_of(ADMIN_OK);

    (void) state;

    memcpy(guivm.value.s, "sys-gui", 8);
    rig_set_rules(&rig, ASK);
    begin("sda");
    rig_serve(&rig, ADMIN_PROPERTY_GET, guivm);
    assert_int_equal(rig_answer(&rig), STATUS_UNAVAILABLE);
    assert_true(rig_is_quiet(&rig));
}

static void assert_prompt_problem(bool any)
{
    static Report report;

    manager_report(rig.manager, &report, rig.now);
    assert_int_equal(report.sources[0].prompt_problem[0] != '\0', any);
}

static void test_it_is_told_for_as_long_as_nobody_can_be_asked(void **state)
{
    AdminAnswer guivm = answer_of(ADMIN_OK);
    Prompt prompt;

    (void) state;

    memcpy(guivm.value.s, "sys-gui", 8);
    rig_set_rules(&rig, ASK);
    assert_prompt_problem(false);
    begin("sda");
    rig_serve(&rig, ADMIN_PROPERTY_GET, guivm);
    assert_prompt_problem(true);
    begin("sdb");
    (void) window_opens(1, &prompt);
    assert_prompt_problem(false);
}

static void test_windows_that_stay_open_are_bounded(void **state)
{
    char name[] = "sda";
    uint64_t windows[8];
    Prompt prompt;

    (void) state;

    rig_set_rules(&rig, ASK);
    for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
        prompt_opens(name, &windows[i]);
        rig_pass(&rig, MANAGER_WINDOW_USEC);
        assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
        name[2]++;
    }
    begin(name);
    assert_true(rig_is_quiet(&rig));
    answer_prompt(windows[0], PROMPT_DIED);
    (void) window_opens(1, &prompt);
}

static void test_a_notification_names_the_qube_that_has_it(void **state)
{
    Notification notification;

    (void) state;

    attach_to_disposable("d: allow block to @dispvm:media\n");
    assert_true(manager_next_notification(rig.manager, &notification));
    assert_string_equal(notification.target, "disp1");
}

static void test_a_source_too_many_is_429(void **state)
{
    QubeName name = rig_qube("source-a");
    uint64_t id;

    (void) state;

    for (size_t i = 1; i < MANAGER_SOURCES_MAX; i++) { /* with sys-usb */
        (void) rig_connect(&rig, name.s, 'a');
        name.s[7]++;
    }
    assert_int_equal(manager_connect(rig.manager, &name, rig.now, &id),
                     STATUS_TOO_MANY);
}

/* The person attaches what is queued behind another window. */
static void attach_queued(const char *target, Status outcome)
{
    uint64_t window;
    Prompt prompt;

    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sdb", target);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(target));
    assert_int_equal(rig_answer(&rig), outcome);
    assert_false(manager_next_prompt(rig.manager, &window, &prompt, rig.now));
}

static void test_a_queued_prompt_of_what_was_attached_is_not_shown(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    prompt_opens("sda", &window);
    begin("sdb");
    attach_queued("vault", STATUS_ATTACHED_ELSEWHERE);
    assert_int_equal(tell(RECORD_REMOVE, "sdb"), STATUS_DETACHED);

    /* also where the rule wants it */
    begin("sdb");
    attach_queued("work", STATUS_ALREADY_ATTACHED);
    answer_prompt(window, PROMPT_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

static void test_the_third_no_ends_what_waits_for_its_prompt(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    refuse("sda");
    refuse("sdb");
    prompt_opens("sdc", &window);
    begin("sdd");
    assert_int_equal(rig_answer(&rig), 0);
    answer_prompt(window, PROMPT_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(rig_answer(&rig), STATUS_QUIET);
}

static void test_a_yes_ends_the_row_of_noes(void **state)
{
    uint64_t window;

    (void) state;

    rig_set_rules(&rig, ASK);
    refuse("sda");
    refuse("sdb");
    prompt_opens("sdc", &window);
    answer_prompt(window, PROMPT_YES);
    finish_block_attach();
    refuse("sdd");
    prompt_opens("sde", &window);
}

/* A yes that comes late does not undo what the person has done since. */
static void test_a_late_yes_is_nothing_to_what_was_taken_away(void **state)
{
    uint64_t window;

    (void) state;

    window = let_prompt_expire();
    assert_int_equal(detach_as(0, "sda"), STATUS_DETACHED);
    answer_prompt(window, PROMPT_YES);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_target_that_resumes_gets_what_waits_for_it(void **state)
{
    (void) state;

    rig_set_rules(&rig, "r: allow block to work when-running\n");
    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    assert_int_equal(rig_answer(&rig), STATUS_WAITING_FOR_TARGET);
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_RESUMED, "work");
    see_block_attach();
}

/* restarts */

/* It went and came when nobody could report it, within 3 s of its detach. */
static void test_a_new_probe_may_meet_a_forwarder_that_restarts(void **state)
{
    (void) state;

    manager_synced(rig.manager, usb, rig.now);
    attach_and_rest("2-1");
    detach_by_person("2-1");
    assert_int_equal(tell(RECORD_REMOVE, "2-1"), STATUS_DETACHED);
    manager_disconnect(rig.manager, usb, rig.now);
    rig_pass(&rig, 10 * SECOND);
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_int_equal(tell(RECORD_PRESENT, "2-1"), STATUS_DETACHED_BY_USER);
}

static void test_what_was_told_before_qubesd_went_is_not_believed(void **s)
{
    (void) s;

    rig_set_rules(&rig, "r: allow block type partition to work\n");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "vault");
    reconnect();
    /* it may have been detached meanwhile: it is in no part's way */
    assert_int_equal(tell(RECORD_ADD, "sda"), STATUS_NO_RULE);
    attach_and_rest("sda1");
}

static void test_a_newer_picture_takes_the_place_of_the_older(void **state)
{
    uint64_t newer, closed;

    (void) state;

    manager_synced(rig.manager, usb, rig.now);
    newer = rig_connect(&rig, "sys-usb", 'a');
    assert_false(manager_next_close(rig.manager, &closed));
    manager_synced(rig.manager, newer, rig.now);
    assert_true(manager_next_close(rig.manager, &closed));
    assert_int_equal(closed, usb);
    assert_false(manager_next_close(rig.manager, &closed));
}

static void test_a_failed_detach_is_tried_after_1_2_and_4_s(void **state)
{
    static const unsigned int pauses[] = { 1, 2, 4 };

    (void) state;

    attach_and_rest("sda");
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
        rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_EMPTY));
        rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
        rig_pass(&rig, pauses[i] * SECOND - 1);
        assert_true(rig_is_quiet(&rig));
        rig_pass(&rig, 1);
    }
    finish_detach();
}

static void test_a_job_goes_on_when_qubesd_is_back(void **state)
{
    (void) state;

    begin("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_UNREACHABLE));
    assert_int_equal(rig_answer(&rig), 0);
    reconnect();
    finish_block_attach();
}

/* qubesd lists the plug before, for so long that all tries are used up. */
static void test_what_came_before_the_attach_takes_none_of_its_tries(
    void **state)
{
    (void) state;

    come_attached("sda", "vault", STATUS_ATTACHED_ELSEWHERE);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), STATUS_DETACHED);
    assert_int_equal(tell(RECORD_ADD, "sda"), 0);
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("vault"));
        rig_pass(&rig, JOB_RETRY_USEC(i));
    }
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
        rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
        rig_pass(&rig, JOB_RETRY_USEC(i));
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    }
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
}

/* Its Attach comes to nothing until the last of its tries has begun. */
static void use_up_tries(void)
{
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_pass(&rig, JOB_RETRY_USEC(i));
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        if (i + 1 == JOB_RETRIES_MAX)
            return;
        rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
        rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    }
}

static void test_the_attach_takes_none_of_the_tries_of_its_undoing(void **state)
{
    uint64_t call;

    (void) state;

    begin("sda");
    use_up_tries();
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(tell(RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_EMPTY));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    finish_detach();
}

static void test_nor_of_doing_away_with_its_disposable(void **state)
{
    (void) state;

    rig_set_rules(&rig, "d: allow block to @dispvm:media\n");
    begin("sda");
    serve_disposable();
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    use_up_tries();
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACH_FAILED);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_EMPTY));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
}

static void test_a_disposable_to_be_closed_is_known_after_a_restart(void **s)
{
    (void) s;

    rig_set_rules(&rig, "d: allow block to @dispvm:media close\n");
    begin("sda");
    serve_disposable();
    serve_block_attach();
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    manager_synced(rig.manager, usb, rig.now);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_SHUTDOWN, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

static void test_noes_are_counted_over_a_restart(void **state)
{
    (void) state;

    rig_set_rules(&rig, ASK);
    refuse("sda");
    refuse("sdb");
    rig_restart(&rig);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    refuse("sdc");
    assert_int_equal(tell(RECORD_ADD, "sdd"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_QUIET);
}

/* Nobody is logged in; by the next try another target runs as well. */
static void test_a_prompt_after_the_login_offers_what_runs_then(void **state)
{
    AdminAnswer dom0 = answer_of(ADMIN_OK);
    AdminRequest request;
    uint64_t window, call;
    Prompt prompt;

    (void) state;

    rig_set_rules(&rig, "k: ask block to { work vault } when-running\n");
    begin("sda");
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_RUNNING));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    window = window_opens(1, &prompt);
    answer_prompt(window, PROMPT_NO_AGENT);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_START, "vault");
    rig_pass(&rig, USEC_PER_SEC);
    manager_on_agent(rig.manager, rig.now);
    memcpy(dom0.value.s, "dom0", 5);
    while (manager_next_call(rig.manager, &call, &request))
        rig_reply(&rig, call,
                  request.method == ADMIN_CURRENT_STATE
                      ? answer_power(POWER_RUNNING)
                      : dom0);
    assert_true(manager_next_prompt(rig.manager, &window, &prompt, rig.now));
    assert_int_equal(prompt.n_targets, 2);
}

int main(void)
{
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        WITH_RIG(test_for_five_seconds_it_may_not_be_listed),
        WITH_RIG(test_other_numbers_than_the_record_s_are_311),
        WITH_RIG(test_other_interfaces_than_the_record_s_are_311),
        WITH_RIG(test_what_cannot_be_identified_but_should_is_311),
        WITH_RIG(test_other_numbers_before_an_odd_serial_are_311),
        WITH_RIG(test_other_interfaces_behind_an_odd_serial_are_311),
        WITH_RIG(test_other_interfaces_behind_no_numbers_are_311),
        WITH_RIG(test_a_disk_of_which_nothing_can_be_told_is_311),
        WITH_RIG(test_an_odd_usb_device_is_attached_unpinned),
        WITH_RIG(test_another_than_was_approved_is_311),
        WITH_RIG(test_what_was_approved_may_become_known),
        WITH_RIG(test_what_was_approved_has_to_be_known_again),
        WITH_RIG(test_another_than_was_looked_at_is_521),
        WITH_RIG(test_what_was_approved_must_have_its_interfaces),
        WITH_RIG(test_without_a_safe_identity_it_is_unpinned_and_told_so),
        WITH_RIG(test_one_that_is_being_undone_keeps_its_usb_turn),
        WITH_RIG(test_of_two_parts_that_waited_for_a_look_one_is_attached),
        WITH_RIG(test_the_power_state_tells_why_it_does_not_run),
        WITH_RIG(test_one_that_goes_down_is_started_once_it_is_down),
        WITH_RIG(test_one_that_comes_up_is_tried_again),
        WITH_RIG(test_after_a_start_it_has_five_seconds_of_its_own),
        WITH_RIG(test_what_was_seen_last_is_what_it_is_pinned_to),
        WITH_RIG(test_after_a_late_yes_it_is_looked_up_again),
        WITH_RIG(test_a_late_yes_counts_for_a_job_that_is_to_ask),
        WITH_RIG(test_the_wrong_device_is_detached_at_once),
        WITH_RIG(test_garbage_is_502_and_not_tried_again),
        WITH_RIG(test_for_three_seconds_a_port_may_seem_attached),
        WITH_RIG(test_a_job_has_ten_minutes),
        WITH_RIG(test_our_own_detach_told_after_the_next_attach_is_ours),
        WITH_RIG(test_its_usb_device_is_left_alone_when_the_disk_is_gone),
        WITH_RIG(test_what_goes_with_its_usb_device_was_not_taken),
        WITH_RIG(test_an_unplug_ends_it_though_the_detach_is_not_done),
        WITH_RIG(test_a_new_probe_may_take_three_seconds),
        WITH_RIG(test_at_another_path_it_is_another_plug),
        WITH_RIG(test_with_another_vendor_it_is_another_plug),
        WITH_RIG(test_with_another_product_it_is_another_plug),
        WITH_RIG(test_for_a_minute_after_a_suspend_it_is_the_same_plug),
        WITH_RIG(test_after_that_minute_it_is_another_plug),
        WITH_RIG(test_an_approval_does_not_outlive_a_new_probe),
        WITH_RIG(test_306_does_not_wait_for_the_target),
        WITH_RIG(test_what_the_person_attached_does_not_come_back),
        WITH_RIG(test_nor_does_its_record_start_the_target_again),
        WITH_RIG(test_ask_is_told_from_deny_by_a_second_question),
        WITH_RIG(test_no_answer_of_policy_is_a_no),
        WITH_RIG(test_of_the_two_names_of_a_disposable_the_stricter_counts),
        WITH_RIG(test_a_yes_in_an_old_window_is_bound_by_policy),
        WITH_RIG(test_a_yes_in_an_old_window_waits_for_its_target),
        WITH_RIG(test_an_agent_that_dies_says_no_no),
        WITH_RIG(test_another_gui_domain_is_503),
        WITH_RIG(test_it_is_told_for_as_long_as_nobody_can_be_asked),
        WITH_RIG(test_windows_that_stay_open_are_bounded),
        WITH_RIG(test_a_notification_names_the_qube_that_has_it),
        WITH_RIG(test_a_source_too_many_is_429),
        WITH_RIG(test_a_queued_prompt_of_what_was_attached_is_not_shown),
        WITH_RIG(test_the_third_no_ends_what_waits_for_its_prompt),
        WITH_RIG(test_a_yes_ends_the_row_of_noes),
        WITH_RIG(test_a_late_yes_is_nothing_to_what_was_taken_away),
        WITH_RIG(test_a_target_that_resumes_gets_what_waits_for_it),
        WITH_RIG(test_a_new_probe_may_meet_a_forwarder_that_restarts),
        WITH_RIG(test_what_was_told_before_qubesd_went_is_not_believed),
        WITH_RIG(test_a_newer_picture_takes_the_place_of_the_older),
        WITH_RIG(test_a_failed_detach_is_tried_after_1_2_and_4_s),
        WITH_RIG(test_a_job_goes_on_when_qubesd_is_back),
        WITH_RIG(test_what_came_before_the_attach_takes_none_of_its_tries),
        WITH_RIG(test_the_attach_takes_none_of_the_tries_of_its_undoing),
        WITH_RIG(test_nor_of_doing_away_with_its_disposable),
        WITH_RIG(test_a_disposable_to_be_closed_is_known_after_a_restart),
        WITH_RIG(test_noes_are_counted_over_a_restart),
        WITH_RIG(test_a_prompt_after_the_login_offers_what_runs_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
