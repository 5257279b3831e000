/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleParser: the rules of one file, one after the other
 *
 * A line that is wrong is reported with all that can be said of it for sure,
 * and left out; reading goes on with the next. What stands after the first
 * part of a line that cannot be read is not looked at, so that no error is
 * only the echo of another.
 */

#include "dom0/core/diagnostic.h"
#include "dom0/core/rule-arena.h"
#include "dom0/core/rule-names.h"
#include "dom0/core/rule.h"

typedef struct RuleParser RuleParser;

/* Rules are made in @arena and entered into @names. All must outlive the
 * parser, @arena also the rules. */
typedef struct RuleParserOutput {
    RuleArena *arena;
    RuleNames *names;
    Diagnostics *diagnostics;
} RuleParserOutput;

int rule_parser_new(RuleParser **ret,
                    const RuleParserOutput *output,
                    const char *file,
                    const char *untrusted_text,
                    size_t untrusted_len);
RuleParser *rule_parser_free(RuleParser *parser);

/* The next good rule: 1 if there is one, 0 at the end, or -ENOMEM. */
int rule_parser_next(RuleParser *parser, const Rule **ret);

DEFINE_CLEANUP(RuleParser *, rule_parser_free)
