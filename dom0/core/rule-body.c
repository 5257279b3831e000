/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "dom0/core/rule-cursor.h"
#include "dom0/core/rule-value.h"

/* The order of what follows the class. */
typedef enum BodyStage {
    BODY_CONDITIONS,
    BODY_FROM,
    BODY_TO,
    BODY_OPTIONS,
} BodyStage;

#define BODY_WORDS                                                            \
    (1U << RULE_WORD_NOT | 1U << RULE_WORD_CONDITION | 1U << RULE_WORD_FROM | \
     1U << RULE_WORD_TO | 1U << RULE_WORD_OPTION)

typedef struct Body {
    RuleCursor *cursor;
    RuleReport *report;
    RuleDraft *draft;
    BodyStage stage;
    bool order_told;
    ConditionKey key; /* of the condition that is being read */
    bool takes_types; /* 'partition' is a value now */
} Body;

/*
 * Take one value or qube; what is wrong with it is reported. False if the list
 * is full, then the rest of the line is not read.
 */
typedef bool (*AddFn)(Body *body, const RuleToken *token);

static void enter_stage(Body *body, BodyStage stage)
{
    static const char *const places[] = {
        [BODY_CONDITIONS] = "conditions come before 'from', 'to' and options",
        [BODY_FROM] = "'from' comes before 'to' and the options",
        [BODY_TO] = "'to' comes before the options",
        [BODY_OPTIONS] = "",
    };

    if (stage >= body->stage) {
        body->stage = stage;
        return;
    }
    if (!body->order_told)
        RULE_REPORT(body->report, &body->cursor->token,
                    "%s; the order is: conditions, from, to, options",
                    places[stage]);
    body->order_told = true;
}

static bool means_any_source(const Body *body, const RuleToken *key)
{
    RuleWord word = rule_cursor_word(body->cursor);

    return rule_word_find(key->text, key->len).kind == RULE_WORD_FROM &&
           word.kind == RULE_WORD_CLASS && word.value == RULE_CLASS_ANY;
}

/* The word @key has no value; a name or a value may be quoted. */
static void report_missing(Body *body, const RuleToken *key, const char *what)
{
    const RuleToken *at = &body->cursor->token;
    const char *hint = "";

    if (rule_cursor_at_end(body->cursor) && at->has_comment)
        hint = "; '#' begins a comment, put it into quotes if it is meant";
    else if (means_any_source(body, key))
        hint = "; for any source leave 'from' out";
    else if (rule_word_is_reserved(rule_cursor_word(body->cursor)))
        hint = "; put the word into quotes if it is meant itself";
    RULE_REPORT(body->report, at, "%s needs %s %s%s", rule_show(key).s, what,
                rule_show_place(at).s, hint);
}

/* Whether what stands there can begin the next part of the rule, when a value
 * is missing before it; else it may be the value itself. */
static bool is_next_part(const Body *body)
{
    RuleWordKind kind = rule_cursor_word(body->cursor).kind;

    return kind == RULE_WORD_FROM || kind == RULE_WORD_TO;
}

static bool is_value(const Body *body)
{
    RuleTokenKind kind = body->cursor->token.kind;
    RuleWord word = rule_cursor_word(body->cursor);

    if (kind == RULE_TOKEN_QUOTED)
        return true;
    if (body->takes_types && word.kind == RULE_WORD_CONDITION &&
        word.value == CONDITION_PARTITION)
        return true;
    return kind == RULE_TOKEN_WORD && !rule_word_is_reserved(word);
}

/* One of several between braces. */
static bool parse_list_item(Body *body, const RuleToken *open, AddFn add)
{
    const RuleToken *token = &body->cursor->token;

    if (rule_cursor_is_bad(body->cursor))
        return false;
    if (rule_cursor_at_end(body->cursor)) {
        RULE_REPORT(body->report, open,
                    "this '{' has no '}'; write one after the last value");
        return false;
    }
    if (token->kind == RULE_TOKEN_OPEN) {
        RULE_REPORT(body->report, token,
                    "a '{' within '{ }'; put all values into one pair, and a "
                    "value that has a brace into quotes");
        return false;
    }
    if (!is_value(body)) {
        RULE_REPORT(body->report, token,
                    "the '}' before %s is missing; if the word itself is "
                    "meant, put it into quotes",
                    rule_show(token).s);
        return false;
    }
    if (!add(body, token))
        return false;
    rule_cursor_advance(body->cursor);
    return true;
}

