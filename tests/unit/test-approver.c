/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sys/socket.h"
#include "dom0/approver.h"
#include "tests/support/test.h"

#define DEADLINE_USEC UINT64_C(20000000)
#define PROMPT_ID     7U
#define QUESTION_ID   8U
#define NOBODY        65534U

typedef struct Fixture {
    char folder[64];
    char session[80]; /* a folder in it, for the agent */
    char agent[96];
    char other[96];
    char another[96];
    char refused[96];
    sd_event *event;
    Approver *approver;
    unsigned int n_agents, n_prompts, n_verdicts;
    PromptAnswer answer;
    PolicyAnswer verdict;
    bool is_refused;
} Fixture;

static void on_verdict(uint64_t id, PolicyAnswer answer, void *userdata)
{
    Fixture *f = userdata;

    assert_int_equal(id, QUESTION_ID);
    f->verdict = answer;
    f->n_verdicts++;
}

static void on_prompt(uint64_t id, const PromptAnswer *answer, void *userdata)
{
    Fixture *f = userdata;

    assert_int_equal(id, PROMPT_ID);
    f->answer = *answer;
    f->n_prompts++;
}

static void on_agent(void *userdata)
{
    Fixture *f = userdata;

    f->n_agents++;
}

static const ApproverHooks hooks = {
    .on_verdict = on_verdict,
    .on_prompt = on_prompt,
    .on_agent = on_agent,
};

static void make_session(Fixture *f)
{
    assert_int_equal(mkdir(f->session, 0700), 0);
}

static void make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_return_code(fd, errno);
    fd_close(fd);
}

static void start(Fixture *f)
{
    const ApproverPaths paths = { .policy_socket = f->other,
                                  .agent_socket = f->agent,
                                  .refused_file = f->refused };

    assert_int_equal(approver_new(&f->approver, f->event, &paths, &hooks, f),
                     0);
}

