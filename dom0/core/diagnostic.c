/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/diagnostic.h"

#define ELLIPSIS   "..."
#define ESCAPE_MAX 16U
#define INDENT     "    "

/* a longer line is shown from not far before its caret */
#define LINE_SHOWN_WHOLE_MAX 250U
#define CONTEXT_BEFORE       60U

/* any file name has room, also when each byte is escaped */
#define FILE_SHOWN_MAX 1023U

struct Diagnostics {
    size_t n_kept;
    size_t n_errors;
    size_t n_warnings;
    Diagnostic kept[DIAGNOSTICS_MAX];
};

/* One character as it is shown. Unlike text_escape() it leaves a backslash
 * alone, which rules are full of, and shows a tab as one blank. */
static size_t show_one(char ret[ESCAPE_MAX], const char *text, size_t len)
{
    uint32_t code_point;
    size_t n = text_decode_utf8(&code_point, text, len);

    if (n == 0)
        n = 1;
    if (*text == '\t')
        (void) text_format(ret, ESCAPE_MAX, " ");
    else if (*text == '\\')
        (void) text_format(ret, ESCAPE_MAX, "\\");
    else
        text_escape(ret, ESCAPE_MAX, text, n);
    return n;
}

static size_t count_chars(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char) *text & 0xc0) != 0x80;
    return n;
}

/* Which part of a text is shown, and a place in it */
typedef struct Window {
    size_t start;    /* bytes that are left out before it */
    size_t n_before; /* characters in them */
    size_t max;      /* bytes that it may take as it is shown */
    size_t column;   /* a character of the whole text, from 1; or 0 */
} Window;

/*
 * The part of the text, marked where something is left out. @ret_column, which
 * may be NULL, is what the window's column has become.
 */
static char *show(const char *text,
                  size_t len,
                  const Window *window,
                  unsigned int *ret_column)
{
    size_t used = 0, column = 1, i = window->n_before;
    char *shown = malloc(window->max + 1);

    if (!shown)
        return NULL;

    text += window->start;
    len -= window->start;
    if (window->start > 0) {
        memcpy(shown, ELLIPSIS, strlen(ELLIPSIS));
        used = strlen(ELLIPSIS);
        column += used;
    }
    while (len > 0) {
        char piece[ESCAPE_MAX];
        size_t n = show_one(piece, text, len);
        size_t piece_len = strlen(piece);

        if (used + piece_len + (n == len ? 0 : strlen(ELLIPSIS)) >
            window->max) {
            memcpy(shown + used, ELLIPSIS, strlen(ELLIPSIS));
            used += strlen(ELLIPSIS);
            break;
        }
        memcpy(shown + used, piece, piece_len);
        used += piece_len;
        if (++i < window->column)
            column += count_chars(piece);
        text += n;
        len -= n;
    }
    shown[used] = '\0';

    if (ret_column)
        *ret_column = window->column > 0 ? (unsigned int) column : 0;
    return shown;
}

/* The start of a text, which is a file's name or a message. */
static char *show_start(const char *text, size_t max)
{
    const Window window = { .max = max };

    return show(text, strlen(text), &window, NULL);
}

/* A line, from not far before the caret if it is long. */
static int set_source_line(Diagnostic *diagnostic, const char *line, size_t len)
{
    Window window = {
        .max = DIAGNOSTIC_SOURCE_LINE_MAX,
        .column = diagnostic->column,
    };

    while (len > LINE_SHOWN_WHOLE_MAX && window.start < len &&
           window.n_before + CONTEXT_BEFORE + 1 < window.column) {
        uint32_t code_point;
        size_t n = text_decode_utf8(&code_point, line + window.start,
                                    len - window.start);

        window.start += n > 0 ? n : 1;
        window.n_before++;
    }

    diagnostic->source_line = show(line, len, &window, &diagnostic->caret);
    return diagnostic->source_line ? 0 : -ENOMEM;
}

int diagnostics_new(Diagnostics **ret)
{
    Diagnostics *diagnostics = calloc(1, sizeof(*diagnostics));

    if (!diagnostics)
        return -ENOMEM;

    *ret = diagnostics;
    return 0;
}

