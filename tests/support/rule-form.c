/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "tests/support/rule-form.h"
#include "dom0/core/rule-condition.h"
#include "tests/support/unicode.h"

#define DEFAULT_TIMEOUT_SECONDS 120U

#define WORD_ENDS " \t\n#{}"
#define NAME_ENDS WORD_ENDS ":"

/* of a list, and its brace */
#define WORDS_MAX 257U

typedef enum Kind {
    KIND_PATTERN,
    KIND_FOLDED, /* a pattern without regard to case */
    KIND_ID,
    KIND_TYPE,
    KIND_YES_NO,
    KIND_NUMBER,
} Kind;

static const struct {
    const char *name;
    Kind kind;
} keys[N_CONDITION_KEYS] = {
    [CONDITION_ID] = { "id", KIND_ID },
    [CONDITION_SERIAL] = { "serial", KIND_PATTERN },
    [CONDITION_VENDOR] = { "vendor", KIND_PATTERN },
    [CONDITION_MODEL] = { "model", KIND_PATTERN },
    [CONDITION_REVISION] = { "revision", KIND_FOLDED },
    [CONDITION_PATH] = { "path", KIND_PATTERN },
    [CONDITION_INTERFACE] = { "interface", KIND_FOLDED },
    [CONDITION_ONLY_INTERFACE] = { "only-interface", KIND_FOLDED },
    [CONDITION_NAME] = { "name", KIND_PATTERN },
    [CONDITION_TYPE] = { "type", KIND_TYPE },
    [CONDITION_PARTITION] = { "partition", KIND_NUMBER },
    [CONDITION_FS_TYPE] = { "fs-type", KIND_PATTERN },
    [CONDITION_FS_UUID] = { "fs-uuid", KIND_FOLDED },
    [CONDITION_FS_LABEL] = { "fs-label", KIND_PATTERN },
    [CONDITION_PART_UUID] = { "part-uuid", KIND_FOLDED },
    [CONDITION_PART_LABEL] = { "part-label", KIND_PATTERN },
    [CONDITION_REMOVABLE] = { "removable", KIND_YES_NO },
    [CONDITION_MIN_SIZE] = { "min-size", KIND_NUMBER },
    [CONDITION_MAX_SIZE] = { "max-size", KIND_NUMBER },
};

static const char *const actions
    [] = { [RULE_DENY] = "deny", [RULE_ASK] = "ask", [RULE_ALLOW] = "allow" };
static const char *const classes[] = { [RULE_CLASS_INVALID] = "",
                                       [RULE_CLASS_BLOCK] = "block",
                                       [RULE_CLASS_USB] = "usb",
                                       [RULE_CLASS_ANY] = "any" };

/* words */

typedef struct Word {
    Bytes text; /* as written, with each '\', between the quotes */
    bool quoted;
} Word;

/* One word of a line, which is all lines that are joined. */
typedef struct Reader {
    Bytes at; /* behind the word; at its end, the line's */
    Word word;
    bool more; /* there is one */
} Reader;

static bool is_join(Bytes at)
{
    return bytes_begin(at, "\\\n");
}

/* Go to the next word; unless it is quoted, it ends before one of @ends. */
static void advance(Reader *reader, const char *ends)
{
    Bytes at = reader->at;
    size_t len = 0;
    bool quoted;

    while (at.len > 0 && (*at.start == ' ' || *at.start == '\t' || is_join(at)))
        at = bytes_behind(at, is_join(at) ? 2 : 1);
    reader->at = at;
    reader->more = at.len > 0 && *at.start != '\n' && *at.start != '#';
    if (!reader->more)
        return;

    quoted = *at.start == '"';
    if (quoted)
        at = bytes_behind(at, 1);
    while (len < at.len && !strchr(quoted ? "\"" : ends, at.start[len]) &&
           !is_join(bytes_behind(at, len)))
        len += at.start[len] == '\\' && len + 1 < at.len ? 2 : 1;
    /* a brace, or the colon */
    if (len == 0 && !quoted)
        len = 1;
    reader->word = (Word){ { at.start, len }, quoted };
    reader->at = bytes_behind(at, quoted && len < at.len ? len + 1 : len);
}

static bool is_at(const Reader *reader, const char *word)
{
    return reader->more && !reader->word.quoted &&
           bytes_are(reader->word.text, word);
}

static bool take(Reader *reader, const char *word)
{
    bool there = is_at(reader, word);

    if (there)
        advance(reader, WORD_ENDS);
    return there;
}

/* What stands there, whatever it is. */
static Bytes take_any(Reader *reader)
{
    Bytes text = reader->more ? reader->word.text : (Bytes){ "", 0 };

    advance(reader, WORD_ENDS);
    return text;
}

/* One, or those between braces; their number. */
static size_t take_list(Reader *reader, Bytes ret[static WORDS_MAX])
{
    size_t n = 0;

    if (!take(reader, "{")) {
        ret[0] = take_any(reader);
        return 1;
    }
    while (reader->more && n < WORDS_MAX && !is_at(reader, "}"))
        ret[n++] = take_any(reader);
    return take(reader, "}") ? n : SIZE_MAX;
}