/* `x` or `{ x y }`; @what is what there must be one of. */
static bool parse_list(Body *body,
                       const RuleToken *key,
                       const char *what,
                       AddFn add)
{
    RuleCursor *cursor = body->cursor;
    RuleToken open = cursor->token;

    if (rule_cursor_is_bad(cursor))
        return false;
    if (open.kind != RULE_TOKEN_OPEN) {
        if (!is_value(body)) {
            report_missing(body, key, what);
            return is_next_part(body) || rule_cursor_at_end(cursor);
        }
        if (!add(body, &open))
            return false;
        rule_cursor_advance(cursor);
        return true;
    }

    rule_cursor_advance(cursor);
    if (cursor->token.kind == RULE_TOKEN_CLOSE)
        RULE_REPORT(body->report, &cursor->token,
                    "%s needs %s between '{' and '}'", rule_show(key).s, what);
    while (cursor->token.kind != RULE_TOKEN_CLOSE)
        if (!parse_list_item(body, &open, add))
            return false;
    rule_cursor_advance(cursor);
    return true;
}

/* A comma where values are meant to be separated would be part of the value,
 * which then fits no device: a `deny` would deny nothing. */
static bool has_bare_comma(const RuleToken *token, size_t *ret_offset)
{
    if (token->kind != RULE_TOKEN_WORD)
        return false;
    for (size_t i = 0; i < token->len; i++) {
        *ret_offset = i;
        if (token->text[i] == ',')
            return true;
        if (token->text[i] == '\\')
            i++;
    }
    return false;
}

static bool add_value(Body *body, const RuleToken *token)
{
    RuleDraft *draft = body->draft;
    size_t offset;

    if (draft->n_values == CONDITION_VALUES_MAX) {
        RULE_REPORT(body->report, token,
                    "a condition has at most %u values; write a second rule, "
                    "or a pattern",
                    CONDITION_VALUES_MAX);
        return false;
    }
    if (has_bare_comma(token, &offset)) {
        RULE_REPORT_INSIDE(body->report, token, offset,
                           "only blanks separate values, remove the ','; "
                           "several are written { A B }, and a value with a "
                           "',' in it goes into quotes");
        return true;
    }
    if (rule_value_parse(&draft->values[draft->n_values], body->key, token,
                         body->cursor->arena, body->report))
        draft->n_values++;
    return true;
}

static bool parse_condition(Body *body, bool negated, ConditionKey key)
{
    RuleCursor *cursor = body->cursor;
    RuleDraft *draft = body->draft;
    RuleToken at = cursor->token;
    Condition *condition;

    if (draft->n_conditions == RULE_CONDITIONS_MAX) {
        RULE_REPORT(body->report, &at, "a rule has at most %u conditions",
                    RULE_CONDITIONS_MAX);
        return false;
    }

    body->key = key;
    body->takes_types = key == CONDITION_TYPE;
    draft->n_values = 0;
    rule_cursor_advance(cursor);
    if (cursor->token.kind == RULE_TOKEN_OPEN &&
        condition_key_form(key) == CONDITION_FORM_SIZE) {
        RULE_REPORT(body->report, &cursor->token,
                    "%s takes one size, without '{ }'", rule_show(&at).s);
        return false;
    }
    if (!parse_list(body, &at, "a value", add_value))
        return false;

    condition = &draft->conditions[draft->n_conditions];
    *condition = (Condition){
        .key = key,
        .negated = negated,
        .values = rule_arena_copy(cursor->arena, draft->values, draft->n_values,
                                  sizeof(draft->values[0])),
        .n_values = draft->n_values,
    };
    if (!condition->values)
        body->report->r = -ENOMEM;
    draft->condition_at[draft->n_conditions++] = at;
    return true;
}

static bool parse_not(Body *body)
{
    RuleCursor *cursor = body->cursor;
    RuleWord word;

    rule_cursor_advance(cursor);
    word = rule_cursor_word(cursor);
    if (word.kind == RULE_WORD_CONDITION)
        return parse_condition(body, true, (ConditionKey) word.value);
    if (rule_cursor_is_bad(cursor))
        return false;

    if (word.kind == RULE_WORD_NOT)
        RULE_REPORT(body->report, &cursor->token,
                    "'not' is given twice; remove both or one");
    else
        RULE_REPORT(body->report, &cursor->token,
                    "'not' needs a condition %s, as 'not serial 0123'",
                    rule_show_place(&cursor->token).s);
    return false;
}

