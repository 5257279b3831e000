/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-condition.h"
#include "dom0/core/rule-words.h"
#include "dom0/core/rule.h"

/* a longer word is no slip of the fingers */
#define SUGGEST_WORD_MAX 20U

typedef struct KnownWord {
    const char *name;
    RuleWordKind kind;
    unsigned int value;
} KnownWord;

/* all but the conditions, whose names rule-condition knows */
static const KnownWord known_words[] = {
    { "allow", RULE_WORD_ACTION, RULE_ALLOW },
    { "ask", RULE_WORD_ACTION, RULE_ASK },
    { "deny", RULE_WORD_ACTION, RULE_DENY },
    { "block", RULE_WORD_CLASS, RULE_CLASS_BLOCK },
    { "usb", RULE_WORD_CLASS, RULE_CLASS_USB },
    { "any", RULE_WORD_CLASS, RULE_CLASS_ANY },
    { "not", RULE_WORD_NOT, 0 },
    { "from", RULE_WORD_FROM, 0 },
    { "to", RULE_WORD_TO, 0 },
    { "read-only", RULE_WORD_OPTION, RULE_OPTION_READ_ONLY },
    { "frontend", RULE_WORD_OPTION, RULE_OPTION_FRONTEND },
    { "cdrom", RULE_WORD_OPTION, RULE_OPTION_CDROM },
    { "if-running", RULE_WORD_OPTION, RULE_OPTION_IF_RUNNING },
    { "when-running", RULE_WORD_OPTION, RULE_OPTION_WHEN_RUNNING },
    { "timeout", RULE_WORD_OPTION, RULE_OPTION_TIMEOUT },
    { "quiet", RULE_WORD_OPTION, RULE_OPTION_QUIET },
    { "close", RULE_WORD_OPTION, RULE_OPTION_CLOSE },
};

/* What people write who know other tools, and what it is called here. */
static const struct {
    const char *other;
    const char *ours;
} other_words[] = {
    { "permit", "allow" },
    { "accept", "allow" },
    { "yes", "allow" },
    { "prompt", "ask" },
    { "confirm", "ask" },
    { "reject", "deny" },
    { "refuse", "deny" },
    { "no", "deny" },
    { "disk", "block" },
    { "all", "any" },
    { "*", "any" },
    { "!", "not" },
    { "source", "from" },
    { "backend", "from" },
    { "target", "to" },
    { "into", "to" },
    { "->", "to" },
    { "vid", "id" },
    { "idVendor", "id" },
    { "product", "model" },
    { "manufacturer", "vendor" },
    { "port", "path" },
    { "kernel", "name" },
    { "device", "name" },
    { "devtype", "type" },
    { "uuid", "fs-uuid" },
    { "label", "fs-label" },
    { "filesystem", "fs-type" },
    { "size", "min-size" },
    { "ro", "read-only" },
    { "frontend-dev", "frontend" },
    { "silent", "quiet" },
    { "with-interface", "interface" },
};

/* This is asked of nearly every word of a file: most differ at once. */
static bool is_word(const char *name, const char *text, size_t len)
{
    return name[0] == text[0] && strncmp(name, text, len) == 0 &&
           name[len] == '\0';
}

RuleWord rule_word_find(const char *text, size_t len)
{
    /* most values are none of them, and begin with a digit or a capital */
    if (len == 0 || text[0] < 'a' || text[0] > 'z')
        return (RuleWord){};

    for (size_t i = 0; i < ARRAY_SIZE(known_words); i++) {
        const KnownWord *known = &known_words[i];

        if (is_word(known->name, text, len))
            return (RuleWord){ known->kind, known->value };
    }
    for (unsigned int i = 0; i < N_CONDITION_KEYS; i++) {
        const char *name = condition_key_name((ConditionKey) i);

        if (is_word(name, text, len))
            return (RuleWord){ RULE_WORD_CONDITION, i };
    }
    return (RuleWord){};
}

bool rule_word_is_reserved(RuleWord word)
{
    return word.kind != RULE_WORD_OTHER;
}

bool rule_word_begins_part(RuleWord word)
{
    return word.kind >= RULE_WORD_NOT;
}

const char *rule_option_name(RuleOption option)
{
    for (size_t i = 0; i < ARRAY_SIZE(known_words); i++)
        if (known_words[i].kind == RULE_WORD_OPTION &&
            known_words[i].value == (unsigned int) option)
            return known_words[i].name;
    return NULL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

/* How many characters must be put in, taken out, replaced or swapped with
 * their neighbour, to make one word of the other. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][SUGGEST_WORD_MAX + 1] = {};
    size_t *older = rows[0], *old = rows[1], *now = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        old[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *free_row = older;

        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = lower(a[i - 1]) == b[j - 1];

            now[j] =
                min3(old[j] + 1, now[j - 1] + 1, old[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && lower(a[i - 1]) == b[j - 2] &&
                lower(a[i - 2]) == b[j - 1])
                now[j] = min3(now[j], older[j - 2] + 1, now[j]);
        }
        older = old;
        old = now;
        now = free_row;
    }
    return old[b_len];
}

/* The better of @best and @name, as what was meant by @text. */
static const char *nearer(const char *best,
                          size_t *best_distance,
                          const char *name,
                          const char *text,
                          size_t len)
{
    size_t d = distance(text, len, name, strlen(name));

    if (d >= *best_distance)
        return best;
    *best_distance = d;
    return name;
}

static const char *translate(const char *text, size_t len, unsigned int kinds)
{
    for (size_t i = 0; i < ARRAY_SIZE(other_words); i++) {
        const char *other = other_words[i].other, *ours = other_words[i].ours;

        if (is_word(other, text, len) &&
            (kinds & 1U << rule_word_find(ours, strlen(ours)).kind) != 0)
            return ours;
    }
    return NULL;
}

const char *rule_word_suggest(const char *text, size_t len, unsigned int kinds)
{
    /* a third of the word may be wrong, at most two characters */
    size_t limit = len <= 2 ? 1 : (len <= 5 ? 2 : 3);
    const char *best;

    if (len == 0 || len > SUGGEST_WORD_MAX)
        return NULL;
    best = translate(text, len, kinds);
    if (best)
        return best;

    for (size_t i = 0; i < ARRAY_SIZE(known_words); i++)
        if ((kinds & 1U << known_words[i].kind) != 0)
            best = nearer(best, &limit, known_words[i].name, text, len);
    for (size_t i = 0; i < N_CONDITION_KEYS; i++)
        if ((kinds & 1U << RULE_WORD_CONDITION) != 0)
            best = nearer(best, &limit, condition_key_name((ConditionKey) i),
                          text, len);
    return best;
}
