/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Approval in virtual time: windows, login, silence, and what a job may have.
 * The rest is tested with real programs, see tests/integration/test_approval_*.
 */

#include <stdio.h>
#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/manager-rig.h"
#include "tests/support/test.h"

#define RULES          "r: ask block type disk to { work vault } timeout 60s\n"
#define MINUTE         (60 * USEC_PER_SEC)
#define WINDOW_MINUTES 10U
#define N_DISPOSABLES  20 /* a minute */

static ManagerRig rig;
static uint64_t usb; /* a connection of sys-usb */
/* what qubesd lists each device as; NULL: as always */
static const char *listed_as;
static const char *default_dispvm;

static int set_up(void **state)
{
    (void) state;

    listed_as = NULL;
    default_dispvm = "media";
    rig_begin(&rig, RULES);
    usb = rig_connect(&rig, "sys-usb", 'a');
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    rig_end(&rig);
    return 0;
}

/* names and icons */

static void test_plain_kernel_names_are_known(void **state)
{
    static const char *const plain[] = {
        "sda",   "sdz",     "sdab",      "sdzzz",   "sda1",
        "sda15", "mmcblk0", "mmcblk0p1", "nvme0n1", "nvme0n1p2",
        "sr0",   "dm-0",    "dm-12",     "md0",     "md127",
        "md0p1", "loop0",   "loop7p1",   "sda9",    "nvme9n9p9",
    };
    static const char *const odd[] = {
        "",         "sd",      "sdvault",  "sda-1",        "sda1a",  "sd1",
        "mmcblk",   "mmcblkx", "mmcblk0p", "nvme0",        "nvme0n", "nvmen1",
        "nvme0n1p", "sr",      "srx",      "sr0p1",        "dm-",    "dm0",
        "dm-x",     "md",      "mdx",      "loop",         "loopy",  "loop0p",
        "xvda",     "vda",     "hda",      "please-allow", "ok",     "zram0",
    };
    DeviceName name = {};

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        (void) snprintf(name.s, sizeof(name.s), "%s", plain[i]);
        assert_true(device_name_is_plain(DEVICE_CLASS_BLOCK, &name));
    }
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        (void) snprintf(name.s, sizeof(name.s), "%s", odd[i]);
        assert_false(device_name_is_plain(DEVICE_CLASS_BLOCK, &name));
    }
}

static void test_a_usb_port_is_plain_and_no_class_is_not(void **state)
{
    const DeviceName port = { "2-1.4" };

    (void) state;

    assert_true(device_name_is_plain(DEVICE_CLASS_USB, &port));
    assert_false(device_name_is_plain(DEVICE_CLASS_INVALID, &port));
    assert_false(device_name_is_plain(DEVICE_CLASS_BLOCK, &port));
}

static void test_an_icon_has_plain_characters_only(void **state)
{
    static const char *const bad[] = {
        "", "a b", "a/b", "a.png", "a\n", "\xff"
    };
    char longest[APPROVAL_ICON_MAX + 2];
    IconName icon;

    (void) state;

    assert_true(icon_name_parse(&icon, "appvm-red_2X", 12));
    assert_string_equal(icon.s, "appvm-red_2X");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(icon_name_parse(&icon, bad[i], strlen(bad[i])));
    /* the first and last of each range */
    assert_true(icon_name_parse(&icon, "azAZ09-_", 8));
    for (const char *c = "`{@[/:,."; *c; c++)
        assert_false(icon_name_parse(&icon, c, 1));
    memset(longest, 'i', sizeof(longest));
    assert_true(icon_name_parse(&icon, longest, APPROVAL_ICON_MAX));
    assert_false(icon_name_parse(&icon, longest, APPROVAL_ICON_MAX + 1));
}

/* silence */

static uint64_t pause_after(Source *source, uint64_t now_usec)
{
    source_on_no(source, now_usec);
    return source_is_quiet(source, now_usec) ? source->quiet_usec - now_usec
                                             : 0;
}

static void test_silence_begins_with_a_minute_and_doubles_to_an_hour(
    void **state)
{
    static const uint64_t minutes[] = { 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60 };
    const QubeName name = rig_qube("sys-usb");
    uint64_t now_usec = RIG_BEGIN_USEC;
    Source *source;

    (void) state;

    assert_int_equal(source_new(&source, &name), 0);
    for (size_t i = 0; i < ARRAY_SIZE(minutes); i++) {
        uint64_t pause_usec = pause_after(source, now_usec);

        assert_int_equal(pause_usec, minutes[i] * MINUTE);
        if (pause_usec > 0)
            assert_true(source_is_quiet(source, now_usec + pause_usec - 1));
        now_usec += pause_usec;
        assert_false(source_is_quiet(source, now_usec));
    }
    source_on_yes(source);
    assert_int_equal(pause_after(source, now_usec), 0);
    assert_int_equal(pause_after(source, now_usec), 0);
    assert_int_equal(pause_after(source, now_usec), MINUTE);
    source_on_yes(source);
    assert_false(source_is_quiet(source, now_usec));
    source_free(source);
}