/* patterns */

/* A part of a pattern: '*', '?', the '[' and ']' of a set, '!' for the '[!' of
 * one, '\0' for the end, or 'c': all characters from the first to the last. */
typedef struct Part {
    char kind;
    uint32_t first, last;
} Part;

static uint32_t take_char(Bytes *text)
{
    uint32_t c = UINT32_MAX;
    size_t len = unicode_first(&c, *text);

    *text = bytes_behind(*text, len > 0 ? len : text->len);
    return c;
}

static uint32_t take_quoted(Bytes *text)
{
    if (text->len > 1 && *text->start == '\\')
        *text = bytes_behind(*text, 1);
    return take_char(text);
}

static bool is_upper(uint32_t c)
{
    return c >= 'A' && c <= 'Z';
}

static Part take_range(Bytes *text, bool in_set, bool fold)
{
    Part part = { .kind = 'c' };

    part.first = part.last = take_quoted(text);
    if (in_set && bytes_begin(*text, "-") && !bytes_begin(*text, "-]")) {
        *text = bytes_behind(*text, 1);
        part.last = take_quoted(text);
    }
    if (fold && is_upper(part.first) && is_upper(part.last)) {
        part.first += 'a' - 'A';
        part.last += 'a' - 'A';
    }
    return part;
}

static Part take_part(Bytes *text, bool *in_set, bool fold)
{
    const char kind = text->len > 0 ? *text->start : '\0';

    if (kind != '\0' && !strchr(*in_set ? "]" : "*?[", kind))
        return take_range(text, *in_set, fold);
    *in_set = kind == '[';
    if (kind != '\0')
        *text = bytes_behind(*text, 1);
    while (kind == '*' && bytes_begin(*text, "*"))
        *text = bytes_behind(*text, 1);
    if (!*in_set || !bytes_begin(*text, "!"))
        return (Part){ .kind = kind };
    *text = bytes_behind(*text, 1);
    return (Part){ .kind = '!' };
}

/* The pattern has the same parts; if these are all characters, these are the
 * text that it stands for. */
static bool is_glob(Bytes written, const Glob *glob, bool fold)
{
    const char *only = glob->literal ? glob->literal : "";
    Bytes pattern = { glob->pattern, strlen(glob->pattern) };
    Bytes literal = { only, strlen(only) };
    bool in_set = false, pattern_in_set = false, plain = true;

    for (;;) {
        Part part = take_part(&written, &in_set, fold);
        Part other = take_part(&pattern, &pattern_in_set, fold);

        if (part.kind != other.kind || part.first != other.first ||
            part.last != other.last)
            return false;
        if (part.kind == '\0')
            break;
        plain = plain && part.kind == 'c';
        if (plain && glob->literal && take_char(&literal) != part.first)
            return false;
    }
    return plain == (glob->literal != NULL) && literal.len == 0;
}

/* conditions */

static uint64_t take_number(Bytes *text)
{
    uint64_t number = 0;

    while (text->len > 0 && *text->start >= '0' && *text->start <= '9') {
        number = number * 10 + (uint64_t) (*text->start - '0');
        *text = bytes_behind(*text, 1);
    }
    return number;
}

/* 16G */
static bool is_number(Bytes text, int64_t number)
{
    static const char *const units[] = { "", "K", "M", "G", "T" };
    uint64_t wanted = take_number(&text);

    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (bytes_are(text, units[i]))
            return (uint64_t) number == wanted << (10 * i);
    return false;
}

static bool is_value(Bytes text, ConditionKey key, const ConditionValue *value)
{
    Bytes product;

    switch (keys[key].kind) {
    case KIND_PATTERN:
        return is_glob(text, &value->glob, false);
    case KIND_FOLDED:
        return is_glob(text, &value->glob, true);
    case KIND_ID:
        text = bytes_before(text, ':', &product);
        return is_glob(text, &value->glob, true) &&
               is_glob(product, &value->product, true);
    case KIND_TYPE:
        return bytes_are(text, value->number == DEVICE_TYPE_DISK ? "disk"
                               : value->number == DEVICE_TYPE_PARTITION
                                   ? "partition"
                                   : "");
    case KIND_YES_NO:
        return bytes_are(text, value->number ? "yes" : "no");
    case KIND_NUMBER:
        return is_number(text, value->number);
    }
    return false;
}

/* N_CONDITION_KEYS if there is none */
static size_t take_key(Reader *reader)
{
    size_t key = 0;

    while (key < N_CONDITION_KEYS && !take(reader, keys[key].name))
        key++;
    return key;
}

static bool is_condition(Reader *reader,
                         const Condition *condition,
                         size_t key,
                         bool negated)
{
    Bytes values[WORDS_MAX];

    if (condition->key != key || condition->negated != negated ||
        condition->n_values != take_list(reader, values))
        return false;
    for (size_t i = 0; i < condition->n_values; i++)
        if (!is_value(values[i], condition->key, &condition->values[i]))
            return false;
    return true;
}

