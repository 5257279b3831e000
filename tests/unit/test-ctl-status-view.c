/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "dom0/ctl/show.h"
#include "dom0/ctl/status-view.h"
#include "dom0/wire/report-wire.h"
#include "tests/support/test.h"

#define NOW_USEC UINT64_C(1700000000000000)
#define MIN_USEC UINT64_C(60000000)

/* A daemon that is well: one source, two attached devices, one job, two
 * outcomes. */
typedef struct Canned {
    Report report;
    Record records[2];
    HistoryEntry entries[2];
} Canned;

static QubeName qube(const char *text)
{
    QubeName name;

    assert_true(qube_name_parse(&name, text, strlen(text)));
    return name;
}

static DeviceName block(const char *text)
{
    DeviceName name;

    assert_true(
        device_name_parse(&name, DEVICE_CLASS_BLOCK, text, strlen(text)));
    return name;
}

static void canned_begin(Canned *ret)
{
    *ret = (Canned){ .report = { .version = "1.0.0",
                                 .pid = 812,
                                 .uptime_usec = 180 * MIN_USEC,
                                 .memory_bytes = 2200000,
                                 .qubesd = QUBESD_CONNECTED,
                                 .rules_dir = "/rules",
                                 .n_rules = 12,
                                 .n_rule_files = 3,
                                 .rules_loaded_usec = NOW_USEC - 5 * MIN_USEC,
                                 .n_sources = 1,
                                 .n_jobs = 1,
                                 .n_jobs_shown = 1,
                                 .n_outcomes = 2,
                                 .n_outcomes_total = 2 } };
    ret->report.sources[0] = (ReportSource){ .name = qube("sys-usb"),
                                             .n_connections = 1,
                                             .has_picture = true,
                                             .n_devices = 4,
                                             .n_jobs = 1 };
    ret->report.jobs[0] = (ReportJob){ .source = qube("sys-usb"),
                                       .class = DEVICE_CLASS_BLOCK,
                                       .device = block("sdb"),
                                       .rule = { "backup" },
                                       .target = "backups",
                                       .state = "starting",
                                       .age_usec = 2000000 };
    ret->entries[0] = (HistoryEntry){ .serial = 1,
                                      .when_usec = NOW_USEC - 12 * MIN_USEC,
                                      .source = qube("sys-usb"),
                                      .class = DEVICE_CLASS_BLOCK,
                                      .device = block("sda"),
                                      .rule = { "any" },
                                      .target = "work",
                                      .status = STATUS_START_FAILED,
                                      .detail = "qubesd: not enough memory",
                                      .label = { "Kingston" } };
    ret->entries[1] = (HistoryEntry){ .serial = 2,
                                      .when_usec = NOW_USEC - 3 * MIN_USEC,
                                      .source = qube("sys-usb"),
                                      .class = DEVICE_CLASS_BLOCK,
                                      .device = block("sda"),
                                      .rule = { "any" },
                                      .target = "work",
                                      .status = STATUS_ATTACHED,
                                      .label = { "日本 stick" } };
    ret->records[0] = (Record){ .class = DEVICE_CLASS_BLOCK,
                                .device = block("sda"),
                                .properties = { .vendor = "日本 stick" } };
    ret->records[1] =
        (Record){ .class = DEVICE_CLASS_USB, .device = { "2-2" } };
    for (size_t i = 0; i < 2; i++)
        ret->report.attached[i] =
            (ReportDevice){ .source = qube("sys-usb"),
                            .record = &ret->records[i],
                            .attached_to = qube(i == 0 ? "work" : "vault") };
    (void) strcpy(ret->report.attached[0].attached_by.s, "any");
    ret->report.n_attached = ret->report.n_attached_shown = 2;
    ret->report.outcomes[0] = &ret->entries[0];
    ret->report.outcomes[1] = &ret->entries[1];
}

/* The view of any JSON, on a terminal of 80x24 or not. */
static char *view_of_json(json_t *status, bool is_terminal, ViewDetail detail)
{
    Terminal terminal = { .is_terminal = is_terminal,
                          .has_utf8 = true,
                          .columns = 80,
                          .rows = 24 };
    char *text;
    size_t len;

    terminal.out = open_memstream(&text, &len);
    assert_non_null(terminal.out);
    status_view(&terminal, status, detail);
    assert_int_equal(fclose(terminal.out), 0);
    return text;
}

