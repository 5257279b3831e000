/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "dom0/ctl/screen.h"
#include "dom0/ctl/show.h"

#define COLUMN_GAP     2U
#define COLUMN_MIN     4U  /* of a cell that is cut: a letter and "..." */
#define TEXT_MIN       20U /* columns that a text is given in any case */
#define GAPS_FROM_LEFT 8U  /* no empty lines where less than this is left */
#define ELLIPSIS       "..."

void screen_init(Screen *ret, const Terminal *terminal, bool whole)
{
    *ret = (Screen){
        .terminal = terminal,
        .has_end = terminal->is_terminal && !whole,
    };
}

size_t screen_left(const Screen *screen)
{
    size_t used = screen->n_lines + 1;

    if (!screen->has_end)
        return SIZE_MAX;
    return screen->terminal->rows > used ? screen->terminal->rows - used : 0;
}

size_t screen_rows_for(const Screen *screen, size_t n, size_t reserve)
{
    size_t left = screen_left(screen);

    left = left > reserve ? left - reserve : 0;
    if (n <= left)
        return n;
    return left > 0 ? left - 1 : 0;
}

/* The room for text behind an indentation. */
static size_t room_behind(const Screen *screen, size_t indent)
{
    size_t columns = screen->terminal->columns;

    return columns > indent + TEXT_MIN ? columns - indent : TEXT_MIN;
}

/*
 * The length of the part of @text that one line of @columns takes, broken at a
 * blank where there is one; *@ret_next is where the next line begins.
 */
static size_t take_line(const char *text, size_t columns, size_t *ret_next)
{
    size_t fit = show_fit(text, columns);
    size_t end = fit;

    if (text[fit] != '\0') {
        while (end > 0 && text[end] != ' ')
            end--;
        if (end == 0)
            end = fit;
    }

    *ret_next = end;
    while (text[*ret_next] == ' ')
        ++*ret_next;
    return end;
}

/* Answers the number of lines; prints them if @out is not NULL. */
static size_t lay_out(const Screen *screen,
                      FILE *out,
                      Style style,
                      size_t indent,
                      size_t hang,
                      const char *text)
{
    const Terminal *terminal = screen->terminal;
    size_t n_lines = 0, next;

    do {
        size_t columns =
            terminal->is_terminal ? room_behind(screen, indent) : SIZE_MAX;
        size_t len = take_line(text, columns, &next);

        if (out)
            (void) fprintf(out, "%*s%s%.*s%s\n", (int) indent, "",
                           terminal_style(terminal, style), (int) len, text,
                           terminal_style_end(terminal, style));
        text += next;
        indent = hang;
        n_lines++;
    } while (*text);
    return n_lines;
}

void screen_text(Screen *screen,
                 Style style,
                 size_t indent,
                 size_t hang,
                 const char *text)
{
    screen->n_lines +=
        lay_out(screen, screen->terminal->out, style, indent, hang, text);
}

size_t screen_height(const Screen *screen,
                     size_t indent,
                     size_t hang,
                     const char *text)
{
    return lay_out(screen, NULL, STYLE_PLAIN, indent, hang, text);
}

void screen_gap(Screen *screen)
{
    if (screen->n_lines > 0 && screen_left(screen) >= GAPS_FROM_LEFT)
        screen_text(screen, STYLE_PLAIN, 0, 0, "");
}

void screen_more(Screen *screen, size_t n_left_out, size_t indent)
{
    char text[64];

    if (n_left_out == 0)
        return;
    (void) text_format(text, sizeof(text), "and %zu more%s", n_left_out,
                       screen->has_end ? ", with -v" : "");
    screen_text(screen, STYLE_FAINT, indent, indent, text);
}

static void print_tabbed_row(FILE *out, size_t n_cells, const ScreenRow row)
{
    for (size_t i = 0; i < n_cells; i++)
        (void) fprintf(out, "%s%s", i > 0 ? "\t" : "", row[i]);
    (void) fputc('\n', out);
}

/* Take columns from the widest cells until the row fits, but leave the first
 * one as many as @first_min. */
static void take_columns(size_t widths[],
                         size_t n_cells,
                         size_t columns,
                         size_t first_min)
{
    for (;;) {
        size_t sum = (n_cells - 1) * COLUMN_GAP, widest = n_cells;

        for (size_t i = 0; i < n_cells; i++) {
            sum += widths[i];
            if (widths[i] > (i == 0 ? first_min : COLUMN_MIN) &&
                (widest == n_cells || widths[i] > widths[widest]))
                widest = i;
        }
        if (sum <= columns || widest == n_cells)
            return;
        widths[widest]--;
    }
}

/* The first cell is the name that other commands want: half of the columns are
 * its own, if need be, as long as the others can be cut. */
static void shrink(size_t widths[], size_t n_cells, size_t columns)
{
    take_columns(widths, n_cells, columns, columns / 2);
    take_columns(widths, n_cells, columns, COLUMN_MIN);
}

static void print_cell(FILE *out, const char *text, size_t width, bool last)
{
    char cut[SHOW_TEXT_MAX + 1];
    size_t used;

    if (show_width(text) > width) {
        /* what is in quotes stays in them */
        const char *end =
            text[0] == '"' && width > COLUMN_MIN ? ELLIPSIS "\"" : ELLIPSIS;
        size_t len = show_fit(text, width - strlen(end));

        (void) text_format(cut, sizeof(cut), "%.*s%s", (int) len, text, end);
        text = cut;
    }
    /* a wide character that was cut may leave a column */
    used = show_width(text);
    (void) fprintf(out, "%s%*s", text,
                   last ? 0 : (int) (width - used + COLUMN_GAP), "");
}

void screen_table(Screen *screen,
                  size_t indent,
                  size_t n_cells,
                  const ScreenRow *rows,
                  size_t n_rows)
{
    const Terminal *terminal = screen->terminal;
    size_t widths[SCREEN_CELLS_MAX] = {}, n_full;

    assert(n_cells > 0 && n_cells <= SCREEN_CELLS_MAX);

    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < n_cells; i++) {
            size_t width = show_width(rows[r][i]);

            if (width > widths[i])
                widths[i] = width;
        }
    shrink(widths, n_cells, room_behind(screen, indent));

    for (size_t r = 0; r < n_rows; r++) {
        Style style = r == 0 ? STYLE_FAINT : STYLE_PLAIN;

        if (!terminal->is_terminal) {
            print_tabbed_row(terminal->out, n_cells, rows[r]);
            continue;
        }
        (void) fprintf(terminal->out, "%*s%s", (int) indent, "",
                       terminal_style(terminal, style));
        n_full = n_cells;
        while (n_full > 0 && rows[r][n_full - 1][0] == '\0')
            n_full--;
        for (size_t i = 0; i < n_full; i++)
            print_cell(terminal->out, rows[r][i], widths[i], i + 1 == n_full);
        (void) fprintf(terminal->out, "%s\n",
                       terminal_style_end(terminal, style));
    }
    screen->n_lines += n_rows;
}
