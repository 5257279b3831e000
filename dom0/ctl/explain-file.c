/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "common/sys/clock.h"
#include "common/text.h"
#include "common/wire/line-buffer.h"
#include "common/wire/record-wire.h"
#include "dom0/ctl/errors-view.h"
#include "dom0/ctl/explain.h"
#include "dom0/ctl/rule-book.h"
#include "dom0/ctl/rules-folder.h"
#include "dom0/wire/device-wire.h"
#include "dom0/wire/explain-wire.h"

#define SOURCE_DEFAULT "sys-usb"
#define STDIN_NAME     "-"

typedef struct ExplainFile {
    const Arguments *arguments;
    Terminal *terminal;
    View view;
    const char *name; /* of the file, as it was given */
    QubeName source;
    const Ruleset *ruleset;
    uint64_t line; /* the last one that was read */
    int status;    /* the highest so far */
} ExplainFile;

static void raise_status(ExplainFile *file, Status status)
{
    int exit_status = status_exit(status);

    if (exit_status > file->status)
        file->status = exit_status;
}

/* records */

static json_t *steps_to_json(const ExplainFile *file, const Record *record)
{
    size_t n = ruleset_count(file->ruleset);
    json_t *steps = json_array();

    for (size_t i = 0; i < n; i++) {
        const Rule *rule = ruleset_get(file->ruleset, i);

        if (json_array_append_new(
                steps, step_to_json(rule, &file->source, record)) < 0) {
            json_decref(steps);
            return NULL;
        }
        if (rule_match(rule, &file->source, record, NULL) == RULE_MATCHES)
            break;
    }
    return steps;
}

/* An Explanation of the last line, with what only a file has. All are taken
 * over; NULL if one of them is, or without memory. */
static json_t *explain_line(const ExplainFile *file,
                            const Explanation *explanation,
                            json_t *device,
                            json_t *steps,
                            json_t *action)
{
    json_t *json = explanation_to_json(explanation, device);
    bool is_good = json_object_set_new(json, "steps", steps) == 0;

    is_good &= json_object_set_new(json, "line",
                                   json_integer((json_int_t) file->line)) == 0;
    is_good &= json_object_set_new(json, "action", action) == 0;
    if (is_good)
        return json;
    json_decref(json);
    return NULL;
}

/* A record that takes away is not decided by rules. */
static json_t *explain_record(ExplainFile *file, const Record *record)
{
    bool is_remove = record->action == RECORD_REMOVE;
    const Rule *rule =
        is_remove ? NULL : ruleset_match(file->ruleset, &file->source, record);
    const ReportDevice device = {
        .source = file->source,
        .record = record,
        .rule = rule,
    };
    Explanation explanation = {
        .rule = rule,
        .n_rules = is_remove ? 0 : ruleset_count(file->ruleset),
        .verdict = trial_verdict_of_rule(rule),
    };

    if (is_remove)
        explanation.verdict.status = STATUS_DETACHED;
    raise_status(file, explanation.verdict.status);
    return explain_line(file, &explanation, device_to_json(&device),
                        is_remove ? json_array() : steps_to_json(file, record),
                        json_string(record_action_to_string(record->action)));
}

static int print_record(ExplainFile *file, const Record *record)
{
    _cleanup_(json_decrefp) json_t *json = explain_record(file, record);
    char place[SHOW_TEXT_MAX];
    ShowText name;

    if (!json)
        return -ENOMEM;
    if (arguments_have(file->arguments, OPTION_JSON)) {
        view_json(file->terminal, json);
        return 0;
    }
    (void) text_format(place, sizeof(place), "%.200s:%" PRIu64 " %s",
                       show_text(&name, file->name, file->view.utf8),
                       file->line, record_action_to_string(record->action));
    explain_view(&file->view, json, place, explain_detail(file->arguments),
                 false);
    return 0;
}

/* What dom0 would have answered to a line that is none. */
static int print_bad_line(ExplainFile *file, Status status, const char *error)
{
    Explanation explanation = { .verdict = { .status = status } };
    _cleanup_(json_decrefp) json_t *json = NULL;
    ShowText name;

    raise_status(file, status);
    if (!arguments_have(file->arguments, OPTION_JSON)) {
        (void) fprintf(stderr, CTL_NAME ": %s:%" PRIu64 ": %d %s: %s\n",
                       show_text(&name, file->name, false), file->line,
                       (int) status, status_name(status), error);
        return 0;
    }
    (void) text_format(explanation.verdict.detail,
                       sizeof(explanation.verdict.detail), "%s", error);
    json = explain_line(file, &explanation, json_null(), json_array(),
                        json_null());
    if (!json)
        return -ENOMEM;
    view_json(file->terminal, json);
    return 0;
}

