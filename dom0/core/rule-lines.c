/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/core/rule-lines.h"
#include "dom0/core/rule-lex.h"

RuleSpan rule_lines_find(const char *text, size_t len, unsigned int line)
{
    RuleSpan span = {};
    RuleToken token;
    RuleLex lex;

    rule_lex_begin(&lex, text, len);
    do {
        span.start = (size_t) (lex.next - text);
        do
            token = rule_lex_next(&lex);
        while (token.kind != RULE_TOKEN_END_OF_LINE &&
               token.kind != RULE_TOKEN_END_OF_FILE);
        span.end = (size_t) (lex.next - text);
    } while (token.kind != RULE_TOKEN_END_OF_FILE && lex.line <= line);
    return span;
}

bool rule_lines_are_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\n' &&
            text[i] != '\r')
            return false;
    return true;
}
