/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each system call, each allocation and each answer of libudev's and sd-event's
 * fails once in the whole forwarder, while it looks at what is there and while
 * a device comes and goes: dom0 is told the truth in the end, or the forwarder
 * ends with an error, and systemd begins it anew. Runs below umockdev-wrapper.
 */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <umockdev.h>

#include "sysusb/agent.h"
#include "sysusb/core/backoff.h"
#include "tests/support/call-fault.h"
#include "tests/support/fault.h"
#include "tests/support/forwarder-rig.h"
#include "tests/support/test.h"

#define DEADLINE_USEC UINT64_C(60000000)
#define DISK(name, minor)                                                \
    "P: /devices/virtual/block/" name "\nN: " name                       \
    "\nE: SUBSYSTEM=block\nE: DEVTYPE=disk\nE: MAJOR=8\nE: MINOR=" minor \
    "\nE: USEC_INITIALIZED=1\nE: DEVNAME=/dev/" name                     \
    "\nA: size=8\\n\nA: dev=8:" minor "\\n\n"
#define PLUGGED "/sys/devices/virtual/block/sdy"
/* dom0: keeps what it was told in this call */
#define SCRIPT "#!/bin/sh\nexec cat >\"${0%/*}/told\"\n"

static UMockdevTestbed *testbed;
static char told[96];
static sd_event *event;

uint64_t __wrap_backoff_next(Backoff *backoff,
                             uint64_t lived_usec,
                             bool refused,
                             uint64_t chance);

/* the next call is made at once */
uint64_t __wrap_backoff_next(Backoff *backoff,
                             uint64_t lived_usec,
                             bool refused,
                             uint64_t chance)
{
    (void) backoff;
    (void) lived_usec;
    (void) refused;
    (void) chance;

    return 1;
}

int __real_sd_event_add_time_relative(sd_event *event,
                                      sd_event_source **ret,
                                      clockid_t clock,
                                      uint64_t usec,
                                      uint64_t accuracy,
                                      sd_event_time_handler_t fn,
                                      void *userdata);
int __wrap_sd_event_add_time_relative(sd_event *event,
                                      sd_event_source **ret,
                                      clockid_t clock,
                                      uint64_t usec,
                                      uint64_t accuracy,
                                      sd_event_time_handler_t fn,
                                      void *userdata);

int __wrap_sd_event_add_time_relative(sd_event *event_arg,
                                      sd_event_source **ret,
                                      clockid_t clock,
                                      uint64_t usec,
                                      uint64_t accuracy,
                                      sd_event_time_handler_t fn,
                                      void *userdata)
{
    (void) accuracy;

    if (call_fault_fails("sd_event_add_time_relative"))
        return -ENOMEM;
    /* no wait is made longer to spare a wake-up */
    return __real_sd_event_add_time_relative(event_arg, ret, clock, usec, 1, fn,
                                             userdata);
}

static void hold(bool yes)
{
    call_fault_hold(yes);
    fault_hold(yes);
}

static int set_up(void **state)
{

    (void) state;

    forwarder_begin(SCRIPT);
    testbed = umockdev_testbed_new();
    assert_true(
        umockdev_testbed_add_from_string(testbed, DISK("sdx", "0"), NULL));

    (void) snprintf(told, sizeof(told), "%s/told", forwarder_folder);

    /* what it says of each fault is of no interest */
    forwarder_mute();
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    forwarder_unmute();
    (void) unlink(told);
    forwarder_end();
    g_object_unref(testbed);
    return 0;
}

static int on_told(sd_event_source *source,
                   const struct inotify_event *change,
                   void *userdata)
{
    (void) source;
    (void) change;
    (void) userdata;

    return 0; /* it is enough to be woken */
}

/* Whether dom0 has a whole picture by now, and @name in it or not. */
static bool dom0_knows(const char *name, bool there)
{
    char text[16384], quoted[32];
    bool known = false, synced = false;
    FILE *file;
    size_t n;

    hold(true);
    file = fopen(told, "re");
    n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        (void) fclose(file);
    hold(false);

    text[n] = '\0';
    (void) snprintf(quoted, sizeof(quoted), "\"%s\"", name);
    for (char *next, *line = text; (next = strchr(line, '\n'));
         line = next + 1) {
        *next = '\0';
        synced = synced || strstr(line, "\"synced\"") != NULL;
        if (strstr(line, quoted))
            known = strstr(line, "\"remove\"") == NULL;
    }
    return synced && known == there;
}

