/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Terminal: what the output can show
 *
 * Only a terminal gets colours, aligned tables and lines that are broken at
 * its width; what goes into a pipe or a file is whole and plain.
 */

#include <stdio.h>

#include "common/util.h"

#define TERMINAL_COLUMNS 80U /* where it does not say */
#define TERMINAL_ROWS    24U

typedef struct Terminal {
    FILE *out;
    bool is_terminal;
    bool has_colour;
    bool has_utf8;  /* also without a terminal: the locale's encoding */
    size_t columns; /* for is_terminal */
    size_t rows;
    bool has_lost; /* for want of memory, something was not written */
} Terminal;

typedef enum Style {
    STYLE_PLAIN,
    STYLE_STRONG,
    STYLE_FAINT,
    STYLE_GOOD,
    STYLE_WARNING,
    STYLE_BAD,
} Style;

/* Colour as NO_COLOR and TERM say; setlocale() must have been called. */
void terminal_init(Terminal *ret, FILE *out);

/* "" without colour. */
const char *terminal_style(const Terminal *terminal, Style style);
const char *terminal_style_end(const Terminal *terminal, Style style);

/* Whether all that was written has arrived; 0 or a negative errno. */
int terminal_finish(Terminal *terminal);