static char *view(const Report *report, bool is_terminal, ViewDetail detail)
{
    json_t *status = report_to_json(report, NOW_USEC);
    char *text;

    assert_non_null(status);
    text = view_of_json(status, is_terminal, detail);
    json_decref(status);
    return text;
}

static void assert_view(const Report *report,
                        bool is_terminal,
                        ViewDetail detail,
                        const char *wanted)
{
    char *text = view(report, is_terminal, detail);

    assert_string_equal(text, wanted);
    free(text);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void test_a_screen_when_all_is_well(void **state)
{
    Canned canned;

    (void) state;
    canned_begin(&canned);
    assert_view(
        &canned.report, true, VIEW_SCREEN,
        "Working, with 12 rules in force\n"
        "qubes-autoattachd 1.0.0, up 3 h, pid 812, 2.0 MiB\n"
        "sources: sys-usb (4 devices)\n"
        "\n"
        "Attached\n"
        "  DEVICE       TO     BY RULE  NAME\n"
        "  sys-usb:sda  work   any      \"日本 stick\"\n"
        "  sys-usb:2-2  vault  (none)\n"
        "\n"
        "In work\n"
        "  DEVICE       STATE     RULE    TARGET   SINCE\n"
        "  sys-usb:sdb  starting  backup  backups  2 s\n"
        "\n"
        "Last outcomes, newest first\n"
        "  3 min ago  sys-usb:sda \"日本 stick\": attached to work by rule "
        "any\n"
        "  12 min ago sys-usb:sda \"Kingston\": rule any takes it, but work "
        "did not start\n"
        "             qubesd: not enough memory\n");
}

static void test_a_pipe_gets_whole_lines_and_tabs(void **state)
{
    Canned canned;
    char *text;

    (void) state;
    canned_begin(&canned);
    text = view(&canned.report, false, VIEW_SCREEN);
    assert_has(text, "\nsys-usb\tconnected\t4\t1\n");
    assert_has(text, "\nsys-usb:sdb\tstarting\tbackup\tbackups\t2 s\n");
    assert_has(text, "\nsys-usb:sda\twork\tany\t\"日本 stick\"\n");
    assert_has(text, ": rule any takes it, but work did not start\n");
    free(text);
}

static void test_quiet_says_nothing_when_all_is_well(void **state)
{
    Canned canned;

    (void) state;
    canned_begin(&canned);
    assert_view(&canned.report, true, VIEW_ATTENTION, "");
}

static void test_an_old_release_is_told_once_and_is_all_that_is_told(
    void **state)
{
    Canned canned;

    (void) state;
    canned_begin(&canned);
    canned.report.qubesd = QUBESD_UNSUPPORTED;
    canned.report.qubesd_detail =
        "qubesd is of a release before R4.3, which is not supported: nothing "
        "will be attached";
    canned.report.n_sources = 0;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  qubesd is of a release before Qubes OS R4.3, which is not "
                "supported; nothing is attached\n");
}

