/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/wire/control-methods.h"
#include "dom0/wire/report-wire.h"
#include "tests/support/test.h"

#define NOW_USEC UINT64_C(1700000000000000)

static QubeName qube(const char *text)
{
    QubeName name;

    assert_true(qube_name_parse(&name, text, strlen(text)));
    return name;
}

static DeviceName device(DeviceClass class, const char *text)
{
    DeviceName name;

    assert_true(device_name_parse(&name, class, text, strlen(text)));
    return name;
}

static Report report_empty(void)
{
    return (Report){ .version = "1.0.0", .rules_dir = "/rules" };
}

/* The text under "a.b.0.c", compared with what it should be. */
static void assert_json(json_t *json, const char *path, const char *wanted)
{
    char copy[128], text[256];
    char *rest = copy, *key;

    (void) snprintf(copy, sizeof(copy), "%s", path);
    while ((key = strsep(&rest, "."))) {
        json = json_is_array(json) ? json_array_get(json, (size_t) atoi(key))
                                   : json_object_get(json, key);
        assert_non_null(json);
    }
    text[json_dumpb(json, text, sizeof(text) - 1,
                    JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII)] = '\0';
    assert_string_equal(text, wanted);
}

static void test_an_empty_report_has_all_members(void **state)
{
    Report report = report_empty();
    json_t *json = report_to_json(&report, NOW_USEC);

    (void) state;
    assert_non_null(json);
    assert_json(json, "now_usec", "1700000000000000");
    assert_json(json, "daemon",
                "{\"version\":\"1.0.0\",\"pid\":0,\"uptime_usec\":0,"
                "\"memory_bytes\":null,\"unlimited\":false,"
                "\"state_problem\":null}");
    assert_json(json, "qubesd", "{\"state\":\"gone\",\"detail\":null}");
    assert_json(json, "policy", "{\"state\":\"unasked\",\"asked_usec\":null}");
    assert_json(json, "rules",
                "{\"directory\":\"/rules\",\"owner\":0,\"missing\":false,"
                "\"n_rules\":0,"
                "\"n_files\":0,\"loaded_usec\":null,\"failed\":false,"
                "\"n_errors\":0,\"n_warnings\":0,\"errors\":[],"
                "\"sources\":[]}");
    assert_json(json, "sources", "[]");
    assert_json(json, "n_jobs", "0");
    assert_json(json, "jobs", "[]");
    assert_json(json, "n_outcomes", "0");
    assert_json(json, "outcomes", "[]");
    json_decref(json);
}

