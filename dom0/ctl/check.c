/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include <jansson.h>

#include "dom0/core/rule-lint.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/errors-view.h"
#include "dom0/ctl/passed-over.h"
#include "dom0/ctl/qube-names.h"
#include "dom0/ctl/rule-book.h"
#include "dom0/ctl/rules-folder.h"
#include "dom0/ctl/show.h"
#include "dom0/ctl/view.h"
#include "dom0/wire/report-wire.h"

#define CHECK_EXIT_WARNINGS 1
#define CHECK_EXIT_ERRORS   2

/* more than any shell passes on is not checked */
#define PATHS_MAX 65536U

static const char help[] =
    "Usage: " CTL_NAME " check [PATH...] [--json] [-q | -v] [--socket "
    "PATH]\n"
    "\n"
    "Check rules without a daemon: each PATH is a rule file, - for standard "
    "input, or\n"
    "a folder of which all *.rules files are checked. All of them together are "
    "one\n"
    "set of rules, in this order. Without PATH it is the daemon's folder, "
    "or\n" CTL_RULES_DEFAULT " if there is no daemon. Of that folder, and of\n"
    "files in it, also who may write them is checked, as the daemon does; "
    "others are\n"
    "drafts.\n"
    "\n"
    "All errors and warnings of all files are printed, as FILE:LINE:COLUMN:\n"
    "message with the line and a caret, and a summary at the end. A warning "
    "is\n"
    "about a rule that can never match, that is too open, or that gets in "
    "another\n"
    "one's way; see qubes-autoattach.rules(5). Whether their qubes exist is "
    "asked of\n"
    "the daemon, if it can be reached, and passed over if not.\n"
    "\n"
    "Options:\n"
    "      --json         one JSON object in ASCII instead: files, rules,\n"
    "                     targets_checked (whether the daemon was there to "
    "ask),\n"
    "                     n_errors, n_warnings, and errors, a list of objects\n"
    "                     with level, file, line, column, message, "
    "source_line\n"
    "                     and caret (null where there is none), and "
    "passed_over, a\n"
    "                     list of objects with file and reason: what in a "
    "folder is\n"
    "                     not read, the first 50\n"
    "  -q, --quiet        no summary, and no warnings: nothing but errors\n"
    "  -v, --verbose      name each file that was read, and what was passed "
    "over,\n"
    "                     which is told without rules in any case\n"
    "      --socket PATH  the daemon's control socket, if it is not\n"
    "                     " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: 0 if all is good, 1 if there are warnings only, 2 if there "
    "are\n"
    "errors or a PATH cannot be read, 64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " check " CTL_RULES_DEFAULT " ~/new.rules\n";

typedef struct Check {
    const Diagnostics *diagnostics;
    const Ruleset *ruleset;
    const RulesFile *files;
    size_t n_files;
    json_t *passed_over;
    bool targets_checked;
} Check;

static uint64_t count(const Check *check, DiagnosticLevel level)
{
    return diagnostics_count_level(check->diagnostics, level);
}

static int print_diagnostics(const Check *check, FILE *out, bool errors_only)
{
    size_t n = diagnostics_count(check->diagnostics);

    for (size_t i = 0; i < n; i++) {
        const Diagnostic *diagnostic = diagnostics_get(check->diagnostics, i);
        _cleanup_(freep) char *text = NULL;

        if (errors_only && diagnostic->level != DIAGNOSTIC_ERROR)
            continue;
        text = errors_format(diagnostic);
        if (!text)
            return -ENOMEM;
        (void) fputs(text, out);
    }
    return 0;
}

/* "3 files, 12 rules, no errors, 1 warning" */
static void print_summary(const Check *check, FILE *out)
{
    uint64_t n_errors = count(check, DIAGNOSTIC_ERROR);
    uint64_t n_warnings = count(check, DIAGNOSTIC_WARNING);
    uint64_t n_kept = diagnostics_count(check->diagnostics);
    ShowText files, rules, errors, warnings;

    if (n_errors + n_warnings > n_kept)
        (void) fprintf(out, "and %llu more\n",
                       (unsigned long long) (n_errors + n_warnings - n_kept));
    show_count(&files, check->n_files, "file");
    show_count(&rules, ruleset_count(check->ruleset), "rule");
    show_count(&errors, n_errors, "error");
    show_count(&warnings, n_warnings, "warning");
    (void) fprintf(out, "%s, %s, %s%s%s\n", files.s, rules.s, errors.s,
                   n_warnings > 0 ? ", " : "",
                   n_warnings > 0 ? warnings.s : "");
}

