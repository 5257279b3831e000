/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Ruleset: all rules in force, in order
 *
 * Built in one go from the contents of all files; immutable afterwards, so a
 * reload is a new Ruleset that takes the old one's place, or does not. It is
 * reference-counted: a job keeps the rules it was decided by.
 */

#include "dom0/core/diagnostic.h"
#include "dom0/core/rule.h"

#define RULESET_FILE_SIZE_MAX (1024U * 1024U)
#define RULESET_FILES_MAX     1024U
#define RULESET_RULES_MAX     16384U

typedef struct Ruleset Ruleset;

/*
 * An empty ruleset under construction. Add files in the order in which they
 * count (by name, as strcmp() orders them).
 */
int ruleset_new(Ruleset **ret);
Ruleset *ruleset_ref(Ruleset *ruleset);
Ruleset *ruleset_unref(Ruleset *ruleset); /* NULL in, NULL out */

/*
 * Parse one file. Every error becomes a diagnostic and the rest of the file
 * is still read; the ruleset is good if no error was added by any file.
 * -ENOMEM is the only error returned.
 */
int ruleset_add_file(Ruleset *ruleset,
                     const char *file_name,
                     const char *untrusted_text,
                     size_t untrusted_len,
                     Diagnostics *diagnostics);

size_t ruleset_count(const Ruleset *ruleset);
const Rule *ruleset_get(const Ruleset *ruleset, size_t index);
const Rule *ruleset_find(const Ruleset *ruleset, const char *name);
/* Where ruleset_get() has this rule of it. */
size_t ruleset_index(const Ruleset *ruleset, const Rule *rule);

/* The first rule that matches, or NULL. */
const Rule *ruleset_match(const Ruleset *ruleset,
                          const QubeName *source,
                          const Record *record);

static inline void ruleset_unrefp(Ruleset **ruleset)
{
    if (*ruleset)
        ruleset_unref(*ruleset);
}