static void test_a_full_report_is_told_whole(void **state)
{
    HistoryEntry entry = { .serial = 7,
                           .when_usec = 5,
                           .duration_usec = 6,
                           .source = qube("sys-usb"),
                           .class = DEVICE_CLASS_BLOCK,
                           .device = device(DEVICE_CLASS_BLOCK, "sda"),
                           .rule = { "stick" },
                           .target = "@dispvm:dvm",
                           .status = STATUS_START_FAILED,
                           .detail = "no memory",
                           .label = { "SanDisk \\u{202e}" } };
    Report report = report_empty();
    json_t *json;

    (void) state;
    report.memory_bytes = 4096;
    report.unlimited = true;
    report.qubesd = QUBESD_UNSUPPORTED;
    report.qubesd_detail = "R4.2";
    report.rules_dir_missing = true;
    report.rules_failed = true;
    report.rules_loaded_usec = 9;
    report.n_named_sources = 2;
    report.named_sources[0] = qube("sys-usb");
    report.named_sources[1] = qube("sys-usb2");
    report.n_sources = 1;
    report.sources[0] = (ReportSource){ .name = qube("sys-usb"),
                                        .n_connections = 2,
                                        .has_picture = true,
                                        .n_devices = 3,
                                        .is_full = true,
                                        .n_jobs = 1 };
    report.sources[0].quiet_usec = 60;
    report.sources[0].prompt_problem = "no GUI domain";
    report.n_prompts_open = 1;
    report.n_prompts_waiting = 2;
    report.n_prompts_lost = 3;
    report.prompts_lost_usec = 70;
    report.no_agent = true;
    report.agent_refused = true;
    report.n_jobs = 70;
    report.n_jobs_shown = 1;
    report.jobs[0] = (ReportJob){ .source = qube("sys-usb"),
                                  .class = DEVICE_CLASS_USB,
                                  .device = device(DEVICE_CLASS_USB, "2-1"),
                                  .state = "checking",
                                  .age_usec = 8 };
    report.n_outcomes = 1;
    report.n_outcomes_total = 100;
    report.outcomes[0] = &entry;

    json = report_to_json(&report, NOW_USEC);
    assert_non_null(json);
    assert_json(json, "daemon.memory_bytes", "4096");
    assert_json(json, "daemon.unlimited", "true");
    assert_json(json, "qubesd",
                "{\"state\":\"unsupported\",\"detail\":\"R4.2\"}");
    assert_json(json, "rules.missing", "true");
    assert_json(json, "rules.failed", "true");
    assert_json(json, "rules.loaded_usec", "9");
    assert_json(json, "rules.sources", "[\"sys-usb\",\"sys-usb2\"]");
    assert_json(json, "sources.0",
                "{\"name\":\"sys-usb\",\"n_connections\":2,"
                "\"forwarder\":true,\"n_devices\":3,\"full\":true,\"n_jobs\":1,"
                "\"quiet_usec\":60,\"prompt_problem\":\"no GUI domain\"}");
    assert_json(json, "prompts",
                "{\"n_open\":1,\"n_waiting\":2,\"n_lost\":3,"
                "\"lost_usec\":70,\"no_agent\":true,"
                "\"agent_refused\":true}");
    assert_json(json, "n_jobs", "70");
    assert_json(json, "jobs.0",
                "{\"source\":\"sys-usb\",\"class\":\"usb\",\"device\":\"2-1\","
                "\"rule\":null,\"target\":null,\"state\":\"checking\","
                "\"age_usec\":8}");
    assert_json(json, "n_outcomes", "100");
    assert_json(json, "outcomes.0",
                "{\"serial\":7,\"time_usec\":5,\"duration_usec\":6,"
                "\"source\":\"sys-usb\",\"class\":\"block\",\"device\":\"sda\","
                "\"rule\":\"stick\",\"target\":\"@dispvm:dvm\",\"code\":520,"
                "\"status\":\"start-failed\","
                "\"sentence\":\"the target did not start\","
                "\"detail\":\"no memory\",\"label\":\"SanDisk \\\\u{202e}\"}");
    json_decref(json);
}

static void test_how_the_policy_daemon_answered_last_is_told(void **state)
{
    static const struct {
        PolicyAnswer answer;
        const char *json;
    } cases[] = {
        { POLICY_NO, "{\"state\":\"answering\",\"asked_usec\":4}" },
        { POLICY_YES, "{\"state\":\"answering\",\"asked_usec\":4}" },
        { POLICY_SILENT, "{\"state\":\"silent\",\"asked_usec\":4}" },
        { POLICY_UNREACHABLE, "{\"state\":\"unreachable\",\"asked_usec\":4}" },
        { POLICY_TIMED_OUT, "{\"state\":\"timeout\",\"asked_usec\":4}" },
    };
    Report report = report_empty();

    (void) state;
    report.policy_usec = 4;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *json;

        report.policy = cases[i].answer;
        json = report_to_json(&report, NOW_USEC);
        assert_json(json, "policy", cases[i].json);
        json_decref(json);
    }
}