static void unplug(void)
{
    /* older umockdev leaves these behind, and cannot put it in again then */
    static const char *const links[] = { "block/sdy", "dev/block/8:16" };
    char path[256], *root = umockdev_testbed_get_root_dir(testbed);

    hold(true);
    umockdev_testbed_uevent(testbed, PLUGGED, "remove");
    umockdev_testbed_remove_device(testbed, PLUGGED);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        (void) snprintf(path, sizeof(path), "%s/sys/%s", root, links[i]);
        (void) unlink(path);
    }
    g_free(root);
    hold(false);
}

/* Answers false if the forwarder ends before. */
static bool wait_until_dom0_knows(const char *name, bool there)
{
    while (!dom0_knows(name, there)) {
        if (sd_event_get_state(event) == SD_EVENT_FINISHED)
            return false;
        assert_true(sd_event_run(event, DEADLINE_USEC) > 0);
    }
    return true;
}

/* A device comes and goes, and dom0 is told of both; false if it ends. */
static bool watch(void)
{
    bool alive;

    if (!wait_until_dom0_knows("sdx", true))
        return false;
    hold(true);
    assert_true(
        umockdev_testbed_add_from_string(testbed, DISK("sdy", "16"), NULL));
    hold(false);
    alive = wait_until_dom0_knows("sdy", true);

    unplug();
    return alive && wait_until_dom0_knows("sdy", false);
}

/* From begin to end; whether it told all, or ended with an error before. */
static bool forward_once(void)
{
    const AgentConfig config = { .qrexec_client = forwarder_client,
                                 .queue_max = AGENT_QUEUE_MAX };
    sd_event_source *watch_source = NULL;
    Agent *agent = NULL;
    bool told_all = false;
    int r;

    hold(true);
    (void) unlink(told);
    assert_return_code(sd_event_new(&event), 0);
    assert_return_code(sd_event_add_inotify(event, &watch_source,
                                            forwarder_folder, IN_MODIFY,
                                            on_told, NULL),
                       0);
    hold(false);

    r = agent_new(&agent, event, &config);
    assert_int_equal(r >= 0, agent != NULL);
    if (r >= 0) {
        told_all = watch();
        if (told_all)
            agent_stop(agent);
        while (sd_event_get_state(event) != SD_EVENT_FINISHED)
            assert_true(sd_event_run(event, DEADLINE_USEC) > 0);
        assert_int_equal(sd_event_get_exit_code(event, &r), 0);
        assert_int_equal(r == 0, told_all);
    }

    agent_free(agent);
    sd_event_source_unref(watch_source);
    event = sd_event_unref(event);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    return told_all;
}

static void test_each_system_call_may_fail(void **state)
{
    /* one of each kind; the parts have tests of their own with more */
    static const int errors[] = { EINTR, EAGAIN, EPIPE, ENOSPC, EMFILE };
    size_t n_faults = 0, n_before;
    bool told_all;

    (void) state;

    assert_true(forward_once());
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            /* of libudev, these would say that there is no device */
            call_fault_hold_udev(errors[i] != EMFILE);
            call_fault_begin(n, errors[i]);
            told_all = forward_once();
            if (!call_fault_end()) {
                assert_true(told_all);
                break;
            }
            n_faults++;
            /* without descriptors it cannot look, and ends */
            if (call_fault_is_transfer() && errors[i] != EMFILE)
                assert_true(told_all);
            assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
        }
    call_fault_hold_udev(false);
    assert_true(n_faults >= 20 * ARRAY_SIZE(errors));
    do {
        call_fault_begin_new(EMFILE);
        told_all = forward_once();
    } while (call_fault_end());
    assert_true(told_all);
}

static void test_it_goes_byte_by_byte(void **state)
{
    (void) state;

    call_fault_begin_short(true);
    assert_true(forward_once());
    (void) call_fault_end();
}

static void test_each_allocation_may_fail(void **state)
{
    size_t n_faults = 0, n_before;

    (void) state;

    json_set_alloc_funcs(malloc, free);
    assert_true(forward_once());
    n_before = n_descriptors();
    FAULT_LOOP(n) {
        bool told_all = forward_once();

        if (!fault_end()) {
            assert_true(told_all);
            break;
        }
        n_faults++;
        assert_true(n_descriptors() <= n_before + MOCK_DESCRIPTORS_MAX);
    }
    assert_true(n_faults >= 10);
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
