/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each allocation of the command fails once, jansson's too, with a real daemon
 * to talk to: it does what it was told and says so, or fails with a message,
 * and a rule file is the old one or the new one.
 */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "dom0/ctl/commands.h"
#include "dom0/daemon.h"
#include "tests/support/daemon-rig.h"
#include "tests/support/fault.h"
#include "tests/support/test.h"

#define RULES "stick: ask block to work\n"
/* what a rule file of these tests has at most, and a command says */
#define TEXT_MAX      65536U
#define ARGUMENTS_MAX 16
#define ARGUMENT_MAX  96

/* One command line, without --socket and its path. */
typedef struct Line {
    const char *words[6];
    bool is_stable; /* says the same each time, with no ages in it */
} Line;

static const Line lines[] = {
    { { "check", "RULES" }, true },
    /* it says whether it could ask for the qubes */
    { { "check", "RULES", "--json" }, false },
    { { "rules" }, true },
    { { "devices" }, false },
    { { "devices", "--json" }, true },
    { { "explain", "sys-usb:sda" }, false },
    { { "suggest", "sys-usb:sda" }, true },
    { { "status" }, false },
    { { "status", "--json" }, false },
    { { "history" }, false },
    { { "wait", "stick" }, false },
    { { "wait", "sys-usb:sda", "--json" }, true },
    { { "explain", "sys-usb:sda", "--json" }, true },
    { { "suggest", "sys-usb:sda", "--json" }, true },
    { { "rules", "--json" }, true },
    { { "history", "--json" }, true },
};

static pid_t daemon_pid;
static char new_file[96];
static char output[64], messages[64];

int __wrap_sd_event_loop(sd_event *event);

/* In the child: for ever. */
int __wrap_sd_event_loop(sd_event *event)
{
    daemon_rig_plug();
    for (;;) {
        daemon_rig_serve();
        if (sd_event_run(event, 1000) < 0)
            return -EIO;
    }
}

static void run_daemon(void)
{
    Daemon *daemon = NULL;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (daemon_new(&daemon, &rig.options) < 0)
        _exit(EXIT_FAILURE);
    _exit(daemon_run(daemon) < 0);
}

static size_t read_file(char ret[TEXT_MAX], const char *path)
{
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(ret, 1, TEXT_MAX - 1, file) : 0;

    if (file)
        (void) fclose(file);
    ret[n] = '\0';
    return n;
}

static void put(char ret[ARGUMENT_MAX], const char *word)
{
    (void) snprintf(ret, ARGUMENT_MAX, "%s", word);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* What it says goes to files; answers the exit status. */
static int run(const char *const words[], size_t n_words)
{
    static char storage[ARGUMENTS_MAX][ARGUMENT_MAX];
    char *argv[ARGUMENTS_MAX];
    int argc = 0, status, said = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    int fd = open(messages, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fopen(output, "we");
    Terminal terminal = { .out = out, .columns = 80, .rows = 24 };

    assert_non_null(out);
    (void) fflush(stderr);
    assert_return_code(dup2(fd, STDERR_FILENO), errno);
    for (; argc < ARGUMENTS_MAX; argc++)
        argv[argc] = storage[argc];
    argc = 0;
    put(storage[argc++], CTL_NAME);
    for (size_t i = 0; i < n_words && words[i]; i++)
        put(storage[argc++],
            strcmp(words[i], "RULES") == 0 ? rig.options.rules_dir : words[i]);
    put(storage[argc++], "--socket");
    put(storage[argc++], rig.options.control_socket);
    status = command_main(ctl_commands, ctl_n_commands, argc, argv, &terminal);

    (void) fflush(stderr);
    (void) dup2(said, STDERR_FILENO);
    fd_close(said);
    fd_close(fd);
    (void) fclose(out);
    return status;
}

static int set_up(void **state)
{
    static const char *const wait_for[] = { "wait", "stick" };
    int status = CTL_EXIT_UNREACHABLE;

    (void) state;

    json_set_alloc_funcs(malloc, free);
    daemon_rig_begin(RULES);
    rig.policy_answer = "result=allow";
    rig.agent_answer = "allow:work";
    (void) snprintf(new_file, sizeof(new_file), "%s/50-new.rules",
                    rig.options.rules_dir);
    (void) snprintf(output, sizeof(output), "%s/out", rig.folder);
    (void) snprintf(messages, sizeof(messages), "%s/err", rig.folder);
    (void) fflush(stdout);
    daemon_pid = fork();
    assert_return_code(daemon_pid, errno);
    if (daemon_pid == 0)
        run_daemon();
    /* until it listens, and the device is attached */
    for (size_t i = 0; i < 1000000 && status != CTL_EXIT_OK; i++)
        status = run(wait_for, ARRAY_SIZE(wait_for));
    assert_int_equal(status, CTL_EXIT_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    assert_return_code(kill(daemon_pid, SIGKILL), errno);
    assert_int_equal(waitpid(daemon_pid, NULL, 0), daemon_pid);
    (void) unlink(output);
    (void) unlink(messages);
    (void) unlink(rig.options.event_socket);
    (void) unlink(rig.options.control_socket);
    daemon_rig_end();
    return 0;
}

static void test_a_command_without_memory_says_so(void **state)
{
    static char good[TEXT_MAX], text[TEXT_MAX];

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        const size_t n_words = ARRAY_SIZE(lines[i].words);
        int good_status = run(lines[i].words, n_words);
        size_t n_faults = 0;

        assert_in_range(good_status, 0, 1); /* check warns */
        assert_true(read_file(good, output) > 0);
        FAULT_LOOP(n) {
            int status = run(lines[i].words, n_words);
            bool delivered = fault_end();

            if (status == good_status && lines[i].is_stable) {
                (void) read_file(text, output);
                assert_string_equal(text, good);
            } else if (status == good_status) {
                (void) read_file(text, output);
                assert_int_equal(count_lines(text), count_lines(good));
            } else {
                assert_true(delivered);
                assert_true(read_file(text, messages) > 0);
            }
            if (!delivered)
                break;
            n_faults++;
        }
        assert_true(n_faults >= 5);
    }
}

/* Whole or not there at all; and it is there if the command says so. */
static void test_a_rule_is_added_whole_or_not(void **state)
{
    static const char *const words[] = { "add",    "new",  "sys-usb:sda",
                                         "--to",   "work", "--allow",
                                         "--force" };
    static char good[TEXT_MAX], text[TEXT_MAX];
    size_t n_faults = 0;

    (void) state;

    assert_int_equal(run(words, ARRAY_SIZE(words)), CTL_EXIT_OK);
    assert_true(read_file(good, new_file) > 0);
    assert_return_code(unlink(new_file), errno);
    FAULT_LOOP(n) {
        int status = run(words, ARRAY_SIZE(words));
        bool delivered = fault_end();
        size_t len = read_file(text, new_file);

        if (status == CTL_EXIT_OK || len > 0)
            assert_string_equal(text, good);
        if (status != CTL_EXIT_OK)
            assert_true(read_file(text, messages) > 0);
        (void) unlink(new_file);
        if (!delivered) {
            assert_int_equal(status, CTL_EXIT_OK);
            break;
        }
        n_faults++;
    }
    assert_true(n_faults >= 50);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_command_without_memory_says_so),
        TEST(test_a_rule_is_added_whole_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
