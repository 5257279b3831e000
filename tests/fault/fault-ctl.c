/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each allocation of the command fails once, jansson's too, and each call of
 * the system, with a real daemon to talk to: it does what it was told and says
 * so, or fails with a message, and a rule file is the old one or the new one.
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
#include "dom0/ctl/rule-book.h"
#include "dom0/daemon.h"
#include "tests/support/call-fault.h"
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
    const char *words[8];
    enum {
        SAYS_AGES,     /* as many lines each time */
        SAYS_THE_SAME, /* each time */
        SAYS_WARNINGS, /* of rules, but only if it can read them */
    } says;
} Line;

/* One that changes something. */
typedef struct Act {
    Line line;
    Line before; /* makes it possible */
    Line after;  /* says whether it is done: */
    const char *done;
} Act;

#define DEVICE "sys-usb:sda"
#define RECORDS                                                             \
    "{\"type\":\"event\",\"seq\":1,\"action\":\"add\",\"class\":\"block\"," \
    "\"device\":\"sdc\",\"properties\":{\"devtype\":\"disk\"}}\n"

static const Line lines[] = {
    { { "check", "RULES" }, SAYS_THE_SAME },
    /* the daemon's, for which it has to be asked */
    { { "check" }, SAYS_AGES },
    { { "explain", "RECORDS" }, SAYS_THE_SAME },
    { { "explain", "RECORDS", "--rules-dir", "RULES" }, SAYS_THE_SAME },
    { { "explain", "-", "--rules-dir", "RULES" }, SAYS_THE_SAME },
    /* it says whether it could ask for the qubes */
    { { "check", "RULES", "--json" }, SAYS_AGES },
    { { "rules" }, SAYS_THE_SAME },
    { { "devices" }, SAYS_AGES },
    { { "devices", "--json" }, SAYS_THE_SAME },
    { { "explain", "sys-usb:sda" }, SAYS_AGES },
    { { "suggest", "sys-usb:sda" }, SAYS_THE_SAME },
    { { "status" }, SAYS_WARNINGS },
    { { "status", "--json" }, SAYS_AGES },
    { { "history" }, SAYS_AGES },
    { { "wait", "stick" }, SAYS_AGES },
    { { "wait", "sys-usb:sda", "--json" }, SAYS_THE_SAME },
    { { "explain", "sys-usb:sda", "--json" }, SAYS_THE_SAME },
    { { "suggest", "sys-usb:sda", "--json" }, SAYS_THE_SAME },
    { { "rules", "--json" }, SAYS_THE_SAME },
    { { "history", "--json" }, SAYS_THE_SAME },
};

static const Act acts[] = {
    { .line = { { "pause", "5m" }, SAYS_AGES },
      .before = { { "resume" }, SAYS_AGES },
      .after = { { "status", "--json" }, SAYS_AGES },
      .done = "\"pause\":{" },
    { .line = { { "resume" }, SAYS_AGES },
      .before = { { "pause" }, SAYS_AGES },
      .after = { { "status", "--json" }, SAYS_AGES },
      .done = "\"pause\":null" },
    { .line = { { "detach", DEVICE }, SAYS_AGES },
      .before = { { "retry", DEVICE }, SAYS_AGES },
      .after = { { "devices", "--json" }, SAYS_AGES },
      .done = "\"attached_to\":null" },
    { .line = { { "retry", DEVICE }, SAYS_AGES },
      .before = { { "detach", DEVICE }, SAYS_AGES },
      .after = { { "devices", "--json" }, SAYS_AGES },
      .done = "\"attached_to\":\"work\"" },
    { .line = { { "reload" }, SAYS_AGES },
      .before = { { "rules" }, SAYS_AGES },
      .after = { { "rules" }, SAYS_AGES },
      .done = "stick" },
};

static const int errors[] = { EMFILE, EINTR, EAGAIN, EPIPE, ENOSPC };

static pid_t daemon_pid;
static int said_in;
static char new_file[96];
static char output[64], messages[64], records[64], passed_over[96];

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

static const char *meant(const char *word)
{
    if (strcmp(word, "RULES") == 0)
        return rig.options.rules_dir;
    return strcmp(word, "RECORDS") == 0 ? records : word;
}

static void hold(bool yes)
{
    call_fault_hold(yes);
    fault_hold(yes);
}

