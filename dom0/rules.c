/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/sys/clock.h"
#include "common/sys/log.h"
#include "common/sys/rules-files.h"
#include "dom0/core/ruleset-build.h"
#include "dom0/rules.h"

/* errors that go to the log; all can be seen with `status` and `check` */
#define ERRORS_LOGGED_MAX 10U

struct Rules {
    char *dir_path;
    bool dir_missing;
    Ruleset *ruleset;
    size_t n_files;
    uint64_t loaded_usec; /* CLOCK_REALTIME */
    bool failed;          /* the newest reload */
    Diagnostics *diagnostics;
};

int rules_new(Rules **ret, const char *dir_path)
{
    _cleanup_(rules_freep) Rules *rules = calloc(1, sizeof(*rules));
    int r;

    if (!rules)
        return -ENOMEM;

    rules->dir_path = strdup(dir_path);
    if (!rules->dir_path)
        return -ENOMEM;
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
    free(rules->dir_path);
    free(rules);
    return NULL;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void rules_log_errors(const Rules *rules)
{
    size_t n = diagnostics_count(rules->diagnostics);
    size_t n_errors =
        diagnostics_count_level(rules->diagnostics, DIAGNOSTIC_ERROR);

    log_message(LOG_ERR,
                "the rules have %zu error%s, the old ones stay in force; see "
                "'qvm-autoattach check'",
                n_errors, plural(n_errors));
    for (size_t i = 0; i < n && i < ERRORS_LOGGED_MAX; i++) {
        const Diagnostic *diagnostic = diagnostics_get(rules->diagnostics, i);

        log_message(LOG_ERR, "%s:%u:%u: %s", diagnostic->file, diagnostic->line,
                    diagnostic->column, diagnostic->message);
    }
}

static void rules_accept(Rules *rules, Ruleset *ruleset, size_t n_files)
{
    ruleset_unref(rules->ruleset);
    rules->ruleset = ruleset;
    rules->n_files = n_files;
    rules->loaded_usec = clock_realtime_usec();
    log_message(LOG_INFO, "%zu rule%s of %zu file%s in force",
                ruleset_count(ruleset), plural(ruleset_count(ruleset)), n_files,
                plural(n_files));
}

int rules_reload(Rules *rules)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    int r;

    r = diagnostics_new(&diagnostics);
    if (r < 0)
        return r;
    r = rules_files_read(&files, rules->dir_path);
    if (r < 0 && r != -ENOENT)
        return r;
    rules->dir_missing = r == -ENOENT;
    r = files ? ruleset_build(&ruleset, files, diagnostics)
              : ruleset_new(&ruleset);
    if (r < 0)
        return r;

    diagnostics_free(rules->diagnostics);
    rules->diagnostics = TAKE_PTR(diagnostics);
    rules->failed = !ruleset;
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

void rules_report(const Rules *rules, Report *report)
{
    report->rules_dir = rules->dir_path;
    report->rules_dir_missing = rules->dir_missing;
    report->n_rules = ruleset_count(rules->ruleset);
    report->n_rule_files = rules->n_files;
    report->rules_loaded_usec = rules->loaded_usec;
    report->rules_failed = rules->failed;
    report->rules_diagnostics = rules->diagnostics;
}
