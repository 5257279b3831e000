/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "common/sys/rules-files.h"
#include "dom0/core/rule-lint.h"
#include "dom0/core/ruleset-build.h"
#include "dom0/ctl/qube-names.h"
#include "dom0/ctl/rules-look.h"
#include "dom0/ctl/view.h"
#include "dom0/wire/report-wire.h"

static int add_warnings(json_t *rules, const Diagnostics *diagnostics)
{
    json_int_t n =
        (json_int_t) diagnostics_count_level(diagnostics, DIAGNOSTIC_WARNING);

    if (json_object_set_new(rules, "n_warnings", json_integer(n)) < 0 ||
        json_object_set_new(rules, "errors", diagnostics_to_json(diagnostics)) <
            0)
        return -ENOMEM;
    return 0;
}

static int lint(const Ruleset *ruleset,
                const RulesFiles *files,
                const json_t *qubes,
                Diagnostics *diagnostics)
{
    RuleLintHelp help = { .files = files->files, .n_files = files->n_files };
    _cleanup_(freep) QubeName *names = NULL;

    if (qubes) {
        names = qube_names_of(qubes, &help.n_qubes);
        if (!names)
            return -ENOMEM;
    }
    help.qubes = names;
    return rule_lint(ruleset, &help, diagnostics);
}

int rules_look(json_t *rules, const json_t *qubes)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    uint64_t n = member_number(rules, "n_rules");
    int r;

    if (member_flag(rules, "failed") || n == 0 || n > RULES_LOOK_MAX)
        return 0;
    /* the daemon has seen to who may write them */
    r = rules_files_read(&files, member_text(rules, "directory"),
                         RULES_OWNER_ANY);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = diagnostics_new(&diagnostics);
    if (r == 0)
        r = ruleset_build(&ruleset, files, diagnostics);
    if (r == 0 && ruleset)
        r = lint(ruleset, files, qubes, diagnostics);
    return r == 0 && ruleset ? add_warnings(rules, diagnostics) : r;
}
