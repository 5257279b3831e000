/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <langinfo.h>
#include <string.h>
#include <sys/ioctl.h>

#include "dom0/ctl/terminal.h"

static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    /* no-color.org: when present and not empty */
    return !(no_color && no_color[0]) && term && term[0] &&
           strcmp(term, "dumb") != 0;
}

void terminal_init(Terminal *ret, FILE *out)
{
    struct winsize size = {};
    int fd = fileno(out);

    *ret = (Terminal){
        .out = out,
        .is_terminal = fd >= 0 && isatty(fd),
        .has_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .columns = TERMINAL_COLUMNS,
        .rows = TERMINAL_ROWS,
    };
    ret->has_colour = ret->is_terminal && wants_colour();
    if (ret->is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0) {
        if (size.ws_col > 0)
            ret->columns = size.ws_col;
        if (size.ws_row > 0)
            ret->rows = size.ws_row;
    }
}

const char *terminal_style(const Terminal *terminal, Style style)
{
    if (!terminal->has_colour)
        return "";

    switch (style) {
    case STYLE_PLAIN:
        return "";
    case STYLE_STRONG:
        return "\033[1m";
    case STYLE_FAINT:
        return "\033[2m";
    case STYLE_GOOD:
        return "\033[32m";
    case STYLE_WARNING:
        return "\033[33m";
    case STYLE_BAD:
        return "\033[1;31m";
    }
    return "";
}

const char *terminal_style_end(const Terminal *terminal, Style style)
{
    return terminal->has_colour && style != STYLE_PLAIN ? "\033[0m" : "";
}

int terminal_finish(Terminal *terminal)
{
    if (fflush(terminal->out) != 0)
        return -errno;
    if (ferror(terminal->out))
        return -EIO;
    return terminal->has_lost ? -ENOMEM : 0;
}
