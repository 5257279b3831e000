/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each system call, each allocation and each answer of libudev's fails once in
 * the one-shot sender: it says that dom0 has attached the device only if dom0
 * has said so, leaves no child and nothing open, and the next one works. Runs
 * below umockdev-wrapper.
 */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <umockdev.h>

#include "common/status.h"
#include "sysusb/sender.h"
#include "tests/support/call-fault.h"
#include "tests/support/fault.h"
#include "tests/support/forwarder-rig.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define DESCRIPTION                                                    \
    "P: /devices/virtual/block/sdx\nN: sdx\nE: SUBSYSTEM=block\n"      \
    "E: DEVTYPE=disk\nE: MAJOR=8\nE: MINOR=0\nE: USEC_INITIALIZED=1\n" \
    "E: DEVNAME=/dev/sdx\nA: size=8\\n\nA: dev=8:0\\n\n"
/* dom0: an answer to each event, and a note that it was made */
#define SCRIPT                                                         \
    "#!/bin/sh\n"                                                      \
    "while read -r line; do case $line in *'\"add\"'*)\n"              \
    ": >\"${0%/*}/attached\"\n"                                        \
    "echo '{\"seq\":1,\"code\":200,\"status\":\"attached\"}';; esac\n" \
    "done\n"

static UMockdevTestbed *testbed;
static char attached[96];

static int set_up(void **state)
{

    (void) state;

    loop_add_time_fails = call_fault_fails_at;
    forwarder_begin(SCRIPT);
    testbed = umockdev_testbed_new();
    assert_true(umockdev_testbed_add_from_string(testbed, DESCRIPTION, NULL));

    (void) snprintf(attached, sizeof(attached), "%s/attached",
                    forwarder_folder);

    /* what it says of each fault is of no interest */
    forwarder_mute();
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    forwarder_unmute();
    (void) unlink(attached);
    forwarder_end();
    g_object_unref(testbed);
    return 0;
}

/* What sender_run() answers; dom0 has attached it if that says so. */
static int send_once(void)
{
    char name[] = "sdx";
    char *devices[] = { name };
    const SendOptions options = { .qrexec_client = forwarder_client,
                                  .devices = devices,
                                  .n_devices = 1,
                                  .timeout_usec = GIVE_UP_USEC };
    sd_event *event = NULL;
    int r;

    call_fault_hold(true);
    fault_hold(true);
    (void) unlink(attached);
    assert_return_code(sd_event_new(&event), 0);
    call_fault_hold(false);
    fault_hold(false);

    r = sender_run(event, &options);

    call_fault_hold(true);
    if (r == 0)
        assert_int_equal(access(attached, F_OK), 0);
    call_fault_hold(false);
    sd_event_unref(event);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    return r;
}

/* Otherwise it is told that it could not be done, or not be found. */
static void check_end(int r)
{
    assert_true(r <= 0 || r == status_exit(STATUS_NO_SUCH_DEVICE) ||
                r == status_exit(STATUS_UNAVAILABLE));
}

static void test_each_system_call_may_fail(void **state)
{
    static const int errors[] = { EINTR, EAGAIN, EPIPE, EIO, EMFILE, ENOMEM };
    size_t n_faults = 0, n_before;
    int r;

    (void) state;

    assert_int_equal(send_once(), 0);
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            call_fault_begin(n, errors[i]);
            r = send_once();
            if (!call_fault_end()) {
                assert_int_equal(r, 0);
                break;
            }
            n_faults++;
            check_end(r);
            if (call_fault_is_transfer() &&
                (errors[i] == EINTR || errors[i] == EAGAIN))
                assert_int_equal(r, 0);
            assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
            assert_int_equal(send_once(), 0);
        }
    assert_true(n_faults >= 10 * ARRAY_SIZE(errors));
    do {
        call_fault_begin_new(EMFILE);
        r = send_once();
        check_end(r);
    } while (call_fault_end());
    assert_int_equal(r, 0);
}

static void test_it_goes_byte_by_byte(void **state)
{
    (void) state;

    call_fault_begin_short(true);
    assert_int_equal(send_once(), 0);
    (void) call_fault_end();
}

static void test_each_allocation_may_fail(void **state)
{
    size_t n_faults = 0, n_before;

    (void) state;

    json_set_alloc_funcs(malloc, free);
    assert_int_equal(send_once(), 0);
    n_before = n_descriptors();
    FAULT_LOOP(n) {
        int r = send_once();

        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        n_faults++;
        check_end(r);
        assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
        assert_int_equal(send_once(), 0);
    }
    assert_true(n_faults >= 4);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_each_system_call_may_fail),
        TEST(test_it_goes_byte_by_byte),
        TEST(test_each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