/* The row of noes is not forgotten by hanging up. */
static void test_a_source_with_a_row_of_noes_is_not_forgotten(void **state)
{
    const QubeName name = rig_qube("sys-usb");
    Source *source;

    (void) state;

    assert_int_equal(source_new(&source, &name), 0);
    assert_true(source_is_idle(source, RIG_BEGIN_USEC));
    source_on_no(source, RIG_BEGIN_USEC);
    assert_false(source_is_idle(source, RIG_BEGIN_USEC));
    source_free(source);
}

/* the desk */

static AdminAnswer answer_value(const char *value)
{
    AdminAnswer answer = answer_of(ADMIN_OK);

    (void) snprintf(answer.value.s, sizeof(answer.value.s), "%s", value);
    return answer;
}

/* All that is asked of the policy daemon is answered so. */
static void judge(PolicyAnswer answer)
{
    PolicyQuestion question;
    uint64_t id;

    while (manager_next_question(rig.manager, &id, &question))
        manager_on_verdict(rig.manager, id, answer, rig.now);
}

static AdminAnswer answer_listed_as(const char *devid)
{
    AdminAnswer answer = answer_listed(NULL);

    if (devid)
        assert_true(
            identity_parse(&answer.listing.identity, devid, strlen(devid)));
    return answer;
}

static const char *value_of(AdminProperty property)
{
    if (property == ADMIN_PROPERTY_GUIVM)
        return "dom0";
    return property == ADMIN_PROPERTY_DEFAULT_DISPVM ? default_dispvm
                                                     : "appvm-red";
}

/* All calls to qubesd are answered as by a healthy one; attaches counted. */
static unsigned int serve(void)
{
    unsigned int n_attaches = 0;
    AdminRequest request;
    uint64_t call;

    while (manager_next_call(rig.manager, &call, &request)) {
        AdminAnswer answer = answer_of(ADMIN_OK);

        if (request.method == ADMIN_AVAILABLE)
            answer = answer_listed_as(listed_as);
        else if (request.method == ADMIN_PROPERTY_GET)
            answer = answer_value(value_of(request.property));
        n_attaches += request.method == ADMIN_ATTACH;
        rig_reply(&rig, call, answer);
        judge(POLICY_YES); /* asked once more about what has waited */
    }
    return n_attaches;
}

static void plug(const char *device)
{
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, device), 0);
    judge(POLICY_YES);
    assert_int_equal(serve(), 0);
}

/* The prompt that is to be shown now; 0: none. */
static uint64_t next_prompt(Prompt *ret)
{
    uint64_t id;

    return manager_next_prompt(rig.manager, &id, ret, rig.now) ? id : 0;
}

static uint64_t show(const char *device)
{
    Prompt prompt;
    uint64_t id = next_prompt(&prompt);

    assert_int_not_equal(id, 0);
    assert_string_equal(prompt.device.s, device);
    return id;
}

static void assert_no_prompt(void)
{
    Prompt prompt;

    assert_int_equal(serve(), 0);
    assert_int_equal(next_prompt(&prompt), 0);
}

static void answer(uint64_t id, PromptResult result, size_t target)
{
    const PromptAnswer value = { .result = result, .target = target };

    manager_on_prompt(rig.manager, id, &value, rig.now);
}

