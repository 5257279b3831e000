/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "common/sys/clock.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/errors-view.h"
#include "dom0/ctl/operand.h"
#include "dom0/ctl/passed-over.h"
#include "dom0/ctl/qube-names.h"
#include "dom0/ctl/rules-folder.h"
#include "dom0/ctl/rules-look.h"

#define RELOAD_EXIT_ERRORS 2

#define OPTIONS_HELP                                                       \
    "Options:\n"                                                           \
    "      --json         the answer as one JSON object in ASCII, as in\n" \
    "                     org.qubes-contrib.autoattach\n"                  \
    "  -q, --quiet        say nothing\n"                                   \
    "      --socket PATH  the daemon's control socket, if it is not\n"     \
    "                     " CTL_SOCKET_DEFAULT "\n"                        \
    "\n"

static const char pause_help[] =
    "Usage: " CTL_NAME " pause [TIME] [--json] [-q] [--socket PATH]\n"
    "\n"
    "Attach nothing for TIME (as 30s, 5m, 2h), or until `" CTL_NAME
    " resume`. What\n"
    "is plugged in and unplugged is followed all the same, and a pause with a "
    "time\n"
    "ends by itself: what came meanwhile is decided then, and what you said no "
    "to or\n"
    "detached stays as it is. Any pause ends with a restart of dom0.\n"
    "\n" OPTIONS_HELP
    "Exit status: 0 if it is paused, 5 if the daemon cannot be reached, 64 "
    "for wrong\n"
    "usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " pause 30m\n";

static const char resume_help[] =
    "Usage: " CTL_NAME " resume [--json] [-q] [--socket PATH]\n"
    "\n"
    "End a pause. All that is plugged in is decided as if it came now: that "
    "you said\n"
    "no to it, or that it was detached by hand, is forgotten. Without a pause "
    "nothing\n"
    "happens; `" CTL_NAME " retry` decides one device again.\n"
    "\n" OPTIONS_HELP
    "Exit status: 0 if it is not paused any more, 5 if the daemon cannot be "
    "reached,\n"
    "64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " resume\n";

static const char reload_help[] =
    "Usage: " CTL_NAME " reload [--json] [-q] [--socket PATH]\n"
    "\n"
    "Read the rules again. (The daemon sees changes by itself; this tells "
    "at\n"
    "once what is wrong with them, and what `" CTL_NAME " check` warns of.)\n"
    "With any error the old rules stay in force, if there are any. What is "
    "attached\n"
    "stays attached, and devices are decided by the new rules when they are "
    "plugged\n"
    "in, or with `" CTL_NAME " retry`.\n"
    "\n" OPTIONS_HELP
    "Exit status: 0 if the rules are in force, 2 if they have errors or their "
    "folder\n"
    "is missing, 5 if the daemon cannot be reached, 64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " reload\n";

/* Make the call. CTL_EXIT_OK, and @ret is to be told the person; else nothing
 * more is to be said. */
static int call(const Arguments *arguments,
                Terminal *terminal,
                const char *method,
                json_t *parameters,
                json_t **ret)
{
    ClientError error;

    if (client_call(ret, &error, client_path(arguments), method, parameters) <
        0)
        return client_complain(&error);
    if (arguments_have(arguments, OPTION_JSON))
        view_json(terminal, *ret);
    return CTL_EXIT_OK;
}

static bool is_silent(const Arguments *arguments)
{
    return arguments_have(arguments, OPTION_JSON) ||
           arguments_have(arguments, OPTION_QUIET);
}

static int pause_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(json_decrefp) json_t *answer = NULL;
    bool has_end = arguments->n_operands > 0;
    uint64_t usec = 0;
    ShowText span;
    int status;

    if (has_end && !time_arg_parse(&usec, arguments->operands[0]))
        return CTL_EXIT_USAGE;
    status =
        call(arguments, terminal, "Pause",
             json_pack("{s:o}", "duration_usec",
                       has_end ? json_integer((json_int_t) usec) : json_null()),
             &answer);
    if (status != CTL_EXIT_OK || is_silent(arguments))
        return status;

    if (has_end)
        (void) fprintf(terminal->out, "attaching is paused for %s\n",
                       show_exact_span(&span, usec));
    else
        (void) fprintf(terminal->out,
                       "attaching is paused; to go on: " CTL_NAME " resume\n");
    return CTL_EXIT_OK;
}

