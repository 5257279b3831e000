/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/core/source.h"
#include "tests/support/test.h"

#define RULES                                     \
    "disks: allow block type disk to work\n"      \
    "parts: allow block type partition to work\n" \
    "forbidden: deny usb\n"

/* a test that has taken this many calls of one kind goes round in circles */
#define ROUNDS_MAX 16U

#include "tests/support/manager-fixture.h"

static size_t n_outcomes(void)
{
    return history_last_serial(manager_history(rig.manager));
}

/* What `status` says of the only source. */
static ReportSource report_source(void)
{
    static Report report;

    report = (Report){};
    manager_report(rig.manager, &report, rig.now);
    assert_int_equal(report.n_sources, 1);
    return report.sources[0];
}

static size_t n_jobs(void)
{
    static Report report;

    report = (Report){};
    manager_report(rig.manager, &report, rig.now);
    return report.n_jobs;
}

/* the way of a record */

static void test_a_record_without_a_rule_makes_no_call(void **state)
{
    (void) state;

    rig_set_rules(&rig, "");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_NO_RULE);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_answer(&rig), 0);
    assert_int_equal(last_outcome()->status, STATUS_NO_RULE);
}

static void test_a_record_that_a_rule_denies_makes_no_call(void **state)
{
    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "2-1"),
                     STATUS_DENIED_BY_RULE);
    assert_true(rig_is_quiet(&rig));
    assert_string_equal(last_outcome()->rule.s, "forbidden");
}

static void test_a_running_target_takes_two_calls(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    call = rig_call_to(&rig, ADMIN_AVAILABLE, &request);
    assert_string_equal(request.dest.s, "sys-usb");
    assert_string_equal(request.port.s, "sda");
    assert_true(rig_is_quiet(&rig));

    rig_reply(&rig, call, answer_listed(NULL));
    call = rig_call_to(&rig, ADMIN_ATTACH, &request);
    assert_string_equal(request.dest.s, "work");
    assert_string_equal(request.backend.s, "sys-usb");
    assert_true(request.pinned);
    assert_string_equal(request.identity.s, "0781:5581:4C53:u080650");
    assert_int_equal(rig_answer(&rig), 0);

    rig_reply(&rig, call, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
    assert_string_equal(last_outcome()->target, "work");
    assert_int_equal(manager_next_usec(rig.manager), UINT64_MAX);
}

static void test_a_halted_target_is_started_and_looked_up_again(void **state)
{
    (void) state;

    begin_bare("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    finish_block_attach();
    assert_true(rig_is_quiet(&rig));
}

static void test_a_start_that_fails_is_the_outcome(void **state)
{
    (void) state;

    begin_bare("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    rig_serve(&rig, ADMIN_START, answer_error(ADMIN_ERROR_OTHER));
    assert_int_equal(rig_answer(&rig), STATUS_START_FAILED);
    assert_true(rig_is_quiet(&rig));
}

/* Its queue is full: nobody will tell that it has come back. */
static void test_a_qubesd_that_is_busy_is_tried_again(void **state)
{
    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
        rig_pass(&rig, JOB_RETRY_USEC(i));
    }
    finish_block_attach();
    assert_true(rig_is_quiet(&rig));
}

static void test_a_qubesd_that_stays_busy_is_told_of(void **state)
{
    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
        rig_pass(&rig, JOB_RETRY_USEC(i));
    }
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_UNREACHABLE));
    assert_int_equal(rig_answer(&rig), STATUS_UNAVAILABLE);
    assert_true(rig_is_quiet(&rig));
}

/* What qubesd tells of it while it answers may be older, or newer. */
static void test_an_answer_is_read_again_so_often_and_no_more(void **state)
{
    (void) state;

    begin_bare("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
    for (unsigned int i = 0; i <= JOB_REREADS_MAX; i++) {
        uint64_t call = rig_call(&rig, ADMIN_ATTACHED);

        rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
        rig_reply(&rig, call, answer_listed(NULL));
    }
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_target_is_started_once_for_many_devices(void **state)
{
    static const char *const disks[] = { "sda", "sdb", "sdc" };
    uint64_t start;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, disks[i]), 0);
        serve_block_not_running();
        if (i == 0)
            start = rig_call(&rig, ADMIN_START);
    }
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, start, answer_of(ADMIN_OK));
    for (size_t i = 0; i < ARRAY_SIZE(disks); i++)
        finish_block_attach();
    assert_true(rig_is_quiet(&rig));
}

