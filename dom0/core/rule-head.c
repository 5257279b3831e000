/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "dom0/core/rule-cursor.h"
#include "dom0/core/ruleset.h"

static bool check_name(RuleCursor *cursor, const RuleToken *token)
{
    RuleReport *report = &cursor->report;

    if (!rule_name_may_have(token->text[0], true)) {
        RULE_REPORT(report, token,
                    "a rule's name begins with a letter from a to z or A to Z");
        return false;
    }
    for (size_t i = 0; i < token->len; i++) {
        if (rule_name_may_have(token->text[i], false))
            continue;
        RULE_REPORT_INSIDE(report, token, i,
                           "a rule's name has only letters from a to z, "
                           "digits, '-' and '_'");
        return false;
    }
    if (token->len > RULE_NAME_MAX) {
        RULE_REPORT(report, token,
                    "a rule's name has at most %u characters, this has %zu",
                    RULE_NAME_MAX, token->len);
        return false;
    }
    return true;
}

/* Enter a good name, so that the next rule of this name is refused. */
static void take_name(RuleCursor *cursor, const RuleToken *token)
{
    RuleDraft *draft = &cursor->draft;
    const RuleNameEntry *other;
    int r;

    memcpy(draft->name.s, token->text, token->len);
    draft->name.s[token->len] = '\0';

    other = rule_names_find(cursor->names, draft->name.s);
    if (other) {
        RULE_REPORT(&cursor->report, token,
                    "the name '%s' is taken by %s:%u; choose another, names "
                    "are unique over all files",
                    draft->name.s, other->file, other->line);
        return;
    }

    r = rule_names_add(cursor->names, &draft->name, cursor->file, token->line);
    if (r == -ENOSPC) {
        RULE_REPORT(&cursor->report, token,
                    "there are more than %u rules in all files; remove some, "
                    "or put values that go together into { }",
                    RULESET_RULES_MAX);
        cursor->names->full_told = true;
        cursor->stopped = true;
    } else if (r < 0) {
        cursor->report.r = r;
    }
}

/* There is no ':' behind the first word of the line. */
static bool parse_without_colon(RuleCursor *cursor, const RuleToken *first)
{
    RuleWord word = rule_word_find(first->text, first->len);
    RuleDraft *draft = &cursor->draft;

    if (word.kind == RULE_WORD_ACTION) {
        RULE_REPORT(&cursor->report, first,
                    "a rule begins with its name; write 'NAME: %.*s ...'",
                    (int) first->len, first->text);
        draft->action = (RuleAction) word.value;
        draft->action_at = *first;
        return true;
    }
    if (rule_word_begins_part(word)) {
        RULE_REPORT(&cursor->report, first,
                    "a rule begins with its name and ':'; to go on with the "
                    "rule above, end its line with '\\', without a comment");
        return false;
    }
    if (rule_cursor_word(cursor).kind == RULE_WORD_ACTION) {
        RULE_REPORT(
            &cursor->report, first,
            "the ':' after the rule's name is missing; write '%.*s:'",
            (int) (first->len < RULE_NAME_MAX ? first->len : RULE_NAME_MAX),
            first->text);
        if (check_name(cursor, first))
            take_name(cursor, first);
        return true;
    }
    RULE_REPORT(&cursor->report, first,
                "a rule begins with its name and ':', as 'stick: ask block to "
                "work'; a comment begins with '#'");
    return false;
}

static bool parse_name(RuleCursor *cursor)
{
    RuleToken first = cursor->token;

    if (rule_cursor_is_bad(cursor))
        return false;
    cursor->draft.name_at = first;

    if (first.kind == RULE_TOKEN_COLON) {
        RULE_REPORT(&cursor->report, &first,
                    "the rule's name before the ':' is missing");
        rule_cursor_advance(cursor);
        return true;
    }
    if (first.kind != RULE_TOKEN_WORD) {
        RULE_REPORT(&cursor->report, &first,
                    "a rule begins with its name, without quotes, and ':', as "
                    "'stick: ask block to work'");
        return false;
    }

    cursor->token = rule_lex_next_of_name(&cursor->lex);
    if (rule_cursor_is_bad(cursor))
        return false;
    if (cursor->token.kind != RULE_TOKEN_COLON)
        return parse_without_colon(cursor, &first);

    if (check_name(cursor, &first))
        take_name(cursor, &first);
    rule_cursor_advance(cursor);
    return true;
}

static void set_class(RuleCursor *cursor,
                      const RuleToken *at,
                      unsigned int class)
{
    cursor->draft.class_at = *at;
    cursor->draft.class = (RuleClass) class;
}

static void set_action(RuleCursor *cursor, unsigned int action)
{
    cursor->draft.action_at = cursor->token;
    cursor->draft.action = (RuleAction) action;
    rule_cursor_advance(cursor);
}

