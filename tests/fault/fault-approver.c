/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each allocation and each call fails once while the policy daemon and the
 * person are asked, and answers come in pieces: nothing crashes or leaks, each
 * question is put once and whole or not at all, nothing but a whole yes is a
 * yes, and the next question works.
 */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>

#include "common/sys/socket.h"
#include "dom0/approver.h"
#include "tests/support/call-fault.h"
#include "tests/support/fault.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define QUESTION_ID  8U
#define PROMPT_ID    7U
#define REQUEST_SIZE 4096U
#define LOOPS_MAX    10000U

/* who listens, and what it says */
typedef struct Peer {
    char path[64];
    int listener;
    int fd;
    const char *answer;
    char request[REQUEST_SIZE + 1];
    size_t len;
    size_t n_whole; /* questions that were read to their end */
} Peer;

/* what is said, and what comes of it without a fault */
typedef struct Variant {
    const char *policy;
    const char *agent;
    PolicyAnswer verdict;
    PromptAnswer answer;
} Variant;

/* the first of the targets is the beginning of the second */
static const Variant variants[] = {
    { "result=allow", "allow:work2", POLICY_YES, { PROMPT_YES, 1 } },
    { "result=deny", "deny", POLICY_NO, { PROMPT_NO, 0 } },
    { "result=allowed", "allow:work23", POLICY_SILENT, { PROMPT_NO, 0 } },
    { "", "", POLICY_SILENT, { PROMPT_DIED, 0 } },
};

static const int errors[] = { EINTR,  EAGAIN, EPIPE,  ECONNRESET, EIO,
                              ENOSPC, EMFILE, ENFILE, ENOMEM,     EACCES };
/* what the kernel may say in the midst of an answer */
static const int errors_between[] = { EINTR, EAGAIN, EIO, ENOMEM };

static char folder[] = "/tmp/fault-approver-XXXXXX";
static char refused[64];
static sd_event *event;
static sd_event_source *kept_watch;
static Peer policy, agent;
static PolicyAnswer verdict;
static PromptAnswer answer;
static size_t n_verdicts, n_prompts;

static void hold(bool yes)
{
    call_fault_hold(yes);
    fault_hold(yes);
}

static void on_verdict(uint64_t id, PolicyAnswer what, void *userdata)
{
    (void) userdata;

    assert_int_equal(id, QUESTION_ID);
    verdict = what;
    n_verdicts++;
}

static void on_prompt(uint64_t id, const PromptAnswer *what, void *userdata)
{
    (void) userdata;

    assert_int_equal(id, PROMPT_ID);
    answer = *what;
    n_prompts++;
}

static void on_agent(void *userdata)
{
    (void) userdata;
}

static const ApproverHooks hooks = {
    .on_verdict = on_verdict,
    .on_prompt = on_prompt,
    .on_agent = on_agent,
};

static void peer_begin(Peer *peer, const char *name)
{
    *peer = (Peer){ .fd = -1 };
    (void) snprintf(peer->path, sizeof(peer->path), "%s/%s", folder, name);
    peer->listener = socket_listen(peer->path, 0600);
    assert_return_code(peer->listener, 0);
}

static void peer_end(Peer *peer)
{
    fd_close(peer->fd);
    fd_close(peer->listener);
    (void) unlink(peer->path);
}

static int on_inotify(sd_event_source *source,
                      const struct inotify_event *inotify,
                      void *userdata)
{
    (void) source;
    (void) inotify;
    (void) userdata;

    return 0;
}

static int set_up(void **state)
{
    (void) state;

    loop_add_time_fails = call_fault_fails_at;
    json_set_alloc_funcs(malloc, free);
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    (void) snprintf(refused, sizeof(refused), "%s/refused", folder);
    peer_begin(&policy, "policy");
    peer_begin(&agent, "agent");
    assert_return_code(sd_event_new(&event), 0);
    /* the kernel takes its time to close the last one */
    assert_return_code(sd_event_add_inotify(event, &kept_watch, "/",
                                            IN_ONLYDIR | IN_DELETE_SELF,
                                            on_inotify, NULL),
                       0);
    loop_divisor = 10;
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    sd_event_source_disable_unref(kept_watch);
    event = sd_event_unref(event);
    peer_end(&policy);
    peer_end(&agent);
    (void) unlink(refused);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

/* The kernel does not let shutdown() of a connection fail; for who waits for
 * the end of input then, there are deadlines. */
static bool has_no_end(void)
{
    return strcmp(call_fault_name(), "shutdown") == 0;
}

/* Reads to the end of the question, then answers; one after the other. */
static void peer_serve(Peer *peer)
{
    ssize_t n;

    hold(true);
    if (peer->fd < 0) {
        peer->fd =
            accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer->fd >= 0)
            peer->len = 0;
    }
    n = -1;
    while (peer->fd >= 0 && (n = recv(peer->fd, peer->request + peer->len,
                                      REQUEST_SIZE - peer->len, 0)) > 0)
        peer->len += (size_t) n;
    if (n == 0 || (peer->fd >= 0 && peer->len > 0 && has_no_end())) {
        peer->request[peer->len] = '\0';
        peer->n_whole += peer->len > 0;
        (void) send(peer->fd, peer->answer, strlen(peer->answer), MSG_NOSIGNAL);
        peer->fd = fd_close(peer->fd);
    }
    hold(false);
}

