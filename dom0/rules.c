/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/sys/clock.h"
#include "common/sys/log.h"
#include "common/sys/rules-files.h"
#include "dom0/core/ruleset-build.h"
#include "dom0/rules.h"

/* errors that go to the log; all can be seen with `status` and `check` */
#define ERRORS_LOGGED_MAX 10U
#define NO_MEMORY         "out of memory; try again: qvm-autoattach reload"

struct Rules {
    char *dir_path;
    bool dir_missing;
    Ruleset *ruleset;
    size_t n_files;
    uint64_t loaded_usec;     /* CLOCK_REALTIME */
    bool failed;              /* the newest reload */
    Diagnostics *diagnostics; /* of the newest reload; NULL without memory */
    Diagnostics *no_memory;   /* that it had none: made while there is some */
};

static int no_memory_new(Diagnostics **ret, const char *dir_path)
{
    int r = diagnostics_new(ret);

    if (r < 0)
        return r;
    return diagnostics_add(*ret, DIAGNOSTIC_ERROR, dir_path, 0, 0, NULL, 0,
                           NO_MEMORY);
}

int rules_new(Rules **ret, const char *dir_path)
{
    _cleanup_(rules_freep) Rules *rules = calloc(1, sizeof(*rules));
    int r;

    if (!rules)
        return -ENOMEM;

    rules->dir_path = strdup(dir_path);
    if (!rules->dir_path)
        return -ENOMEM;
    r = no_memory_new(&rules->no_memory, dir_path);
    if (r < 0)
        return r;
    /* until the first reload: no rules, nothing is attached */
    r = ruleset_new(&rules->ruleset);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(rules);
    return 0;
}

Rules *rules_free(Rules *rules)
{
    if (!rules)
        return NULL;

    ruleset_unref(rules->ruleset);
    diagnostics_free(rules->diagnostics);
    diagnostics_free(rules->no_memory);
    free(rules->dir_path);
    free(rules);
    return NULL;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void log_diagnostic(const Diagnostic *diagnostic)
{
    if (diagnostic->line == 0)
        log_message(LOG_ERR, "%s: %s", diagnostic->file, diagnostic->message);
    else if (diagnostic->column == 0)
        log_message(LOG_ERR, "%s:%u: %s", diagnostic->file, diagnostic->line,
                    diagnostic->message);
    else
        log_message(LOG_ERR, "%s:%u:%u: %s", diagnostic->file, diagnostic->line,
                    diagnostic->column, diagnostic->message);
}

static void rules_log_errors(const Rules *rules)
{
    size_t n = diagnostics_count(rules->diagnostics);
    size_t n_errors =
        diagnostics_count_level(rules->diagnostics, DIAGNOSTIC_ERROR);

    log_message(LOG_ERR,
                "the rules have %zu error%s, %s; see 'qvm-autoattach check'",
                n_errors, plural(n_errors),
                rules->loaded_usec > 0 ? "the old ones stay in force"
                                       : "none are in force");
    for (size_t i = 0; i < n && i < ERRORS_LOGGED_MAX; i++)
        log_diagnostic(diagnostics_get(rules->diagnostics, i));
}

static void rules_accept(Rules *rules, Ruleset *ruleset, size_t n_files)
{
    ruleset_unref(rules->ruleset);
    rules->ruleset = ruleset;
    rules->n_files = n_files;
    rules->loaded_usec = clock_realtime_usec();
    if (rules->dir_missing)
        log_message(LOG_WARNING, "the rules folder %s does not exist",
                    rules->dir_path);
    log_message(LOG_INFO, "%zu rule%s of %zu file%s in force",
                ruleset_count(ruleset), plural(ruleset_count(ruleset)), n_files,
                plural(n_files));
}

/* @ret_ruleset is NULL with any error, @ret_files without a folder. */
static int rules_read(const char *dir_path,
                      RulesFiles **ret_files,
                      Ruleset **ret_ruleset,
                      Diagnostics *diagnostics)
{
    int r = rules_files_read(ret_files, dir_path, geteuid());

    if (r == -ENOENT)
        return ruleset_new(ret_ruleset);
    return r < 0 ? r : ruleset_build(ret_ruleset, *ret_files, diagnostics);
}

int rules_reload(Rules *rules)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    int r;

    r = diagnostics_new(&diagnostics);
    if (r >= 0)
        r = rules_read(rules->dir_path, &files, &ruleset, diagnostics);

    rules->failed = !ruleset;
    rules->dir_missing = ruleset && !files;
    diagnostics_free(rules->diagnostics);
    rules->diagnostics = r < 0 ? NULL : TAKE_PTR(diagnostics);
    if (r < 0)
        return r;
    if (rules->failed)
        rules_log_errors(rules);
    else
        rules_accept(rules, TAKE_PTR(ruleset), files ? files->n_files : 0);
    return 0;
}

Ruleset *rules_get(const Rules *rules)
{
    return rules->ruleset;
}

static bool is_named(const Report *report, const QubeName *source)
{
    for (size_t i = 0; i < report->n_named_sources; i++)
        if (qube_name_equal(&report->named_sources[i], source))
            return true;
    return false;
}

/* The sources that the rules name, each once, as far as there is room. */
static void report_named_sources(const Rules *rules, Report *report)
{
    size_t n = ruleset_count(rules->ruleset);

    for (size_t i = 0; i < n; i++) {
        const Rule *rule = ruleset_get(rules->ruleset, i);

        for (size_t s = 0; s < rule->n_sources; s++) {
            if (report->n_named_sources == REPORT_NAMED_MAX)
                return;
            if (!is_named(report, &rule->sources[s]))
                report->named_sources[report->n_named_sources++] =
                    rule->sources[s];
        }
    }
}

void rules_report(const Rules *rules, Report *report)
{
    report->rules_dir = rules->dir_path;
    report->rules_owner = geteuid();
    report->rules_dir_missing = rules->dir_missing;
    report->n_rules = ruleset_count(rules->ruleset);
    report->n_rule_files = rules->n_files;
    report->rules_loaded_usec = rules->loaded_usec;
    report->rules_failed = rules->failed;
    report->rules_diagnostics = rules->failed && !rules->diagnostics
                                    ? rules->no_memory
                                    : rules->diagnostics;
    report_named_sources(rules, report);
}
