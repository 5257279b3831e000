/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Diagnostics: errors and warnings about rule files, collected
 *
 * Bounded: after DIAGNOSTICS_MAX further ones are counted, not kept. Rule
 * files belong to root, but their text is shown escaped all the same.
 */

#include "common/util.h"

#define DIAGNOSTICS_MAX            1000U
#define DIAGNOSTIC_MESSAGE_MAX     255U
#define DIAGNOSTIC_SOURCE_LINE_MAX 511U

typedef enum DiagnosticLevel {
    DIAGNOSTIC_ERROR,
    DIAGNOSTIC_WARNING,
} DiagnosticLevel;

typedef struct Diagnostic {
    DiagnosticLevel level;
    char *file;
    unsigned int line;   /* from 1; 0: the file as a whole */
    unsigned int column; /* in characters, from 1; 0: the line as a whole */
    char *message;       /* one line; says what would be right */
    char *source_line;   /* the line's text (escaped), or NULL */
    unsigned int caret;  /* column of the caret in source_line, from 1 */
} Diagnostic;

typedef struct Diagnostics Diagnostics;

int diagnostics_new(Diagnostics **ret);
Diagnostics *diagnostics_free(Diagnostics *diagnostics);

/* @source_line may be NULL. Fails only with -ENOMEM. */
int diagnostics_add(Diagnostics *diagnostics,
                    DiagnosticLevel level,
                    const char *file,
                    unsigned int line,
                    unsigned int column,
                    const char *source_line,
                    size_t source_line_len,
                    const char *message);

size_t diagnostics_count(const Diagnostics *diagnostics); /* kept */
size_t diagnostics_count_level(const Diagnostics *diagnostics,
                               DiagnosticLevel level); /* all, also not kept */
/* Put those from index @first on, all of one file, into the order of their
 * lines and columns. */
void diagnostics_sort(Diagnostics *diagnostics, size_t first);
const Diagnostic *diagnostics_get(const Diagnostics *diagnostics, size_t index);

/*
 * "FILE:LINE:COLUMN: message\n    line\n    ^\n" into malloc()ed text; a
 * warning has "warning: " before its message. NULL without memory.
 */
char *diagnostic_format(const Diagnostic *diagnostic);

DEFINE_CLEANUP(Diagnostics *, diagnostics_free)