/* What it says goes to files, and its input are the records; answers the exit
 * status. */
static int run(const char *const words[], size_t n_words)
{
    static char storage[ARGUMENTS_MAX][ARGUMENT_MAX];
    char *argv[ARGUMENTS_MAX];
    int argc = 0, status, said, fd;
    Terminal terminal = { .columns = 80, .rows = 24 };

    hold(true);
    (void) lseek(STDIN_FILENO, 0, SEEK_SET);
    said = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    fd = open(messages, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    terminal.out = fopen(output, "we");
    assert_non_null(terminal.out);
    (void) fflush(stderr);
    assert_return_code(dup2(fd, STDERR_FILENO), errno);
    for (; argc < ARGUMENTS_MAX; argc++)
        argv[argc] = storage[argc];
    argc = 0;
    put(storage[argc++], CTL_NAME);
    for (size_t i = 0; i < n_words && words[i]; i++)
        put(storage[argc++], meant(words[i]));
    put(storage[argc++], "--socket");
    put(storage[argc++], rig.options.control_socket);
    hold(false);

    status = command_main(ctl_commands, ctl_n_commands, argc, argv, &terminal);

    hold(true);
    (void) fflush(stderr);
    (void) dup2(said, STDERR_FILENO);
    fd_close(said);
    fd_close(fd);
    (void) fclose(terminal.out);
    hold(false);
    return status;
}

static int run_line(const Line *line)
{
    return run(line->words, ARRAY_SIZE(line->words));
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    static const char *const wait_for[] = { "wait", "stick" };
    int status = CTL_EXIT_UNREACHABLE, fd;

    (void) state;

    json_set_alloc_funcs(malloc, free);
    daemon_rig_begin(RULES);
    rig.policy_answer = "result=allow";
    rig.agent_answer = "allow:work";
    rig.parent = "2-1";
    rig.options.unlimited = true;
    (void) snprintf(new_file, sizeof(new_file), "%s/50-new.rules",
                    rig.options.rules_dir);
    (void) snprintf(output, sizeof(output), "%s/out", rig.folder);
    (void) snprintf(messages, sizeof(messages), "%s/err", rig.folder);
    (void) snprintf(records, sizeof(records), "%s/records", rig.folder);
    write_file(records, RECORDS);
    said_in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    fd = open(records, O_RDONLY | O_CLOEXEC);
    assert_return_code(dup2(fd, STDIN_FILENO), errno);
    fd_close(fd);
    /* a name that the daemon does not read */
    (void) snprintf(passed_over, sizeof(passed_over), "%s/a.rules.bak",
                    rig.options.rules_dir);
    write_file(passed_over, RULES);
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
    (void) unlink(records);
    (void) unlink(passed_over);
    assert_return_code(dup2(said_in, STDIN_FILENO), errno);
    said_in = fd_close(said_in);
    (void) unlink(rig.options.event_socket);
    (void) unlink(rig.options.control_socket);
    daemon_rig_end();
    return 0;
}

/*
 * As it was said without the fault, or a message why not; that of rules that
 * cannot be read is what check is for. The rules are the daemon's, if it is not
 * as if there was none. One that waits says nothing when it is interrupted.
 */
static void check_said(const Line *line,
                       const char *good,
                       bool is_good,
                       int error)
{
    static char text[TEXT_MAX];

    if (!is_good && (read_file(text, messages) > 0 ||
                     (error == EINTR && strcmp(line->words[0], "wait") == 0)))
        return;
    assert_true(read_file(text, output) > 0);
    if (!is_good) {
        assert_string_equal(line->words[0], "check");
        if (error == ENOMEM || error == EMFILE || error == EINTR)
            assert_null(strstr(text, CTL_RULES_DEFAULT));
    } else if (line->says == SAYS_THE_SAME) {
        assert_string_equal(text, good);
    } else if (line->says == SAYS_AGES) {
        assert_int_equal(count_lines(text), count_lines(good));
    }
}

static void test_a_command_without_memory_says_so(void **state)
{
    static char good[TEXT_MAX];

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        int good_status = run_line(&lines[i]);
        size_t n_faults = 0;

        assert_true(read_file(good, output) > 0);
        FAULT_LOOP(n) {
            int status = run_line(&lines[i]);
            bool delivered = fault_end();

            check_said(&lines[i], good, status == good_status, ENOMEM);
            if (!delivered) {
                assert_int_equal(status, good_status);
                break;
            }
            n_faults++;
        }
        assert_true(n_faults >= 5);
    }
}

