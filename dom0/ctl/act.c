/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/status.h"
#include "common/sys/clock.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/operand.h"
#include "dom0/ctl/outcome-text.h"
#include "dom0/ctl/view.h"

/* without an answer for so long the person is told why */
#define TELL_USEC (3 * USEC_PER_SEC)

#define OPTIONS_HELP                                                          \
    "Options:\n"                                                              \
    "      --json         the answer as one JSON object in ASCII: code, "     \
    "status,\n"                                                               \
    "                     sentence and outcome, of which the form is that "   \
    "of\n"                                                                    \
    "                     Outcome in org.qubes-contrib.autoattach\n"          \
    "  -q, --quiet        say nothing; the exit status tells\n"               \
    "      --socket PATH  the daemon's control socket, if it is not\n"        \
    "                     " CTL_SOCKET_DEFAULT "\n"                           \
    "\n"                                                                      \
    "Exit status: 0 for an outcome 2xx, 3 for 3xx, 4 for 4xx (also: no such " \
    "device),\n"                                                              \
    "5 for 5xx or if the daemon cannot be reached, 64 for wrong usage.\n"

static const char retry_help[] =
    "Usage: " CTL_NAME " retry DEVICE [--json] [-q] [--socket PATH]\n"
    "\n"
    "Decide a device again, as if it were plugged in now: that you said no to "
    "it, or\n"
    "that it was detached by hand, is forgotten, and you are asked also while "
    "prompts\n"
    "of its qube are silenced. Waits for the outcome, also while a prompt is "
    "open;\n"
    "tells on standard error what it waits for. Ctrl-C ends the waiting only.\n"
    "\n" OPTIONS_HELP "\n"
    "Example:\n"
    "  " CTL_NAME " retry sys-usb:sda\n";

static const char detach_help[] =
    "Usage: " CTL_NAME " detach DEVICE [--json] [-q] [--socket PATH]\n"
    "\n"
    "Detach a device from the qube that has it, however it got there, and "
    "leave "
    "it\n"
    "alone until it is replugged, or until `" CTL_NAME " retry`. Waits until "
    "that\n"
    "is done, also for a qubesd that cannot be reached; Ctrl-C ends the "
    "waiting "
    "only.\n"
    "\n" OPTIONS_HELP "\n"
    "Example:\n"
    "  " CTL_NAME " detach sys-usb:sda\n";

static void print_answer(Terminal *terminal,
                         const char *device,
                         const json_t *answer)
{
    const json_t *outcome = json_object_get(answer, "outcome");
    char text[2 * SHOW_TEXT_MAX];
    ShowText detail, sentence, shown;
    View view;

    view_init(&view, terminal, clock_realtime_usec(), true);
    if (!json_is_object(outcome)) {
        view_print(&view, STYLE_PLAIN, 0, VIEW_INDENT, "%s: %s",
                   show_text(&shown, device, view.utf8),
                   view_shown(&view, &sentence, answer, "sentence"));
        return;
    }
    outcome_text(&view, text, sizeof(text), outcome);
    view_print(&view, outcome_style(outcome), 0, VIEW_INDENT, "%s", text);
    view_shown(&view, &detail, outcome, "detail");
    if (detail.s[0])
        view_print(&view, STYLE_FAINT, VIEW_INDENT, VIEW_INDENT, "%s",
                   detail.s);
}

/* A rule would have attached it again, and does not any more. */
static void print_left_alone(Terminal *terminal, const char *device)
{
    ShowText shown;
    View view;

    view_init(&view, terminal, clock_realtime_usec(), true);
    view_print(&view, STYLE_FAINT, VIEW_INDENT, VIEW_INDENT,
               "left alone until it is replugged, or until: " CTL_NAME
               " retry %s",
               show_text(&shown, device, view.utf8));
}

/* The device's job, of those that the daemon tells. */
static const json_t *find_job(const json_t *status, const DeviceArg *device)
{
    const json_t *job;
    size_t index;

    json_array_foreach(json_object_get(status, "jobs"), index, job)
    {
        if (strcmp(member_text(job, "source"), device->source.s) == 0 &&
            strcmp(member_text(job, "device"), device->device.s) == 0)
            return job;
    }
    return NULL;
}