static bool are_conditions(Reader *reader, const Rule *rule)
{
    for (size_t n = 0;; n++) {
        bool negated = take(reader, "not");
        size_t key = take_key(reader);

        if (key == N_CONDITION_KEYS)
            return n == rule->n_conditions && !negated;
        if (n == rule->n_conditions ||
            !is_condition(reader, &rule->conditions[n], key, negated))
            return false;
    }
}

/* Without them allow and ask mean whole disks. */
static bool means_parts(const Rule *rule)
{
    bool told = false;

    for (size_t i = 0; i < rule->n_conditions; i++)
        told |= rule->conditions[i].key == CONDITION_TYPE ||
                rule->conditions[i].key == CONDITION_PARTITION;
    return told || rule->action == RULE_DENY || rule->class == RULE_CLASS_USB;
}

/* qubes */

static bool are_sources(Reader *reader, const Rule *rule)
{
    Bytes names[WORDS_MAX];

    if (!take(reader, "from"))
        return rule->n_sources == 0;
    if (take_list(reader, names) != rule->n_sources)
        return false;
    for (size_t i = 0; i < rule->n_sources; i++)
        if (!bytes_are(names[i], rule->sources[i].s))
            return false;
    return true;
}

static bool is_target(Bytes name, const Target *target)
{
    TargetKind kind = TARGET_QUBE;

    if (bytes_begin(name, "@dispvm:")) {
        kind = TARGET_DISPVM;
        name = bytes_behind(name, strlen("@dispvm:"));
    } else if (bytes_are(name, "@dispvm")) {
        kind = TARGET_DISPVM_DEFAULT;
        name.len = 0;
    }
    return target->kind == kind && bytes_are(name, target->name.s);
}

static bool are_targets(Reader *reader, const Rule *rule)
{
    Bytes names[WORDS_MAX];

    if (!take(reader, "to"))
        return rule->n_targets == 0;
    if (take_list(reader, names) != rule->n_targets)
        return false;
    for (size_t i = 0; i < rule->n_targets; i++)
        if (!is_target(names[i], &rule->targets[i]))
            return false;
    return true;
}

/* options */

static uint64_t seconds_of(Bytes text)
{
    uint64_t number = take_number(&text);

    return bytes_are(text, "h")   ? number * 3600
           : bytes_are(text, "m") ? number * 60
                                  : number;
}

static bool are_options(Reader *reader, const RuleOptions *options)
{
    bool read_only = false, cdrom = false, quiet = false, close = false;
    uint64_t seconds = DEFAULT_TIMEOUT_SECONDS;
    RuleStart start = RULE_START_TARGET;
    Bytes frontend = { "", 0 };

    while (reader->more) {
        if (take(reader, "read-only"))
            read_only = true;
        else if (take(reader, "cdrom"))
            cdrom = true;
        else if (take(reader, "quiet"))
            quiet = true;
        else if (take(reader, "close"))
            close = true;
        else if (take(reader, "if-running"))
            start = RULE_IF_RUNNING;
        else if (take(reader, "when-running"))
            start = RULE_WHEN_RUNNING;
        else if (take(reader, "frontend"))
            frontend = take_any(reader);
        else if (take(reader, "timeout"))
            seconds = seconds_of(take_any(reader));
        else
            return false;
    }
    return options->read_only == read_only && options->cdrom == cdrom &&
           options->quiet == quiet && options->close == close &&
           options->start == start && bytes_are(frontend, options->frontend) &&
           options->timeout_usec == seconds * 1000000;
}

/* rules */

/* From its name, to the end of its line. */
static bool is_rule(Reader *reader, const Rule *rule)
{
    if (!is_at(reader, rule->name.s))
        return false;
    advance(reader, NAME_ENDS);
    return take(reader, ":") && take(reader, actions[rule->action]) &&
           take(reader, classes[rule->class]) && are_conditions(reader, rule) &&
           are_sources(reader, rule) && are_targets(reader, rule) &&
           are_options(reader, &rule->options) &&
           rule->whole_disks == !means_parts(rule);
}

/* The line of what is at @at, counted on from @from, which is in line @line. */
static unsigned int line_of(Bytes at, Bytes from, unsigned int line)
{
    for (; from.start < at.start; from = bytes_behind(from, 1))
        line += *from.start == '\n';
    return line;
}

bool form_are_rules(const Ruleset *ruleset, Bytes file)
{
    Reader reader = { .at = file };
    unsigned int line = 1;
    size_t n = 0;

    while (reader.at.len > 0) {
        const Bytes before = reader.at;

        advance(&reader, NAME_ENDS);
        if (reader.more) {
            const Rule *rule;

            if (n == ruleset_count(ruleset))
                return false;
            rule = ruleset_get(ruleset, n++);
            if (rule->line != line_of(reader.word.text, before, line) ||
                !is_rule(&reader, rule))
                return false;
        }
        (void) bytes_before(reader.at, '\n', &reader.at);
        line = line_of(reader.at, before, line);
    }
    return n == ruleset_count(ruleset);
}