/* What the n-th call is depends on how fast the daemon is: behind all errors
 * come the places that were missed so far. */
static void begin_call_fault(size_t i_error, size_t n)
{
    if (i_error < ARRAY_SIZE(errors))
        call_fault_begin(n, errors[i_error]);
    else
        call_fault_begin_new(EMFILE);
}

static int error_of(size_t i_error)
{
    return i_error < ARRAY_SIZE(errors) ? errors[i_error] : EMFILE;
}

/* A file does not say EAGAIN. */
static bool may_be_tried_again(int error)
{
    return call_fault_is_transfer() &&
           (error == EINTR ||
            (error == EAGAIN && strcmp(call_fault_name(), "read") != 0));
}

static void test_a_command_whose_call_fails_says_so(void **state)
{
    static char good[TEXT_MAX];

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        int good_status = run_line(&lines[i]);
        size_t n_faults = 0, n_before = n_descriptors();

        assert_true(read_file(good, output) > 0);
        for (size_t j = 0; j <= ARRAY_SIZE(errors); j++)
            for (size_t n = 0;; n++) {
                bool delivered;
                int status;

                begin_call_fault(j, n);
                status = run_line(&lines[i]);
                delivered = call_fault_end();
                check_said(&lines[i], good, status == good_status, error_of(j));
                if (!delivered) {
                    assert_int_equal(status, good_status);
                    break;
                }
                if (may_be_tried_again(error_of(j)))
                    assert_int_equal(status, good_status);
                assert_int_equal(n_descriptors(), n_before);
                n_faults++;
            }
        assert_true(n_faults >= 5);
    }
}

static void test_a_command_goes_byte_by_byte(void **state)
{
    static char good[TEXT_MAX];

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        int good_status = run_line(&lines[i]), status;

        assert_true(read_file(good, output) > 0);
        call_fault_begin_short(true);
        status = run_line(&lines[i]);
        (void) call_fault_end();
        assert_int_equal(status, good_status);
        check_said(&lines[i], good, true, 0);
    }
}

/* acts */

static bool is_done(const Act *act)
{
    static char text[TEXT_MAX];

    assert_int_equal(run_line(&act->after), CTL_EXIT_OK);
    (void) read_file(text, output);
    return strstr(text, act->done) != NULL;
}

/* With the fault that has begun, or none: whether that was delivered. */
static bool act_once(const Act *act, bool (*end)(void))
{
    static char text[TEXT_MAX];
    bool delivered;
    int status;

    hold(true);
    assert_int_equal(run_line(&act->before), CTL_EXIT_OK);
    hold(false);
    status = run_line(&act->line);
    delivered = end();
    if (status == CTL_EXIT_OK) {
        assert_true(is_done(act));
        return delivered;
    }
    assert_true(delivered);
    assert_true(read_file(text, messages) > 0);
    return true;
}

static void test_what_a_command_has_done_is_done(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
        size_t n_faults = 0;

        FAULT_LOOP(n) {
            if (!act_once(&acts[i], fault_end))
                break;
            n_faults++;
        }
        for (size_t j = 0; j <= ARRAY_SIZE(errors); j++)
            for (size_t n = 0;; n++) {
                begin_call_fault(j, n);
                if (!act_once(&acts[i], call_fault_end))
                    break;
                n_faults++;
            }
        assert_true(n_faults >= 10);
    }
}

/* rule files */

static const Line addition = { { "add", "new", DEVICE, "--to", "work",
                                 "--allow", "--force" },
                               SAYS_AGES };
static const Line removal = { { "remove", "new" }, SAYS_AGES };

/* Whole or not there at all; and it is there if the command says so. */
static bool add_once(const char *good, bool (*end)(void))
{
    static char text[TEXT_MAX];
    int status = run_line(&addition);
    bool delivered = end();
    size_t len = read_file(text, new_file);

    if (status == CTL_EXIT_OK || len > 0)
        assert_string_equal(text, good);
    if (status != CTL_EXIT_OK) {
        assert_true(delivered);
        assert_true(read_file(text, messages) > 0);
    }
    (void) unlink(new_file);
    return delivered;
}