/* What the device's job waits for, after "sys-usb:sda: "; "" if that is not
 * known, or passes by itself. */
static const char *waits_for(const json_t *job)
{
    static const struct {
        const char *state;
        const char *words;
    } table[] = {
        { "awaiting-qubesd", "waiting until qubesd can be reached" },
        { "awaiting-device", "waiting until qubesd lists it" },
        { "awaiting-prompt", "waiting for its prompt; is a person logged in, "
                             "or another prompt open?" },
        { "asking", "waiting for an answer to its prompt" },
        { "awaiting-turn", "waiting for its turn to be attached" },
        { "starting-target", "waiting until the qube has started" },
        { "queued", "waiting for what is in work for it already" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strcmp(member_text(job, "state"), table[i].state) == 0)
            return table[i].words;
    return "";
}

/* The daemon has not answered yet: say on standard error what it waits for. */
static void tell_waiting(const Arguments *arguments, const DeviceArg *device)
{
    _cleanup_(json_decrefp) json_t *status = NULL;
    const char *words;
    ClientError error;
    ShowText shown;

    if (client_call(&status, &error, client_path(arguments), "GetStatus",
                    json_object()) < 0)
        return;
    words = waits_for(find_job(status, device));
    if (words[0] != '\0')
        (void) fprintf(stderr,
                       CTL_NAME ": %s: %s; Ctrl-C ends the waiting only\n",
                       show_text(&shown, arguments->operands[0], false), words);
}

/* As client_receive(), for ever. */
static int receive(Client *client,
                   ClientError *error,
                   json_t **ret,
                   const Arguments *arguments,
                   const DeviceArg *device)
{
    int r = -ETIMEDOUT;

    if (!arguments_have(arguments, OPTION_QUIET)) {
        r = client_receive(client, error, ret, NULL,
                           clock_monotonic_usec() + TELL_USEC);
        if (r == -ETIMEDOUT)
            tell_waiting(arguments, device);
    }
    return r == -ETIMEDOUT
               ? client_receive(client, error, ret, NULL, CLIENT_FOREVER)
               : r;
}

static int run(const Arguments *arguments, Terminal *terminal, bool detaches)
{
    _cleanup_(json_decrefp) json_t *answer = NULL;
    _cleanup_(client_freep) Client *client = NULL;
    const char *name = arguments->operands[0];
    ClientError error;
    DeviceArg device;
    Status status;
    int r;

    if (!device_arg_parse(&device, name))
        return CTL_EXIT_USAGE;

    r = client_open(&client, &error, client_path(arguments));
    if (r == 0)
        r = client_send(client, &error, detaches ? "Detach" : "Retry",
                        device_arg_to_json(&device), false);
    if (r == 0)
        r = receive(client, &error, &answer, arguments, &device);
    if (r == -EREMOTEIO &&
        strcmp(error.name.s, CONTROL_ERROR_NO_SUCH_DEVICE) == 0)
        return complain_no_device(name);
    if (r < 0)
        return client_complain(&error);

    status =
        status_from_number(json_integer_value(json_object_get(answer, "code")));
    if (arguments_have(arguments, OPTION_JSON)) {
        view_json(terminal, answer);
    } else if (!arguments_have(arguments, OPTION_QUIET)) {
        print_answer(terminal, name, answer);
        if (detaches && status_is_success(status))
            print_left_alone(terminal, name);
    }
    return status == STATUS_INVALID ? CTL_EXIT_UNREACHABLE
                                    : status_exit(status);
}

static int retry_run(const Arguments *arguments, Terminal *terminal)
{
    return run(arguments, terminal, false);
}

static int detach_run(const Arguments *arguments, Terminal *terminal)
{
    return run(arguments, terminal, true);
}

const Command retry_command = {
    .name = "retry",
    .summary = "decide a device again, as if it were plugged in now",
    .help = retry_help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET),
    .operand = "a DEVICE, as sys-usb:sda",
    .operands_min = 1,
    .operands_max = 1,
    .run = retry_run,
};

const Command detach_command = {
    .name = "detach",
    .summary = "detach a device, and leave it alone until it is replugged",
    .help = detach_help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET),
    .operand = "a DEVICE, as sys-usb:sda",
    .operands_min = 1,
    .operands_max = 1,
    .run = detach_run,
};