static json_t *errors_to_json(const Check *check)
{
    size_t n = diagnostics_count(check->diagnostics);
    json_t *list = json_array();

    for (size_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, diagnostic_to_json(diagnostics_get(
                                            check->diagnostics, i))) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static int print_json(const Check *check, Terminal *terminal)
{
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:I, s:I, s:b, s:I, s:I, s:o, s:O}", "files",
                  (json_int_t) check->n_files, "rules",
                  (json_int_t) ruleset_count(check->ruleset), "targets_checked",
                  check->targets_checked, "n_errors",
                  (json_int_t) count(check, DIAGNOSTIC_ERROR), "n_warnings",
                  (json_int_t) count(check, DIAGNOSTIC_WARNING), "errors",
                  errors_to_json(check), "passed_over", check->passed_over);

    if (!json)
        return -ENOMEM;
    view_json(terminal, json);
    return 0;
}

static void print_passed_over(const Check *check, Terminal *terminal)
{
    View view;

    view_init(&view, terminal, 0, true);
    passed_over_view(&view, check->passed_over, 0);
}

static int check_print(const Check *check,
                       const Arguments *arguments,
                       Terminal *terminal)
{
    bool quiet = arguments_have(arguments, OPTION_QUIET);
    int r;

    if (arguments_have(arguments, OPTION_JSON))
        return print_json(check, terminal);
    r = print_diagnostics(check, terminal->out, quiet);
    if (r < 0 || quiet)
        return r;
    if (arguments_have(arguments, OPTION_VERBOSE) ||
        ruleset_count(check->ruleset) == 0)
        print_passed_over(check, terminal);
    print_summary(check, terminal->out);
    return 0;
}

static int read_paths(RuleBook *book,
                      json_t *passed_over,
                      const Arguments *arguments)
{
    RulesFolder folder;
    int r = rules_folder_find(&folder, arguments);

    if (r < 0)
        return r;
    if (arguments->n_operands == 0) {
        r = rule_book_add_rules(book, &folder);
        return r < 0 ? r : passed_over_add(passed_over, folder.path);
    }
    for (size_t i = 0; r == 0 && i < arguments->n_operands; i++) {
        const char *path = arguments->operands[i];

        r = rule_book_add(book, path, rules_folder_owner_at(&folder, path));
        if (r == 0)
            r = passed_over_add(passed_over, path);
    }
    return r;
}

static int check_paths(Check *ret,
                       RuleBook *book,
                       json_t *passed_over,
                       const Arguments *arguments)
{
    _cleanup_(freep) QubeName *qubes = NULL;
    RuleLintHelp lint_help = {};
    int r = passed_over ? read_paths(book, passed_over, arguments) : -ENOMEM;

    if (r < 0)
        return r;
    qubes = qube_names_ask(client_path(arguments), &lint_help.n_qubes);
    lint_help.qubes = qubes;
    lint_help.files = rule_book_files(book, &lint_help.n_files);
    *ret = (Check){
        .ruleset = rule_book_rules(book),
        .diagnostics = rule_book_diagnostics(book),
        .files = lint_help.files,
        .n_files = lint_help.n_files,
        .passed_over = passed_over,
        .targets_checked = qubes != NULL,
    };
    return rule_lint(ret->ruleset, &lint_help, rule_book_diagnostics(book));
}

static void print_names(const Check *check, FILE *out)
{
    ShowText shown;

    for (size_t i = 0; i < check->n_files; i++)
        (void) fprintf(out, "%s\n",
                       show_text(&shown, check->files[i].name, false));
}

static int check_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(json_decrefp) json_t *passed_over = json_array();
    _cleanup_(rule_book_freep) RuleBook *book = NULL;
    Check check = {};
    int r = rule_book_new(&book);

    if (r == 0)
        r = check_paths(&check, book, passed_over, arguments);
    if (r == 0 && arguments_have(arguments, OPTION_VERBOSE) &&
        !arguments_have(arguments, OPTION_JSON))
        print_names(&check, terminal->out);
    if (r == 0)
        r = check_print(&check, arguments, terminal);
    if (r < 0) {
        errno = -r;
        (void) fprintf(stderr, CTL_NAME ": cannot check: %m\n");
        return CHECK_EXIT_ERRORS;
    }

    if (count(&check, DIAGNOSTIC_ERROR) > 0)
        return CHECK_EXIT_ERRORS;
    return count(&check, DIAGNOSTIC_WARNING) > 0 ? CHECK_EXIT_WARNINGS
                                                 : CTL_EXIT_OK;
}

const Command check_command = {
    .name = "check",
    .summary = "look for errors in rule files, without a daemon",
    .help = help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET),
    .operands_max = PATHS_MAX,
    .run = check_run,
};