static void test_each_trouble_is_told(void **state)
{
    Canned canned;

    (void) state;
    canned_begin(&canned);
    canned.report.qubesd = QUBESD_GONE;
    canned.report.qubesd_detail = "Connection refused";
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  qubesd does not answer: Connection refused; nothing is "
                "attached until it does\n");

    canned_begin(&canned);
    canned.report.unlimited = true;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  --unlimited: all rates are off; this is for tests only\n");

    canned_begin(&canned);
    canned.report.state_problem = "/run/x cannot be written to";
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  /run/x cannot be written to\n");

    canned_begin(&canned);
    canned.report.rules_dir_missing = true;
    canned.report.n_rules = 0;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  the rules folder /rules does not exist, nothing is "
                "attached; to make it: sudo mkdir -m 755 /rules\n");

    canned_begin(&canned);
    canned.report.n_rules = 0;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  there are no rules in /rules; to write one for a device "
                "that is plugged in: qvm-autoattach add --help\n");

    canned_begin(&canned);
    canned.report.sources[0].has_picture = false;
    canned.report.sources[0].n_connections = 0;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  no forwarder from sys-usb, nothing there is seen; look "
                "there: systemctl status qubes-autoattach-forwarder\n");

    canned_begin(&canned);
    canned.report.n_prompts_open = 1;
    canned.report.n_prompts_waiting = 2;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  1 prompt on the screen, to be answered; 2 more wait\n");
    canned.report.n_prompts_waiting = 0;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  1 prompt on the screen, to be answered\n");

    canned_begin(&canned);
    canned.report.n_prompts_lost = 1;
    canned.report.prompts_lost_usec = 9 * MIN_USEC;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  1 prompt of before the daemon's restart may be on the "
                "screen: close it, an answer to it counts for nothing\n");
    canned.report.n_prompts_waiting = 1;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  1 prompt of before the daemon's restart may be on the "
                "screen: close it, an answer to it counts for nothing; 1 "
                "prompt to be shown in 9 min\n");

    canned_begin(&canned);
    canned.report.n_prompts_waiting = 2;
    canned.report.no_agent = true;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  2 prompts to be shown as soon as you log in\n");
    canned.report.agent_refused = true;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  2 prompts to be shown, but the daemon may not write to the "
                "policy agent's socket; look at: systemctl status "
                "qubes-autoattachd-agent.path\n");

    canned_begin(&canned);
    canned.report.sources[0].quiet_usec = 2 * MIN_USEC;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  you said no to sys-usb several times: its prompts are "
                "silenced for 2 min\n");

    canned_begin(&canned);
    canned.report.sources[0].n_devices = 512;
    canned.report.sources[0].is_full = true;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  sys-usb tells of 512 devices, and no more are taken: what "
                "is plugged in there now is not attached; look at them with: "
                "qvm-autoattach devices; if these are not real, something is "
                "wrong in that qube: restart it\n");

    canned_begin(&canned);
    canned.report.sources[0].prompt_problem = "nobody can be asked: so it is";
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  nobody can be asked: so it is; rules that ask attach "
                "nothing from there\n");

    canned_begin(&canned);
    canned.report.state_problem = "the state cannot be kept";
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  the state cannot be kept\n");

    canned_begin(&canned);
    canned.report.paused = true;
    canned.report.pause_usec = 25 * MIN_USEC;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  attaching is paused for another 25 min; to go on now: "
                "qvm-autoattach resume\n");
    canned.report.pause_usec = UINT64_MAX;
    assert_view(&canned.report, false, VIEW_ATTENTION,
                "  attaching is paused; to go on: qvm-autoattach resume\n");
}

/* What is told with that list of qubes; NULL: it is not known. */
static void assert_unseen(const Report *report,
                          const char *qubes,
                          const char *wanted)
{
    json_t *status = report_to_json(report, NOW_USEC);
    char *text;

    if (qubes)
        assert_int_equal(
            json_object_set_new(status, "qubes", json_loads(qubes, 0, NULL)),
            0);
    text = view_of_json(status, false, VIEW_ATTENTION);
    assert_string_equal(text, wanted);
    free(text);
    json_decref(status);
}

#define NEEDS(who, name)                                                    \
    " reported nothing; " who " needs the package qubes-autoattach-vm in "  \
    "its template, in dom0: qvm-service " name " autoattach on, and if it " \
    "is not called sys-usb, a line in /etc/qubes/policy.d, see "            \
    "80-qubes-autoattach.policy there\n"
#define NO_SOURCE(name)   "  " name " has" NEEDS("it", name)
#define IS_OFF            " not running; what is plugged in there is not seen\n"
#define QUBE(name, state) "{\"name\":\"" name "\",\"state\":\"" state "\"}"