static int resume_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(json_decrefp) json_t *answer = NULL;
    int status = call(arguments, terminal, "Resume", json_object(), &answer);

    if (status == CTL_EXIT_OK && !is_silent(arguments))
        (void) fprintf(terminal->out, "%s\n",
                       member_flag(answer, "was_paused")
                           ? "attaching goes on"
                           : "attaching was not paused");
    return status;
}

static void print_rules(Terminal *terminal, const json_t *rules)
{
    uint64_t n_warnings = member_number(rules, "n_warnings");
    ShowText n_rules, n_files, n_errors, warnings, directory;
    View view;

    view_init(&view, terminal, clock_realtime_usec(), true);
    errors_view(&view, rules, 0);
    passed_over_view(&view, json_object_get(rules, "passed_over"), 0);
    show_count(&n_rules, member_number(rules, "n_rules"), "rule");
    show_count(&n_files, member_number(rules, "n_files"), "file");
    show_count(&n_errors, member_number(rules, "n_errors"), "error");
    show_count(&warnings, n_warnings, "warning");
    view_shown(&view, &directory, rules, "directory");
    if (member_flag(rules, "missing"))
        view_print(&view, STYLE_BAD, 0, 0,
                   "the rules folder %s does not exist, no rules are in force; "
                   "to make it: " RULES_FOLDER_MAKE " %s",
                   directory.s, directory.s);
    else if (member_flag(rules, "failed"))
        view_print(&view, STYLE_BAD, 0, 0, "%s; %s", n_errors.s,
                   errors_consequence(rules));
    else
        view_print(&view, STYLE_PLAIN, 0, 0, "%s of %s in force%s%s", n_rules.s,
                   n_files.s, n_warnings > 0 ? ", " : "",
                   n_warnings > 0 ? warnings.s : "");
}

/* What the daemon does not tell. */
static int look_up(json_t *rules, const Arguments *arguments)
{
    _cleanup_(json_decrefp) json_t *qubes =
        qube_list_ask(client_path(arguments));

    if (rules_look(rules, qubes) < 0)
        return -ENOMEM;
    return arguments_have(arguments, OPTION_JSON) ? 0 : passed_over_look(rules);
}

static int reload_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(json_decrefp) json_t *answer = NULL;
    ClientError error;
    json_t *rules;

    if (client_call(&answer, &error, client_path(arguments), "Reload",
                    json_object()) < 0)
        return client_complain(&error);
    rules = json_object_get(answer, "rules");
    if ((arguments_have(arguments, OPTION_JSON) ||
         !arguments_have(arguments, OPTION_QUIET)) &&
        look_up(rules, arguments) < 0) {
        (void) fputs(CTL_NAME ": out of memory\n", stderr);
        return CTL_EXIT_UNREACHABLE;
    }
    if (arguments_have(arguments, OPTION_JSON))
        view_json(terminal, answer);
    else if (!arguments_have(arguments, OPTION_QUIET))
        print_rules(terminal, rules);
    return member_flag(rules, "failed") || member_flag(rules, "missing")
               ? RELOAD_EXIT_ERRORS
               : CTL_EXIT_OK;
}

const Command pause_command = {
    .name = "pause",
    .summary = "attach nothing for a time, or until it is resumed",
    .help = pause_help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET),
    .operands_max = 1,
    .run = pause_run,
};

const Command resume_command = {
    .name = "resume",
    .summary = "attach again, also what is plugged in already",
    .help = resume_help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET),
    .operands_max = 0,
    .run = resume_run,
};

const Command reload_command = {
    .name = "reload",
    .summary = "read the rules again",
    .help = reload_help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET),
    .operands_max = 0,
    .run = reload_run,
};
