/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "dom0/core/glob-part.h"
#include "dom0/core/rule-search.h"

typedef struct Search {
    GlobWalk *walk;
    const RuleTerm *terms;
    size_t n_terms;
    ConditionKey key;
    bool fold;
    bool is_id;      /* values are two globs */
    size_t n_digits; /* of hex, that a glob takes; 0: it is not about hex */
} Search;

static GlobAlphabet alphabet_of(ConditionKey key)
{
    if (key == CONDITION_NAME)
        return GLOB_ALPHABET_NAME;

    switch (condition_key_form(key)) {
    case CONDITION_FORM_ID:
    case CONDITION_FORM_REVISION:
    case CONDITION_FORM_INTERFACES:
        return GLOB_ALPHABET_HEX;
    case CONDITION_FORM_UUID:
        return GLOB_ALPHABET_FOLDED;
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_TYPE:
    case CONDITION_FORM_PARTITION:
    case CONDITION_FORM_YES_NO:
    case CONDITION_FORM_SIZE:
        break;
    }
    return GLOB_ALPHABET_TEXT;
}

static size_t n_digits_of(ConditionKey key)
{
    switch (condition_key_form(key)) {
    case CONDITION_FORM_ID:
    case CONDITION_FORM_REVISION:
        return 4;
    case CONDITION_FORM_INTERFACES:
        return 6;
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
    case CONDITION_FORM_TYPE:
    case CONDITION_FORM_PARTITION:
    case CONDITION_FORM_YES_NO:
    case CONDITION_FORM_SIZE:
        break;
    }
    return 0;
}

static bool is_literal(const Search *search, const ConditionValue *value)
{
    return value->glob.literal && (!search->is_id || value->product.literal);
}

static bool value_takes(const Search *search,
                        const ConditionValue *value,
                        const ConditionValue *literal)
{
    return glob_test(&value->glob, literal->glob.literal, search->fold) &&
           (!search->is_id ||
            glob_test(&value->product, literal->product.literal, search->fold));
}

static bool term_takes(const Search *search,
                       const RuleTerm *term,
                       const ConditionValue *literal)
{
    const Condition *condition = term->condition;
    bool takes = false;

    for (size_t i = 0; i < condition->n_values && !takes; i++)
        takes = value_takes(search, &condition->values[i], literal);
    return takes != term->negated;
}

static void add_pattern(const Search *search, const ConditionValue *value)
{
    glob_walk_open(search->walk);
    glob_walk_parts(search->walk, value->glob.pattern);
    if (search->is_id) {
        glob_walk_parts(search->walk, ":");
        glob_walk_parts(search->walk, value->product.pattern);
    }
    glob_walk_close(search->walk);
}

/* Literals that the one value @base does not take make no difference. */
static void add_term(const Search *search,
                     const RuleTerm *term,
                     const ConditionValue *base)
{
    for (size_t i = 0; i < term->condition->n_values; i++) {
        const ConditionValue *value = &term->condition->values[i];

        if (!base || !is_literal(search, value) ||
            value_takes(search, base, value))
            add_pattern(search, value);
    }
    glob_walk_term(search->walk, term->negated);
}

/* What takes all texts that there are. */
static void add_universe(const Search *search)
{
    glob_walk_open(search->walk);
    for (size_t i = 0; i < search->n_digits; i++)
        glob_walk_parts(search->walk, "[!:]");
    if (search->is_id)
        glob_walk_parts(search->walk, ":[!:][!:][!:][!:]");
    if (search->n_digits == 0)
        glob_walk_parts(search->walk, "?*");
    glob_walk_close(search->walk);
    glob_walk_term(search->walk, false);
}

/* The terms but @base, of which the one value is taken, if there is one. */
static GlobFinding search_patterns(const Search *search,
                                   const RuleTerm *base,
                                   const ConditionValue *value)
{
    glob_walk_begin(search->walk, alphabet_of(search->key));
    add_universe(search);
    if (value) {
        add_pattern(search, value);
        glob_walk_term(search->walk, false);
    }
    for (size_t i = 0; i < search->n_terms; i++)
        if (&search->terms[i] != base)
            add_term(search, &search->terms[i], value);
    return glob_walk_run(search->walk);
}

/* Whether a device can have the literal. */
static bool is_possible(const Search *search, const ConditionValue *literal)
{
    const char *text = literal->glob.literal;
    DeviceName name;

    return search->key != CONDITION_NAME ||
           device_name_parse(&name, DEVICE_CLASS_BLOCK, text, strlen(text));
}

static GlobFinding search_literal(const Search *search,
                                  const RuleTerm *base,
                                  const ConditionValue *literal)
{
    if (!is_possible(search, literal))
        return GLOB_NONE;
    for (size_t i = 0; i < search->n_terms; i++)
        if (&search->terms[i] != base &&
            !term_takes(search, &search->terms[i], literal))
            return GLOB_NONE;
    return GLOB_SOME;
}

