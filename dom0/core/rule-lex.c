/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/rule-lex.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Length of the end of line at @p, of either kind, or 0. */
static size_t newline_at(const RuleLex *lex, const char *p)
{
    if (p < lex->end && *p == '\n')
        return 1;
    if (lex->end - p >= 2 && p[0] == '\r' && p[1] == '\n')
        return 2;
    return 0;
}

/* Bytes of the character at @p; a byte that is no UTF-8 counts as one. */
static size_t char_len(const char *p, const char *end)
{
    uint32_t c;
    size_t len;

    if ((unsigned char) *p < 0x80)
        return 1;
    len = text_decode_utf8(&c, p, (size_t) (end - p));
    return len > 0 ? len : 1;
}

static unsigned int count_chars(const char *text, const char *end)
{
    unsigned int n = 0;

    for (; text < end; text += char_len(text, end))
        n++;
    return n;
}

static void advance(RuleLex *lex, const char *to)
{
    lex->column += count_chars(lex->next, to);
    lex->next = to;
}

/* A token of which nothing is known but that it begins at @p. */
static RuleToken token_at(const RuleLex *lex, const char *p)
{
    return (RuleToken){
        .text = p,
        .line_start = lex->line_start,
        .line = lex->line,
        .column = lex->column + count_chars(lex->next, p),
    };
}

static RuleToken bad_at(const RuleLex *lex, const char *p, RuleFault fault)
{
    RuleToken token = token_at(lex, p);

    token.kind = RULE_TOKEN_BAD;
    token.fault = fault;
    return token;
}

/* What is wrong with the character at @p, which is @len bytes long. */
static RuleFault check_char(const RuleLex *lex, const char *p, size_t *ret_len)
{
    uint32_t c;

    *ret_len = 1;
    if ((*p >= 0x20 && *p < 0x7f) || *p == '\t')
        return RULE_FAULT_NONE;
    *ret_len = text_decode_utf8(&c, p, (size_t) (lex->end - p));
    if (*ret_len == 0)
        return RULE_FAULT_ENCODING;
    return text_is_plain(p, *ret_len) ? RULE_FAULT_NONE : RULE_FAULT_CONTROL;
}

/* At the start of a physical line: look at all its characters. */
static void enter_line(RuleLex *lex)
{
    const char *p = lex->next;
    size_t newline_len;

    lex->line_start = lex->next;
    lex->column = 1;

    while (p < lex->end && newline_at(lex, p) == 0) {
        size_t len;
        RuleFault fault = check_char(lex, p, &len);

        if (fault != RULE_FAULT_NONE) {
            lex->broken = bad_at(lex, p, fault);
            return;
        }
        p += len;
    }

    newline_len = newline_at(lex, p);
    if (newline_len == 2 && !lex->crlf_told) {
        lex->broken = bad_at(lex, p, RULE_FAULT_CRLF);
        lex->crlf_told = true;
    }
}

void rule_lex_begin(RuleLex *ret, const char *text, size_t len)
{
    *ret = (RuleLex){ .next = text, .end = text + len, .line = 1 };
    enter_line(ret);
}

static void next_line(RuleLex *lex)
{
    assert(lex->next == lex->end || *lex->next == '\n');

    if (lex->next < lex->end)
        lex->next++;
    lex->line++;
    enter_line(lex);
}

/* A '\' that is the last of its line, maybe but for blanks. */
static bool is_join(const RuleLex *lex, const char *p)
{
    if (p == lex->end || *p != '\\')
        return false;
    for (p++; p < lex->end && is_blank(*p); p++)
        ;
    return p == lex->end || newline_at(lex, p) > 0;
}

/* Pass a join; what is wrong with it, if anything, is told in @ret_bad. */
static bool join_line(RuleLex *lex, RuleToken *ret_bad)
{
    const char *p = lex->next + 1;
    RuleFault fault = RULE_FAULT_NONE;

    while (p < lex->end && is_blank(*p))
        p++;
    if (p == lex->end)
        fault = RULE_FAULT_JOIN_END;
    else if (p > lex->next + 1)
        fault = RULE_FAULT_JOIN_BLANK;
    *ret_bad = bad_at(lex, lex->next, fault);

    if (p < lex->end && *p == '\r')
        p++;
    advance(lex, p);
    if (p < lex->end)
        next_line(lex);
    return fault == RULE_FAULT_NONE;
}

