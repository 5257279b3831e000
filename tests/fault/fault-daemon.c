/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each allocation (jansson's too) and each call of the whole daemon fails once,
 * from its start until a record has become an answer: it ends with an error, or
 * lives on, nothing is attached that no rule or no yes allowed, nothing is told
 * that is not so, nothing is left open, and the next device is served.
 */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "common/sys/clock.h"
#include "common/sys/rules-write.h"
#include "common/sys/socket.h"
#include "dom0/daemon.h"
#include "dom0/instant.h"
#include "tests/support/call-fault.h"
#include "tests/support/daemon-rig.h"
#include "tests/support/fault.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define RULES "stick: ask block to work\n"
/* by how much the daemon's time goes faster */
#define SPEED UINT64_C(10)

/* what policy daemon and person say */
typedef struct Variant {
    const char *policy;
    const char *agent;
    Status told;
} Variant;

static const Variant variants[] = {
    { "result=allow", "allow:work", STATUS_ATTACHED },
    { "result=allow", "deny", STATUS_NOT_ATTACHED },
    { "result=deny", "allow:work", STATUS_NOT_ATTACHED },
};

static const int errors[] = { EMFILE, EINTR, EAGAIN, EPIPE, ENOSPC };
/* where nothing is attached, these are enough */
#define N_ERRORS_OF_NO 2U

static const Variant *variant;
static bool was_delivered; /* the fault, while the daemon lived */
static bool all_well;
static uint64_t begun_usec;
static int said[2];

Instant __real_instant_now(void);
Instant __wrap_instant_now(void);
int __real_sd_event_source_set_time(sd_event_source *source, uint64_t usec);
int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec);
int __real_sd_event_source_set_enabled(sd_event_source *source, int enabled);
int __wrap_sd_event_source_set_enabled(sd_event_source *source, int enabled);
int __wrap_sd_event_loop(sd_event *event);

Instant __wrap_instant_now(void)
{
    Instant now = __real_instant_now();

    now.monotonic_usec = begun_usec + (now.monotonic_usec - begun_usec) * SPEED;
    return now;
}

int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec)
{
    if (call_fault_fails("sd_event_source_set_time"))
        return -ENOMEM;
    (void) sd_event_source_set_time_accuracy(source, 1);
    return __real_sd_event_source_set_time(
        source,
        usec > begun_usec ? begun_usec + (usec - begun_usec) / SPEED : usec);
}

/* It makes a call of the system only to watch a descriptor. */
int __wrap_sd_event_source_set_enabled(sd_event_source *source, int enabled)
{
    if (enabled != SD_EVENT_OFF && sd_event_source_get_io_fd(source) >= 0 &&
        call_fault_fails("sd_event_source_set_enabled"))
        return -ENOMEM;
    return __real_sd_event_source_set_enabled(source, enabled);
}

/* What is true at any time. */
static void assert_nothing_wrong(void)
{
    if (variant->told != STATUS_ATTACHED)
        assert_int_equal(rig.n_attaches, 0);
    for (size_t i = 0; i < RIG_DEVICES_MAX; i++)
        if (daemon_rig_answer(i) == STATUS_ATTACHED ||
            daemon_rig_answer(i) == STATUS_ALREADY_ATTACHED)
            assert_true(rig.attached[i]);
}

/* False: the daemon has ended. */
static bool run_until_told(sd_event *event, size_t device)
{
    uint64_t give_up_usec = clock_monotonic_usec() + GIVE_UP_USEC;

    while (daemon_rig_answer(device) == STATUS_INVALID) {
        if (sd_event_get_state(event) == SD_EVENT_FINISHED)
            return false;
        assert_true(clock_monotonic_usec() < give_up_usec);
        daemon_rig_serve();
        if (sd_event_run(event, 1000) < 0)
            return false;
        assert_nothing_wrong();
    }
    return true;
}

static bool fault_is_over(void)
{
    bool calls = call_fault_end(), allocations = fault_end();

    return calls || allocations;
}

static int plug_two(sd_event *event);
static int (*story)(sd_event *event) = plug_two;

/* The daemon's life: what the test wants of it. */
int __wrap_sd_event_loop(sd_event *event)
{
    return story(event);
}

/* A device with the fault, and one after it. */
static int plug_two(sd_event *event)
{
    Status told;

    daemon_rig_plug();
    if (!run_until_told(event, 0))
        return -EIO;
    told = daemon_rig_answer(0);
    all_well = told == variant->told;
    was_delivered = fault_is_over();

    /* rules that could not be read are not tried again by themselves */
    assert_return_code(raise(SIGHUP), errno);
    loop_settle(event);
    daemon_rig_plug();
    assert_true(run_until_told(event, 1));
    assert_int_equal(daemon_rig_answer(1), variant->told);
    return 0;
}