static void test_the_same_record_joins_the_job_in_work(void **state)
{
    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sda"), 0);
    finish_block_attach();
    assert_int_equal(rig_answer(&rig), STATUS_ATTACHED);
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(n_outcomes(), 1);
}

static void test_another_plug_ends_the_job_of_the_first(void **state)
{
    Record other = rig_record(RECORD_ADD, "sda");
    uint64_t call;

    (void) state;

    assert_true(
        properties_set_text(&other.properties, PROPERTY_SERIAL, "x", 1));
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    call = rig_call(&rig, ADMIN_AVAILABLE);
    assert_int_equal(rig_tell_record(&rig, usb, &other), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);

    rig_reply(&rig, call, answer_listed(NULL));
    finish_block_attach();
}

static void test_a_remove_of_what_was_never_heard_of_makes_no_call(void **state)
{
    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sdz"),
                     STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_remove_detaches_what_we_attached(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    finish_detach();
    assert_int_equal(report_source().n_devices, 0);
}

/* All of qubesd's events may come before the record. */
static void test_what_qubesd_has_detached_before_a_remove_is_told(void **state)
{
    (void) state;

    attach_bare("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_DETACHED);
    assert_int_equal(last_outcome()->status, STATUS_DETACHED);
    assert_string_equal(last_outcome()->target, "work");
    assert_true(rig_is_quiet(&rig));
}

static void test_a_remove_does_not_touch_what_a_person_attached(void **state)
{
    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    be_found_at("work", STATUS_ALREADY_ATTACHED);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

static void test_unplugged_while_attaching_is_undone(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_int_equal(rig_answer(&rig), 0);

    rig_reply(&rig, call, answer_of(ADMIN_OK));
    finish_detach();
    assert_int_equal(report_source().n_devices, 0);
}

/* A flapping stick, read in one go: what was wanted first is not forgotten. */
static void test_a_detach_not_yet_made_survives_a_flapping_plug(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);

    finish_detach();
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_int_equal(n_jobs(), 0);
}

/* With all calls taken, the look at what an Attach did waits for its turn. */
static void test_unplugged_while_its_look_is_queued_is_undone(void **state)
{
    uint64_t attach_call, calls[SOURCE_CALLS_MAX];
    char name[8];

    (void) state;

    begin_bare("sda");
    attach_call = rig_call(&rig, ADMIN_ATTACH);
    for (size_t i = 0; i < SOURCE_CALLS_MAX; i++) {
        (void) snprintf(name, sizeof(name), "sd%c%c", (char) ('b' + i / 26),
                        (char) ('a' + i % 26));
        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, name), 0);
    }
    for (size_t i = 0; i < SOURCE_CALLS_MAX - 1; i++)
        calls[i] = rig_call(&rig, ADMIN_AVAILABLE);
    assert_true(rig_is_quiet(&rig));

    /* it leaves its place to the next, and has to wait itself */
    rig_reply(&rig, attach_call, answer_of(ADMIN_EMPTY));
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    for (size_t i = 0; i < SOURCE_CALLS_MAX - 1; i++)
        rig_reply(&rig, calls[i], answer_of(ADMIN_GARBAGE));
    for (size_t i = 0; i < ROUNDS_MAX && rig_answer(&rig) != STATUS_DETACHED;
         i++) {
        AdminRequest request;
        uint64_t call;

        while (manager_next_call(rig.manager, &call, &request))
            rig_reply(&rig, call,
                      request.method == ADMIN_ATTACHED ? answer_unknown()
                      : request.method == ADMIN_DETACH
                          ? answer_of(ADMIN_OK)
                          : answer_of(ADMIN_GARBAGE));
    }
    while (rig_answer(&rig) != 0)
        ;
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_DETACHED);
}