static void serve(void)
{
    peer_serve(&policy);
    peer_serve(&agent);
}

static bool ends_with(const Peer *peer, const char *text)
{
    size_t len = strlen(text);

    return peer->len >= len &&
           memcmp(peer->request + peer->len - len, text, len) == 0;
}

/* What was asked of both is a whole question, at most once. */
static void assert_questions(void)
{
    assert_in_range(policy.n_whole, 0, 1);
    assert_in_range(agent.n_whole, 0, 1);
    if (policy.n_whole > 0) {
        assert_true(ends_with(&policy, "just_evaluate=yes\n\n"));
        assert_non_null(strstr(policy.request, "intended_target=work2\n"));
    }
    if (agent.n_whole > 0) {
        assert_true(ends_with(&agent, "}\n"));
        assert_string_equal(agent.request, "policy.Ask dom0 name dom0");
    }
}

/* A negative errno, or it is answered. */
static int judge(Approver *approver)
{
    const PolicyQuestion question = { .source = { "sys-usb" },
                                      .target = { .kind = TARGET_QUBE,
                                                  .name = { "work2" } } };
    int r = approver_judge(approver, QUESTION_ID, &question);

    for (size_t i = 0; r >= 0 && n_verdicts == 0; i++) {
        assert_true(i < LOOPS_MAX);
        serve();
        assert_true(sd_event_run(event, 1000) >= 0);
    }
    return r;
}

static int ask(Approver *approver)
{
    const Prompt prompt = {
        .source = { "sys-usb" },
        .source_icon = { "appvm-red" },
        .rule = { "r" },
        .n_targets = 2,
        .targets = { { .kind = TARGET_QUBE, .name = { "work" } },
                     { .kind = TARGET_QUBE, .name = { "work2" } } },
        .icons = { { "appvm-blue" }, { "appvm-green" } },
    };
    int r = approver_prompt(approver, PROMPT_ID, &prompt);

    for (size_t i = 0; r >= 0 && n_prompts == 0; i++) {
        assert_true(i < LOOPS_MAX);
        serve();
        assert_true(sd_event_run(event, 1000) >= 0);
    }
    return r;
}

/* Nobody is told whether it could be shown. */
static void notify(Approver *approver)
{
    const Notification notification = { .source = { "sys-usb" },
                                        .rule = { "r" },
                                        .target = "work" };

    approver_notify(approver, &notification);
    for (size_t i = 0; i < 8; i++) {
        serve();
        assert_true(sd_event_run(event, 0) >= 0);
    }
}

/* Whether all came as if nothing had failed. */
static bool ask_once(const Variant *variant)
{
    const ApproverPaths paths = { .policy_socket = policy.path,
                                  .agent_socket = agent.path,
                                  .refused_file = refused };
    _cleanup_(approver_freep) Approver *approver = NULL;
    bool all_well;
    int r;

    policy.answer = variant->policy;
    agent.answer = variant->agent;
    policy.n_whole = agent.n_whole = n_verdicts = n_prompts = 0;
    r = approver_new(&approver, event, &paths, &hooks, NULL);
    assert_int_equal(r >= 0, approver != NULL);
    if (r < 0)
        return false;

    verdict = POLICY_NO;
    answer = (PromptAnswer){ .result = PROMPT_NO };
    all_well = judge(approver) >= 0 && verdict == variant->verdict;
    all_well = ask(approver) >= 0 && answer.result == variant->answer.result &&
               all_well;
    assert_questions();
    notify(approver);

    /* never a yes that was not said, nor one to another qube */
    if (verdict == POLICY_YES)
        assert_int_equal(variant->verdict, POLICY_YES);
    if (answer.result == PROMPT_YES) {
        assert_int_equal(variant->answer.result, PROMPT_YES);
        assert_int_equal(answer.target, variant->answer.target);
    }
    return all_well;
}

