/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/ruleset-build.h"

static int add_file(Ruleset *ruleset,
                    const RulesFile *file,
                    Diagnostics *diagnostics)
{
    if (file->error)
        return diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, file->name, 0, 0,
                               NULL, 0, file->error);

    return ruleset_add_file(ruleset, file->name, file->contents, file->len,
                            diagnostics);
}

int ruleset_build(Ruleset **ret,
                  const RulesFiles *files,
                  Diagnostics *diagnostics)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    size_t n_errors = diagnostics_count_level(diagnostics, DIAGNOSTIC_ERROR);
    int r;

    *ret = NULL;
    r = ruleset_new(&ruleset);
    if (r < 0)
        return r;

    for (size_t i = 0; i < files->n_files; i++) {
        r = add_file(ruleset, &files->files[i], diagnostics);
        if (r < 0)
            return r;
    }

    if (diagnostics_count_level(diagnostics, DIAGNOSTIC_ERROR) == n_errors)
        *ret = TAKE_PTR(ruleset);
    return 0;
}
