/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/rule-lint.h"
#include "dom0/core/rule-relations.h"
#include "dom0/core/rule-words.h"

#define USB_FACETS (RULE_FACET_BIT(RULE_FACET_NAME) - 1)

typedef struct Lint {
    const Ruleset *ruleset;
    RuleRelations *relations;
    bool spent_told;
    const RuleLintHelp *help;
    Diagnostics *diagnostics;
} Lint;

static int compare_names(const void *a, const void *b)
{
    const QubeName *name_a = a, *name_b = b;

    return strcmp(name_a->s, name_b->s);
}

static const Rule *rule_at(const Lint *lint, size_t i)
{
    return ruleset_get(lint->ruleset, i);
}

/* warnings */

/* The line of a file, as it is written; NULL if it is not known. */
static const char *find_line(const RuleLintHelp *help,
                             const char *file,
                             unsigned int line,
                             size_t *ret_len)
{
    const char *text = NULL, *end = NULL, *newline;

    for (size_t i = 0; i < help->n_files && !text; i++)
        if (strcmp(help->files[i].name, file) == 0) {
            text = help->files[i].contents;
            end = text + help->files[i].len;
        }
    while (text && line > 1) {
        newline = memchr(text, '\n', (size_t) (end - text));
        text = newline ? newline + 1 : NULL;
        line--;
    }
    if (!text)
        return NULL;

    newline = memchr(text, '\n', (size_t) (end - text));
    *ret_len = (size_t) ((newline ? newline : end) - text);
    return text;
}

static int add_warning(Lint *lint,
                       const Rule *rule,
                       RulePlace at,
                       const char *message)
{
    size_t len = 0;
    const char *line = find_line(lint->help, rule->file, at.line, &len);

    return diagnostics_add(lint->diagnostics, DIAGNOSTIC_WARNING, rule->file,
                           at.line, at.column, line, len, message);
}

#define WARN(lint, rule, at, ...)                                      \
    ({                                                                 \
        char _message_[DIAGNOSTIC_MESSAGE_MAX + 1];                    \
        (void) text_format(_message_, sizeof(_message_), __VA_ARGS__); \
        add_warning(lint, rule, at, _message_);                        \
    })

static RulePlace place_of(const Rule *rule)
{
    return (RulePlace){ rule->line, rule->column };
}

/* "line 3", or "FILE:3" for one in another file than @rule; of a long path
 * its end is told */
typedef struct Where {
    char s[96];
} Where;

static Where where(const Rule *other, const Rule *rule)
{
    size_t max = sizeof(Where) - sizeof("...:4294967295");
    const char *end = other->file + strlen(other->file), *tail = other->file;
    Where text = {};

    if (strcmp(other->file, rule->file) == 0) {
        (void) text_format(text.s, sizeof(text.s), "line %u", other->line);
        return text;
    }
    if ((size_t) (end - tail) > max)
        tail = end - max;
    /* not from the middle of a character */
    while (((unsigned char) *tail & 0xc0) == 0x80)
        tail++;
    (void) text_format(text.s, sizeof(text.s), "%s%s:%u",
                       tail > other->file ? "..." : "", tail, other->line);
    return text;
}

/* a rule by itself */

/* Also if it is not known which qubes there are. */
static bool may_exist(const Lint *lint, const QubeName *qube)
{
    return !lint->help->qubes ||
           bsearch(qube, lint->help->qubes, lint->help->n_qubes,
                   sizeof(QubeName), compare_names);
}

static int lint_sources(Lint *lint, const Rule *rule)
{
    for (size_t i = 0; i < rule->n_sources; i++) {
        int r;

        if (may_exist(lint, &rule->sources[i]))
            continue;
        r = WARN(lint, rule, rule->source_at[i],
                 "there is no qube '%s'; no device comes from it",
                 rule->sources[i].s);
        if (r < 0)
            return r;
    }
    return 0;
}