/* R4.4 says ProtocolError when the identity has changed meanwhile. */
static void test_a_job_has_one_call_under_way(void **state)
{
    AdminRequest request;
    uint64_t call;

    (void) state;

    begin_bare("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_PROTOCOL));
    call = rig_call(&rig, ADMIN_AVAILABLE);
    (void) rig_tell(&rig, usb, RECORD_REMOVE, "sda");
    assert_true(rig_is_quiet(&rig));

    rig_reply(&rig, call, answer_of(ADMIN_OK));
    while (manager_next_call(rig.manager, &call, &request)) {
        assert_int_equal(request.method, ADMIN_DETACH);
        rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    }
    assert_int_equal(n_jobs(), 0);
}

static void test_every_call_gives_its_place_back(void **state)
{
    char name[8];

    (void) state;

    for (size_t i = 0; i < ROUNDS_MAX; i++) {
        AdminRequest request;
        uint64_t reread, call;

        begin_bare("sda");
        rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_PROTOCOL));
        reread = rig_call(&rig, ADMIN_AVAILABLE);
        (void) rig_tell(&rig, usb, RECORD_REMOVE, "sda");
        while (manager_next_call(rig.manager, &call, &request))
            rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_ATTACHED));
        rig_reply(&rig, reread, answer_of(ADMIN_OK));
        while (manager_next_call(rig.manager, &call, &request))
            rig_reply(&rig, call, answer_error(ADMIN_ERROR_NOT_ATTACHED));
    }

    for (size_t i = 0; i < SOURCE_CALLS_MAX; i++) {
        (void) snprintf(name, sizeof(name), "b%c%c", (char) ('a' + i / 26),
                        (char) ('a' + i % 26));
        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, name), 0);
        (void) rig_call(&rig, ADMIN_AVAILABLE);
    }
}

/* The job before it has to wait for qubesd, longer than a job may take. */
static void test_a_queued_job_outlives_a_long_absence_of_qubesd(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    manager_set_qubesd(rig.manager, QUBESD_GONE, rig.now);

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    rig_pass(&rig, JOB_USEC + USEC_PER_SEC);
    (void) rig_tell(&rig, usb, RECORD_CHANGE, "sda");

    manager_set_qubesd(rig.manager, QUBESD_CONNECTED, rig.now);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_OK));
    see_block_attach();
}

/* The first try took effect after all. */
/* What was seen not to be attached was not: an Attach that others were quicker
 * than does not become ours because there was one before. */
static void test_unplugged_while_trying_again_undoes_nothing(void **state)
{
    uint64_t call;

    (void) state;

    begin_bare("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_of(ADMIN_EMPTY));
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_OK));
    rig_pass(&rig, USEC_PER_SEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    call = rig_call(&rig, ADMIN_ATTACH);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    rig_reply(&rig, call, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    assert_true(rig_is_quiet(&rig));
}

static void test_what_others_attach_between_two_tries_is_not_ours(void **state)
{
    (void) state;

    begin_bare("sda");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_NOT_RUNNING));
    rig_serve(&rig, ADMIN_START, answer_of(ADMIN_OK));
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
}

