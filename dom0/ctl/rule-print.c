/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/ctl/rule-print.h"
#include "dom0/ctl/view.h"

/* How much of the text fits into so many columns, up to a blank that is not in
 * quotes; all of it if there is none. */
static size_t take_words(const char *text, size_t columns)
{
    size_t fit = 0, i;
    bool quoted = false;

    for (i = 0; text[i]; i++) {
        if (text[i] == '\\' && text[i + 1])
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (text[i] == ' ' && !quoted) {
            if (fit > 0 && i > columns)
                return fit;
            fit = i;
        }
    }
    return i > columns && fit > 0 ? fit : i;
}

/* Columns but for @used ones. */
static size_t columns_of(const Terminal *terminal, size_t used)
{
    return terminal->is_terminal ? terminal->columns - used : SIZE_MAX;
}

void rule_print(const Terminal *terminal, size_t indent, const char *text)
{
    static const char join[] = " \\";
    size_t columns = columns_of(terminal, strlen(join));
    const size_t hang = indent + 2 * VIEW_INDENT;

    for (;;) {
        size_t len = take_words(text, columns - indent);
        const char *rest = text + len + strspn(text + len, " ");

        (void) fprintf(terminal->out, "%*s%.*s%s\n", (int) indent, "",
                       (int) len, text, *rest ? join : "");
        if (*rest == '\0')
            return;
        text = rest;
        indent = hang;
    }
}

void rule_print_comment(const Terminal *terminal, const char *text)
{
    static const char sign[] = "# ";
    size_t columns = columns_of(terminal, strlen(sign));

    do {
        size_t len = take_words(text, columns);

        (void) fprintf(terminal->out, "%s%.*s\n", sign, (int) len, text);
        text += len + strspn(text + len, " ");
    } while (*text);
}