static int set_up(void **state)
{
    Fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    strcpy(f->folder, "/tmp/test-approver-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void) snprintf(f->session, sizeof(f->session), "%s/s", f->folder);
    (void) snprintf(f->agent, sizeof(f->agent), "%s/agent", f->session);
    (void) snprintf(f->other, sizeof(f->other), "%s/other", f->session);
    (void) snprintf(f->another, sizeof(f->another), "%s/another", f->session);
    (void) snprintf(f->refused, sizeof(f->refused), "%s/refused", f->folder);
    assert_return_code(sd_event_new(&f->event), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;

    approver_free(f->approver);
    sd_event_unref(f->event);
    (void) unlink(f->agent);
    (void) unlink(f->other);
    (void) unlink(f->another);
    (void) unlink(f->refused);
    (void) rmdir(f->session);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static void run_until(Fixture *f, const unsigned int *count, unsigned int n)
{
    while (*count < n)
        assert_true(sd_event_run(f->event, DEADLINE_USEC) > 0);
}

/* What is there to be done is done; nothing is waited for. */
static void run_out(Fixture *f)
{
    while (sd_event_run(f->event, 0) > 0)
        ;
}

static Prompt sample(void)
{
    Prompt prompt = { .source = { "sys-usb" },
                      .rule = { "r" },
                      .n_targets = 1,
                      .targets = {
                          { .kind = TARGET_QUBE, .name = { "work" } } } };

    return prompt;
}

static void test_a_login_is_noticed_by_the_socket_that_appears(void **state)
{
    Fixture *f = *state;
    _cleanup_(fd_closep) int listener = -1;

    make_session(f);
    start(f);
    run_out(f);
    assert_int_equal(f->n_agents, 0);
    listener = socket_listen(f->agent, 0600);
    assert_return_code(listener, 0);
    run_until(f, &f->n_agents, 1);
}

/* More happens in the folder than inotify keeps, and the socket comes last. */
static void test_a_login_is_noticed_after_too_many_other_events(void **state)
{
    Fixture *f = *state;
    _cleanup_(fd_closep) int listener = -1;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    unsigned int n_max = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%u", &n_max), 1);
    assert_int_equal(fclose(file), 0);

    make_session(f);
    make_file(f->other);
    make_file(f->another);
    start(f);
    /* of two files in turn: the same event twice would count once */
    for (unsigned int i = 0; i < n_max; i++)
        assert_int_equal(chmod(i % 2 == 0 ? f->other : f->another, 0600), 0);
    listener = socket_listen(f->agent, 0600);
    assert_return_code(listener, 0);
    run_out(f);
    assert_int_not_equal(f->n_agents, 0);
}

static void test_a_socket_that_becomes_ours_to_use_is_noticed(void **state)
{
    Fixture *f = *state;
    _cleanup_(fd_closep) int listener = -1;

    make_session(f);
    listener = socket_listen(f->agent, 0600);
    assert_return_code(listener, 0);
    start(f);
    run_out(f);
    assert_int_equal(f->n_agents, 0);
    assert_int_equal(chmod(f->agent, 0660), 0);
    run_until(f, &f->n_agents, 1);
}

static void test_a_socket_that_is_moved_there_is_noticed(void **state)
{
    Fixture *f = *state;
    _cleanup_(fd_closep) int listener = -1;

    make_session(f);
    listener = socket_listen(f->other, 0600);
    assert_return_code(listener, 0);
    start(f);
    assert_int_equal(rename(f->other, f->agent), 0);
    run_until(f, &f->n_agents, 1);
}

static void test_another_file_in_the_folder_is_no_login(void **state)
{
    Fixture *f = *state;
    _cleanup_(fd_closep) int listener = -1;

    make_session(f);
    start(f);
    listener = socket_listen(f->other, 0600);
    assert_return_code(listener, 0);
    assert_int_equal(chmod(f->other, 0660), 0);
    run_out(f);
    assert_int_equal(f->n_agents, 0);
}

static void test_a_folder_that_comes_later_is_watched_from_the_next_try_on(
    void **state)
{
    Fixture *f = *state;
    _cleanup_(fd_closep) int listener = -1;
    const Prompt prompt = sample();

    start(f);
    make_session(f);
    assert_int_equal(approver_prompt(f->approver, PROMPT_ID, &prompt), 0);
    run_until(f, &f->n_prompts, 1);
    assert_int_equal(f->answer.result, PROMPT_NO_AGENT);
    listener = socket_listen(f->agent, 0600);
    assert_return_code(listener, 0);
    run_until(f, &f->n_agents, 1);
}

static void test_nobody_listening_is_no_agent(void **state)
{
    Fixture *f = *state;
    const Prompt prompt = sample();

    make_session(f);
    (void) fd_close(socket_listen(f->agent, 0600));
    start(f);
    assert_int_equal(approver_prompt(f->approver, PROMPT_ID, &prompt), 0);
    assert_int_equal(f->n_prompts, 0);
    run_until(f, &f->n_prompts, 1);
    assert_int_equal(f->answer.result, PROMPT_NO_AGENT);
}

/* Prompt as someone to whom modes apply, also where tests run as root. */
static void prompt_as_anyone(Fixture *f)
{
    const Prompt prompt = sample();
    const bool is_root = geteuid() == 0;

    assert_int_equal(chmod(f->folder, 0777), 0);
    assert_int_equal(chmod(f->session, 0755), 0);
    start(f);
    if (is_root)
        assert_int_equal(seteuid(NOBODY), 0);
    assert_int_equal(approver_prompt(f->approver, PROMPT_ID, &prompt), 0);
    run_until(f, &f->n_prompts, 1);
    f->is_refused = approver_is_refused(f->approver);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(f->answer.result, PROMPT_NO_AGENT);
}

static void test_a_socket_that_may_not_be_used_is_told(void **state)
{
    Fixture *f = *state;
    _cleanup_(fd_closep) int listener = -1;

    make_session(f);
    listener = socket_listen(f->agent, 0);
    assert_return_code(listener, 0);
    prompt_as_anyone(f);
    assert_int_equal(access(f->refused, F_OK), 0);
    assert_true(f->is_refused);
}

static void test_a_socket_that_is_not_there_is_not_told(void **state)
{
    Fixture *f = *state;

    make_session(f);
    prompt_as_anyone(f);
    assert_int_equal(access(f->refused, F_OK), -1);
    assert_false(f->is_refused);
}

static void test_without_a_policy_daemon_it_is_unreachable(void **state)
{
    Fixture *f = *state;
    const PolicyQuestion question = { .source = { "sys-usb" },
                                      .target = { .kind = TARGET_QUBE,
                                                  .name = { "work" } } };

    make_session(f);
    start(f);
    assert_int_equal(approver_judge(f->approver, QUESTION_ID, &question), 0);
    assert_int_equal(f->n_verdicts, 0);
    run_until(f, &f->n_verdicts, 1);
    assert_int_equal(f->verdict, POLICY_UNREACHABLE);
}

static void test_what_becomes_of_a_notification_is_not_told(void **state)
{
    Fixture *f = *state;
    const Notification notification = { .source = { "sys-usb" },
                                        .rule = { "r" },
                                        .target = "work" };

    make_session(f);
    start(f);
    approver_notify(f->approver, &notification);
    run_out(f);
    assert_int_equal(f->n_prompts, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_a_login_is_noticed_by_the_socket_that_appears),
        TEST(test_a_login_is_noticed_after_too_many_other_events),
        TEST(test_a_socket_that_becomes_ours_to_use_is_noticed),
        TEST(test_a_socket_that_is_moved_there_is_noticed),
        TEST(test_another_file_in_the_folder_is_no_login),
        TEST(test_a_folder_that_comes_later_is_watched_from_the_next_try_on),
        TEST(test_nobody_listening_is_no_agent),
        TEST(test_a_socket_that_may_not_be_used_is_told),
        TEST(test_a_socket_that_is_not_there_is_not_told),
        TEST(test_without_a_policy_daemon_it_is_unreachable),
        TEST(test_what_becomes_of_a_notification_is_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
