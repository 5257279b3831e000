/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleReport: where the errors of one rule file go
 */

#include "common/text.h"
#include "dom0/core/diagnostic.h"
#include "dom0/core/rule-lex.h"

/* further errors of one logical line are not told */
#define RULE_LINE_ERRORS_MAX 16U

#define RULE_SHOWN_MAX 47U

typedef struct RuleReport {
    Diagnostics *diagnostics;
    const char *file;
    const char *text_end;
    size_t n_line_errors; /* of this logical line, also those not told */
    int r;                /* -ENOMEM once memory ran out, else 0 */
} RuleReport;

/* A word out of the file for use in a message, cut if it is long. */
typedef struct RuleShown {
    char s[RULE_SHOWN_MAX + 1];
} RuleShown;

RuleShown rule_show(const RuleToken *token);
/* "before 'WORD'" or "at the end of the line" */
RuleShown rule_show_place(const RuleToken *token);

/* The column of what is @offset bytes into the token's text. */
unsigned int rule_report_column(const RuleToken *at, size_t offset);

/* An error at a token, or @offset bytes into its text. */
void rule_report_text(RuleReport *report,
                      const RuleToken *at,
                      size_t offset,
                      const char *message);

#define RULE_REPORT_INSIDE(report, at, offset, ...)                    \
    do {                                                               \
        char _message_[DIAGNOSTIC_MESSAGE_MAX + 1];                    \
        (void) text_format(_message_, sizeof(_message_), __VA_ARGS__); \
        rule_report_text(report, at, offset, _message_);               \
    } while (false)
#define RULE_REPORT(report, at, ...) \
    RULE_REPORT_INSIDE(report, at, RULE_REPORT_START, __VA_ARGS__)

/* the token's first character: of quoted text its quote */
#define RULE_REPORT_START SIZE_MAX