/* A try of a look is none of an attach. */
static void test_what_a_person_attached_is_not_ours_after_a_hiccup(void **state)
{
    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_of(ADMIN_EMPTY));
    rig_pass(&rig, USEC_PER_SEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

/* sources */

static void exhaust_lines(uint64_t connection)
{
    uint64_t when;

    for (size_t i = 0; i < SOURCE_LINES_BURST; i++)
        assert_true(manager_take_line(rig.manager, connection, rig.now, &when));
    assert_false(manager_take_line(rig.manager, connection, rig.now, &when));
    assert_true(when > rig.now.monotonic_usec);
}

static size_t n_refusals(void)
{
    static Report report;

    report = (Report){};
    manager_report(rig.manager, &report, rig.now);
    return report.refusals->n;
}

/* What is sent by hand tells nothing of a forwarder that works. */
static void test_a_refusal_is_told_unless_the_forwarder_works(void **state)
{
    const uint64_t hand = rig_connect(&rig, "sys-usb", 'a');

    (void) state;

    manager_synced(rig.manager, usb, rig.now);
    manager_refused(rig.manager, hand, STATUS_MALFORMED, "agent 1", rig.now);
    assert_int_equal(n_refusals(), 0);
    manager_refused(rig.manager, usb, STATUS_MALFORMED, "agent 1", rig.now);
    assert_int_equal(n_refusals(), 1);
}

static void test_a_new_connection_does_not_refill_the_rate_of_lines(
    void **state)
{
    uint64_t when;

    (void) state;

    exhaust_lines(usb);
    manager_disconnect(rig.manager, usb, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    assert_false(manager_take_line(rig.manager, usb, rig.now, &when));
}

static void test_a_new_connection_does_not_refill_the_attach_attempts(
    void **state)
{
    (void) state;

    for (size_t i = 0; i < SOURCE_PATH_ATTACHES_MAX; i++) {
        attach_bare("sda");
        assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
        finish_detach();
    }
    manager_disconnect(rig.manager, usb, rig.now);
    usb = rig_connect(&rig, "sys-usb", 'a');
    begin_bare("sda");
    assert_true(rig_is_quiet(&rig)); /* it waits for its turn */
}

static void test_no_disposable_is_made_before_the_turn(void **state)
{
    (void) state;

    for (size_t i = 0; i < SOURCE_PATH_ATTACHES_MAX; i++) {
        attach_bare("sda");
        assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
        finish_detach();
    }
    rig_set_rules(&rig, "d: allow block to @dispvm:media\n");
    begin_bare("sda");
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, 60 * USEC_PER_SEC);
    rig_serve(&rig, ADMIN_AVAILABLE, answer_listed(NULL));
    (void) rig_call(&rig, ADMIN_CREATE_DISPOSABLE);
}

static void test_a_look_at_the_target_that_fails_is_made_again(void **state)
{
    (void) state;

    attach_bare("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_EMPTY));
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_RETRY_USEC(0));
    /* while qubesd is away that is no try */
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_UNREACHABLE));
    rig_pass(&rig, JOB_RETRY_USEC(JOB_RETRIES_MAX - 1));
    assert_true(rig_is_quiet(&rig));
    rig_pass(&rig, JOB_OFFLINE_USEC);
    (void) rig_call(&rig, ADMIN_ATTACHED);
}

/* What the event says is all that is known then. */
static void test_a_detach_that_cannot_be_looked_at_is_believed(void **state)
{
    (void) state;

    attach_bare("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_EMPTY));
        rig_pass(&rig, JOB_RETRY_USEC(i));
    }
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_EMPTY));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(last_outcome()->status, STATUS_DETACHED_BY_USER);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"),
                     STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));
}

/* Without an event nothing has changed. */
static void test_a_look_anew_that_fails_takes_nothing_away(void **state)
{
    (void) state;

    attach_bare("sda");
    reconnect();
    for (unsigned int i = 0; i < JOB_RETRIES_MAX; i++) {
        rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_EMPTY));
        rig_pass(&rig, JOB_RETRY_USEC(i));
    }
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_EMPTY));
    assert_true(rig_is_quiet(&rig));
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    finish_detach();
}

static void test_a_source_has_no_more_jobs_than_its_limit(void **state)
{
    char name[8];

    (void) state;

    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < SOURCE_JOBS_MAX; i++) {
            (void) snprintf(name, sizeof(name), "%c%c%c", (char) ('a' + round),
                            (char) ('a' + i / 26), (char) ('a' + i % 26));
            (void) rig_tell(&rig, usb, RECORD_ADD, name);
        }
        manager_disconnect(rig.manager, usb, rig.now);
        usb = rig_connect(&rig, "sys-usb", 'a');
    }
    assert_true(n_jobs() <= SOURCE_JOBS_MAX);
}

static void test_a_remove_takes_effect_also_over_the_limit_of_jobs(void **state)
{
    char name[8];

    (void) state;

    attach_bare("sda");
    for (size_t i = 0; i < SOURCE_JOBS_MAX; i++) {
        (void) snprintf(name, sizeof(name), "b%c%c", (char) ('a' + i / 26),
                        (char) ('a' + i % 26));
        assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, name), 0);
    }
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sdz"), STATUS_TOO_MANY);
    (void) rig_tell(&rig, usb, RECORD_REMOVE, "sda");
    for (size_t i = 0; i < SOURCE_JOBS_MAX; i++) {
        AdminRequest request;
        uint64_t call;

        if (!manager_next_call(rig.manager, &call, &request))
            break;
        if (request.method == ADMIN_DETACH)
            return;
        rig_reply(&rig, call,
                  request.method == ADMIN_ATTACHED ? answer_unknown()
                                                   : answer_of(ADMIN_GARBAGE));
    }
    fail_msg("it was not detached");
}

/* one plug */

