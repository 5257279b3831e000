/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/sys/clock.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/nearest.h"
#include "dom0/ctl/operand.h"
#include "dom0/ctl/outcome-text.h"
#include "dom0/ctl/view.h"

#define WAIT_EXIT_TIMEOUT 5
#define WAIT_EXIT_NO_RULE 4

static const char help[] =
    "Usage: " CTL_NAME " wait DEVICE|RULE [--timeout TIME] [--json] [-q | -v]\n"
    "                           [--socket PATH]\n"
    "\n"
    "For scripts: wait until a device is attached to a qube, or until any "
    "device is\n"
    "attached by a rule, or by someone else where the rule wants it. It is no\n"
    "error if the device is not plugged in yet.\n"
    "\n"
    "Options:\n"
    "      --timeout TIME  no longer than this, as 30s, 5m, 2h (default: for "
    "ever)\n"
    "      --json          what was attached, as one JSON object in ASCII; its "
    "form\n"
    "                      is that of Attached in "
    "org.qubes-contrib.autoattach\n"
    "  -q, --quiet         say nothing; the exit status tells\n"
    "  -v, --verbose       tell on standard error what happens meanwhile\n"
    "      --socket PATH   the daemon's control socket, if it is not\n"
    "                      " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: 0 if it is attached, 4 if there is no such rule, 5 if the "
    "time is\n"
    "over or the daemon has gone or cannot be reached, 64 for wrong usage, 130 "
    "after\n"
    "Ctrl-C.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " wait sys-usb:sda --timeout 30s && backup-now\n";

/* False, and told: that is nothing to wait for. Without memory @ret is NULL. */
static bool make_parameters(json_t **ret, const char *what)
{
    DeviceArg device;
    ShowText shown;

    if (strchr(what, ':')) {
        if (!device_arg_parse(&device, what))
            return false;
        *ret = device_arg_to_json(&device);
        return true;
    }
    if (what[0] != '\0' && text_is_plain(what, strlen(what))) {
        *ret = json_pack("{s:s}", "rule", what);
        return true;
    }
    (void) fprintf(stderr,
                   CTL_NAME ": %s is neither a device, as sys-usb:sda, nor the "
                            "name of a rule\n",
                   show_quoted(&shown, what, false));
    return false;
}

static int complain_no_rule(const Arguments *arguments, const char *name)
{
    _cleanup_(json_decrefp) json_t *rules = NULL;
    const char *best = NULL;
    const json_t *rule;
    ClientError error;
    ShowText shown, near;
    size_t index;

    show_quoted(&shown, name, false);
    if (client_list(&rules, &error, client_path(arguments), "ListRules",
                    "rules") < 0)
        return client_complain(&error);
    json_array_foreach(rules, index, rule)
    {
        best = nearest_pick(name, best, member_text(rule, "name"));
    }
    if (best)
        (void) fprintf(stderr, CTL_NAME ": no rule %s; did you mean %s?\n",
                       shown.s, show_text(&near, best, false));
    else
        (void) fprintf(stderr,
                       CTL_NAME ": no rule %s; " CTL_NAME
                                " rules lists them, and a device is written "
                                "as sys-usb:sda\n",
                       shown.s);
    return WAIT_EXIT_NO_RULE;
}

static void print_attached(const Arguments *arguments,
                           Terminal *terminal,
                           const json_t *attached)
{
    ShowText target, rule;
    Cell device, label;
    View view;

    if (arguments_have(arguments, OPTION_JSON)) {
        view_json(terminal, attached);
        return;
    }
    if (arguments_have(arguments, OPTION_QUIET))
        return;
    view_init(&view, terminal, 0, true);
    view_words(&view, &label, attached, "label");
    view_shown(&view, &target, attached, "target");
    view_shown(&view, &rule, attached, "rule");
    view_print(&view, STYLE_PLAIN, 0, VIEW_INDENT, "%s%s%s: attached to %s%s%s",
               view_device(&view, &device, attached), label.s[0] ? " " : "",
               label.s, target.s, rule.s[0] ? " by rule " : "", rule.s);
}

/* What happens meanwhile is none of what was asked for. */
static void print_meanwhile(const json_t *outcome)
{
    char text[2 * SHOW_TEXT_MAX];
    Terminal terminal;
    View view;

    terminal_init(&terminal, stderr);
    view_init(&view, &terminal, 0, true);
    outcome_text(&view, text, sizeof(text), outcome);
    view_print(&view, outcome_style(outcome), 0, VIEW_INDENT, "%s", text);
}

/* Until it is attached: 0 and @ret, or a negative errno. */
static int wait_for(Client *client,
                    ClientError *error,
                    json_t *parameters,
                    bool tells,
                    uint64_t until_usec,
                    json_t **ret)
{
    bool continues = true;
    int r = client_send(client, error, "Wait", parameters, tells);

    while (r == 0 && continues) {
        _cleanup_(json_decrefp) json_t *reply = NULL;

        r = client_receive(client, error, &reply, &continues, until_usec);
        if (r < 0)
            break;
        if (continues)
            print_meanwhile(json_object_get(reply, "outcome"));
        else
            *ret = json_incref(json_object_get(reply, "attached"));
    }
    return r;
}

static int wait_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(json_decrefp) json_t *parameters = NULL;
    _cleanup_(json_decrefp) json_t *attached = NULL;
    _cleanup_(client_freep) Client *client = NULL;
    const char *what = arguments->operands[0];
    uint64_t usec, until_usec = CLIENT_FOREVER;
    ClientError error;
    ShowText span;
    int r;

    if (!make_parameters(&parameters, what))
        return CTL_EXIT_USAGE;
    if (arguments_have(arguments, OPTION_TIMEOUT)) {
        if (!time_arg_parse(&usec, arguments->values[OPTION_TIMEOUT]))
            return CTL_EXIT_USAGE;
        until_usec = clock_monotonic_usec() + usec;
    }

    r = client_open(&client, &error, client_path(arguments));
    if (r == 0)
        (void) client_catch_signals(client);
    if (r == 0)
        r = wait_for(client, &error, json_incref(parameters),
                     arguments_have(arguments, OPTION_VERBOSE), until_usec,
                     &attached);
    if (r == -EINTR)
        return CTL_EXIT_INTERRUPTED;
    if (r == -ETIMEDOUT && until_usec != CLIENT_FOREVER) {
        if (!arguments_have(arguments, OPTION_QUIET))
            (void) fprintf(stderr, CTL_NAME ": not attached within %s\n",
                           show_exact_span(&span, usec));
        return WAIT_EXIT_TIMEOUT;
    }
    if (r == -EREMOTEIO &&
        strcmp(error.name.s, CONTROL_ERROR_NO_SUCH_RULE) == 0)
        return complain_no_rule(arguments, what);
    if (r < 0)
        return client_complain(&error);

    print_attached(arguments, terminal, attached);
    return CTL_EXIT_OK;
}

const Command wait_command = {
    .name = "wait",
    .summary = "wait until a device, or any by a rule, is attached",
    .help = help,
    .options =
        OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET) | OPTION_BIT(OPTION_TIMEOUT),
    .operand = "a DEVICE, as sys-usb:sda, or a RULE",
    .operands_min = 1,
    .operands_max = 1,
    .run = wait_run,
};