/* What still came in is answered, and the peers wait for the next one. */
static void settle(void)
{
    size_t n_quiet = 0;

    for (size_t i = 0; n_quiet < 4; i++) {
        serve();
        n_quiet = policy.fd < 0 && agent.fd < 0 ? n_quiet + 1 : 0;
        assert_true(i < LOOPS_MAX);
    }
    loop_settle(event);
}

static void must_work(const Variant *variant, size_t n_before)
{
    settle();
    assert_true(n_descriptors() <= n_before);
    assert_true(ask_once(variant));
    settle();
    assert_true(n_descriptors() <= n_before);
}

/* The loop opens what it needs. */
static size_t count_descriptors(void)
{
    assert_true(ask_once(&variants[0]));
    settle();
    return n_descriptors();
}

static void test_each_allocation_may_fail(void **state)
{
    size_t n_faults = 0, n_before = count_descriptors();

    (void) state;

    for (size_t v = 0; v < ARRAY_SIZE(variants); v++)
        FAULT_LOOP(n) {
            bool all_well = ask_once(&variants[v]);

            if (!fault_end()) {
                assert_true(all_well);
                break;
            }
            n_faults++;
            must_work(&variants[v], n_before);
        }
    assert_true(n_faults >= 30 * ARRAY_SIZE(variants));
}

static void test_each_call_may_fail(void **state)
{
    size_t n_faults = 0, n_before = count_descriptors();

    (void) state;

    for (size_t v = 0; v < ARRAY_SIZE(variants); v++)
        for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
            for (size_t n = 0;; n++) {
                bool all_well;

                call_fault_begin(n, errors[i]);
                all_well = ask_once(&variants[v]);
                if (!call_fault_end()) {
                    assert_true(all_well);
                    break;
                }
                n_faults++;
                if (call_fault_is_transfer() &&
                    (errors[i] == EINTR || errors[i] == EAGAIN))
                    assert_true(all_well);
                must_work(&variants[v], n_before);
            }
    assert_true(n_faults >= 10 * ARRAY_SIZE(errors));
}

/* "result=allow" begins "result=allowed", and "allow:work" "allow:work2". */
static void test_a_part_of_an_answer_is_no_answer(void **state)
{
    size_t n_faults = 0, n_before = count_descriptors();

    (void) state;

    for (size_t v = 0; v < ARRAY_SIZE(variants); v++)
        for (size_t i = 0; i < ARRAY_SIZE(errors_between); i++)
            for (size_t n = 0;; n++) {
                int error = errors_between[i];
                bool all_well;

                call_fault_begin(n, error);
                call_fault_shorten(error == EINTR || error == EAGAIN);
                all_well = ask_once(&variants[v]);
                if (!call_fault_end()) {
                    assert_true(all_well);
                    break;
                }
                n_faults++;
                if (call_fault_is_transfer() &&
                    (error == EINTR || error == EAGAIN))
                    assert_true(all_well);
                settle();
                assert_true(n_descriptors() <= n_before);
            }
    assert_true(n_faults >= 20 * ARRAY_SIZE(errors_between));
}

/* An agent in the folder where the daemon runs. */
static void test_an_approver_is_made_or_not(void **state)
{
    const ApproverPaths paths = { .policy_socket = policy.path,
                                  .agent_socket = "agent" };
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        _cleanup_(approver_freep) Approver *approver = NULL;
        int r = approver_new(&approver, event, &paths, &hooks, NULL);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        n_faults++;
    }
    assert_true(n_faults >= 2);
}

static void test_who_cannot_be_looked_at_is_not_told_to_refuse(void **state)
{
    const ApproverPaths paths = { .policy_socket = policy.path,
                                  .agent_socket = agent.path };
    _cleanup_(approver_freep) Approver *approver = NULL;

    (void) state;

    assert_int_equal(approver_new(&approver, event, &paths, &hooks, NULL), 0);
    call_fault_begin(0, ENOMEM);
    assert_false(approver_is_refused(approver));
    assert_true(call_fault_end());
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_each_allocation_may_fail),
        TEST(test_each_call_may_fail),
        TEST(test_a_part_of_an_answer_is_no_answer),
        TEST(test_an_approver_is_made_or_not),
        TEST(test_who_cannot_be_looked_at_is_not_told_to_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