static void test_parts_of_one_plug_exclude_one_another(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda1"),
                     STATUS_ATTACHED_ELSEWHERE);
    assert_true(rig_is_quiet(&rig));
}

static void test_a_queued_job_excludes_the_other_parts_too(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda1"),
                     STATUS_ATTACHED_ELSEWHERE);
}

static void test_a_job_behind_an_undone_one_excludes_the_parts(void **state)
{
    uint64_t call;

    (void) state;

    call = attach_half_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda1"),
                     STATUS_ATTACHED_ELSEWHERE);
    rig_reply(&rig, call, answer_of(ADMIN_OK));
}

static void test_what_a_person_attached_excludes_the_other_parts(void **state)
{
    (void) state;

    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), 0);
    be_found_at("work", STATUS_ALREADY_ATTACHED);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda1"),
                     STATUS_ATTACHED_ELSEWHERE);
}

static void test_what_a_person_was_quicker_to_attach_excludes_the_parts(
    void **state)
{
    (void) state;

    begin_bare("sda");
    rig_notice(&rig, ADMIN_EVENT_ATTACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACH, answer_error(ADMIN_ERROR_ALREADY_ATTACHED));
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), STATUS_ALREADY_ATTACHED);
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda1"),
                     STATUS_ATTACHED_ELSEWHERE);
}

/* the person */

static void test_what_a_person_detached_is_left_alone(void **state)
{
    (void) state;

    attach_bare("sda");
    detach_by_person("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sda"),
                     STATUS_DETACHED_BY_USER);
    assert_true(rig_is_quiet(&rig));

    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                     STATUS_DETACHED);
    attach_bare("sda");
}

/* WIRE 1: a failed attach makes a later list change send one. */
static void test_a_spurious_detach_does_not_hide_the_persons(void **state)
{
    (void) state;

    attach_bare("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_listed(NULL));

    detach_by_person("sda");
}

/* WIRE 1: attaching sda1 takes sda off the list. */
static void test_a_partition_detached_by_the_person_is_left_alone(void **state)
{
    (void) state;

    rig_set_rules(&rig, "parts: allow block type partition to work\n");
    assert_int_equal(rig_tell(&rig, usb, RECORD_ADD, "sda"), STATUS_NO_RULE);
    attach_bare("sda1");
    rig_notice(&rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda", NULL);
    detach_by_person("sda1");
}

static void test_a_look_that_failed_does_not_attach_again(void **state)
{
    (void) state;

    attach_bare("sda");
    rig_notice(&rig, ADMIN_EVENT_DETACH, "sys-usb", "sda", "work");
    rig_serve(&rig, ADMIN_ATTACHED, answer_of(ADMIN_EMPTY));
    /* it is looked at again, or left alone */
    rig_pass(&rig, 10 * USEC_PER_SEC);
    for (size_t i = 0; i < ROUNDS_MAX; i++) {
        AdminRequest request;
        uint64_t call;

        if (!manager_next_call(rig.manager, &call, &request))
            break;
        assert_int_equal(request.method, ADMIN_ATTACHED);
        rig_reply(&rig, call, answer_of(ADMIN_OK));
    }
    assert_int_equal(rig_tell(&rig, usb, RECORD_CHANGE, "sda"),
                     STATUS_DETACHED_BY_USER);
}

/* A hiccup of one call: the stream of events never broke. */
static void test_a_job_goes_on_though_the_stream_never_broke(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_UNREACHABLE));
    for (size_t i = 0; i < 60; i++)
        rig_pass(&rig, USEC_PER_SEC);
    finish_detach();
}

static void test_a_detach_that_failed_is_not_forgotten(void **state)
{
    (void) state;

    attach_bare("sda");
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    rig_serve(&rig, ADMIN_DETACH, answer_of(ADMIN_TIMED_OUT));
    assert_int_equal(rig_answer(&rig), STATUS_NOT_ATTACHED);
    /* asked again it is tried again, or answered the same */
    assert_int_not_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"),
                         STATUS_DETACHED);
}