static int take_line(ExplainFile *file,
                     const char *untrusted_line,
                     size_t untrusted_len)
{
    const char *error = "";
    WireMessage message;
    Status status;

    if (untrusted_len == 0)
        return 0;
    status = wire_decode(&message, untrusted_line, untrusted_len, &error);
    if (status != STATUS_INVALID)
        return print_bad_line(file, status, error);
    if (message.type != WIRE_EVENT)
        return 0;
    return print_record(file, &message.record);
}

/* lines */

static int take_lines(ExplainFile *file, LineBuffer *buffer)
{
    const char *untrusted_line;
    size_t untrusted_len;
    int r = 0;

    while (r == 0)
        switch (line_buffer_next(buffer, &untrusted_line, &untrusted_len)) {
        case LINE_NONE:
            return 0;
        case LINE_GOOD:
            file->line++;
            r = take_line(file, untrusted_line, untrusted_len);
            break;
        case LINE_TOO_LONG:
            /* where it ends is not looked for: dom0 closes then, too */
            file->line++;
            (void) print_bad_line(file, STATUS_TOO_LARGE,
                                  "the line is too long; what follows is not "
                                  "read");
            return -EFBIG;
        }
    return r;
}

/* Some bytes; 0 at the end, where a line that has not ended is one, too. */
static ssize_t fill(int fd, LineBuffer *buffer)
{
    size_t size;
    char *space = line_buffer_space(buffer, &size);
    ssize_t n;

    do
        n = read(fd, space, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0 && line_buffer_has_partial(buffer)) {
        *space = '\n';
        line_buffer_filled(buffer, 1);
        return 1;
    }
    line_buffer_filled(buffer, (size_t) n);
    return n;
}

static int read_lines(ExplainFile *file, int fd)
{
    _cleanup_(line_buffer_freep) LineBuffer *buffer = NULL;
    ssize_t n;
    int r;

    r = line_buffer_new(&buffer, WIRE_LINE_MAX);
    while (r == 0 && (n = fill(fd, buffer)) != 0)
        r = n < 0 ? (int) n : take_lines(file, buffer);
    return r == -EFBIG ? 0 : r;
}

static int open_file(const char *name)
{
    int fd;

    if (strcmp(name, STDIN_NAME) == 0)
        fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    else
        fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

/* rules */

/* By rules with errors nothing can be decided: tell the first of them. */
static int complain_rules(const RuleBook *book)
{
    const Diagnostics *diagnostics = rule_book_diagnostics(book);
    _cleanup_(freep) char *text =
        errors_format(diagnostics_get(diagnostics, 0));

    (void) fprintf(stderr,
                   "%s" CTL_NAME ": the rules have errors, nothing can be "
                   "explained by them; see " CTL_NAME " check\n",
                   text ? text : "");
    return status_exit(STATUS_UNAVAILABLE);
}

static int fail(int r, const char *name)
{
    ShowText shown;

    errno = -r;
    (void) fprintf(stderr, CTL_NAME ": cannot explain %s: %m\n",
                   show_text(&shown, name, false));
    return status_exit(STATUS_INTERNAL);
}

static int fail_open(int r, const char *name)
{
    ShowText shown;

    if (r != -ENOENT)
        return fail(r, name);
    (void) fprintf(stderr,
                   CTL_NAME ": there is no file %s; a device is written with "
                            "its qube, as sys-usb:sda\n",
                   show_quoted(&shown, name, false));
    return status_exit(STATUS_NO_SUCH_DEVICE);
}

static bool take_source(ExplainFile *file)
{
    const char *source = file->arguments->values[OPTION_SOURCE];
    ShowText shown;

    if (!source)
        source = SOURCE_DEFAULT;
    if (qube_name_parse(&file->source, source, strlen(source)))
        return true;
    (void) fprintf(stderr, CTL_NAME ": --source %s is no name of a qube\n",
                   show_quoted(&shown, source, false));
    return false;
}

int explain_file_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(rule_book_freep) RuleBook *book = NULL;
    _cleanup_(fd_closep) int fd = -1;
    ExplainFile file = { .arguments = arguments,
                         .terminal = terminal,
                         .name = arguments->operands[0] };
    RulesFolder folder;
    int r;

    if (!take_source(&file))
        return CTL_EXIT_USAGE;
    fd = open_file(file.name);
    if (fd < 0)
        return fail_open(fd, file.name);

    r = rules_folder_find(&folder, arguments);
    if (r == 0)
        r = rule_book_new(&book);
    if (r == 0)
        r = rule_book_add_rules(book, &folder);
    if (r < 0)
        return fail(r, file.name);
    if (diagnostics_count(rule_book_diagnostics(book)) > 0)
        return complain_rules(book);

    file.ruleset = rule_book_rules(book);
    view_init(&file.view, terminal, clock_realtime_usec(), true);
    r = read_lines(&file, fd);
    return r < 0 ? fail(r, file.name) : file.status;
}
