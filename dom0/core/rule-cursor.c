/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/rule-cursor.h"

void rule_cursor_advance(RuleCursor *cursor)
{
    cursor->token = rule_lex_next(&cursor->lex);
}

bool rule_cursor_at_end(const RuleCursor *cursor)
{
    return cursor->token.kind == RULE_TOKEN_END_OF_LINE ||
           cursor->token.kind == RULE_TOKEN_END_OF_FILE;
}

RuleWord rule_cursor_word(const RuleCursor *cursor)
{
    if (cursor->token.kind != RULE_TOKEN_WORD)
        return (RuleWord){};
    return rule_word_find(cursor->token.text, cursor->token.len);
}

bool rule_cursor_at_part(const RuleCursor *cursor)
{
    return rule_word_begins_part(rule_cursor_word(cursor));
}

bool rule_cursor_is_quoted_word(RuleCursor *cursor, unsigned int kinds)
{
    const RuleToken *token = &cursor->token;

    if (token->kind != RULE_TOKEN_QUOTED ||
        (kinds & 1U << rule_word_find(token->text, token->len).kind) == 0)
        return false;

    RULE_REPORT(&cursor->report, token, "write %s without quotes",
                rule_show(token).s);
    return true;
}

bool rule_cursor_is_bad(RuleCursor *cursor)
{
    if (cursor->token.kind != RULE_TOKEN_BAD)
        return false;

    rule_report_text(&cursor->report, &cursor->token, RULE_REPORT_START,
                     rule_fault_text(cursor->token.fault));
    return true;
}
