/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Screen: lines and tables that fit
 *
 * On a terminal lines are broken at its width, tables are aligned and cut to
 * it, and the lines are counted, so that a view can end before what it began
 * with has scrolled away. Elsewhere a line is a line, and the cells of a table
 * are separated by tabs. All text that is passed in went through show_text().
 */

#include "dom0/ctl/terminal.h"

#define SCREEN_CELLS_MAX 8U

typedef struct Screen {
    const Terminal *terminal;
    bool has_end; /* a terminal, and not all is to be shown */
    size_t n_lines;
} Screen;

/* @whole: more than one screenful is fine. */
void screen_init(Screen *ret, const Terminal *terminal, bool whole);

/* How many lines still fit, with one left for the shell's prompt; SIZE_MAX if
 * there is no end. */
size_t screen_left(const Screen *screen);

/*
 * How many of @n items of one line each to show if @reserve lines must be left
 * for what follows: all, or one less than fit, for screen_more().
 */
size_t screen_rows_for(const Screen *screen, size_t n, size_t reserve);

/*
 * A text on as many lines as it takes, the first one indented by @indent
 * columns, the others by @hang.
 */
void screen_text(Screen *screen,
                 Style style,
                 size_t indent,
                 size_t hang,
                 const char *text);
/* How many lines that takes. */
size_t screen_height(const Screen *screen,
                     size_t indent,
                     size_t hang,
                     const char *text);

/* An empty line, if there is room for such. */
void screen_gap(Screen *screen);

/* "and 3 more, with -v" for what was left out, if anything was; or without the
 * advice, if there is no end. */
void screen_more(Screen *screen, size_t n_left_out, size_t indent);

/* A row of @n_cells texts; the first row is the heading. Of a table that is too
 * wide the first cells keep up to half of the columns. */
typedef const char *ScreenRow[SCREEN_CELLS_MAX];
void screen_table(Screen *screen,
                  size_t indent,
                  size_t n_cells,
                  const ScreenRow *rows,
                  size_t n_rows);