static void test_without_a_source_it_is_told_what_is_missing(void **state)
{
    Canned canned;
    Report *report = &canned.report;

    (void) state;
    canned_begin(&canned);
    report->n_sources = 0;
    assert_unseen(report, NULL, NO_SOURCE("sys-usb"));
    assert_unseen(report, "[" QUBE("sys-usb", "running") "]",
                  NO_SOURCE("sys-usb"));
    assert_unseen(report, "[" QUBE("sys-usb", "halted") "]",
                  "  sys-usb is" IS_OFF);
    /* that has told once, and was removed */
    assert_unseen(report, "[]", NO_SOURCE("sys-usb"));

    report->n_named_sources = 2;
    report->named_sources[0] = qube("usb-a");
    report->named_sources[1] = qube("usb-b");
    assert_unseen(report,
                  "[" QUBE("usb-a", "running") "," QUBE("usb-b", "halted") "]",
                  "  usb-b is" IS_OFF NO_SOURCE("usb-a"));
    assert_unseen(report,
                  "[" QUBE("usb-a", "halted") "," QUBE("usb-b", "crashed") "]",
                  "  usb-a and usb-b are" IS_OFF);
    report->n_outcomes = 0;
    report->n_named_sources = 3;
    report->named_sources[2] = qube("usb-c");
    assert_unseen(report, NULL,
                  "  usb-a, usb-b and usb-c have" NEEDS("each", "QUBE"));
    report->n_named_sources = 5;
    report->named_sources[3] = qube("usb-d");
    report->named_sources[4] = qube("usb-e");
    assert_unseen(
        report, NULL,
        "  usb-a, usb-b, usb-c and 2 more have" NEEDS("each", "QUBE"));
    report->n_named_sources = 0;
    assert_unseen(report, "[" QUBE("sys-usb", "halted") "]",
                  "  sys-usb is" IS_OFF);
}

static void test_a_second_source_that_never_called_is_told(void **state)
{
    Canned canned;
    Report *report = &canned.report;

    (void) state;
    canned_begin(&canned);
    report->n_named_sources = 2;
    report->named_sources[0] = qube("sys-usb");
    report->named_sources[1] = qube("sys-usb2");
    assert_unseen(report, NULL, NO_SOURCE("sys-usb2"));
    assert_unseen(report, "[" QUBE("sys-usb2", "running") "]",
                  NO_SOURCE("sys-usb2"));
    assert_unseen(report, "[" QUBE("sys-usb2", "halted") "]",
                  "  sys-usb2 is" IS_OFF);
    /* there is none: the rule is wrong, not the qube */
    assert_unseen(report, "[" QUBE("sys-usb", "running") "]", "");

    report->sources[0].has_picture = false;
    report->sources[0].n_connections = 0;
    assert_unseen(
        report, NULL,
        "  no forwarder from sys-usb, nothing there is seen; look "
        "there: systemctl status qubes-autoattach-forwarder\n" NO_SOURCE(
            "sys-usb2"));
}

static void test_a_source_that_is_off_misses_no_forwarder(void **state)
{
    Canned canned;

    (void) state;
    canned_begin(&canned);
    canned.report.sources[0].has_picture = false;
    canned.report.sources[0].n_connections = 0;
    assert_unseen(&canned.report, "[" QUBE("sys-usb", "halted") "]",
                  "  sys-usb is" IS_OFF);
    assert_unseen(&canned.report, "[" QUBE("sys-usb", "running") "]",
                  "  no forwarder from sys-usb, nothing there is seen; look "
                  "there: systemctl status qubes-autoattach-forwarder\n");
}