static void test_an_answer_that_was_given_up_is_not_taken_for_another(
    void **state)
{
    uint64_t call;

    (void) state;

    rig_set_rules(&rig, "r: allow block to @dispvm:media\n");
    begin_bare("sda");
    serve_disposable();
    call = rig_call(&rig, ADMIN_AVAILABLE);
    /* the Kill has to wait for the call that is under way */
    assert_int_equal(rig_tell(&rig, usb, RECORD_REMOVE, "sda"), 0);
    assert_int_equal(rig_answer(&rig), STATUS_SUPERSEDED);
    assert_true(rig_is_quiet(&rig));
    rig_reply(&rig, call, answer_listed(NULL));
    assert_int_equal(rig_answer(&rig), 0);
    rig_serve(&rig, ADMIN_KILL, answer_of(ADMIN_OK));
    assert_int_equal(rig_answer(&rig), STATUS_DETACHED);
    assert_true(rig_is_quiet(&rig));
}

int main(void)
{
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        WITH_RIG(test_a_record_without_a_rule_makes_no_call),
        WITH_RIG(test_a_record_that_a_rule_denies_makes_no_call),
        WITH_RIG(test_a_running_target_takes_two_calls),
        WITH_RIG(test_a_halted_target_is_started_and_looked_up_again),
        WITH_RIG(test_a_start_that_fails_is_the_outcome),
        WITH_RIG(test_a_qubesd_that_is_busy_is_tried_again),
        WITH_RIG(test_a_qubesd_that_stays_busy_is_told_of),
        WITH_RIG(test_an_answer_is_read_again_so_often_and_no_more),
        WITH_RIG(test_a_target_is_started_once_for_many_devices),
        WITH_RIG(test_the_same_record_joins_the_job_in_work),
        WITH_RIG(test_another_plug_ends_the_job_of_the_first),
        WITH_RIG(test_a_remove_of_what_was_never_heard_of_makes_no_call),
        WITH_RIG(test_a_remove_detaches_what_we_attached),
        WITH_RIG(test_what_qubesd_has_detached_before_a_remove_is_told),
        WITH_RIG(test_a_remove_does_not_touch_what_a_person_attached),
        WITH_RIG(test_unplugged_while_attaching_is_undone),
        WITH_RIG(test_a_detach_not_yet_made_survives_a_flapping_plug),
        WITH_RIG(test_unplugged_while_its_look_is_queued_is_undone),
        WITH_RIG(test_a_job_has_one_call_under_way),
        WITH_RIG(test_every_call_gives_its_place_back),
        WITH_RIG(test_a_queued_job_outlives_a_long_absence_of_qubesd),
        WITH_RIG(test_unplugged_while_trying_again_undoes_nothing),
        WITH_RIG(test_what_others_attach_between_two_tries_is_not_ours),
        WITH_RIG(test_what_a_person_attached_is_not_ours_after_a_hiccup),
        WITH_RIG(test_a_refusal_is_told_unless_the_forwarder_works),
        WITH_RIG(test_a_new_connection_does_not_refill_the_rate_of_lines),
        WITH_RIG(test_a_new_connection_does_not_refill_the_attach_attempts),
        WITH_RIG(test_no_disposable_is_made_before_the_turn),
        WITH_RIG(test_a_look_at_the_target_that_fails_is_made_again),
        WITH_RIG(test_a_detach_that_cannot_be_looked_at_is_believed),
        WITH_RIG(test_a_look_anew_that_fails_takes_nothing_away),
        WITH_RIG(test_a_source_has_no_more_jobs_than_its_limit),
        WITH_RIG(test_a_remove_takes_effect_also_over_the_limit_of_jobs),
        WITH_RIG(test_parts_of_one_plug_exclude_one_another),
        WITH_RIG(test_a_queued_job_excludes_the_other_parts_too),
        WITH_RIG(test_a_job_behind_an_undone_one_excludes_the_parts),
        WITH_RIG(test_what_a_person_attached_excludes_the_other_parts),
        WITH_RIG(test_what_a_person_was_quicker_to_attach_excludes_the_parts),
        WITH_RIG(test_what_a_person_detached_is_left_alone),
        WITH_RIG(test_a_spurious_detach_does_not_hide_the_persons),
        WITH_RIG(test_a_partition_detached_by_the_person_is_left_alone),
        WITH_RIG(test_a_look_that_failed_does_not_attach_again),
        WITH_RIG(test_a_job_goes_on_though_the_stream_never_broke),
        WITH_RIG(test_a_detach_that_failed_is_not_forgotten),
        WITH_RIG(test_an_answer_that_was_given_up_is_not_taken_for_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