/* A device, and no more. */
static int plug_one(sd_event *event)
{
    daemon_rig_plug();
    return run_until_told(event, 0) ? 0 : -EIO;
}

/* What is there is told again. */
static int see_again(sd_event *event)
{
    return run_until_told(event, 0) ? 0 : -EIO;
}

/* what is asked at the control socket */

typedef struct Question {
    const char *method;
    const char *parameters;
    bool more;
    bool is_endless;
} Question;

#define DEVICE "{\"source\":\"sys-usb\",\"device\":\"sda\"}"

static const Question questions[] = {
    { "GetStatus", "{}", .more = false },
    { "ListDevices", "{}", .more = true },
    { "ListRules", "{}", .more = true },
    { "GetHistory", "{\"n\":null}", .more = false },
    { "GetHistory", "{\"n\":1}", .more = true, .is_endless = true },
    { "Wait", "{\"rule\":\"stick\"}", .more = true },
    { "Explain", DEVICE, .more = true },
    { "ListQubes", "{}", .more = false },
    { "Detach", DEVICE, .more = false },
    { "Retry", DEVICE, .more = false },
    { "Pause", "{\"duration_usec\":60000000}", .more = false },
    { "Resume", "{}", .more = false },
    { "Reload", "{}", .more = false },
};

/* Whether it was answered, with no error, to the end. */
static bool is_answered(const char *text, size_t len, bool is_endless)
{
    size_t last = len;

    if (len == 0 || text[len - 1] != '\0')
        return false;
    while (last > 1 && text[last - 2] != '\0')
        last--;
    return strncmp(text, "{\"parameters\"", 13) == 0 &&
           (is_endless || !strstr(text + last - 1, "\"continues\":true"));
}

/* Ask once; false if there was an error or no whole answer. */
static bool ask(sd_event *event, const Question *question)
{
    uint64_t give_up_usec = clock_monotonic_usec() + GIVE_UP_USEC;
    static char text[65536];
    size_t len = 0;
    ssize_t n = 1;
    int fd;

    call_fault_hold(true);
    fault_hold(true);
    fd = socket_connect(rig.options.control_socket);
    assert_return_code(fd, -fd);
    len = (size_t) snprintf(
        text, sizeof(text),
        "{\"method\":\"org.qubes-contrib.autoattach.%s\",\"parameters\":%s%s}",
        question->method, question->parameters,
        question->more ? ",\"more\":true" : "");
    assert_int_equal(send(fd, text, len + 1, MSG_NOSIGNAL), len + 1);
    len = 0;
    while (!is_answered(text, len, question->is_endless) && n != 0) {
        call_fault_hold(false);
        fault_hold(false);
        assert_true(sd_event_run(event, 1000) >= 0);
        daemon_rig_serve();
        call_fault_hold(true);
        fault_hold(true);
        assert_true(clock_monotonic_usec() < give_up_usec);
        while ((n = recv(fd, text + len, sizeof(text) - len, 0)) > 0)
            len += (size_t) n;
        if (n < 0 && errno != EAGAIN)
            n = 0;
        if (len > 0 && text[len - 1] == '\0' &&
            strncmp(text, "{\"error\"", 8) == 0)
            break;
    }
    fd_close(fd);
    call_fault_hold(false);
    fault_hold(false);
    return is_answered(text, len, question->is_endless);
}

/* With each allocation failing, and with each call; answers how many did. */
static size_t ask_often(sd_event *event, const Question *question)
{
    size_t n_faults = 0;

    FAULT_LOOP(n) {
        bool answered = ask(event, question);

        if (!fault_end()) {
            assert_true(answered);
            break;
        }
        n_faults++;
    }
    for (size_t n = 0;; n++) {
        bool answered;

        call_fault_begin(n, EMFILE);
        answered = ask(event, question);
        if (!call_fault_end()) {
            assert_true(answered);
            break;
        }
        n_faults++;
        assert_true(ask(event, question));
    }
    return n_faults;
}

static int ask_all(sd_event *event)
{
    size_t n_faults = 0;

    daemon_rig_plug();
    assert_true(run_until_told(event, 0));
    for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
        n_faults += ask_often(event, &questions[i]);
    assert_true(n_faults >= 20 * ARRAY_SIZE(questions));

    daemon_rig_plug();
    assert_true(run_until_told(event, 1));
    return 0;
}

