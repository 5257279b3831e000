/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each system call and each allocation of the call of qrexec-client-vm, which
 * both the forwarder and the sender make, fails once: the call is not made, or
 * it ends and its owner is told, or nobody notices; and the next one works.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "sysusb/io/qrexec-call.h"
#include "tests/support/call-fault.h"
#include "tests/support/fault.h"
#include "tests/support/forwarder-rig.h"
#include "tests/support/test.h"

#define QUEUE_MAX     4096U
#define DEADLINE_USEC UINT64_C(60000000)
#define LINE          "what is told\n"
/* it says what it was told */
#define SCRIPT "#!/bin/sh\nexec cat\n"

static sd_event *event;

static unsigned int n_lines, n_ends;

static int set_up(void **state)
{

    (void) state;

    forwarder_begin(SCRIPT);
    assert_return_code(sd_event_new(&event), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    event = sd_event_unref(event);
    forwarder_end();
    return 0;
}

static void on_line(QrexecCall *call,
                    const char *line,
                    size_t len,
                    void *userdata)
{
    (void) call;
    (void) userdata;

    assert_int_equal(len, strlen(LINE) - 1);
    assert_memory_equal(line, LINE, len);
    n_lines++;
}

static void on_end(QrexecCall *call, const QrexecEnd *end, void *userdata)
{
    (void) call;
    (void) end;
    (void) userdata;

    n_ends++;
}

/* Whether it was made; then its end was told, and no child is left. */
static bool call_once(void)
{
    static const QrexecCallOps ops = { on_line, on_end };
    _cleanup_(qrexec_call_freep) QrexecCall *call = NULL;
    int r;

    n_lines = n_ends = 0;
    r = qrexec_call_new(&call, event, forwarder_client, "autoattach.Event",
                        QUEUE_MAX, &ops, NULL);
    if (r >= 0) {
        /* what cannot be written is its owner's to mind: it closes */
        if (qrexec_call_write(call, LINE, strlen(LINE)) < 0)
            qrexec_call_close(call, "it cannot be written to");
        else
            qrexec_call_finish(call);
        while (n_ends == 0)
            assert_true(sd_event_run(event, DEADLINE_USEC) > 0);
        assert_int_equal(n_ends, 1);
        assert_true(n_lines <= 1);
    } else {
        assert_null(call);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    return r >= 0;
}

static void must_work(void)
{
    assert_true(call_once());
    assert_int_equal(n_lines, 1);
}

static void test_each_system_call_may_fail(void **state)
{
    static const int errors[] = { EINTR, EAGAIN, EPIPE, EIO, EMFILE, ENOMEM };
    size_t n_faults = 0, n_before;

    (void) state;

    must_work();
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            call_fault_begin(n, errors[i]);
            (void) call_once();
            if (!call_fault_end()) {
                assert_int_equal(n_lines, 1);
                break;
            }
            n_faults++;
            if (call_fault_is_transfer() &&
                (errors[i] == EINTR || errors[i] == EAGAIN))
                assert_int_equal(n_lines, 1);
            assert_int_equal(n_descriptors(), n_before);
            must_work();
        }
    assert_true(n_faults >= 6 * ARRAY_SIZE(errors));
    do {
        call_fault_begin_new(EMFILE);
        (void) call_once();
    } while (call_fault_end());
    assert_int_equal(n_lines, 1);
}

static void test_it_goes_byte_by_byte(void **state)
{
    (void) state;

    call_fault_begin_short(true);
    must_work();
    (void) call_fault_end();
}

static void test_each_allocation_may_fail(void **state)
{
    size_t n_faults = 0, n_before;

    (void) state;

    must_work();
    n_before = n_descriptors();
    FAULT_LOOP(n) {
        (void) call_once();
        if (!fault_end()) {
            assert_int_equal(n_lines, 1);
            break;
        }
        n_faults++;
        assert_int_equal(n_descriptors(), n_before);
        must_work();
    }
    assert_true(n_faults >= 2);
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