static void diagnostic_clear(Diagnostic *diagnostic)
{
    free(diagnostic->file);
    free(diagnostic->message);
    free(diagnostic->source_line);
    *diagnostic = (Diagnostic){};
}

Diagnostics *diagnostics_free(Diagnostics *diagnostics)
{
    if (!diagnostics)
        return NULL;

    for (size_t i = 0; i < diagnostics->n_kept; i++)
        diagnostic_clear(&diagnostics->kept[i]);
    free(diagnostics);
    return NULL;
}

int diagnostics_add(Diagnostics *diagnostics,
                    DiagnosticLevel level,
                    const char *file,
                    unsigned int line,
                    unsigned int column,
                    const char *source_line,
                    size_t source_line_len,
                    const char *message)
{
    Diagnostic diagnostic = { .level = level, .line = line, .column = column };
    int r = 0;

    switch (level) {
    case DIAGNOSTIC_ERROR:
        diagnostics->n_errors++;
        break;
    case DIAGNOSTIC_WARNING:
        diagnostics->n_warnings++;
        break;
    }
    if (diagnostics->n_kept == DIAGNOSTICS_MAX)
        return 0;

    diagnostic.file = show_start(file, FILE_SHOWN_MAX);
    diagnostic.message = show_start(message, DIAGNOSTIC_MESSAGE_MAX);
    if (!diagnostic.file || !diagnostic.message)
        r = -ENOMEM;
    if (r == 0 && source_line)
        r = set_source_line(&diagnostic, source_line, source_line_len);
    if (r < 0) {
        diagnostic_clear(&diagnostic);
        return r;
    }

    diagnostics->kept[diagnostics->n_kept++] = diagnostic;
    return 0;
}

size_t diagnostics_count(const Diagnostics *diagnostics)
{
    return diagnostics->n_kept;
}

size_t diagnostics_count_level(const Diagnostics *diagnostics,
                               DiagnosticLevel level)
{
    return level == DIAGNOSTIC_ERROR ? diagnostics->n_errors
                                     : diagnostics->n_warnings;
}

static bool is_before(const Diagnostic *a, const Diagnostic *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void diagnostics_sort(Diagnostics *diagnostics, size_t first)
{
    /* they are nearly sorted */
    for (size_t i = first + 1; i < diagnostics->n_kept; i++) {
        Diagnostic diagnostic = diagnostics->kept[i];
        size_t j = i;

        for (; j > first && is_before(&diagnostic, &diagnostics->kept[j - 1]);
             j--)
            diagnostics->kept[j] = diagnostics->kept[j - 1];
        diagnostics->kept[j] = diagnostic;
    }
}

const Diagnostic *diagnostics_get(const Diagnostics *diagnostics, size_t index)
{
    assert(index < diagnostics->n_kept);

    return &diagnostics->kept[index];
}

char *diagnostic_format(const Diagnostic *diagnostic)
{
    const char *level =
        diagnostic->level == DIAGNOSTIC_WARNING ? "warning: " : "";
    const char *line = diagnostic->source_line;
    char place[32] = "";
    size_t size;
    char *text;

    if (diagnostic->line > 0 && diagnostic->column > 0)
        (void) text_format(place, sizeof(place), "%u:%u:", diagnostic->line,
                           diagnostic->column);
    else if (diagnostic->line > 0)
        (void) text_format(place, sizeof(place), "%u:", diagnostic->line);

    size = strlen(diagnostic->file) + sizeof(place) + strlen(level) +
           strlen(diagnostic->message) + diagnostic->caret +
           (line ? strlen(line) : 0) + 4 * sizeof(INDENT);
    text = malloc(size);
    if (!text)
        return NULL;

    size_t used = text_format(text, size, "%s:%s %s%s\n", diagnostic->file,
                              place, level, diagnostic->message);
    if (line)
        used += text_format(text + used, size - used, INDENT "%s\n", line);
    if (line && diagnostic->caret > 0)
        (void) text_format(text + used, size - used, INDENT "%*s\n",
                           (int) diagnostic->caret, "^");
    return text;
}