/* why nothing is done with a device, for which nobody else is asked */
static int ask_why_not(sd_event *event)
{
    static const Question explain = { "Explain", DEVICE, .more = true };

    daemon_rig_plug();
    assert_true(run_until_told(event, 0));
    assert_true(ask_often(event, &explain) >= 20);
    all_well = true;
    return 0;
}

static int end_at_once(sd_event *event)
{
    (void) event;

    return 0;
}

static void mute(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    assert_return_code(null, errno);
    for (int i = 0; i < 2; i++) {
        (void) fflush(i == 0 ? stdout : stderr);
        said[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
        assert_return_code(dup2(null, i + 1), errno);
    }
    fd_close(null);
}

static void unmute(void)
{
    for (int i = 0; i < 2; i++) {
        (void) fflush(i == 0 ? stdout : stderr);
        assert_return_code(dup2(said[i], i + 1), errno);
        said[i] = fd_close(said[i]);
    }
}

static int set_up(void **state)
{
    (void) state;

    loop_add_time_fails = call_fault_fails_at;
    json_set_alloc_funcs(malloc, free);
    loop_divisor = SPEED;
    begun_usec = clock_monotonic_usec();
    daemon_rig_begin(RULES);
    /* what it says of each fault is of no interest */
    mute();
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    unmute();
    daemon_rig_end();
    return 0;
}

static void daemon_lives(void)
{
    Daemon *daemon = NULL;
    int r = daemon_new(&daemon, &rig.options);

    assert_int_equal(r >= 0, daemon != NULL);
    if (r >= 0)
        (void) daemon_run(daemon);
    daemon_free(daemon);
}

static void begin_boot(const Variant *what, bool halted)
{
    variant = what;
    daemon_rig_reset();
    rig.policy_answer = variant->policy;
    rig.agent_answer = variant->agent;
    rig.halted = halted;
    all_well = was_delivered = false;
}

/* From start to end; whether the fault was delivered. */
static bool live_once(const Variant *what, bool halted)
{
    begin_boot(what, halted);
    daemon_lives();
    was_delivered = fault_is_over() || was_delivered;
    daemon_rig_reset();
    return was_delivered;
}

/* How many are open between two lives. */
static size_t count_descriptors(void)
{
    assert_false(live_once(&variants[0], true));
    assert_true(all_well);
    return n_descriptors();
}

static void test_each_allocation_may_fail(void **state)
{
    size_t n_before = count_descriptors();

    (void) state;

    for (size_t v = 0; v < ARRAY_SIZE(variants); v++) {
        size_t n_faults = 0;

        FAULT_LOOP(n) {
            if (!live_once(&variants[v], true)) {
                assert_true(all_well);
                break;
            }
            n_faults++;
            assert_int_equal(n_descriptors(), n_before);
        }
        assert_true(n_faults >= 50);
    }
}

static void test_each_call_may_fail(void **state)
{
    size_t n_before = count_descriptors();

    (void) state;

    for (size_t v = 0; v < ARRAY_SIZE(variants); v++) {
        bool is_yes = variants[v].told == STATUS_ATTACHED;
        size_t n_errors = is_yes ? ARRAY_SIZE(errors) : N_ERRORS_OF_NO;

        for (size_t i = 0; i < n_errors; i++) {
            size_t n_faults = 0;

            for (size_t n = 0;; n++) {
                call_fault_begin(n, errors[i]);
                if (!live_once(&variants[v], true)) {
                    assert_true(all_well);
                    break;
                }
                n_faults++;
                assert_int_equal(n_descriptors(), n_before);
            }
            assert_true(n_faults >= 50);
        }
    }
    /* timers make the n-th call another one each time */
    do
        call_fault_begin_new(EMFILE);
    while (live_once(&variants[0], true));
    assert_true(all_well);
}

static void test_it_goes_byte_by_byte(void **state)
{
    (void) state;

    for (size_t v = 0; v < ARRAY_SIZE(variants); v++) {
        call_fault_begin_short(true);
        assert_false(live_once(&variants[v], true));
        assert_true(all_well);
    }
}

static void test_each_question_may_fail(void **state)
{
    size_t n_before = count_descriptors();

    (void) state;

    story = ask_all;
    assert_false(live_once(&variants[0], true));
    story = plug_two;
    assert_int_equal(n_descriptors(), n_before);
}

static void test_a_denied_device_is_explained_or_not(void **state)
{
    static const char deny[] = "none: deny block\n";
    char file[64];

    (void) state;

    (void) snprintf(file, sizeof(file), "%s/a.rules", rig.options.rules_dir);
    assert_int_equal(rules_file_write(file, deny, strlen(deny)), 0);
    story = ask_why_not;
    assert_false(live_once(&variants[2], true));
    story = plug_two;
    assert_true(all_well);
}

/* Also when fewer descriptors are allowed than it may need. */
static void test_it_begins_and_ends_whatever_fails(void **state)
{
    size_t n_before = count_descriptors(), n = 0;
    struct rlimit limit, few;

    (void) state;

    assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
    few = (struct rlimit){ .rlim_cur = 256, .rlim_max = limit.rlim_max };
    story = end_at_once;
    do {
        assert_return_code(setrlimit(RLIMIT_NOFILE, &few), errno);
        call_fault_begin(n++, EMFILE);
        (void) live_once(&variants[0], true);
        assert_int_equal(n_descriptors(), n_before);
    } while (was_delivered);
    story = plug_two;
    assert_true(n >= 20);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
}

/* sockets from systemd */

#define N_PASSED 2

static int passed[N_PASSED];

static int set_up_passed(void **state)
{
    /* where they are expected nothing else is to be */
    for (int i = 0; i < N_PASSED; i++)
        assert_return_code(dup2(STDIN_FILENO, SD_LISTEN_FDS_START + i), errno);
    (void) set_up(state);
    passed[0] = socket_listen(rig.options.event_socket, 0600);
    passed[1] = socket_listen(rig.options.control_socket, 0600);
    for (int i = 0; i < N_PASSED; i++) {
        assert_return_code(passed[i], -passed[i]);
        (void) close(SD_LISTEN_FDS_START + i);
    }
    return 0;
}

static int tear_down_passed(void **state)
{
    for (int i = 0; i < N_PASSED; i++) {
        passed[i] = fd_close(passed[i]);
        (void) close(SD_LISTEN_FDS_START + i);
    }
    (void) unlink(rig.options.event_socket);
    (void) unlink(rig.options.control_socket);
    (void) unsetenv("LISTEN_FDS");
    return tear_down(state);
}

static void pass_sockets(void)
{
    char pid[16];

    for (int i = 0; i < N_PASSED; i++)
        assert_return_code(dup2(passed[i], SD_LISTEN_FDS_START + i), errno);
    (void) snprintf(pid, sizeof(pid), "%i", (int) getpid());
    (void) setenv("LISTEN_PID", pid, 1);
    (void) setenv("LISTEN_FDS", "2", 1);
    (void) setenv("LISTEN_FDNAMES", "event:control", 1);
}

/* It serves at these, or it ends. */
static void test_sockets_are_taken_from_systemd_or_it_ends(void **state)
{
    size_t n = 0;

    (void) state;

    story = plug_two;
    do {
        pass_sockets();
        call_fault_begin(n++, EMFILE);
        (void) live_once(&variants[0], true);
    } while (was_delivered);
    assert_true(all_well);
    assert_true(n >= 50);
}

/* What a stick that stays plugged in has become of, by now. */
static void assert_as_before(void)
{
    bool is_yes = variant->told == STATUS_ATTACHED;

    assert_int_equal(rig.n_prompts, 1);
    assert_int_equal(rig.n_attaches, is_yes);
    assert_int_equal(rig.attached[0], is_yes);
}

/* The person has said yes or no; then with the fault, and once more without. */
static void start_again(const Variant *what, size_t n, int error)
{
    begin_boot(what, false);
    story = plug_one;
    daemon_lives();
    daemon_rig_rest();
    assert_as_before();

    story = see_again;
    if (error == ENOMEM)
        fault_begin(n);
    else
        call_fault_begin(n, error);
    daemon_lives();
    was_delivered = fault_is_over();
    daemon_rig_rest();
    daemon_lives();
    assert_as_before();
    daemon_rig_reset();
    story = plug_two;
}

static void test_what_is_known_outlives_a_start_that_fails(void **state)
{
    static const int lacks[] = { ENOMEM, EMFILE, EINTR };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(lacks); i++)
        for (size_t v = 0; v < 2; v++) {
            size_t n = 0;

            do
                start_again(&variants[v], n++, lacks[i]);
            while (was_delivered);
            assert_true(n >= 50);
        }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_it_goes_byte_by_byte),
        TEST(test_each_allocation_may_fail),
        TEST(test_each_call_may_fail),
        TEST(test_each_question_may_fail),
        TEST(test_a_denied_device_is_explained_or_not),
        TEST(test_it_begins_and_ends_whatever_fails),
        TEST(test_what_is_known_outlives_a_start_that_fails),
        cmocka_unit_test_setup_teardown(
            test_sockets_are_taken_from_systemd_or_it_ends, set_up_passed,
            tear_down_passed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
