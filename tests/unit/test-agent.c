/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The agent with a dom0 that is a shell script. What it does with devices is
 * in integration/test_forwarder.py; here are the ends that a real queue is too
 * long for, and lost events. Runs below umockdev-wrapper with an empty /sys.
 */

#include <errno.h>
#include <libudev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <umockdev.h>

#include "sysusb/agent.h"
#include "tests/support/test.h"

#define DEADLINE_USEC UINT64_C(60000000)

typedef struct Fixture {
    char folder[32];
    char client[64];
    UMockdevTestbed *testbed;
    sd_event *event;
    Agent *agent;
    int notify_fd;
    const char *wanted; /* what is waited for, and whether it was told */
    bool seen;
    char told[512];
} Fixture;

/* the next receive answers this errno, once */
static int receive_errno;

struct udev_device *__real_udev_monitor_receive_device(
    struct udev_monitor *monitor);
struct udev_device *__wrap_udev_monitor_receive_device(
    struct udev_monitor *monitor);

struct udev_device *__wrap_udev_monitor_receive_device(
    struct udev_monitor *monitor)
{
    struct udev_device *device = __real_udev_monitor_receive_device(monitor);

    if (receive_errno == 0)
        return device;
    /* what the kernel dropped is gone */
    (void) udev_device_unref(device);
    errno = receive_errno;
    receive_errno = 0;
    return NULL;
}

static int on_notify(sd_event_source *source,
                     int fd,
                     uint32_t revents,
                     void *userdata)
{
    Fixture *fixture = userdata;
    ssize_t n = recv(fd, fixture->told, sizeof(fixture->told) - 1, 0);

    (void) source;
    (void) revents;

    if (fixture->seen)
        return 0;
    assert_true(n > 0);
    fixture->told[n] = '\0';
    fixture->seen = strstr(fixture->told, fixture->wanted) != NULL;
    return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    Fixture *fixture = userdata;

    (void) source;
    (void) usec;

    fail_msg("'%s' did not come", fixture->wanted);
    return 0;
}

static void write_client(Fixture *fixture, const char *script)
{
    FILE *file = fopen(fixture->client, "we");

    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s\n", script) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(fixture->client, 0700), 0);
}

static void wait_until(Fixture *fixture, const char *wanted)
{
    fixture->wanted = wanted;
    fixture->seen = false;
    while (!fixture->seen)
        assert_return_code(sd_event_run(fixture->event, UINT64_MAX), 0);
}

/* An agent, and run it until it tells systemd this. */
static void run_until(Fixture *fixture,
                      const char *script,
                      size_t queue_max,
                      const char *wanted)
{
    AgentConfig config = { .qrexec_client = fixture->client,
                           .queue_max = queue_max };

    write_client(fixture, script);
    assert_int_equal(agent_new(&fixture->agent, fixture->event, &config), 0);
    wait_until(fixture, wanted);
}

static int setup(void **state)
{
    Fixture *fixture = calloc(1, sizeof(*fixture));
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    sigset_t signals;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGCHLD);
    assert_return_code(sigprocmask(SIG_BLOCK, &signals, NULL), 0);
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_int_equal(setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1), 0);

    strcpy(fixture->folder, "/tmp/test-agent.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void) snprintf(fixture->client, sizeof(fixture->client), "%s/client",
                    fixture->folder);
    fixture->testbed = umockdev_testbed_new();
    assert_return_code(sd_event_new(&fixture->event), 0);

    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify",
                    fixture->folder);
    fixture->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(fixture->notify_fd,
                            (const struct sockaddr *) &address,
                            sizeof(address)),
                       errno);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    assert_return_code(sd_event_add_io(fixture->event, NULL, fixture->notify_fd,
                                       EPOLLIN, on_notify, fixture),
                       0);
    assert_return_code(
        sd_event_add_time_relative(fixture->event, NULL, CLOCK_MONOTONIC,
                                   DEADLINE_USEC, 0, on_deadline, fixture),
        0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    Fixture *fixture = *state;
    char path[64];

    agent_free(fixture->agent);
    sd_event_unref(fixture->event);
    (void) unlink(fixture->client);
    (void) snprintf(path, sizeof(path), "%s/notify", fixture->folder);
    (void) unlink(path);
    (void) rmdir(fixture->folder);
    g_object_unref(fixture->testbed);
    free(fixture);
    return 0;
}

static void test_a_full_queue_ends_the_call(void **state)
{
    Fixture *fixture = *state;

    run_until(fixture, "exec sleep 1000", 16, "dom0 does not read; next try");
}

static void test_a_refusal_waits_ten_minutes(void **state)
{
    Fixture *fixture = *state;

    run_until(fixture, "exit 126", AGENT_QUEUE_MAX, "next try in 600.0 s");
    assert_non_null(strstr(fixture->told, "refused by the policy"));
}

static void test_no_such_service_is_tried_again_soon(void **state)
{
    Fixture *fixture = *state;

    run_until(fixture, "exit 127", AGENT_QUEUE_MAX, "status 127; next try");
    assert_non_null(strstr(fixture->told, "in 0."));
}

static void test_lost_events_bring_what_was_in_them(void **state)
{
    Fixture *fixture = *state;

    /* answers once an event comes: until then there is none to answer */
    run_until(fixture,
              "while read -r line; do case $line in *'\"add\"'*) echo "
              "'{\"seq\":1,\"code\":300,\"status\":\"not-attached\"}';; "
              "esac; done",
              AGENT_QUEUE_MAX, "In a call to dom0, with nothing to report");
    receive_errno = ENOBUFS;
    assert_true(umockdev_testbed_add_from_string(
        fixture->testbed,
        "P: /devices/virtual/block/sdx\nN: sdx\nE: SUBSYSTEM=block\n"
        "E: DEVTYPE=disk\nE: MAJOR=8\nE: MINOR=0\nE: USEC_INITIALIZED=1\n"
        "E: DEVNAME=/dev/sdx\nA: size=8\\n\nA: dev=8:0\\n\n",
        NULL));
    /* until there is an answer */
    wait_until(fixture, "Calling dom0");
    wait_until(fixture, "Reporting to dom0");
    assert_int_equal(receive_errno, 0);
}

#define with_fixture(test) \
    cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        with_fixture(test_a_full_queue_ends_the_call),
        with_fixture(test_a_refusal_waits_ten_minutes),
        with_fixture(test_no_such_service_is_tried_again_soon),
        with_fixture(test_lost_events_bring_what_was_in_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
