/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Memory is used up amid the parsing of a JSON text, after which jansson must
 * not go on (common/wire/json.c): the daemon aborts there, at each allocation
 * of each text in turn. The next run still knows what the person has said, and
 * serves what is plugged in then; nothing is attached or asked twice.
 */

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "common/sys/clock.h"
#include "dom0/daemon.h"
#include "tests/support/call-fault.h"
#include "tests/support/daemon-rig.h"
#include "tests/support/fault.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define RULES     "stick: ask block to work\n"
#define STATE_MAX 65536U
/* what the state, the hello and the records take at least */
#define N_ABORTS_MIN 60U

json_t *__real_json_loadb(const char *text,
                          size_t len,
                          size_t flags,
                          json_error_t *error);
json_t *__wrap_json_loadb(const char *text,
                          size_t len,
                          size_t flags,
                          json_error_t *error);
int __wrap_sd_event_loop(sd_event *event);

/* Only in here, all else is held. */
json_t *__wrap_json_loadb(const char *text,
                          size_t len,
                          size_t flags,
                          json_error_t *error)
{
    json_t *json;

    fault_hold(false);
    json = __real_json_loadb(text, len, flags, error);
    fault_hold(true);
    return json;
}

static void run_until_told(sd_event *event, size_t device)
{
    uint64_t give_up_usec = clock_monotonic_usec() + GIVE_UP_USEC;

    while (daemon_rig_answer(device) == STATUS_INVALID) {
        assert_true(clock_monotonic_usec() < give_up_usec);
        daemon_rig_serve();
        assert_true(sd_event_run(event, 1000) >= 0);
    }
}

static size_t n_devices; /* that are plugged in, one after the other */

/* The first is there from the beginning, if it was before. */
int __wrap_sd_event_loop(sd_event *event)
{
    for (size_t i = 0; i < n_devices; i++) {
        if (i > 0)
            daemon_rig_plug();
        run_until_told(event, i);
    }
    return 0;
}

/* One run, in a process of its own, in which the n-th allocation of a parser
 * fails. False if it aborted; else @is_well says whether all was as it has to
 * be. */
static bool run(size_t n, bool (*is_well)(void))
{
    const struct rlimit no_core = {};
    Daemon *daemon = NULL;
    pid_t pid;
    int status;

    (void) fflush(stdout);
    pid = fork();
    assert_return_code(pid, errno);
    if (pid == 0) {
        (void) setrlimit(RLIMIT_CORE, &no_core);
        fault_hold(true);
        fault_begin(n);
        if (daemon_new(&daemon, &rig.options) < 0 || daemon_run(daemon) < 0)
            _exit(EXIT_FAILURE);
        _exit(is_well() ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* what it left open waits in the queues of the parent's sockets */
    daemon_rig_rest();
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGABRT);
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
    return true;
}

static bool was_refused(void)
{
    return daemon_rig_answer(0) == STATUS_NOT_ATTACHED && rig.n_prompts == 1 &&
           rig.n_attaches == 0;
}

/* Nobody is asked again for the first, and the second is attached. */
static bool second_is_attached(void)
{
    return daemon_rig_answer(0) == STATUS_NOT_ATTACHED && !rig.attached[0] &&
           daemon_rig_answer(1) == STATUS_ATTACHED && rig.attached[1] &&
           rig.n_prompts == 1 && rig.n_attaches == 1;
}

/* the state file */

static char state_text[STATE_MAX];
static size_t state_len;

static FILE *open_state(const char *mode)
{
    char path[128];
    FILE *file;

    (void) snprintf(path, sizeof(path), "%s/state", rig.options.state_dir);
    file = fopen(path, mode);
    assert_non_null(file);
    return file;
}

static void keep_state(void)
{
    FILE *file = open_state("re");

    state_len = fread(state_text, 1, sizeof(state_text), file);
    assert_in_range(state_len, 1, sizeof(state_text) - 1);
    assert_int_equal(fclose(file), 0);
}

static void put_state_back(void)
{
    FILE *file = open_state("we");

    assert_int_equal(fwrite(state_text, 1, state_len, file), state_len);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void) state;

    daemon_rig_begin(RULES);
    rig.policy_answer = "result=allow";
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    (void) unlink(rig.options.event_socket);
    (void) unlink(rig.options.control_socket);
    daemon_rig_end();
    return 0;
}

static void test_an_abort_amid_a_parse_loses_nothing(void **state)
{
    size_t n_aborts = 0;

    (void) state;

    daemon_rig_plug();
    n_devices = 1;
    rig.agent_answer = "deny";
    assert_true(run(SIZE_MAX, was_refused));
    keep_state();

    n_devices = 2;
    rig.agent_answer = "allow:work";
    for (size_t n = 0; !run(n, second_is_attached); n++) {
        n_aborts++;
        assert_true(run(SIZE_MAX, second_is_attached));
        put_state_back();
    }
    assert_true(n_aborts >= N_ABORTS_MIN);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_an_abort_amid_a_parse_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
