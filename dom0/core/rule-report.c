/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "dom0/core/rule-report.h"

static size_t cut_len(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    /* not in the middle of a character */
    while (max > 0 && ((unsigned char) text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

static RuleShown show(const char *prefix, const RuleToken *token)
{
    size_t max = RULE_SHOWN_MAX - strlen(prefix) - strlen("'...'");
    size_t len = cut_len(token->text, token->len, max);
    RuleShown shown;

    (void) text_format(shown.s, sizeof(shown.s), "%s'%.*s%s'", prefix,
                       (int) len, token->text, len < token->len ? "..." : "");
    return shown;
}

RuleShown rule_show(const RuleToken *token)
{
    return show("", token);
}

RuleShown rule_show_place(const RuleToken *token)
{
    RuleShown shown;

    if (token->kind != RULE_TOKEN_END_OF_LINE &&
        token->kind != RULE_TOKEN_END_OF_FILE)
        return show("before ", token);

    (void) text_format(shown.s, sizeof(shown.s), "at the end of the line");
    return shown;
}

unsigned int rule_report_column(const RuleToken *at, size_t offset)
{
    unsigned int column = at->column + (at->kind == RULE_TOKEN_QUOTED);

    for (size_t i = 0; i < offset; i++)
        column += ((unsigned char) at->text[i] & 0xc0) != 0x80;
    return column;
}

void rule_report_text(RuleReport *report,
                      const RuleToken *at,
                      size_t offset,
                      const char *message)
{
    size_t len = (size_t) (report->text_end - at->line_start);
    const char *newline = memchr(at->line_start, '\n', len);
    unsigned int column = at->column;
    int r;

    if (++report->n_line_errors > RULE_LINE_ERRORS_MAX || report->r < 0)
        return;

    if (newline)
        len = (size_t) (newline - at->line_start);
    if (len > 0 && at->line_start[len - 1] == '\r')
        len--;
    if (offset != RULE_REPORT_START)
        column = rule_report_column(at, offset);

    r = diagnostics_add(report->diagnostics, DIAGNOSTIC_ERROR, report->file,
                        at->line, column, at->line_start, len, message);
    if (r < 0)
        report->r = r;
}
