/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/passed-over.h"
#include "dom0/ctl/qube-names.h"
#include "dom0/ctl/rules-look.h"
#include "dom0/ctl/status-view.h"
#include "dom0/ctl/view.h"

static const char help[] =
    "Usage: " CTL_NAME " status [--json] [-q | -v] [--socket PATH]\n"
    "\n"
    "Show whether qubes-autoattach works, what needs your attention, also of "
    "what\n"
    "`" CTL_NAME " check` warns, what is attached where by which rule, what "
    "is\n"
    "being worked on, and how the last devices fared, and why.\n"
    "On a terminal it fits one screen. What a device says of itself is shown\n"
    "between double quotes; it proves nothing.\n"
    "\n"
    "Options:\n"
    "      --json         all there is, as one JSON object in ASCII; its form "
    "is\n"
    "                     that of GetStatus in org.qubes-contrib.autoattach, "
    "with the\n"
    "                     warnings of check among the errors of rules\n"
    "  -q, --quiet        only what needs attention; nothing if all is well\n"
    "  -v, --verbose      all there is, even if it is more than a screen\n"
    "      --socket PATH  the daemon's control socket, if it is not\n"
    "                     " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: 0 if the daemon answered, whatever it said; 5 if not; 64 "
    "for\n"
    "wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " status --json | python3 -m json.tool\n";

/* What the daemon does not tell: which rules are hardly meant, and, for a
 * person, which qubes run, and where rules are that are not read. */
static int add_looked_up(json_t *status, const Arguments *arguments)
{
    _cleanup_(json_decrefp) json_t *qubes = NULL;
    json_t *rules = json_object_get(status, "rules");

    if (member_is(json_object_get(status, "qubesd"), "state", "connected"))
        qubes = qube_list_ask(client_path(arguments));
    if (rules_look(rules, qubes) < 0)
        return -ENOMEM;
    if (arguments_have(arguments, OPTION_JSON))
        return 0;
    if (qubes && json_object_set(status, "qubes", qubes) < 0)
        return -ENOMEM;
    return passed_over_look(rules);
}

static int status_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(json_decrefp) json_t *status = NULL;
    ViewDetail detail = VIEW_SCREEN;
    ClientError error;

    if (client_call(&status, &error, client_path(arguments), "GetStatus",
                    json_object()) < 0)
        return client_complain(&error);
    if (add_looked_up(status, arguments) < 0) {
        (void) fputs(CTL_NAME ": out of memory\n", stderr);
        return CTL_EXIT_UNREACHABLE;
    }

    if (arguments_have(arguments, OPTION_JSON)) {
        view_json(terminal, status);
        return CTL_EXIT_OK;
    }
    if (arguments_have(arguments, OPTION_VERBOSE))
        detail = VIEW_WHOLE;
    else if (arguments_have(arguments, OPTION_QUIET))
        detail = VIEW_ATTENTION;
    status_view(terminal, status, detail);
    return CTL_EXIT_OK;
}

const Command status_command = {
    .name = "status",
    .summary = "is it working, what needs attention, what happened",
    .help = help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET),
    .operands_max = 0,
    .run = status_run,
};