static bool has_only_literals(const Search *search, const RuleTerm *term)
{
    for (size_t i = 0; i < term->condition->n_values; i++)
        if (!is_literal(search, &term->condition->values[i]))
            return false;
    return true;
}

/* The term whose values are tried one by one: best one without patterns. NULL
 * if all are negated. */
static const RuleTerm *choose_base(const Search *search)
{
    const RuleTerm *base = NULL;

    for (size_t i = 0; i < search->n_terms; i++) {
        const RuleTerm *term = &search->terms[i];

        if (term->negated)
            continue;
        if (has_only_literals(search, term))
            return term;
        if (!base)
            base = term;
    }
    return base;
}

/* Characters to stand for a part of a pattern: those of hex numbers first, then
 * others of names, then others. */
static const char stand_ins[] = "0123456789abcdefghijklmnopqrstuvwxyz-"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ_ .:/";

/* How many of them are of the alphabet. */
static size_t n_stand_ins(const Search *search)
{
    switch (alphabet_of(search->key)) {
    case GLOB_ALPHABET_HEX:
        return 16;
    case GLOB_ALPHABET_NAME:
        return 37;
    case GLOB_ALPHABET_TEXT:
    case GLOB_ALPHABET_FOLDED:
        break;
    }
    return sizeof(stand_ins) - 1;
}

/* A text, hardly longer than it must be, that the pattern takes; false if none
 * is found at once. */
static bool make_sample(const Search *search,
                        const char *pattern,
                        size_t len_min,
                        char ret[GLOB_MAX + 1])
{
    const char *next;
    GlobPart part;
    bool open;
    size_t n = glob_min_length(pattern, &open), len = 0;

    for (; (next = glob_next_part(&part, pattern)); pattern = next) {
        size_t i = 0;

        switch (part.kind) {
        case GLOB_PART_CHAR:
            pattern += *pattern == '\\';
            memcpy(ret + len, pattern, (size_t) (next - pattern));
            len += (size_t) (next - pattern);
            break;
        case GLOB_PART_ANY:
        case GLOB_PART_SET:
            while (i < n_stand_ins(search) &&
                   !glob_part_takes(&part, (unsigned char) stand_ins[i],
                                    search->fold))
                i++;
            if (i == n_stand_ins(search))
                return false;
            ret[len++] = stand_ins[i];
            break;
        case GLOB_PART_STAR:
            for (; n < len_min; n++)
                ret[len++] = stand_ins[0];
            break;
        }
    }
    ret[len] = '\0';
    return true;
}

/* Most patterns that have something in common show it by their first text. */
static bool finds_sample(const Search *search,
                         const RuleTerm *base,
                         const ConditionValue *value)
{
    char text[GLOB_MAX + 1], product[GLOB_MAX + 1];
    const ConditionValue sample = { .glob.literal = text,
                                    .product.literal = product };
    size_t len_min = search->n_digits > 0 ? search->n_digits : 1;

    return make_sample(search, value->glob.pattern, len_min, text) &&
           (!search->is_id ||
            make_sample(search, value->product.pattern, len_min, product)) &&
           search_literal(search, base, &sample) == GLOB_SOME;
}

static GlobFinding search_value(const Search *search,
                                const RuleTerm *base,
                                const ConditionValue *value)
{
    if (!glob_walk_spend(search->walk))
        return GLOB_UNKNOWN;
    if (is_literal(search, value))
        return search_literal(search, base, value);
    if (finds_sample(search, base, value))
        return GLOB_SOME;
    return search_patterns(search, base, value);
}

static GlobFinding search_base(const Search *search, const RuleTerm *base)
{
    GlobFinding finding = GLOB_NONE;

    for (size_t i = 0; i < base->condition->n_values; i++) {
        const ConditionValue *value = &base->condition->values[i];
        GlobFinding one = search_value(search, base, value);

        if (one == GLOB_SOME)
            return GLOB_SOME;
        if (one == GLOB_UNKNOWN)
            finding = GLOB_UNKNOWN;
    }
    return finding;
}

GlobFinding rule_search_value(GlobWalk *walk,
                              const RuleTerm *terms,
                              size_t n_terms)
{
    ConditionKey key = terms[0].condition->key;
    const Search search = {
        .walk = walk,
        .terms = terms,
        .n_terms = n_terms,
        .key = key,
        .fold = condition_key_folds(key),
        .is_id = condition_key_form(key) == CONDITION_FORM_ID,
        .n_digits = n_digits_of(key),
    };
    const RuleTerm *base;

    assert(n_terms > 0);

    if (n_terms > RULE_TERMS_MAX)
        return GLOB_UNKNOWN;
    base = choose_base(&search);
    return base ? search_base(&search, base)
                : search_patterns(&search, NULL, NULL);
}