static bool in_range(uint32_t c, uint32_t first, uint32_t last)
{
    return c >= first && c <= last;
}

/* Looks like a blank or like a double quote, and is neither. */
static RuleFault check_look(const char *p, size_t len, bool first)
{
    uint32_t c = (unsigned char) *p;

    if (c >= 0x80)
        (void) text_decode_utf8(&c, p, len);
    if (c == 0xa0 || c == 0x1680 || in_range(c, 0x2000, 0x200a) ||
        c == 0x202f || c == 0x205f || c == 0x3000)
        return RULE_FAULT_BLANK_KIND;
    if (first &&
        (c == '\'' || c == 0xab || c == 0xbb || in_range(c, 0x2018, 0x201f)))
        return RULE_FAULT_QUOTE_KIND;
    return RULE_FAULT_NONE;
}

/* Of what is wrong with a token, the first is told. */
static void note_fault(const RuleLex *lex,
                       const char *p,
                       RuleFault fault,
                       RuleToken *bad)
{
    if (fault != RULE_FAULT_NONE && bad->kind != RULE_TOKEN_BAD)
        *bad = bad_at(lex, p, fault);
}

/* Pass a character of a token, and a '\' before it. */
static const char *pass_char(const RuleLex *lex, const char *p, RuleToken *bad)
{
    if (*p == '\\')
        p++;
    assert(p < lex->end); /* else it is a join */
    if (*p == '\t')
        note_fault(lex, p, RULE_FAULT_TAB, bad);
    return p + char_len(p, lex->end);
}

static bool ends_word(const RuleLex *lex, const char *p, bool name)
{
    if (p == lex->end)
        return true;

    switch (*p) {
    case ' ':
    case '\t':
    case '#':
    case '{':
    case '}':
    case '\n':
        return true;
    case '\r':
        return newline_at(lex, p) > 0;
    case ':':
        return name;
    case '\\':
        return is_join(lex, p);
    }
    return false;
}

static RuleToken lex_word(RuleLex *lex, bool name)
{
    RuleToken token = token_at(lex, lex->next), bad = {};
    const char *p = lex->next;

    while (!ends_word(lex, p, name)) {
        RuleFault fault;

        if (*p == '"')
            fault = RULE_FAULT_QUOTE_IN_WORD;
        else
            fault = check_look(p, (size_t) (lex->end - p), p == lex->next);
        note_fault(lex, p, fault, &bad);
        p = pass_char(lex, p, &bad);
    }

    token.kind = RULE_TOKEN_WORD;
    token.len = (size_t) (p - token.text);
    advance(lex, p);
    return bad.kind == RULE_TOKEN_BAD ? bad : token;
}

static RuleToken lex_quoted(RuleLex *lex, bool name)
{
    RuleToken token = token_at(lex, lex->next), bad = {};
    const char *p = lex->next + 1;

    token.kind = RULE_TOKEN_QUOTED;
    token.text = p;
    while (p < lex->end && *p != '"' && newline_at(lex, p) == 0 &&
           !is_join(lex, p))
        p = pass_char(lex, p, &bad);
    if (p == lex->end || *p != '"') {
        token = bad_at(lex, lex->next, RULE_FAULT_QUOTE_OPEN);
        advance(lex, p);
        return token;
    }

    token.len = (size_t) (p - token.text);
    advance(lex, p + 1);
    if (bad.kind == RULE_TOKEN_BAD)
        return bad;
    if (!ends_word(lex, lex->next, name))
        return bad_at(lex, lex->next, RULE_FAULT_QUOTE_FOLLOWED);
    return token;
}

static RuleToken lex_single(RuleLex *lex, RuleTokenKind kind)
{
    RuleToken token = token_at(lex, lex->next);

    token.kind = kind;
    token.len = 1;
    advance(lex, lex->next + 1);
    return token;
}

