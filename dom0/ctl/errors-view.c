/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <string.h>
#include <wchar.h>

#include "common/text.h"
#include "dom0/ctl/errors-view.h"

#define ERRORS_SHOWN 2U /* on a screen; with their lines */

/* The place of an error, as FILE:LINE:COLUMN: */
static const char *show_place(const View *view,
                              ShowText *ret,
                              const json_t *error)
{
    uint64_t line = member_number(error, "line");
    uint64_t column = member_number(error, "column");
    size_t len = strlen(view_shown(view, ret, error, "file"));
    char *end = ret->s + len;
    size_t size = sizeof(ret->s) - len;

    if (line > 0 && column > 0)
        (void) text_format(end, size, ":%" PRIu64 ":%" PRIu64 ":", line,
                           column);
    else if (line > 0)
        (void) text_format(end, size, ":%" PRIu64 ":", line);
    else
        (void) text_format(end, size, ":");
    return ret->s;
}

/* The line and a caret, where both fit as they are; not for what works. */
static void source_line(View *view, const json_t *error, size_t indent)
{
    uint64_t caret = member_number(error, "caret");
    size_t before;
    ShowText line;

    view_shown(view, &line, error, "source_line");
    if (line.s[0] == '\0' ||
        screen_height(&view->screen, indent, indent, line.s) != 1)
        return;
    view_print(view, STYLE_FAINT, indent, indent, "%s", line.s);
    if (caret == 0)
        return;
    before = show_width_of(member_text(error, "source_line"),
                           (size_t) caret - 1, view->utf8);
    view_print(view, STYLE_WARNING, indent + before, indent, "^");
}

void errors_view(View *view, const json_t *rules, size_t indent)
{
    const json_t *errors = json_object_get(rules, "errors");
    size_t n = json_array_size(errors);
    uint64_t n_all =
        member_number(rules, "n_errors") + member_number(rules, "n_warnings");
    size_t n_shown = n;

    if (view->screen.has_end && n_shown > ERRORS_SHOWN)
        n_shown = ERRORS_SHOWN;
    for (size_t i = 0; i < n_shown; i++) {
        const json_t *error = json_array_get(errors, i);
        bool is_warning = member_is(error, "level", "warning");
        ShowText place, message;

        show_place(view, &place, error);
        view_shown(view, &message, error, "message");
        view_print(view, STYLE_PLAIN, indent, indent + VIEW_INDENT, "%s %s%s",
                   place.s, is_warning ? "warning: " : "", message.s);
        if (!is_warning)
            source_line(view, error, indent + VIEW_INDENT);
    }
    if (n_all > n_shown)
        view_print(view, STYLE_FAINT, indent, indent + VIEW_INDENT,
                   "and %" PRIu64 " more: qvm-autoattach check",
                   n_all - n_shown);
}

const char *errors_consequence(const json_t *rules)
{
    return member_number(rules, "loaded_usec") > 0
               ? "the old rules stay in force"
               : "no rules are in force";
}

/* In columns, the first @n characters of a text that is printed as it is. */
static size_t plain_width(const char *text, size_t n)
{
    size_t len = strlen(text), width = 0;

    for (; n > 0; n--) {
        uint32_t c = '.';
        size_t taken = text_decode_utf8(&c, text, len);
        int one = wcwidth((wchar_t) c);

        width += one < 0 ? 1 : (size_t) one;
        text += taken;
        len -= taken;
    }
    return width;
}

char *errors_format(const Diagnostic *diagnostic)
{
    Diagnostic placed = *diagnostic;

    if (placed.source_line && placed.caret > 0)
        placed.caret =
            (unsigned int) plain_width(placed.source_line, placed.caret - 1) +
            1;
    return diagnostic_format(&placed);
}