static void test_a_forwarder_that_is_not_understood_is_told(void **state)
{
    static const char *const agents[] = { "qubes-autoattach/2.0.0",
                                          "\xe2\x80\xae\"x" };
    static const char *const told[] = { "\"qubes-autoattach/2.0.0\", ",
                                        "\"\\u{202e}\\\"x\", " };
    Refusals refusals = { .n = 1 };
    char wanted[512], *text;
    Canned canned;

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(agents); i++) {
        canned_begin(&canned);
        canned.report.sources[0].has_picture = false;
        canned.report.sources[0].n_connections = 0;
        refusals.list[0] = (Refusal){ .source = qube("sys-usb"),
                                      .status = STATUS_UNSUPPORTED_VERSION };
        (void) strcpy(refusals.list[0].agent, agents[i]);
        canned.report.refusals = &refusals;
        (void) snprintf(wanted, sizeof(wanted),
                        "  dom0 (1.0.0) does not understand the forwarder of "
                        "sys-usb (%s401): are both packages of one version?\n",
                        told[i]);
        assert_unseen(&canned.report, NULL, wanted);
        assert_unseen(&canned.report, "[" QUBE("sys-usb", "running") "]",
                      wanted);
        assert_unseen(&canned.report, "[" QUBE("sys-usb", "halted") "]",
                      "  sys-usb is" IS_OFF);
        /* it was a disposable */
        assert_unseen(&canned.report, "[" QUBE("work", "running") "]", "");
        text = view(&canned.report, false, VIEW_SCREEN);
        assert_has(text, "\nsys-usb\tnot understood\t4\t1\n");
        free(text);
        canned.report.n_sources = 0;
        assert_unseen(&canned.report, NULL, wanted);
    }
}

static void test_a_policy_daemon_that_does_not_answer_is_told(void **state)
{
    static const struct {
        PolicyAnswer answer;
        const char *text;
    } cases[] = {
        { POLICY_UNREACHABLE, "cannot be reached" },
        { POLICY_TIMED_OUT, "did not answer in time" },
        { POLICY_SILENT, "gave no answer" },
    };
    char wanted[512], *text;
    Canned canned;

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        canned_begin(&canned);
        canned.report.policy = cases[i].answer;
        canned.report.policy_usec = NOW_USEC - 3 * MIN_USEC;
        (void) snprintf(wanted, sizeof(wanted),
                        "  the policy daemon %s (asked 3 min ago); nothing is "
                        "attached without it; look at: systemctl status "
                        "qubes-qrexec-policy-daemon; once it answers, "
                        "the daemon goes on by itself with what was not "
                        "attached\n",
                        cases[i].text);
        assert_view(&canned.report, false, VIEW_ATTENTION, wanted);
        text = view(&canned.report, true, VIEW_SCREEN);
        assert_has(text, "Not working: the policy daemon did not answer\n");
        free(text);
    }
    /* a no is an answer */
    canned.report.policy = POLICY_NO;
    assert_view(&canned.report, false, VIEW_ATTENTION, "");
}

static void test_a_forwarder_that_has_just_begun_is_no_trouble(void **state)
{
    Canned canned;
    char *text;

    (void) state;
    canned_begin(&canned);
    canned.report.sources[0].has_picture = false;
    assert_view(&canned.report, true, VIEW_ATTENTION, "");
    text = view(&canned.report, false, VIEW_SCREEN);
    assert_has(text, "\nsys-usb\tno picture yet\t4\t1\n");
    free(text);
}

static Diagnostics *errors(size_t n)
{
    static const char line[] = "stick: allow block seriall x to work";
    Diagnostics *diagnostics;

    assert_int_equal(diagnostics_new(&diagnostics), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(diagnostics_add(diagnostics, DIAGNOSTIC_ERROR,
                                         "a.rules", 3, 20, line, strlen(line),
                                         "unknown condition 'seriall'"),
                         0);
    return diagnostics;
}

static void test_the_first_rule_errors_are_shown(void **state)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = errors(5);
    Canned canned;

    (void) state;
    canned_begin(&canned);
    canned.report.rules_failed = true;
    canned.report.rules_diagnostics = diagnostics;
    assert_view(&canned.report, true, VIEW_ATTENTION,
                "  5 errors in /rules; the rules loaded 5 min ago stay in "
                "force\n"
                "    a.rules:3:20: unknown condition 'seriall'\n"
                "      stick: allow block seriall x to work\n"
                "                         ^\n"
                "    a.rules:3:20: unknown condition 'seriall'\n"
                "      stick: allow block seriall x to work\n"
                "                         ^\n"
                "    a.rules:3:20: unknown condition 'seriall'\n"
                "      stick: allow block seriall x to work\n"
                "                         ^\n"
                "    a.rules:3:20: unknown condition 'seriall'\n"
                "      stick: allow block seriall x to work\n"
                "                         ^\n"
                "    a.rules:3:20: unknown condition 'seriall'\n"
                "      stick: allow block seriall x to work\n"
                "                         ^\n");
}