static void test_a_window_blocks_others_for_ten_minutes(void **state)
{
    (void) state;

    plug("sda");
    (void) show("sda");
    plug("sdb");
    assert_no_prompt();
    rig_pass(&rig, MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    rig_pass(&rig, (WINDOW_MINUTES - 1) * MINUTE - 1);
    assert_no_prompt();
    assert_int_equal(manager_next_usec(rig.manager),
                     rig.now.monotonic_usec + 1);
    rig_pass(&rig, 1);
    assert_int_equal(serve(), 0);
    (void) show("sdb");
}

static void plug_at(uint64_t connection, const char *device)
{
    assert_int_equal(rig_tell(&rig, connection, RECORD_ADD, device), 0);
    judge(POLICY_YES);
    assert_int_equal(serve(), 0);
}

static void test_a_source_of_many_devices_does_not_keep_others_waiting(
    void **state)
{
    const uint64_t second = rig_connect(&rig, "usb-too", 'b');
    const uint64_t third = rig_connect(&rig, "usb-three", 'c');
    uint64_t id;

    (void) state;

    for (char letter = 'a'; letter <= 'h'; letter++)
        plug((const char[]){ 's', 'd', letter, '\0' });
    for (char letter = 'm'; letter <= 'p'; letter++)
        plug_at(second, (const char[]){ 's', 'd', letter, '\0' });
    plug_at(third, "sdz");

    /* nobody clicks: its windows stay, and it is another's turn */
    assert_int_equal(serve(), 0);
    (void) show("sda");
    rig_pass(&rig, WINDOW_MINUTES * MINUTE);
    assert_int_equal(serve(), 0);
    id = show("sdm");
    /* the same if somebody does */
    answer(id, PROMPT_YES, 0);
    (void) serve();
    id = show("sdz");
    answer(id, PROMPT_NO, 0);
    (void) serve();
    id = show("sdb");
    answer(id, PROMPT_YES, 0);
    (void) serve();
    (void) show("sdn");
}

static void test_an_answer_makes_room_for_the_next_at_once(void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    id = show("sda");
    plug("sdb");
    assert_no_prompt();
    answer(id, PROMPT_NO, 0);
    assert_int_equal(serve(), 0);
    (void) show("sdb");
}

static void test_a_yes_after_the_window_s_ten_minutes_still_counts(void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    id = show("sda");
    rig_pass(&rig, 3 * WINDOW_MINUTES * MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    answer(id, PROMPT_YES, 1);
    judge(POLICY_YES);
    assert_int_equal(serve(), 1);
    assert_int_equal(rig_answer(&rig), 0); /* that has no line */
}

/* The window may have been there for hours. */
static const HistoryEntry *last_outcome(void)
{
    const History *history = manager_history(rig.manager);

    return history_get(history, history_count(history) - 1);
}

static const char *last_target(void)
{
    return last_outcome()->target;
}

/* The window of one prompt stays open beside that of the next one. */
static void show_twice(uint64_t *ret_first, uint64_t *ret_second)
{
    plug("sda");
    *ret_first = show("sda");
    rig_pass(&rig, WINDOW_MINUTES * MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    plug("sda");
    *ret_second = show("sda");
}

/* Its next window is open by then: that one is of no use any more. */
static void test_a_yes_in_the_first_of_two_windows_counts(void **state)
{
    static const PromptResult results[] = { PROMPT_NO, PROMPT_DIED };
    uint64_t first, second;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
        show_twice(&first, &second);
        answer(first, PROMPT_YES, 1);
        assert_int_equal(serve(), 1);
        assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
        assert_string_equal(last_target(), "vault");
        answer(second, results[i], 0);
        assert_true(rig_is_quiet(&rig));
        assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
        rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
        assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    }
}

static void test_a_no_in_the_first_of_two_windows_counts(void **state)
{
    uint64_t first, second;

    (void) state;

    show_twice(&first, &second);
    answer(first, PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    answer(second, PROMPT_YES, 0);
    assert_int_equal(serve(), 0);
}

static void test_a_late_yes_is_bound_by_what_policy_says_by_then(void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    id = show("sda");
    rig_pass(&rig, 3 * WINDOW_MINUTES * MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    answer(id, PROMPT_YES, 1);
    assert_int_equal(serve(), 0);
    judge(POLICY_NO);
    assert_int_equal(serve(), 0);
}

/* The forwarder is away, or slow: another stick of the kind has come under the
 * name, and no record tells of it yet. */
static void test_a_yes_is_for_the_device_that_was_listed_then(void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    id = show("sda");
    listed_as = "0781:5581:OTHER:u080650";
    answer(id, PROMPT_YES, 0);
    assert_int_equal(serve(), 0);
    rig_pass(&rig, JOB_APPEAR_USEC);
    assert_int_equal(serve(), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_late_yes_is_for_the_device_that_was_listed_then(void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    id = show("sda");
    rig_pass(&rig, MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    listed_as = "0781:5581:OTHER:u080650";
    answer(id, PROMPT_YES, 0);
    judge(POLICY_YES);
    assert_int_equal(serve(), 0);
    rig_pass(&rig, JOB_APPEAR_USEC);
    assert_int_equal(serve(), 0);
}

/* It was away for a moment, and is back before the job gives up. */
static void test_a_yes_waits_for_the_device_that_was_listed_then(void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    id = show("sda");
    listed_as = "0781:5581:OTHER:u080650";
    answer(id, PROMPT_YES, 0);
    assert_int_equal(serve(), 0);
    listed_as = NULL;
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    assert_int_equal(serve(), 1);
}

static void test_a_yes_outlives_what_changes_of_an_identity(void **state)
{
    static const char *const same[] = {
        "0781:5581:4C53:u080650:1.0",
        "0781:5581:4C53",
        "0000:0000::?******:1",
        ":None",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        const char name[] = { 's', 'd', (char) ('a' + i), '\0' };
        uint64_t id;

        listed_as = NULL;
        plug(name);
        id = show(name);
        listed_as = same[i];
        answer(id, PROMPT_YES, 0);
        assert_int_equal(serve(), 1);
    }
}

static Report *report(void)
{
    static Report report;

    report = (Report){};
    manager_report(rig.manager, &report, rig.now);
    return &report;
}

static void test_how_policy_answered_last_is_reported(void **state)
{
    (void) state;

    assert_int_equal(report()->policy_usec, 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    judge(POLICY_UNREACHABLE);
    assert_int_equal(rig_answer(&rig), STATUS_UNAVAILABLE);
    assert_int_equal(report()->policy, POLICY_UNREACHABLE);
    assert_int_equal(report()->policy_usec, rig.now.realtime_usec);
    rig_pass(&rig, MINUTE);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sdb"), 0);
    judge(POLICY_NO);
    assert_int_equal(report()->policy, POLICY_NO);
    assert_int_equal(report()->policy_usec, rig.now.realtime_usec);
}

/* What @dispvm means is asked first. */
static void plug_for_disposable(const char *device)
{
    plug(device);
    judge(POLICY_YES);
    assert_int_equal(serve(), 0);
}

/* The window is that of a job that was ended by another record; meanwhile the
 * default disposable template is another one. */
static void test_a_yes_is_for_the_disposable_that_was_shown(void **state)
{
    AdminRequest request;
    Record record;
    Prompt prompt;
    uint64_t id;

    (void) state;

    rig_set_rules(&rig, "r: ask block type disk to @dispvm\n"
                        "d: deny block type partition\n");
    plug_for_disposable("sda");
    id = next_prompt(&prompt);
    assert_string_equal(prompt.targets[0].name.s, "media");

    record = rig_record(RECORD_CHANGE, "sda");
    assert_true(properties_set_text(&record.properties, PROPERTY_DEVTYPE,
                                    "partition", strlen("partition")));
    assert_int_equal(rig_tell_record(&rig, usb, &record),
                     STATUS_DENIED_BY_RULE);
    default_dispvm = "trusted";
    plug_for_disposable("sda");
    answer(id, PROMPT_YES, 0);
    while (manager_next_call(rig.manager, &id, &request)) {
        assert_int_not_equal(request.method, ADMIN_CREATE_DISPOSABLE);
        rig_reply(&rig, id,
                  request.method == ADMIN_AVAILABLE
                      ? answer_listed(NULL)
                      : answer_value(value_of(request.property)));
    }
    /* it is asked for itself */
    assert_int_not_equal(next_prompt(&prompt), 0);
    assert_string_equal(prompt.targets[0].name.s, "trusted");
}

/* An old window is answered while the next one for the same job is prepared. */
static void test_a_prompt_that_was_answered_elsewhere_is_not_shown(void **state)
{
    AdminRequest request;
    uint64_t id, call;
    Prompt prompt;

    (void) state;

    plug("sda");
    id = show("sda");
    rig_pass(&rig, MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_APPROVAL_TIMEOUT);
    plug("sda");
    rig_pass(&rig, WINDOW_MINUTES * MINUTE);
    call = rig_call_to(&rig, ADMIN_PROPERTY_GET, &request);
    answer(id, PROMPT_YES, 0);
    rig_reply(&rig, call, answer_value("dom0"));
    assert_int_equal(serve(), 1);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_int_equal(next_prompt(&prompt), 0);
}

/* The source is silenced by the third no, though it is gone at the first. */
static void test_a_no_to_a_source_that_is_gone_counts(void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    id = show("sda");
    rig_notice_qube(&rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "sys-usb");
    manager_disconnect(rig.manager, usb, rig.now);
    rig_pass(&rig, MINUTE);
    answer(id, PROMPT_NO, 0);
    usb = rig_connect(&rig, "sys-usb", 'b');
    plug("sdb");
    answer(show("sdb"), PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(serve(), 0);
    plug("sdc");
    answer(show("sdc"), PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    plug("sdd");
    assert_int_equal(rig_answer(&rig), STATUS_QUIET);
}

static void retry(const char *device)
{
    const DeviceRef ref = rig_ref("sys-usb", device);

    assert_int_equal(manager_retry(rig.manager, &ref,
                                   manager_new_asker(rig.manager), rig.now),
                     STATUS_INVALID);
    judge(POLICY_YES);
    assert_int_equal(serve(), 0);
}

/* The person has asked for this one, and for no other. */
static void test_a_retry_asks_though_the_source_is_silenced(void **state)
{
    (void) state;

    for (const char *name = "sda\0sdb\0sdc\0"; *name; name += sizeof("sda")) {
        plug(name);
        answer(show(name), PROMPT_NO, 0);
        assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
        assert_int_equal(serve(), 0);
    }
    plug("sdd");
    assert_int_equal(rig_answer(&rig), STATUS_QUIET);

    retry("sdd");
    answer(show("sdd"), PROMPT_YES, 0);
    assert_int_equal(serve(), 1);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

static void test_a_retry_that_waits_is_not_silenced_by_another_no(void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    answer(show("sda"), PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(serve(), 0);
    plug("sdb");
    answer(show("sdb"), PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(serve(), 0);
    plug("sdc");
    id = show("sdc");
    plug("sdd");
    retry("sdd");
    answer(id, PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(serve(), 0);
    /* its own no counts */
    answer(show("sdd"), PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER); /* the retry */
}

static void test_a_retry_is_for_the_plug_that_is_there(void **state)
{
    const Record other = rig_record_at(RECORD_ADD, "sdd", "2-1", "other");

    (void) state;

    for (const char *name = "sda\0sdb\0sdc\0"; *name; name += sizeof("sda")) {
        plug(name);
        answer(show(name), PROMPT_NO, 0);
        assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
        assert_int_equal(serve(), 0);
    }
    plug("sdd");
    assert_int_equal(rig_answer(&rig), STATUS_QUIET);
    retry("sdd");
    assert_int_equal(rig_tell_record(&rig, usb, &other), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    judge(POLICY_YES);
    assert_int_equal(serve(), 0);
    assert_int_equal(rig_answer(&rig), STATUS_QUIET);
}

/* One stick, one question: else three partitions silenced the USB qube. */
static void test_a_no_to_a_disk_is_one_to_its_partitions(void **state)
{
    (void) state;

    rig_set_rules(&rig, "usb: ask usb to work\n"
                        "all: ask block type { disk partition } to work\n");
    plug("sda");
    answer(show("sda"), PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda1"),
                     STATUS_DENIED_BY_USER);
    /* another card of the reader, and the reader */
    assert_int_equal(serve(), 0);
    plug("sdb");
    answer(show("sdb"), PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(serve(), 0);
    plug("2-1");
    answer(show("2-1"), PROMPT_DIED, 0);
    /* a wish for one of them is one for the disk that it is in */
    retry("sda1");
    (void) show("sda1");
}

static void test_a_no_to_a_partition_is_one_to_its_disk(void **state)
{
    (void) state;

    rig_set_rules(&rig, "parts: ask block type { disk partition } to work\n");
    plug("sda1");
    answer(show("sda1"), PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"),
                     STATUS_DENIED_BY_USER);
    plug("sda2");
    (void) show("sda2");
}

static void test_windows_that_nobody_answers_are_bounded(void **state)
{
    unsigned int n_windows = 0;
    Prompt prompt;
    char name[8];

    (void) state;

    for (int i = 0; i < 20; i++) {
        (void) snprintf(name, sizeof(name), "sd%c", 'a' + i);
        plug(name);
        rig_pass(&rig, WINDOW_MINUTES * MINUTE);
        assert_int_equal(serve(), 0);
        n_windows += next_prompt(&prompt) != 0;
    }
    assert_in_range(n_windows, 1, 8);
}

static void test_without_an_agent_the_pause_doubles_to_a_minute(void **state)
{
    static const uint64_t seconds[] = { 1, 2, 4, 8, 16, 32, 60, 60 };

    (void) state;

    plug("sda");
    for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
        answer(show("sda"), PROMPT_NO_AGENT, 0);
        assert_no_prompt();
        assert_int_equal(manager_next_usec(rig.manager),
                         rig.now.monotonic_usec + seconds[i] * USEC_PER_SEC);
        rig_pass(&rig, seconds[i] * USEC_PER_SEC - 1);
        assert_no_prompt();
        rig_pass(&rig, 1);
        assert_int_equal(serve(), 0);
    }
}

static void test_a_login_is_noticed_at_once_and_the_pause_begins_anew(
    void **state)
{
    (void) state;

    plug("sda");
    for (int i = 0; i < 3; i++) {
        answer(show("sda"), PROMPT_NO_AGENT, 0);
        assert_no_prompt();
        manager_on_agent(rig.manager, rig.now);
        assert_int_equal(serve(), 0);
    }
    answer(show("sda"), PROMPT_NO_AGENT, 0);
    assert_no_prompt();
    assert_int_equal(manager_next_usec(rig.manager),
                     rig.now.monotonic_usec + USEC_PER_SEC);
}

static void test_waiting_for_the_login_takes_none_of_the_job_s_time(
    void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    for (int hours = 0; hours < 24; hours++) {
        answer(show("sda"), PROMPT_NO_AGENT, 0);
        assert_no_prompt();
        rig_pass(&rig, 60 * MINUTE);
        assert_int_equal(serve(), 0);
    }
    id = show("sda");
    rig_pass(&rig, MINUTE - 1);
    answer(id, PROMPT_YES, 0);
    /* not listed for a moment: also that wait begins only now */
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_OK));
    rig_notice(&rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
    assert_int_equal(serve(), 1);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

/* Each try asks qubesd, which is slow, and fails at first. */
static void test_nor_do_the_tries_while_nobody_is_logged_in(void **state)
{
    const AdminAnswer nothing = answer_of(ADMIN_EMPTY);

    (void) state;

    plug("sda");
    for (uint64_t usec = 0; usec < JOB_USEC; usec += 9 * USEC_PER_SEC) {
        uint64_t call;

        answer(show("sda"), PROMPT_NO_AGENT, 0);
        call = rig_call(&rig, ADMIN_AVAILABLE);
        rig_pass(&rig, 9 * USEC_PER_SEC);
        rig_reply(&rig, call, nothing);
        rig_pass(&rig, JOB_RETRY_USEC(0));
        assert_int_equal(serve(), 0);
        rig_pass(&rig, MINUTE);
        assert_int_equal(serve(), 0);
    }
    answer(show("sda"), PROMPT_YES, 0);
    assert_int_equal(serve(), 1);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

static void test_a_queued_prompt_that_qubesd_takes_off_its_list_waits(
    void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    id = show("sda");
    plug("sdb");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sdb", NULL);
    answer(id, PROMPT_NO, 0);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_USER);
    assert_no_prompt();
    rig_pass(&rig, 5 * USEC_PER_SEC);
    assert_int_equal(rig_answer(&rig), STATUS_NO_SUCH_DEVICE);
    assert_no_prompt();
}

/* That it is not listed any more may have been told meanwhile. */
static void test_a_queued_prompt_is_looked_for_when_qubesd_is_back(void **state)
{
    AdminRequest request;

    (void) state;

    plug("sda");
    (void) show("sda");
    plug("sdb");
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    (void) rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.port.s, "sdb");
}

static void test_a_row_of_failures_does_not_hide_what_was_attached(void **state)
{
    Notification notification;
    size_t n_failed = 0;
    bool told = false;

    (void) state;

    rig_set_rules(&rig, "r: allow block type disk to work\n");
    for (char letter = 'a'; letter < 'z'; letter++) {
        (void) rig_tell(&rig, usb, RECORD_ADD,
                        (const char[]){ 's', 'd', letter, '\0' });
        rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_GARBAGE));
        while (manager_next_notification(rig.manager, &notification)) {
            assert_true(notification.failed);
            n_failed++;
        }
    }
    assert_in_range(n_failed, 1, 4);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sdz"), 0);
    judge(POLICY_YES);
    assert_int_equal(serve(), 1);
    while (manager_next_notification(rig.manager, &notification))
        told |= !notification.failed;
    assert_true(told);
}

static void test_dom0_is_no_target_whatever_a_rule_says(void **state)
{
    static const Target dom0 = { .kind = TARGET_QUBE, .name = { "dom0" } };
    static const Target source = { .kind = TARGET_QUBE, .name = { "sys-usb" } };
    const Target *const targets[] = { &dom0, &source };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        const JobTask task = { .source = { "sys-usb" },
                               .class = DEVICE_CLASS_BLOCK,
                               .device = { "sda" },
                               .targets = targets[i],
                               .n_targets = 1 };
        static Job job;

        assert_int_equal(job_begin(&job, &task, RIG_BEGIN_USEC), JOB_WISH_DONE);
        assert_int_equal(job.outcome, STATUS_DENIED_BY_POLICY);
    }
}

static void test_a_disposable_that_comes_too_late_is_done_away_with(
    void **state)
{
    AdminAnswer made = answer_of(ADMIN_OK);
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "d: allow block type disk to @dispvm:dvm\n");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    judge(POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_CREATE_DISPOSABLE);
    rig_pass(&rig, WINDOW_MINUTES * MINUTE);
    assert_int_equal(rig_answer(&rig), STATUS_TIMEOUT);
    made.qube = rig_qube("disp1");
    rig_reply(&rig, call, made);
    rig_serve(&rig, ADMIN_KILL, answer_error(ADMIN_ERROR_NOT_STARTED));
    rig_serve(&rig, ADMIN_REMOVE, answer_of(ADMIN_OK));
    assert_true(rig_is_quiet(&rig));
}

/* Each is started once: that is nothing that has to be remembered. */
static void test_many_disposables_leave_room_for_the_start_of_a_qube(
    void **state)
{
    AdminRequest request;
    uint64_t call;
    char name[8];

    (void) state;

    rig_set_rules(&rig, "q: allow block name sdq to vault\n"
                        "d: allow block type disk to @dispvm:dvm\n");
    for (int i = 0; i < 4 * N_DISPOSABLES; i++) {
        AdminAnswer made = answer_of(ADMIN_OK);

        (void) snprintf(name, sizeof(name), "sd%c%c", 'a' + i / 26,
                        'a' + i % 26);
        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, name), 0);
        judge(POLICY_YES);
        rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
        (void) snprintf(made.qube.s, sizeof(made.qube.s), "disp%d", i);
        rig_serve(&rig, ADMIN_CREATE_DISPOSABLE, made);
        rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
        assert_int_equal(serve(), 1);
        assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
        if (i % N_DISPOSABLES == 0)
            rig_pass(&rig, MINUTE);
    }
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sdq"), 0);
    judge(POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    call = rig_call_to(&rig, ADMIN_START, &request);
    assert_string_equal(request.dest.s, "vault");
    rig_reply(&rig, call, answer_of(ADMIN_OK));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* the guard rail, asked once more */

/* The policy has become "ask". */
static void judge_as_ask(void)
{
    PolicyQuestion question;
    uint64_t id;

    while (manager_next_question(rig.manager, &id, &question))
        manager_on_verdict(rig.manager, id,
                           question.assume_yes ? POLICY_YES : POLICY_NO,
                           rig.now);
}

static void test_a_yes_does_not_outvote_a_policy_that_has_changed(void **state)
{
    uint64_t id;

    (void) state;

    plug("sda");
    id = show("sda");
    rig_pass(&rig, USEC_PER_SEC);
    answer(id, PROMPT_YES, 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    judge(POLICY_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_POLICY);
    assert_true(rig_is_quiet(&rig));
}

/* An `allow` rule, into a target that takes a minute to start. */
static void start_for_a_minute(void)
{
    uint64_t start;

    rig_set_rules(&rig, "d: allow block type disk to work\n");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    judge(POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    start = rig_call(&rig, ADMIN_START);
    rig_pass(&rig, MINUTE);
    rig_reply(&rig, start, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
}

static void test_a_policy_that_denies_meanwhile_is_heard(void **state)
{
    (void) state;

    start_for_a_minute();
    judge(POLICY_NO);
    assert_int_equal(rig_answer(&rig), STATUS_DENIED_BY_POLICY);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_policy_that_wants_to_ask_meanwhile_does(void **state)
{
    (void) state;

    start_for_a_minute();
    judge_as_ask();
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    /* it is decided anew */
    judge_as_ask();
    assert_int_equal(serve(), 0);
    answer(show("sda"), PROMPT_YES, 0);
    assert_int_equal(serve(), 1);
}

static void test_a_policy_that_is_silent_meanwhile_is_a_no(void **state)
{
    (void) state;

    start_for_a_minute();
    judge(POLICY_UNREACHABLE);
    assert_int_equal(rig_answer(&rig), STATUS_UNAVAILABLE);
    assert_true(rig_is_quiet(&rig));
}

static uint64_t ask_policy(void)
{
    PolicyQuestion question;
    uint64_t id;

    assert_true(manager_next_question(rig.manager, &id, &question));
    return id;
}

/* A partition has waited for a look at its disk, and has had its turn; the disk
 * has its own while the policy is asked once more about the partition. */
static void test_what_is_judged_again_needs_its_turn_again(void **s)
{
    uint64_t look, disk, part;

    (void) s;

    rig_set_rules(&rig, "r: allow block type { disk partition } to work\n");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    judge(POLICY_YES);
    assert_int_equal(serve(), 1);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);
    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    look = rig_call(&rig, ADMIN_ATTACHED);
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sda"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda1"), 0);
    judge(POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_reply(&rig, look, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_CURRENT_STATE, answer_power(POWER_HALTED));
    judge(POLICY_YES);

    disk = rig_call(&rig, ADMIN_AVAILABLE);
    part = rig_call(&rig, ADMIN_AVAILABLE);
    rig_reply(&rig, part, answer_listed(NULL));
    part = ask_policy();
    rig_reply(&rig, disk, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_ATTACH);
    manager_on_verdict(rig.manager, part, POLICY_YES, rig.now);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

/* What has not waited costs no second question. */
static void test_what_goes_on_at_once_is_judged_once(void **state)
{
    PolicyQuestion question;
    uint64_t id;

    (void) state;

    rig_set_rules(&rig, "d: allow block type disk to work\n");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    judge(POLICY_YES);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    assert_false(manager_next_question(rig.manager, &id, &question));
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
}

/* The first of two windows is answered while it is looked at whether what the
 * second one has attached is still there. */
static void test_a_late_yes_counts_behind_a_look(void **state)
{
    uint64_t first, second, call;

    (void) state;

    show_twice(&first, &second);
    answer(second, PROMPT_YES, 0);
    assert_int_equal(serve(), 1);
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    call = rig_call(&rig, ADMIN_ATTACHED);
    answer(first, PROMPT_YES, 1);
    rig_reply(&rig, call, answer_listed_as(NULL));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed("work"));
    assert_int_equal(last_outcome()->status, STATUS_ALREADY_ATTACHED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_kernel_names_are_known),
        cmocka_unit_test(test_a_usb_port_is_plain_and_no_class_is_not),
        cmocka_unit_test(test_an_icon_has_plain_characters_only),
        cmocka_unit_test(
            test_silence_begins_with_a_minute_and_doubles_to_an_hour),
        cmocka_unit_test(test_a_source_with_a_row_of_noes_is_not_forgotten),
        TEST(test_a_window_blocks_others_for_ten_minutes),
        TEST(test_a_source_of_many_devices_does_not_keep_others_waiting),
        TEST(test_an_answer_makes_room_for_the_next_at_once),
        TEST(test_a_yes_after_the_window_s_ten_minutes_still_counts),
        TEST(test_a_yes_in_the_first_of_two_windows_counts),
        TEST(test_a_no_in_the_first_of_two_windows_counts),
        TEST(test_a_late_yes_is_bound_by_what_policy_says_by_then),
        TEST(test_a_yes_is_for_the_device_that_was_listed_then),
        TEST(test_a_late_yes_is_for_the_device_that_was_listed_then),
        TEST(test_a_yes_waits_for_the_device_that_was_listed_then),
        TEST(test_a_yes_outlives_what_changes_of_an_identity),
        TEST(test_a_yes_is_for_the_disposable_that_was_shown),
        TEST(test_a_prompt_that_was_answered_elsewhere_is_not_shown),
        TEST(test_a_no_to_a_source_that_is_gone_counts),
        TEST(test_a_retry_asks_though_the_source_is_silenced),
        TEST(test_a_retry_that_waits_is_not_silenced_by_another_no),
        TEST(test_a_retry_is_for_the_plug_that_is_there),
        TEST(test_a_no_to_a_disk_is_one_to_its_partitions),
        TEST(test_a_no_to_a_partition_is_one_to_its_disk),
        TEST(test_windows_that_nobody_answers_are_bounded),
        TEST(test_without_an_agent_the_pause_doubles_to_a_minute),
        TEST(test_a_login_is_noticed_at_once_and_the_pause_begins_anew),
        TEST(test_waiting_for_the_login_takes_none_of_the_job_s_time),
        TEST(test_nor_do_the_tries_while_nobody_is_logged_in),
        TEST(test_a_queued_prompt_that_qubesd_takes_off_its_list_waits),
        TEST(test_a_queued_prompt_is_looked_for_when_qubesd_is_back),
        TEST(test_a_row_of_failures_does_not_hide_what_was_attached),
        TEST(test_how_policy_answered_last_is_reported),
        cmocka_unit_test(test_dom0_is_no_target_whatever_a_rule_says),
        TEST(test_a_disposable_that_comes_too_late_is_done_away_with),
        TEST(test_many_disposables_leave_room_for_the_start_of_a_qube),
        TEST(test_a_yes_does_not_outvote_a_policy_that_has_changed),
        TEST(test_a_policy_that_denies_meanwhile_is_heard),
        TEST(test_a_policy_that_wants_to_ask_meanwhile_does),
        TEST(test_a_policy_that_is_silent_meanwhile_is_a_no),
        TEST(test_what_is_judged_again_needs_its_turn_again),
        TEST(test_what_goes_on_at_once_is_judged_once),
        TEST(test_a_late_yes_counts_behind_a_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