/* The end of the logical line, or of the file. */
static RuleToken lex_end(RuleLex *lex)
{
    RuleToken token = lex->begun ? lex->last_end : token_at(lex, lex->next);
    const char *p = lex->next;

    token.kind = RULE_TOKEN_END_OF_FILE;
    token.has_comment = p < lex->end && *p == '#';
    if (token.has_comment) {
        const char *newline = memchr(p, '\n', (size_t) (lex->end - p));

        advance(lex, newline ? newline : lex->end);
    } else if (p < lex->end && *p == '\r') {
        advance(lex, p + 1);
    }

    if (lex->next < lex->end) {
        token.kind = RULE_TOKEN_END_OF_LINE;
        next_line(lex);
        lex->begun = false;
    }
    return token;
}

static RuleToken lex_token(RuleLex *lex, bool name)
{
    RuleToken token;

    for (;;) {
        const char *p = lex->next;

        if (lex->broken.kind == RULE_TOKEN_BAD) {
            token = lex->broken;
            lex->broken = (RuleToken){};
            return token;
        }
        while (p < lex->end && is_blank(*p))
            p++;
        advance(lex, p);
        if (!is_join(lex, p))
            break;
        if (!join_line(lex, &token))
            return token;
    }

    if (lex->next == lex->end || *lex->next == '#' ||
        newline_at(lex, lex->next) > 0)
        return lex_end(lex);
    switch (*lex->next) {
    case '{':
        return lex_single(lex, RULE_TOKEN_OPEN);
    case '}':
        return lex_single(lex, RULE_TOKEN_CLOSE);
    case '"':
        return lex_quoted(lex, name);
    }
    if (name && *lex->next == ':')
        return lex_single(lex, RULE_TOKEN_COLON);
    return lex_word(lex, name);
}

static RuleToken lex_and_note(RuleLex *lex, bool name)
{
    RuleToken token = lex_token(lex, name);

    if (token.kind != RULE_TOKEN_END_OF_LINE &&
        token.kind != RULE_TOKEN_END_OF_FILE) {
        lex->begun = true;
        lex->last_end = token_at(lex, lex->next);
    }
    return token;
}

RuleToken rule_lex_next(RuleLex *lex)
{
    return lex_and_note(lex, false);
}

RuleToken rule_lex_next_of_name(RuleLex *lex)
{
    return lex_and_note(lex, true);
}

const char *rule_fault_text(RuleFault fault)
{
    switch (fault) {
    case RULE_FAULT_NONE:
        break;
    case RULE_FAULT_CONTROL:
        return "a control character; a rule file is plain text, remove it";
    case RULE_FAULT_ENCODING:
        return "this is not UTF-8; save the file in the encoding UTF-8";
    case RULE_FAULT_CRLF:
        return "lines end in CR LF here; a line has to end in LF alone: "
               "remove the CRs, as with sed -i 's/\\r$//' FILE";
    case RULE_FAULT_JOIN_BLANK:
        return "blanks follow this '\\'; it joins lines only as the last "
               "character of its line: remove the blanks";
    case RULE_FAULT_JOIN_END:
        return "this '\\' joins lines, but none follows: remove it";
    case RULE_FAULT_QUOTE_OPEN:
        return "the closing '\"' is missing; text in quotes ends on its line, "
               "and a '\"' in it is written '\\\"'";
    case RULE_FAULT_QUOTE_IN_WORD:
        return "a quote in the middle of a word; put the whole value into "
               "quotes, or a blank before it";
    case RULE_FAULT_QUOTE_FOLLOWED:
        return "a blank has to follow the closing '\"'; a '\"' in the text is "
               "written '\\\"'";
    case RULE_FAULT_TAB:
        return "a tab in a value; what devices say of themselves has none: "
               "write '?' for any character";
    case RULE_FAULT_QUOTE_KIND:
        return "only plain double quotes (\") are quotes; write \\ before this "
               "one if the value begins with it";
    case RULE_FAULT_BLANK_KIND:
        return "this looks like a blank but is another character; type a plain "
               "blank, or put the value into quotes";
    }
    return NULL;
}