static void test_errors_come_before_warnings_and_are_bounded(void **state)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    Report report = report_empty();
    json_t *json;

    (void) state;
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    for (unsigned int i = 0; i < REPORT_WIRE_ERRORS_MAX; i++)
        assert_int_equal(diagnostics_add(diagnostics, DIAGNOSTIC_WARNING,
                                         "a.rules", i + 1, 0, NULL, 0, "odd"),
                         0);
    assert_int_equal(diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, "b.rules",
                                     3, 5, "a b c", 5, "wrong"),
                     0);
    report.rules_diagnostics = diagnostics;

    json = report_to_json(&report, NOW_USEC);
    assert_non_null(json);
    assert_json(json, "rules.n_errors", "1");
    assert_json(json, "rules.n_warnings", "50");
    assert_json(json, "rules.errors.0",
                "{\"level\":\"error\",\"file\":\"b.rules\",\"line\":3,"
                "\"column\":5,\"message\":\"wrong\",\"source_line\":\"a b c\","
                "\"caret\":5}");
    assert_json(json, "rules.errors.1",
                "{\"level\":\"warning\",\"file\":\"a.rules\",\"line\":1,"
                "\"column\":null,\"message\":\"odd\",\"source_line\":null,"
                "\"caret\":null}");
    assert_int_equal(json_array_size(json_object_get(
                         json_object_get(json, "rules"), "errors")),
                     REPORT_WIRE_ERRORS_MAX);
    json_decref(json);
}

static void test_a_path_that_is_no_utf8_is_escaped(void **state)
{
    Report report = report_empty();
    json_t *json;

    (void) state;
    report.rules_dir = "/r\xff\\";
    json = report_to_json(&report, NOW_USEC);
    assert_json(json, "rules.directory", "\"/r\\\\xff\\\\\\\\\"");
    json_decref(json);

    /* but any other can be used as it is told */
    report.rules_dir = "/r\xc3\xa4\\";
    json = report_to_json(&report, NOW_USEC);
    assert_json(json, "rules.directory", "\"/r\\u00E4\\\\\"");
    json_decref(json);
}

/* Fill with what takes most in ASCII: 3 bytes of UTF-8 become 6, 4 become 12,
 * 2 become 6. */
static void fill(char *text, size_t size)
{
    size_t at;

    for (at = 0; at + 2 < size; at += 2)
        memcpy(text + at, "\xc3\xa4", 2);
    text[at] = '\0';
}

static void test_the_largest_report_can_be_sent(void **state)
{
    static HistoryEntry entry;
    static char line[4096], file[1024], message[256];
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    Report report = report_empty();
    char *text;
    size_t len;

    (void) state;
    fill(line, sizeof(line));
    fill(file, sizeof(file));
    fill(message, sizeof(message));
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    for (size_t i = 0; i < DIAGNOSTICS_MAX; i++)
        assert_int_equal(diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, file, 1,
                                         1, line, strlen(line), message),
                         0);
    entry =
        (HistoryEntry){ .class = DEVICE_CLASS_USB, .status = STATUS_INTERNAL };
    fill(entry.detail, sizeof(entry.detail));
    fill(entry.label.s, sizeof(entry.label.s));

    report.rules_diagnostics = diagnostics;
    report.qubesd_detail = entry.detail;
    report.n_sources = REPORT_SOURCES_MAX;
    for (size_t i = 0; i < REPORT_SOURCES_MAX; i++)
        report.sources[i].prompt_problem = entry.detail;
    report.n_jobs_shown = REPORT_JOBS_MAX;
    for (size_t i = 0; i < REPORT_JOBS_MAX; i++) {
        report.jobs[i].class = DEVICE_CLASS_USB;
        report.jobs[i].state = "rechecking";
        fill(report.jobs[i].target, sizeof(report.jobs[i].target));
    }
    report.n_outcomes = REPORT_OUTCOMES_MAX;
    for (size_t i = 0; i < REPORT_OUTCOMES_MAX; i++)
        report.outcomes[i] = &entry;

    assert_int_equal(
        control_message_encode(
            &text, &len,
            control_reply_new(report_to_json(&report, UINT64_MAX), false),
            CONTROL_REPLY_MAX),
        0);
    assert_true(len < CONTROL_REPLY_MAX / 2);
    free(text);
}

/* Allocations of jansson that still succeed; memory is fine while negative */
static int n_left = -1;

static void *failing_malloc(size_t size)
{
    if (n_left == 0)
        return NULL;
    if (n_left > 0)
        n_left--;
    return malloc(size);
}

