/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleCursor: the place in a rule file where the parser is
 *
 * What rule-parse, rule-head and rule-body share: one token to look at, what
 * has been made of the line so far, and where errors go.
 */

#include "dom0/core/rule-arena.h"
#include "dom0/core/rule-draft.h"
#include "dom0/core/rule-names.h"
#include "dom0/core/rule-report.h"

typedef struct RuleCursor {
    RuleLex lex;
    RuleToken token;
    RuleDraft draft;
    RuleReport report;
    RuleArena *arena;
    RuleNames *names;
    const char *file; /* the arena's */
    bool stopped;     /* nothing more is to be read of this file */
} RuleCursor;

void rule_cursor_advance(RuleCursor *cursor);
bool rule_cursor_at_end(const RuleCursor *cursor); /* of line or file */
/* RULE_WORD_OTHER also for what is no word. */
RuleWord rule_cursor_word(const RuleCursor *cursor);
/* Whether the token is a word that begins a part of the rule. */
bool rule_cursor_at_part(const RuleCursor *cursor);
/* If the token is a word of these kinds (1 << RuleWordKind) in quotes, say that
 * they should not be there. */
bool rule_cursor_is_quoted_word(RuleCursor *cursor, unsigned int kinds);
/* If the token is RULE_TOKEN_BAD say why. */
bool rule_cursor_is_bad(RuleCursor *cursor);

/*
 * `name: action class` and what follows, into the draft. Both answer false if
 * the rest of the line cannot be read; that has been reported.
 */
_must_check_ bool rule_head_parse(RuleCursor *cursor);
_must_check_ bool rule_body_parse(RuleCursor *cursor);