static void test_a_rule_is_added_whole_or_not(void **state)
{
    static char good[TEXT_MAX];
    size_t n_faults = 0;

    (void) state;

    assert_int_equal(run_line(&addition), CTL_EXIT_OK);
    assert_true(read_file(good, new_file) > 0);
    assert_return_code(unlink(new_file), errno);
    FAULT_LOOP(n) {
        if (!add_once(good, fault_end))
            break;
        n_faults++;
    }
    assert_true(n_faults >= 50);
    for (size_t i = 0; i <= ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            begin_call_fault(i, n);
            if (!add_once(good, call_fault_end))
                break;
        }
}

/* The file is @before, or what is to become of it: "" if nothing is left. */
static bool remove_once(const char *before,
                        const char *wanted,
                        bool (*end)(void))
{
    static char text[TEXT_MAX];
    bool delivered;
    int status;

    hold(true);
    write_file(new_file, before);
    hold(false);
    status = run_line(&removal);
    delivered = end();
    (void) read_file(text, new_file);
    if (status == CTL_EXIT_OK) {
        assert_string_equal(text, wanted);
        return delivered;
    }
    if (strcmp(text, wanted) != 0)
        assert_string_equal(text, before);
    assert_true(delivered);
    assert_true(read_file(text, messages) > 0);
    return true;
}

static void remove_each(const char *before, const char *wanted)
{
    size_t n_faults = 0;

    FAULT_LOOP(n) {
        if (!remove_once(before, wanted, fault_end))
            break;
        n_faults++;
    }
    assert_true(n_faults >= 50);
    for (size_t i = 0; i <= ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            begin_call_fault(i, n);
            if (!remove_once(before, wanted, call_fault_end))
                break;
        }
    (void) unlink(new_file);
}

static void test_a_rule_is_removed_whole_or_not(void **state)
{
    (void) state;

    remove_each("new: deny block\n", "");
    remove_each("new: deny block\nother: deny usb\n", "other: deny usb\n");
}

/* As the command, which is root, reads what a daemon with a user of its own
 * has to be able to read. */
static void test_rules_of_a_user_are_read_or_not(void **state)
{
    (void) state;

    for (size_t i = 0; i <= ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            _cleanup_(rule_book_freep) RuleBook *book = NULL;
            int r;

            assert_int_equal(rule_book_new(&book), 0);
            begin_call_fault(i, n);
            r = rule_book_add(book, rig.options.rules_dir, geteuid() + 1);
            if (!call_fault_end()) {
                assert_int_equal(r, 0);
                break;
            }
        }
}

/* The error is the folder's own. */
static void test_a_folder_of_all_is_refused_or_not_read(void **state)
{
    size_t n_faults = 0;

    (void) state;

    assert_return_code(chmod(rig.options.rules_dir, 0777), errno);
    FAULT_LOOP(n) {
        _cleanup_(rule_book_freep) RuleBook *book = NULL;
        int r = rule_book_new(&book);

        if (r == 0)
            r = rule_book_add(book, rig.options.rules_dir, geteuid());
        if (!fault_end()) {
            assert_int_equal(r, 0);
            assert_true(diagnostics_count(rule_book_diagnostics(book)) > 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        n_faults++;
    }
    assert_true(n_faults >= 5);
    assert_return_code(chmod(rig.options.rules_dir, 0700), errno);
}

static void test_a_terminal_without_a_size_has_the_usual_one(void **state)
{
    FILE *out = fdopen(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "r+e");
    Terminal terminal;

    (void) state;

    assert_non_null(out);
    call_fault_begin(0, EIO);
    terminal_init(&terminal, out);
    assert_true(call_fault_end());
    assert_true(terminal.is_terminal);
    assert_int_equal(terminal.columns, 80);
    assert_int_equal(terminal.rows, 24);
    (void) fclose(out);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_command_without_memory_says_so),
        TEST(test_a_command_whose_call_fails_says_so),
        TEST(test_a_command_goes_byte_by_byte),
        TEST(test_what_a_command_has_done_is_done),
        TEST(test_a_rule_is_added_whole_or_not),
        TEST(test_a_rule_is_removed_whole_or_not),
        TEST(test_rules_of_a_user_are_read_or_not),
        TEST(test_a_folder_of_all_is_refused_or_not_read),
        cmocka_unit_test(test_a_terminal_without_a_size_has_the_usual_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