static bool add_source(Body *body, const RuleToken *token)
{
    RuleDraft *draft = body->draft;
    QubeName source;

    if (!rule_source_parse(&source, token, body->report))
        return true;
    for (size_t i = 0; i < draft->n_sources; i++)
        if (qube_name_equal(&draft->sources[i], &source)) {
            RULE_REPORT(body->report, token, "%s is given twice; remove one",
                        rule_show(token).s);
            return true;
        }
    if (draft->n_sources == RULE_NAMES_MAX) {
        RULE_REPORT(body->report, token, "a rule has at most %u sources",
                    RULE_NAMES_MAX);
        return false;
    }
    draft->source_at[draft->n_sources] = *token;
    draft->sources[draft->n_sources++] = source;
    return true;
}

static bool add_target(Body *body, const RuleToken *token)
{
    RuleDraft *draft = body->draft;
    Target target;

    if (!rule_target_parse(&target, token, body->report)) {
        draft->targets_refused = true;
        return true;
    }
    for (size_t i = 0; i < draft->n_targets; i++)
        if (target_equal(&draft->targets[i], &target)) {
            RULE_REPORT(body->report, token, "%s is given twice; remove one",
                        rule_show(token).s);
            return true;
        }
    if (draft->n_targets == RULE_NAMES_MAX) {
        RULE_REPORT(body->report, token, "a rule has at most %u targets",
                    RULE_NAMES_MAX);
        return false;
    }
    draft->target_at[draft->n_targets] = *token;
    draft->targets[draft->n_targets++] = target;
    return true;
}

static bool parse_qubes(Body *body, BodyStage stage)
{
    bool to = stage == BODY_TO;
    RuleToken *at = to ? &body->draft->to_at : &body->draft->from_at;

    if (rule_token_is_set(at))
        RULE_REPORT(body->report, &body->cursor->token,
                    "%s is given twice; put all qubes into one '{ }'",
                    rule_show(at).s);
    else
        enter_stage(body, stage);

    *at = body->cursor->token;
    body->takes_types = false;
    rule_cursor_advance(body->cursor);
    return parse_list(body, at, "a qube", to ? add_target : add_source);
}

/* The one value that an option takes. */
static bool parse_option_value(Body *body,
                               RuleOption option,
                               const RuleToken *at)
{
    RuleCursor *cursor = body->cursor;
    RuleOptions *options = &body->draft->options;

    body->takes_types = false;
    if (rule_cursor_is_bad(cursor))
        return false;
    if (!is_value(body)) {
        RULE_REPORT(body->report, &cursor->token, "%s needs %s %s",
                    rule_show(at).s,
                    option == RULE_OPTION_TIMEOUT ? "a time, as 90s,"
                                                  : "a name, as xvdi,",
                    rule_show_place(&cursor->token).s);
        return rule_cursor_at_part(cursor) || rule_cursor_at_end(cursor);
    }

    /* what is wrong has been reported, and the line goes on behind it */
    if (option == RULE_OPTION_TIMEOUT)
        rule_timeout_parse(&options->timeout_usec, &cursor->token,
                           body->report);
    else
        rule_frontend_parse(options->frontend, &cursor->token, body->report);
    rule_cursor_advance(cursor);
    return true;
}

static bool parse_option(Body *body, RuleOption option)
{
    RuleOptions *options = &body->draft->options;
    RuleToken at = body->cursor->token;

    if (rule_token_is_set(&body->draft->option_at[option]))
        RULE_REPORT(body->report, &at, "%s is given twice; remove one",
                    rule_show(&at).s);
    body->draft->option_at[option] = at;
    rule_cursor_advance(body->cursor);

    switch (option) {
    case RULE_OPTION_READ_ONLY:
        options->read_only = true;
        break;
    case RULE_OPTION_CDROM:
        options->cdrom = true;
        break;
    case RULE_OPTION_IF_RUNNING:
        options->start = RULE_IF_RUNNING;
        break;
    case RULE_OPTION_WHEN_RUNNING:
        options->start = RULE_WHEN_RUNNING;
        break;
    case RULE_OPTION_QUIET:
        options->quiet = true;
        break;
    case RULE_OPTION_CLOSE:
        options->close = true;
        break;
    case RULE_OPTION_FRONTEND:
    case RULE_OPTION_TIMEOUT:
        return parse_option_value(body, option, &at);
    }
    return true;
}