static void test_warnings_are_told_without_their_lines(void **state)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    static const char line[] = "b: allow block id 1:1 to bakups";
    static const char message[] = "there is no qube 'bakups'";
    Canned canned;
    char *text;

    (void) state;
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(diagnostics_add(diagnostics, DIAGNOSTIC_WARNING,
                                         "a.rules", 3, 26, line, strlen(line),
                                         message),
                         0);
    canned_begin(&canned);
    canned.report.rules_diagnostics = diagnostics;
    text = view(&canned.report, true, VIEW_SCREEN);
    assert_has(text, "  3 warnings in /rules\n"
                     "    a.rules:3:26: warning: there is no qube 'bakups'\n"
                     "    a.rules:3:26: warning: there is no qube 'bakups'\n"
                     "    and 1 more: qvm-autoattach check\n");
    free(text);
}

static void test_without_any_good_rules_none_are_in_force(void **state)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = errors(1);
    Canned canned;
    char *text;

    (void) state;
    canned_begin(&canned);
    canned.report.rules_failed = true;
    canned.report.rules_loaded_usec = 0;
    canned.report.n_rules = 0;
    canned.report.rules_diagnostics = diagnostics;
    text = view(&canned.report, true, VIEW_SCREEN);
    assert_has(text, "Not working: the rules have errors, none are in force\n");
    assert_has(text, "  1 error in /rules; no rules are in force\n");
    free(text);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Whatever is wrong and however much there is. */
static void test_everything_at_once_fits_a_screen(void **state)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = errors(100);
    Refusals refusals = { .n = REFUSALS_MAX };
    Canned canned;
    char *text;

    (void) state;
    canned_begin(&canned);
    canned.report.qubesd = QUBESD_GONE;
    canned.report.qubesd_detail = "No such file or directory";
    canned.report.unlimited = true;
    canned.report.rules_failed = true;
    canned.report.rules_diagnostics = diagnostics;
    canned.report.n_sources = REPORT_SOURCES_MAX;
    for (size_t i = 1; i < REPORT_SOURCES_MAX; i++)
        canned.report.sources[i].name = qube("usb-qube-of-the-longest-name-31");
    canned.report.n_attached = 100;
    canned.report.n_attached_shown = REPORT_DEVICES_MAX;
    for (size_t i = 2; i < REPORT_DEVICES_MAX; i++)
        canned.report.attached[i] = canned.report.attached[i % 2];
    canned.report.paused = true;
    canned.report.pause_usec = 25 * MIN_USEC;
    canned.report.n_jobs = 200;
    canned.report.n_jobs_shown = REPORT_JOBS_MAX;
    for (size_t i = 1; i < REPORT_JOBS_MAX; i++)
        canned.report.jobs[i] = canned.report.jobs[0];
    canned.report.n_outcomes = REPORT_OUTCOMES_MAX;
    for (size_t i = 2; i < REPORT_OUTCOMES_MAX; i++)
        canned.report.outcomes[i] = canned.report.outcomes[i % 2];

    text = view(&canned.report, true, VIEW_SCREEN);
    assert_true(count_lines(text) <= 23);
    assert_has(text, "Not working");
    assert_has(text, "--unlimited");
    assert_has(text, "    and 98 more: qvm-autoattach check\n");
    assert_has(text, "paused for another 25 min");
    assert_has(text, "\nsources: sys-usb (4 devices), usb-qube-of");
    assert_has(text, "\nAttached: 100, with -v\n");
    assert_has(text, "\nIn work: 200, with -v\n");
    assert_has(text, "\n  3 min ago  sys-usb:sda");
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        assert_true(show_width(line) <= 80);
    free(text);

    canned.report.refusals = &refusals;
    for (size_t i = 0; i < REFUSALS_MAX; i++)
        refusals.list[i] = (Refusal){
            .source = qube("usb-qube-of-the-longest-name-31"),
            .status = STATUS_UNSUPPORTED_VERSION,
            .agent =
                "an agent of sixty-four bytes, as long as any may be, in all of"
        };
    text = view(&canned.report, true, VIEW_SCREEN);
    assert_true(count_lines(text) <= 23);
    assert_has(text, " and of 15 more: are both packages");
    free(text);

    text = view(&canned.report, true, VIEW_WHOLE);
    assert_true(count_lines(text) > 100);
    assert_has(text, "\n  and 36 more\n");
    assert_has(text, "\n  and 136 more\n");
    free(text);
}