static int lint_targets(Lint *lint, const Rule *rule)
{
    for (size_t i = 0; i < rule->n_targets; i++) {
        const Target *target = &rule->targets[i];
        int r;

        if (target->kind == TARGET_DISPVM_DEFAULT ||
            may_exist(lint, &target->name))
            continue;
        r = WARN(lint, rule, rule->target_at[i],
                 "there is no %s '%s'; nothing can be attached to it",
                 target->kind == TARGET_DISPVM ? "disposable template" : "qube",
                 target->name.s);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether all targets are disposables, of which none runs before it is made. */
static bool makes_disposables(const Rule *rule)
{
    for (size_t i = 0; i < rule->n_targets; i++)
        if (rule->targets[i].kind == TARGET_QUBE)
            return false;
    return rule->n_targets > 0;
}

static int lint_start(Lint *lint, const Rule *rule)
{
    RuleOption option = rule->options.start == RULE_IF_RUNNING
                            ? RULE_OPTION_IF_RUNNING
                            : RULE_OPTION_WHEN_RUNNING;

    if (rule->options.start == RULE_START_TARGET || !makes_disposables(rule))
        return 0;
    return WARN(lint, rule, rule->target_at[0],
                "'%s' has no effect where only disposables are targets: '%s' "
                "has one made whenever it takes a device, also at boot; remove "
                "the word, or name a qube",
                rule_option_name(option), rule->name.s);
}

static bool takes_any_text(const Condition *condition)
{
    for (size_t i = 0; i < condition->n_values; i++) {
        const ConditionValue *value = &condition->values[i];
        const char *product = value->product.pattern;

        if (value->glob.pattern && strcmp(value->glob.pattern, "*") == 0 &&
            (!product || strcmp(product, "*") == 0))
            return true;
    }
    return false;
}

/* Whether the condition tells some devices from others. To ask for all disks
 * may well be meant, to allow them may not. */
static bool is_telling(const Rule *rule, const Condition *condition)
{
    if (condition->key == CONDITION_TYPE)
        return rule->action == RULE_ASK;
    return condition->negated || !takes_any_text(condition);
}

static bool tells_devices_apart(const Rule *rule)
{
    for (size_t i = 0; i < rule->n_conditions; i++)
        if (is_telling(rule, &rule->conditions[i]))
            return true;
    return false;
}

static int lint_open(Lint *lint, const Rule *rule)
{
    static const char *const all[] = {
        [RULE_CLASS_INVALID] = "",
        [RULE_CLASS_BLOCK] = "any disk",
        [RULE_CLASS_USB] = "any USB device, keyboards and mice too",
        [RULE_CLASS_ANY] = ("any disk and any USB device, keyboards and mice "
                            "too"),
    };

    return WARN(lint, rule, place_of(rule),
                "'%s' has no condition%s: it takes %s; add one, as id, serial "
                "or path",
                rule->name.s,
                rule->n_conditions > 0 ? " that tells devices apart" : "",
                all[rule->class]);
}

static bool is_content(const Condition *condition)
{
    return condition->key >= CONDITION_FS_TYPE &&
           condition->key <= CONDITION_PART_LABEL;
}

static int lint_content(Lint *lint, const Rule *rule, const RuleShape *shape)
{
    size_t i = 0;

    if (rule->action != RULE_ALLOW || (shape->needed & USB_FACETS) != 0)
        return 0;
    while (i < rule->n_conditions && !is_content(&rule->conditions[i]))
        i++;
    if (i == rule->n_conditions)
        return 0;
    return WARN(lint, rule, rule->condition_at[i],
                "'%s' allows by what is written on the disk, which anyone can "
                "forge who once wrote to it; add id, serial or path, or write "
                "'ask'",
                rule->name.s);
}

static int lint_input(Lint *lint, size_t index)
{
    const Rule *rule = rule_at(lint, index);
    size_t i;

    if (rule->action != RULE_ALLOW ||
        !rule_relations_takes_input(lint->relations, index, &i))
        return 0;
    return WARN(lint, rule,
                i < rule->n_conditions ? rule->condition_at[i] : place_of(rule),
                "'%s' takes keyboards and mice away as USB devices, without "
                "asking; add 'not interface { " RULE_KEYBOARD " " RULE_MOUSE
                " }', or write 'ask'",
                rule->name.s);
}

/* rules together */

static const char *facet_name(RuleFacet facet)
{
    static const char *const names[N_RULE_FACETS] = {
        [RULE_FACET_INTERFACES] = "interfaces",
        [RULE_FACET_KIND] = "type and partition",
        [RULE_FACET_SIZE] = "its size",
    };

    if (names[facet])
        return names[facet];
    for (size_t i = 0; i < N_CONDITION_KEYS; i++)
        if (rule_facet_of((ConditionKey) i) == facet)
            return condition_key_name((ConditionKey) i);
    return "";
}

/* Where the rule's last condition is that belongs to the facet. */
static RulePlace place_of_facet(const Rule *rule, RuleFacet facet)
{
    RulePlace place = place_of(rule);

    for (size_t i = 0; i < rule->n_conditions; i++)
        if (rule_facet_of(rule->conditions[i].key) == facet)
            place = rule->condition_at[i];
    return place;
}

/* 1 if the rule can never match. */
static int lint_never(Lint *lint, size_t index)
{
    const Rule *rule = rule_at(lint, index), *before;
    RuleFacet facet;
    int r;

    if (rule_relations_takes_none(lint->relations, index, &facet)) {
        r = WARN(lint, rule, place_of_facet(rule, facet),
                 "'%s' can never match: no device meets all that it asks of %s",
                 rule->name.s, facet_name(facet));
        return r < 0 ? r : 1;
    }

    before = rule_relations_cover(lint->relations, index);
    if (!before)
        return 0;
    r = WARN(lint, rule, place_of(rule),
             "'%s' can never match: '%s' (%s) comes first and takes all that "
             "it would; move it up, or remove it",
             rule->name.s, before->name.s, where(before, rule).s);
    return r < 0 ? r : 1;
}

static int lint_plug(Lint *lint, size_t index)
{
    const Rule *rule = rule_at(lint, index);
    const Rule *before = rule_relations_plug(lint->relations, index);

    if (!before)
        return 0;
    return WARN(lint, rule, place_of(rule),
                "'%s' and '%s' (%s) would take the same plug, one the USB "
                "device and one its disk: who comes first gets it; keep one, "
                "or tell them apart by id or serial",
                rule->name.s, before->name.s, where(before, rule).s);
}

static int lint_rule(Lint *lint, size_t index)
{
    const Rule *rule = rule_at(lint, index);
    int r = lint_sources(lint, rule);

    if (r >= 0)
        r = lint_targets(lint, rule);
    if (r >= 0)
        r = lint_never(lint, index);
    if (r != 0)
        return r;

    if (rule->action != RULE_DENY && !tells_devices_apart(rule)) {
        r = lint_open(lint, rule);
    } else {
        r = lint_content(lint, rule,
                         rule_relations_shape(lint->relations, index));
        if (r >= 0)
            r = lint_input(lint, index);
    }
    if (r >= 0)
        r = lint_start(lint, rule);
    if (r >= 0)
        r = lint_plug(lint, index);
    return r;
}

static int lint_spent(Lint *lint, const Rule *rule)
{
    if (lint->spent_told || !rule_relations_is_spent(lint->relations))
        return 0;
    lint->spent_told = true;
    return WARN(lint, rule, place_of(rule),
                "there are so many patterns that from here on rules were not "
                "all compared with each other");
}

int rule_lint(const Ruleset *ruleset,
              const RuleLintHelp *help,
              Diagnostics *diagnostics)
{
    _cleanup_(rule_relations_freep) RuleRelations *relations = NULL;
    Lint lint = { .ruleset = ruleset,
                  .help = help,
                  .diagnostics = diagnostics };
    int r;

    r = rule_relations_new(&relations, ruleset);
    lint.relations = relations;
    for (size_t i = 0; r >= 0 && i < ruleset_count(ruleset); i++) {
        size_t first = diagnostics_count(diagnostics);

        r = lint_rule(&lint, i);
        if (r >= 0)
            r = lint_spent(&lint, rule_at(&lint, i));
        diagnostics_sort(diagnostics, first);
    }
    return r < 0 ? r : 0;
}