/* A class stands where the action should: maybe they are swapped. */
static void parse_swapped(RuleCursor *cursor, unsigned int class)
{
    RuleToken class_at = cursor->token;
    RuleWord word;

    set_class(cursor, &class_at, class);
    rule_cursor_advance(cursor);
    word = rule_cursor_word(cursor);
    if (word.kind == RULE_WORD_ACTION) {
        RULE_REPORT(&cursor->report, &class_at,
                    "the action comes before the class; write '%s %s'",
                    rule_action_to_string((RuleAction) word.value),
                    rule_class_to_string((RuleClass) class));
        set_action(cursor, word.value);
        return;
    }
    RULE_REPORT(&cursor->report, &class_at,
                "the action before '%s' is missing; write 'allow %s', 'ask %s' "
                "or 'deny %s'",
                rule_class_to_string((RuleClass) class),
                rule_class_to_string((RuleClass) class),
                rule_class_to_string((RuleClass) class),
                rule_class_to_string((RuleClass) class));
}

/* Something stands there that is no action; go on if it is only misspelt. */
static bool parse_no_action(RuleCursor *cursor)
{
    RuleToken at = cursor->token;
    const char *meant = NULL;

    if (rule_cursor_is_quoted_word(cursor, 1U << RULE_WORD_ACTION)) {
        rule_cursor_advance(cursor);
        return true;
    }
    if (at.kind == RULE_TOKEN_WORD)
        meant = rule_word_suggest(at.text, at.len, 1U << RULE_WORD_ACTION);
    if (meant)
        RULE_REPORT(&cursor->report, &at,
                    "there is no action %s; did you mean '%s'?",
                    rule_show(&at).s, meant);
    else
        RULE_REPORT(&cursor->report, &at,
                    "there is no action %s; it is 'allow', 'ask' or 'deny'",
                    rule_show(&at).s);

    rule_cursor_advance(cursor);
    return meant || rule_cursor_word(cursor).kind == RULE_WORD_CLASS;
}

static bool parse_action(RuleCursor *cursor)
{
    RuleWord word = rule_cursor_word(cursor);

    if (rule_token_is_set(&cursor->draft.action_at))
        return true;
    if (rule_cursor_is_bad(cursor))
        return false;

    if (word.kind == RULE_WORD_ACTION) {
        set_action(cursor, word.value);
        return true;
    }
    if (word.kind == RULE_WORD_CLASS) {
        parse_swapped(cursor, word.value);
        return true;
    }
    if (rule_cursor_at_end(cursor) || rule_word_begins_part(word)) {
        RULE_REPORT(&cursor->report, &cursor->token,
                    "an action and a class are missing %s; a rule goes on as "
                    "'stick: ask block ...'",
                    rule_show_place(&cursor->token).s);
        set_class(cursor, &cursor->token, RULE_CLASS_INVALID);
        return !rule_cursor_at_end(cursor);
    }
    return parse_no_action(cursor);
}

/* Something stands there that is no class. */
static bool parse_no_class(RuleCursor *cursor)
{
    RuleToken at = cursor->token;
    const char *meant = NULL;

    if (rule_cursor_is_quoted_word(cursor, 1U << RULE_WORD_CLASS)) {
        rule_cursor_advance(cursor);
        return true;
    }
    if (at.kind == RULE_TOKEN_WORD)
        meant = rule_word_suggest(at.text, at.len, 1U << RULE_WORD_CLASS);
    if (meant)
        RULE_REPORT(&cursor->report, &at,
                    "there is no class %s; did you mean '%s'?",
                    rule_show(&at).s, meant);
    else
        RULE_REPORT(&cursor->report, &at,
                    "there is no class %s; it is 'block', 'usb' or 'any'",
                    rule_show(&at).s);

    rule_cursor_advance(cursor);
    return meant || rule_cursor_at_part(cursor);
}

static bool parse_class(RuleCursor *cursor)
{
    RuleWord word = rule_cursor_word(cursor);
    RuleToken at = cursor->token;

    if (rule_token_is_set(&cursor->draft.class_at))
        return true;
    if (rule_cursor_is_bad(cursor))
        return false;

    if (word.kind == RULE_WORD_CLASS) {
        set_class(cursor, &at, word.value);
        rule_cursor_advance(cursor);
        return true;
    }
    if (rule_cursor_at_end(cursor) || rule_word_begins_part(word)) {
        RULE_REPORT(&cursor->report, &at,
                    "a class is missing %s; write 'block', 'usb' or 'any' "
                    "after the action",
                    rule_show_place(&at).s);
        return !rule_cursor_at_end(cursor);
    }
    return parse_no_class(cursor);
}

bool rule_head_parse(RuleCursor *cursor)
{
    return parse_name(cursor) && parse_action(cursor) && parse_class(cursor);
}
