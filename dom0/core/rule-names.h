/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleNames: which rule names are taken, and by which line
 *
 * Also those of lines that were refused for something else: a name that stands
 * twice is wrong either way. Zeroed memory is an empty table.
 */

#include "dom0/core/rule.h"

typedef struct RuleNameEntry {
    RuleName name;
    const char *file; /* must outlive the table */
    unsigned int line;
    const Rule *rule; /* NULL if its line was refused */
    size_t index;     /* of @rule in its ruleset */
} RuleNameEntry;

typedef struct RuleNames {
    RuleNameEntry *entries; /* in the order in which they were added */
    size_t n_entries;
    size_t entries_size;
    /* open addressing: index into entries plus 1, 0 for a free slot */
    uint32_t *slots;
    size_t n_slots; /* a power of two, more than twice n_entries */
    bool full_told; /* a rule was refused because there are too many */
} RuleNames;

void rule_names_clear(RuleNames *names);

/* NULL if the name is free. The entry moves when others are added. */
RuleNameEntry *rule_names_find(const RuleNames *names, const char *name);

/* The name must be free. Fails with -ENOSPC when RULESET_RULES_MAX names are in
 * the table, and with -ENOMEM. */
int rule_names_add(RuleNames *names,
                   const RuleName *name,
                   const char *file,
                   unsigned int line);
