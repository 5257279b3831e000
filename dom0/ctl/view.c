/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "dom0/ctl/view.h"

void view_init(View *ret,
               const Terminal *terminal,
               uint64_t now_usec,
               bool whole)
{
    *ret = (View){ .utf8 = terminal->has_utf8, .now_usec = now_usec };
    screen_init(&ret->screen, terminal, whole);
}

const char *member_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

uint64_t member_number(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));

    return number > 0 ? (uint64_t) number : 0;
}

bool member_flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

bool member_is(const json_t *object, const char *key, const char *text)
{
    return strcmp(member_text(object, key), text) == 0;
}

const char *view_shown(const View *view,
                       ShowText *ret,
                       const json_t *object,
                       const char *key)
{
    return show_text(ret, member_text(object, key), view->utf8);
}

static const char *fit_cell(Cell *ret, const ShowText *text)
{
    (void) text_format(ret->s, sizeof(ret->s), "%.*s",
                       (int) show_fit(text->s, CELL_COLUMNS), text->s);
    return ret->s;
}

const char *view_cell(const View *view,
                      Cell *ret,
                      const json_t *object,
                      const char *key)
{
    ShowText text;

    view_shown(view, &text, object, key);
    return fit_cell(ret, &text);
}

const char *view_words(const View *view,
                       Cell *ret,
                       const json_t *object,
                       const char *key)
{
    const char *untrusted_words = member_text(object, key);
    ShowText text;
    size_t len;

    ret->s[0] = '\0';
    if (untrusted_words[0] == '\0')
        return ret->s;

    show_quoted_escaped(&text, untrusted_words, view->utf8);
    if (show_width(text.s) > CELL_COLUMNS) {
        /* cut, but the quotes stay closed */
        len = show_fit(text.s, CELL_COLUMNS - strlen("...\""));
        (void) text_format(ret->s, sizeof(ret->s), "%.*s...\"", (int) len,
                           text.s);
        return ret->s;
    }
    return fit_cell(ret, &text);
}

const char *view_count(Cell *ret, const json_t *object, const char *key)
{
    (void) text_format(ret->s, sizeof(ret->s), "%" PRIu64,
                       member_number(object, key));
    return ret->s;
}

const char *view_device(const View *view, Cell *ret, const json_t *object)
{
    Cell source, device;
    ShowText text;

    (void) text_format(text.s, sizeof(text.s), "%s:%s",
                       view_cell(view, &source, object, "source"),
                       view_cell(view, &device, object, "device"));
    return fit_cell(ret, &text);
}

void view_json(Terminal *terminal, const json_t *json)
{
    if (json_dumpf(json, terminal->out, JSON_COMPACT | JSON_ENSURE_ASCII) < 0)
        terminal->has_lost = true;
    (void) fputc('\n', terminal->out);
}

void view_print(View *view,
                Style style,
                size_t indent,
                size_t hang,
                const char *format,
                ...)
{
    char text[2 * SHOW_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void) text_format_list(text, sizeof(text), format, args);
    va_end(args);
    screen_text(&view->screen, style, indent, hang, text);
}

void view_heading(View *view, const char *text)
{
    screen_gap(&view->screen);
    screen_text(&view->screen, STYLE_STRONG, 0, 0, text);
}