/* `serial=123` and `serial:123`: the word before the sign, if it is one. */
static size_t glued_len(const RuleToken *token)
{
    size_t len = 0;

    if (token->kind != RULE_TOKEN_WORD)
        return 0;
    while (len < token->len && token->text[len] != '=' &&
           token->text[len] != ':')
        len++;
    if (len == token->len ||
        !rule_word_begins_part(rule_word_find(token->text, len)))
        return 0;
    return len;
}

/* What could be meant by a word that means nothing where it stands. */
static const char *other_hint(const Body *body)
{
    switch (body->stage) {
    case BODY_CONDITIONS:
        if (body->draft->n_conditions > 0)
            return "; several values of one condition are written { A B }";
        break;
    case BODY_FROM:
    case BODY_TO:
        return "; several qubes are written { A B }";
    case BODY_OPTIONS:
        break;
    }
    return "; qubes-autoattach.rules(5) lists them";
}

static void report_word(Body *body)
{
    const RuleToken *token = &body->cursor->token;
    RuleWord word = rule_cursor_word(body->cursor);
    const char *meant = NULL;

    if (token->kind == RULE_TOKEN_WORD)
        meant = rule_word_suggest(token->text, token->len, BODY_WORDS);
    if (word.kind == RULE_WORD_ACTION || word.kind == RULE_WORD_CLASS)
        RULE_REPORT(body->report, token,
                    "%s is out of place; a rule has one action and one class, "
                    "right after its name",
                    rule_show(token).s);
    else if (meant)
        RULE_REPORT(body->report, token,
                    "there is no condition or option %s; did you mean '%s'?",
                    rule_show(token).s, meant);
    else
        RULE_REPORT(body->report, token,
                    "%s is neither a condition nor an option%s",
                    rule_show(token).s, other_hint(body));
}

static void report_other(Body *body)
{
    const RuleToken *token = &body->cursor->token;
    size_t len = glued_len(token);

    if (rule_cursor_is_quoted_word(body->cursor, BODY_WORDS))
        return;
    if (len > 0)
        RULE_REPORT_INSIDE(body->report, token, len,
                           "write '%.*s VALUE', with a blank instead of '%c'",
                           (int) len, token->text, token->text[len]);
    else if (token->kind == RULE_TOKEN_OPEN || token->kind == RULE_TOKEN_CLOSE)
        RULE_REPORT(body->report, token,
                    "%s is out of place; '{ }' stand around several values of "
                    "one condition, or several qubes",
                    rule_show(token).s);
    else
        report_word(body);
}

/* Go on with the next word that means something, whatever stands before it. */
static bool parse_other(Body *body)
{
    RuleCursor *cursor = body->cursor;

    if (rule_cursor_is_bad(cursor))
        return false;
    report_other(body);
    do {
        rule_cursor_advance(cursor);
        if (rule_cursor_is_bad(cursor))
            return false;
    } while (!rule_cursor_at_end(cursor) && !rule_cursor_at_part(cursor));
    return true;
}

static bool parse_part(Body *body)
{
    RuleWord word = rule_cursor_word(body->cursor);

    switch (word.kind) {
    case RULE_WORD_NOT:
        enter_stage(body, BODY_CONDITIONS);
        return parse_not(body);
    case RULE_WORD_CONDITION:
        enter_stage(body, BODY_CONDITIONS);
        return parse_condition(body, false, (ConditionKey) word.value);
    case RULE_WORD_FROM:
        return parse_qubes(body, BODY_FROM);
    case RULE_WORD_TO:
        return parse_qubes(body, BODY_TO);
    case RULE_WORD_OPTION:
        enter_stage(body, BODY_OPTIONS);
        return parse_option(body, (RuleOption) word.value);
    case RULE_WORD_OTHER:
    case RULE_WORD_ACTION:
    case RULE_WORD_CLASS:
        break;
    }
    return parse_other(body);
}

bool rule_body_parse(RuleCursor *cursor)
{
    Body body = {
        .cursor = cursor,
        .report = &cursor->report,
        .draft = &cursor->draft,
    };

    while (!rule_cursor_at_end(cursor))
        if (!parse_part(&body))
            return false;
    return true;
}