static void test_hostile_text_does_not_get_out(void **state)
{
    static const char hostile[] =
        "\033]0;x\a\": attached to vault\xe2\x80\xae\xcc\x81\n\xc2\x9bq";
    Canned canned;
    json_t *status, *outcome;
    char *text;

    (void) state;
    canned_begin(&canned);
    status = report_to_json(&canned.report, NOW_USEC);
    outcome = json_array_get(json_object_get(status, "outcomes"), 1);
    assert_int_equal(
        json_object_set_new(outcome, "label", json_string(hostile)), 0);
    assert_int_equal(
        json_object_set_new(outcome, "detail", json_string(hostile)), 0);
    text = view_of_json(status, false, VIEW_SCREEN);
    assert_has(text, "\"\\u{1b}]0;x\\u{7}\\\": attached to "
                     "vault\\u{202e}\\u{301}\\n\\u{9b}q\": attached to work");
    assert_null(strchr(text, '\033'));
    assert_null(strchr(text, '\a'));
    assert_null(strstr(text, "\xe2\x80\xae"));
    assert_null(strstr(text, "\xc2\x9b"));
    free(text);
    json_decref(status);
}

/* A daemon of another version may leave out or add what it wants. */
static void test_any_object_can_be_viewed(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"daemon\":1,\"qubesd\":[],\"rules\":\"x\",\"sources\":{},"
        "\"jobs\":1,\"outcomes\":null}",
        "{\"sources\":[1,null,{}],\"jobs\":[[],{}],\"outcomes\":[{},\"x\"],"
        "\"n_jobs\":-1,\"rules\":{\"failed\":true,\"errors\":[1,{\"caret\":"
        "99999999999,\"source_line\":\"x\"}],\"n_errors\":-5}}",
        "{\"sources\":[{\"name\":\"a\"}],\"refused\":[1,{},{\"source\":"
        "\"a\",\"agent\":1}]}",
        "{\"sources\":[],\"rules\":{\"sources\":[\"a\",null,1]},"
        "\"outcomes\":[{},1],\"policy\":1,\"qubes\":[1,{\"name\":\"a\"}]}",
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        json_t *status = json_loads(texts[i], 0, NULL);

        assert_non_null(status);
        free(view_of_json(status, true, VIEW_SCREEN));
        free(view_of_json(status, false, VIEW_WHOLE));
        free(view_of_json(status, true, VIEW_ATTENTION));
        json_decref(status);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_screen_when_all_is_well),
        cmocka_unit_test(test_a_pipe_gets_whole_lines_and_tabs),
        cmocka_unit_test(test_quiet_says_nothing_when_all_is_well),
        cmocka_unit_test(
            test_an_old_release_is_told_once_and_is_all_that_is_told),
        cmocka_unit_test(test_each_trouble_is_told),
        cmocka_unit_test(test_without_a_source_it_is_told_what_is_missing),
        cmocka_unit_test(test_a_second_source_that_never_called_is_told),
        cmocka_unit_test(test_a_source_that_is_off_misses_no_forwarder),
        cmocka_unit_test(test_a_forwarder_that_is_not_understood_is_told),
        cmocka_unit_test(test_a_policy_daemon_that_does_not_answer_is_told),
        cmocka_unit_test(test_a_forwarder_that_has_just_begun_is_no_trouble),
        cmocka_unit_test(test_the_first_rule_errors_are_shown),
        cmocka_unit_test(test_warnings_are_told_without_their_lines),
        cmocka_unit_test(test_without_any_good_rules_none_are_in_force),
        cmocka_unit_test(test_everything_at_once_fits_a_screen),
        cmocka_unit_test(test_hostile_text_does_not_get_out),
        cmocka_unit_test(test_any_object_can_be_viewed),
    };

    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
