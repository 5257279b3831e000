/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleLex: the words of a rule file
 *
 * Splits a text into logical lines (physical ones joined by a `\` at the end)
 * and these into tokens that point into the text. It allocates nothing. What
 * it cannot read is a token too, RULE_TOKEN_BAD; reading goes on behind it, so
 * the rest of the logical line can be skipped.
 *
 * A `#` outside of quotes begins a comment wherever it stands, and a comment
 * ends with its physical line.
 */

#include "common/util.h"

typedef enum RuleTokenKind {
    RULE_TOKEN_END_OF_FILE,
    RULE_TOKEN_END_OF_LINE,
    RULE_TOKEN_WORD,
    RULE_TOKEN_QUOTED,
    RULE_TOKEN_OPEN,  /* { */
    RULE_TOKEN_CLOSE, /* } */
    RULE_TOKEN_COLON, /* only from rule_lex_next_of_name() */
    RULE_TOKEN_BAD,
} RuleTokenKind;

typedef enum RuleFault {
    RULE_FAULT_NONE,
    RULE_FAULT_CONTROL,
    RULE_FAULT_ENCODING,
    RULE_FAULT_CRLF, /* told once a file */
    RULE_FAULT_JOIN_BLANK,
    RULE_FAULT_JOIN_END,
    RULE_FAULT_QUOTE_OPEN,
    RULE_FAULT_QUOTE_IN_WORD,
    RULE_FAULT_QUOTE_FOLLOWED,
    RULE_FAULT_TAB,
    RULE_FAULT_QUOTE_KIND,
    RULE_FAULT_BLANK_KIND,
} RuleFault;

typedef struct RuleToken {
    RuleTokenKind kind;
    RuleFault fault; /* of RULE_TOKEN_BAD */
    /* as written, of RULE_TOKEN_QUOTED without the quotes; a `\` and what it
     * quotes are still both in it */
    const char *text;
    size_t len;
    /* where it begins; an end is where the last token before it ends */
    const char *line_start; /* of the physical line */
    unsigned int line;
    unsigned int column;
    bool has_comment; /* RULE_TOKEN_END_OF_LINE: a comment ended it */
} RuleToken;

typedef struct RuleLex {
    const char *next;
    const char *end;

    const char *line_start;
    unsigned int line;
    unsigned int column; /* of @next */

    bool begun; /* @last_end is of this logical line */
    RuleToken last_end;

    RuleToken broken; /* what is wrong with this physical line, not yet told */
    bool crlf_told;
} RuleLex;

/* @text, without NUL bytes, must outlive the lexer and its tokens. */
void rule_lex_begin(RuleLex *ret, const char *text, size_t len);

/* The next token; END_OF_FILE again and again at the end. */
RuleToken rule_lex_next(RuleLex *lex);
/* The same where a rule's name and its ':' may stand. */
RuleToken rule_lex_next_of_name(RuleLex *lex);

/* What is wrong with a RULE_TOKEN_BAD, and what would be right. */
const char *rule_fault_text(RuleFault fault);
