/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/core/rule-arena.h"
#include "dom0/core/rule-filter.h"
#include "dom0/core/rule-names.h"
#include "dom0/core/rule-parse.h"
#include "dom0/core/ruleset.h"

#define RULES_FIRST 32U

struct Ruleset {
    size_t n_refs;
    RuleArena arena; /* holds all rules and what belongs to them */
    RuleNames names;
    const Rule **rules;  /* in order */
    RuleFilter *filters; /* one for each */
    size_t n_rules;
    size_t rules_size;
};

int ruleset_new(Ruleset **ret)
{
    Ruleset *ruleset = calloc(1, sizeof(*ruleset));

    if (!ruleset)
        return -ENOMEM;

    ruleset->n_refs = 1;
    *ret = ruleset;
    return 0;
}

Ruleset *ruleset_ref(Ruleset *ruleset)
{
    assert(ruleset->n_refs > 0);

    ruleset->n_refs++;
    return ruleset;
}

Ruleset *ruleset_unref(Ruleset *ruleset)
{
    if (!ruleset)
        return NULL;

    assert(ruleset->n_refs > 0);
    if (--ruleset->n_refs > 0)
        return NULL;

    rule_names_clear(&ruleset->names);
    rule_arena_clear(&ruleset->arena);
    free(ruleset->rules);
    free(ruleset->filters);
    free(ruleset);
    return NULL;
}

static int grow(Ruleset *ruleset)
{
    size_t size =
        ruleset->rules_size > 0 ? ruleset->rules_size * 2 : RULES_FIRST;
    RuleFilter *filters;
    const Rule **rules;

    rules = reallocarray(ruleset->rules, size, sizeof(*rules));
    if (!rules)
        return -ENOMEM;
    ruleset->rules = rules;
    filters = reallocarray(ruleset->filters, size, sizeof(*filters));
    if (!filters)
        return -ENOMEM;
    ruleset->filters = filters;
    ruleset->rules_size = size;
    return 0;
}

static int append(Ruleset *ruleset, const Rule *rule)
{
    if (ruleset->n_rules == ruleset->rules_size) {
        int r = grow(ruleset);

        if (r < 0)
            return r;
    }
    rule_names_find(&ruleset->names, rule->name.s)->index = ruleset->n_rules;
    ruleset->filters[ruleset->n_rules] = rule_filter_of_rule(rule);
    ruleset->rules[ruleset->n_rules++] = rule;
    return 0;
}

int ruleset_add_file(Ruleset *ruleset,
                     const char *file_name,
                     const char *untrusted_text,
                     size_t untrusted_len,
                     Diagnostics *diagnostics)
{
    _cleanup_(rule_parser_freep) RuleParser *parser = NULL;
    const RuleParserOutput output = {
        .arena = &ruleset->arena,
        .names = &ruleset->names,
        .diagnostics = diagnostics,
    };
    size_t first = diagnostics_count(diagnostics);
    const Rule *rule;
    int r;

    r = rule_parser_new(&parser, &output, file_name, untrusted_text,
                        untrusted_len);
    if (r < 0)
        return r;

    while ((r = rule_parser_next(parser, &rule)) > 0) {
        r = append(ruleset, rule);
        if (r < 0)
            return r;
    }
    diagnostics_sort(diagnostics, first);
    return r;
}

size_t ruleset_count(const Ruleset *ruleset)
{
    return ruleset->n_rules;
}

const Rule *ruleset_get(const Ruleset *ruleset, size_t index)
{
    assert(index < ruleset->n_rules);

    return ruleset->rules[index];
}

const Rule *ruleset_find(const Ruleset *ruleset, const char *name)
{
    const RuleNameEntry *entry = rule_names_find(&ruleset->names, name);

    return entry ? entry->rule : NULL;
}

size_t ruleset_index(const Ruleset *ruleset, const Rule *rule)
{
    const RuleNameEntry *entry =
        rule_names_find(&ruleset->names, rule->name.s);

    assert(entry && entry->rule == rule);

    return entry->index;
}

const Rule *ruleset_match(const Ruleset *ruleset,
                          const QubeName *source,
                          const Record *record)
{
    const RuleFilter filter = rule_filter_of_record(record);

    for (size_t i = 0; i < ruleset->n_rules; i++)
        if (rule_filter_lets_through(&ruleset->filters[i], &filter) &&
            rule_match(ruleset->rules[i], source, record, NULL) == RULE_MATCHES)
            return ruleset->rules[i];
    return NULL;
}
