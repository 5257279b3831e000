/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "common/sys/rules-files.h"
#include "common/text.h"
#include "dom0/core/ruleset.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/show.h"
#include "dom0/wire/report-wire.h"

#define CHECK_EXIT_WARNINGS 1
#define CHECK_EXIT_ERRORS   2

/* more than any shell passes on is not checked */
#define PATHS_MAX 65536U

static const char help[] =
    "Usage: " CTL_NAME " check [PATH...] [--json] [-q]\n"
    "\n"
    "Check rules without a daemon: each PATH is a rule file, or a folder of "
    "which\n"
    "all *.rules files are checked. All of them together are one set of rules, "
    "in\n"
    "this order. Without PATH it is " CTL_RULES_DEFAULT ".\n"
    "\n"
    "All errors and warnings of all files are printed, as FILE:LINE:COLUMN:\n"
    "message with the line and a caret, and a summary at the end.\n"
    "\n"
    "Options:\n"
    "      --json         one JSON object in ASCII instead: files, rules,\n"
    "                     n_errors, n_warnings, and errors, a list of objects\n"
    "                     with level, file, line, column, message, "
    "source_line\n"
    "                     and caret (null where there is none)\n"
    "  -q, --quiet        no summary, and no warnings: nothing but errors\n"
    "  -v, --verbose      name each file that was read, too\n"
    "\n"
    "Exit status: 0 if all is good, 1 if there are warnings only, 2 if there "
    "are\n"
    "errors or a PATH cannot be read, 64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " check ~/new.rules\n";

typedef struct Check {
    Ruleset *ruleset;
    Diagnostics *diagnostics;
    size_t n_files;
    FILE *names; /* where to name each file that was read, or NULL */
} Check;

static void check_clear(Check *check)
{
    ruleset_unref(check->ruleset);
    diagnostics_free(check->diagnostics);
    *check = (Check){};
}

static int check_new(Check *ret)
{
    Check check = {};
    int r = ruleset_new(&check.ruleset);

    if (r == 0)
        r = diagnostics_new(&check.diagnostics);
    if (r < 0) {
        check_clear(&check);
        return r;
    }
    *ret = check;
    return 0;
}

static int add_error(Check *check, const char *path, const char *message)
{
    return diagnostics_add(check->diagnostics, DIAGNOSTIC_ERROR, path, 0, 0,
                           NULL, 0, message);
}

static int add_file(Check *check, const char *path, const RulesFile *file)
{
    ShowText shown;

    if (file->error)
        return add_error(check, path, file->error);

    check->n_files++;
    if (check->names)
        (void) fprintf(check->names, "%s\n", show_text(&shown, path, false));
    return ruleset_add_file(check->ruleset, path, file->contents, file->len,
                            check->diagnostics);
}

/* The path by which the person finds the file again. */
static char *join(const char *folder, const char *name)
{
    size_t len = strlen(folder);
    size_t size = len + strlen(name) + 2;
    char *path = malloc(size);
    bool has_slash = len > 0 && folder[len - 1] == '/';

    if (path)
        (void) text_format(path, size, "%s%s%s", folder, has_slash ? "" : "/",
                           name);
    return path;
}

static int add_folder(Check *check, const char *folder)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    int r = rules_files_read(&files, folder);

    if (r == -ENOENT)
        return add_error(check, folder, "there is no such file or folder");
    if (r < 0)
        return r;

    for (size_t i = 0; i < files->n_files; i++) {
        const RulesFile *file = &files->files[i];
        _cleanup_(freep) char *path = NULL;

        /* what is wrong with the folder itself has its path as name */
        path = strcmp(file->name, folder) == 0 ? strdup(folder)
                                               : join(folder, file->name);
        if (!path)
            return -ENOMEM;
        r = add_file(check, path, file);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_path(Check *check, const char *path)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    struct stat st;
    int r;

    /* a path that is not there gets its error with those of folders */
    if (stat(path, &st) < 0 ? errno == ENOENT : S_ISDIR(st.st_mode))
        return add_folder(check, path);

    r = rules_files_read_one(&files, path);
    for (size_t i = 0; r == 0 && i < files->n_files; i++)
        r = add_file(check, path, &files->files[i]);
    return r;
}

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
        text = diagnostic_format(diagnostic);
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

static int print_json(const Check *check, FILE *out)
{
    _cleanup_(json_decrefp) json_t *json = json_pack(
        "{s:I, s:I, s:I, s:I, s:o}", "files", (json_int_t) check->n_files,
        "rules", (json_int_t) ruleset_count(check->ruleset), "n_errors",
        (json_int_t) count(check, DIAGNOSTIC_ERROR), "n_warnings",
        (json_int_t) count(check, DIAGNOSTIC_WARNING), "errors",
        errors_to_json(check));

    if (!json)
        return -ENOMEM;
    (void) json_dumpf(json, out, JSON_COMPACT | JSON_ENSURE_ASCII);
    (void) fputc('\n', out);
    return 0;
}

static int check_print(const Check *check,
                       const Arguments *arguments,
                       FILE *out)
{
    bool quiet = arguments_have(arguments, OPTION_QUIET);
    int r;

    if (arguments_have(arguments, OPTION_JSON))
        return print_json(check, out);
    r = print_diagnostics(check, out, quiet);
    if (r == 0 && !quiet)
        print_summary(check, out);
    return r;
}

static int check_paths(Check *check, const Arguments *arguments)
{
    int r = 0;

    if (arguments->n_operands == 0)
        return add_path(check, CTL_RULES_DEFAULT);
    for (size_t i = 0; r == 0 && i < arguments->n_operands; i++)
        r = add_path(check, arguments->operands[i]);
    return r;
}

static int check_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(check_clear) Check check = {};
    int r = check_new(&check);

    if (arguments_have(arguments, OPTION_VERBOSE) &&
        !arguments_have(arguments, OPTION_JSON))
        check.names = terminal->out;
    if (r == 0)
        r = check_paths(&check, arguments);
    if (r == 0)
        r = check_print(&check, arguments, terminal->out);
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
    .options = OPTIONS_COMMON,
    .operands_max = PATHS_MAX,
    .run = check_run,
};
