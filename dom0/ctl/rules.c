/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <string.h>

#include "common/sys/clock.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/view.h"

static const char help[] =
    "Usage: " CTL_NAME " rules [--json] [-q | -v] [--socket PATH]\n"
    "\n"
    "Show the rules that are in force, in the order in which they count: the "
    "first\n"
    "that matches a device wins. HITS is how many records it has decided since "
    "the\n"
    "daemon began.\n"
    "\n"
    "Options:\n"
    "      --json         one JSON object in ASCII with the list \"rules\"; "
    "their form\n"
    "                     is that of ListRules in "
    "org.qubes-contrib.autoattach\n"
    "  -q, --quiet        their names only\n"
    "  -v, --verbose      whole rules, on as many lines as they take\n"
    "      --socket PATH  the daemon's control socket, if it is not\n"
    "                     " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: 0 if the daemon answered, 5 if not, 64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " rules -v\n";

typedef struct RuleCells {
    Cell name;
    Cell hits;
    Cell place;
    ShowText text;
} RuleCells;
#define N_CELLS 4U

static const char *show_place(const View *view, Cell *ret, const json_t *rule)
{
    Cell file;

    (void) text_format(ret->s, sizeof(ret->s), "%s:%" PRIu64,
                       view_cell(view, &file, rule, "file"),
                       member_number(rule, "line"));
    return ret->s;
}

/* The rule without its name, which has a column of its own. */
static const char *show_body(const View *view,
                             ShowText *ret,
                             const json_t *rule)
{
    const char *text = member_text(rule, "text");
    const char *colon = strstr(text, ": ");

    return show_text(ret, colon ? colon + 2 : text, view->utf8);
}

static int print_table(View *view, const json_t *rules)
{
    size_t n = json_array_size(rules);
    _cleanup_(freep) RuleCells *cells = calloc(n + 1, sizeof(*cells));
    _cleanup_(freep) ScreenRow *rows = calloc(n + 1, sizeof(*rows));

    if (!cells || !rows) {
        (void) fputs(CTL_NAME ": out of memory\n", stderr);
        return CTL_EXIT_UNREACHABLE;
    }
    if (n == 0) {
        view_print(view, STYLE_PLAIN, 0, 0, "no rules are in force");
        return CTL_EXIT_OK;
    }

    rows[0][0] = "NAME";
    rows[0][1] = "HITS";
    rows[0][2] = "WHERE";
    rows[0][3] = "RULE";
    for (size_t i = 0; i < n; i++) {
        const json_t *rule = json_array_get(rules, i);
        RuleCells *cell = &cells[i + 1];

        rows[i + 1][0] = view_cell(view, &cell->name, rule, "name");
        rows[i + 1][1] = view_count(&cell->hits, rule, "n_hits");
        rows[i + 1][2] = show_place(view, &cell->place, rule);
        rows[i + 1][3] = show_body(view, &cell->text, rule);
    }
    screen_table(&view->screen, 0, N_CELLS, rows, n + 1);
    return CTL_EXIT_OK;
}

static void print_list(View *view, const json_t *rules, bool whole)
{
    const json_t *rule;
    size_t index;

    json_array_foreach(rules, index, rule)
    {
        Cell place;
        ShowText text, hits;

        if (!whole) {
            view_print(view, STYLE_PLAIN, 0, 0, "%s",
                       view_shown(view, &text, rule, "name"));
            continue;
        }
        show_count(&hits, member_number(rule, "n_hits"), "hit");
        view_print(view, STYLE_FAINT, 0, 0, "# %s, %s",
                   show_place(view, &place, rule), hits.s);
        view_print(view, STYLE_PLAIN, 0, 2 * VIEW_INDENT, "%s",
                   view_shown(view, &text, rule, "text"));
    }
}

static int rules_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(json_decrefp) json_t *rules = NULL;
    ClientError error;
    View view;

    if (client_list(&rules, &error, client_path(arguments), "ListRules",
                    "rules") < 0)
        return client_complain(&error);

    view_init(&view, terminal, clock_realtime_usec(), true);
    if (arguments_have(arguments, OPTION_JSON)) {
        _cleanup_(json_decrefp) json_t *object =
            json_pack("{s:O}", "rules", rules);

        view_json(terminal, object);
    } else if (arguments_have(arguments, OPTION_VERBOSE) ||
               arguments_have(arguments, OPTION_QUIET)) {
        print_list(&view, rules, arguments_have(arguments, OPTION_VERBOSE));
    } else {
        return print_table(&view, rules);
    }
    return CTL_EXIT_OK;
}

const Command rules_command = {
    .name = "rules",
    .summary = "the rules in force, where they are, how often they hit",
    .help = help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET),
    .operands_max = 0,
    .run = rules_run,
};