static void test_without_memory_there_is_no_report(void **state)
{
    HistoryEntry entry = { .class = DEVICE_CLASS_USB,
                           .status = STATUS_INTERNAL };
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    Report report = report_empty();
    json_t *json = NULL;
    int n;

    (void) state;
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(
        diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, "a", 1, 1, "b", 1, "c"),
        0);
    report.rules_diagnostics = diagnostics;
    report.n_sources = 1;
    report.n_jobs_shown = 1;
    report.jobs[0].class = DEVICE_CLASS_USB;
    report.jobs[0].state = "checking";
    report.n_outcomes = 1;
    report.outcomes[0] = &entry;

    json_set_alloc_funcs(failing_malloc, free);
    for (n = 0; !json; n++) {
        n_left = n;
        json = report_to_json(&report, NOW_USEC);
        assert_true(n < 10000);
    }
    n_left = -1;
    assert_true(n > 50);
    json_decref(json);
    json_set_alloc_funcs(malloc, free);
}

/* The fields of a type or method in the interface file, as " a b c ". */
static void read_fields(char *ret, size_t size, const char *begin)
{
    const char *at = strstr(control_interface_text(CONTROL_INTERFACE), begin);
    size_t len = 1;

    assert_non_null(at);
    ret[0] = ' ';
    ret[1] = '\0';
    at = strstr(at, "(\n");
    assert_non_null(at);
    for (at += 2; *at != ')'; at = strchr(at, '\n') + 1)
        len += (size_t) snprintf(ret + len, size - len, "%.*s ",
                                 (int) (strchr(at, ':') - at - 2), at + 2);
}

static void assert_fields(json_t *object, const char *begin)
{
    char wanted[512], found[512] = " ";
    const char *key;
    json_t *value;
    size_t len = 1;

    read_fields(wanted, sizeof(wanted), begin);
    json_object_foreach(object, key, value) len +=
        (size_t) snprintf(found + len, sizeof(found) - len, "%s ", key);
    assert_string_equal(found, wanted);
}

/* In the order of the file, too. */
static void test_what_is_told_is_what_the_interface_says(void **state)
{
    HistoryEntry entry = { .class = DEVICE_CLASS_USB,
                           .status = STATUS_INTERNAL };
    Diagnostic diagnostic = { .file = NULL };
    char text[] = "x";
    Report report = report_empty();
    json_t *json;

    (void) state;
    diagnostic.file = text;
    diagnostic.message = text;
    report.n_sources = 1;
    report.n_jobs_shown = 1;
    report.jobs[0].class = DEVICE_CLASS_USB;
    report.jobs[0].state = "checking";
    report.n_outcomes = 1;
    report.outcomes[0] = &entry;

    json = report_to_json(&report, NOW_USEC);
    assert_fields(json, "\nmethod GetStatus() -> (");
    assert_fields(json_object_get(json, "daemon"), "\ntype Daemon ");
    assert_fields(json_object_get(json, "qubesd"), "\ntype Qubesd ");
    assert_fields(json_object_get(json, "rules"), "\ntype Rules ");
    assert_fields(json_array_get(json_object_get(json, "sources"), 0),
                  "\ntype Source ");
    assert_fields(json_array_get(json_object_get(json, "jobs"), 0),
                  "\ntype Job ");
    assert_fields(json_array_get(json_object_get(json, "outcomes"), 0),
                  "\ntype Outcome ");
    json_decref(json);
    json = diagnostic_to_json(&diagnostic);
    assert_fields(json, "\ntype Diagnostic ");
    json_decref(json);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_report_has_all_members),
        cmocka_unit_test(test_a_full_report_is_told_whole),
        cmocka_unit_test(test_how_the_policy_daemon_answered_last_is_told),
        cmocka_unit_test(test_errors_come_before_warnings_and_are_bounded),
        cmocka_unit_test(test_a_path_that_is_no_utf8_is_escaped),
        cmocka_unit_test(test_the_largest_report_can_be_sent),
        cmocka_unit_test(test_without_memory_there_is_no_report),
        cmocka_unit_test(test_what_is_told_is_what_the_interface_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
