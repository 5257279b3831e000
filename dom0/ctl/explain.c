/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/status.h"
#include "common/sys/clock.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/explain.h"
#include "dom0/ctl/operand.h"

static const char help[] =
    "Usage: " CTL_NAME " explain DEVICE|FILE [--json] [-q | -v] [--socket "
    "PATH]\n"
    "                              [--source QUBE] [--rules-dir PATH]\n"
    "\n"
    "Tell what becomes of a device, and why: each rule in turn with the first\n"
    "condition that fails and what the device has there, the rule that takes "
    "it, what\n"
    "the Qubes policy says of its targets and whether they run, and the "
    "verdict.\n"
    "Nothing is done, and nobody is asked.\n"
    "\n"
    "DEVICE, as sys-usb:sda, is one that is plugged in, and is decided by the "
    "daemon.\n"
    "FILE holds records in the form of the event protocol, one a line, with "
    "or\n"
    "without hello and synced, and - is standard input: they are decided by "
    "the rules\n"
    "on the disk; this needs no daemon, and policy and qubes are not asked. A "
    "FILE\n"
    "that looks like a DEVICE is written ./sys-usb:sda.\n"
    "\n"
    "Options:\n"
    "      --source QUBE     where the records of FILE come from, if not\n"
    "                        from sys-usb\n"
    "      --rules-dir PATH  the rules to use for FILE: a folder, or a file; "
    "else\n"
    "                        the daemon's folder, or " CTL_RULES_DEFAULT "\n"
    "      --json            one JSON object in ASCII, for FILE one a line: "
    "device,\n"
    "                        steps, rule_text, n_rules, targets and verdict, "
    "in the\n"
    "                        forms of Explain in org.qubes-contrib.autoattach; "
    "for\n"
    "                        FILE also line and action; device and action are "
    "null\n"
    "                        for a line that is no record\n"
    "  -q, --quiet           the verdict only\n"
    "  -v, --verbose         also what the device says of itself\n"
    "      --socket PATH     the daemon's control socket, if it is not\n"
    "                        " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: that of the verdict: 0 for 2xx, 3 for 3xx, 4 for 4xx, 5 for "
    "5xx,\n"
    "the highest of several; 5 also if the daemon cannot be reached or the "
    "rules\n"
    "have errors, 64 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  " CTL_NAME " explain sys-usb:sda\n"
    "  " CTL_NAME " explain records.json --rules-dir new.rules\n";

/* qubesd and the policy daemon have their own deadlines */
#define EXPLAIN_DEADLINE_USEC (60 * USEC_PER_SEC)

ExplainDetail explain_detail(const Arguments *arguments)
{
    if (arguments_have(arguments, OPTION_QUIET))
        return EXPLAIN_VERDICT;
    return arguments_have(arguments, OPTION_VERBOSE) ? EXPLAIN_WHOLE
                                                     : EXPLAIN_RULES;
}

static int fail_memory(ClientError *error)
{
    (void) text_format(error->s, sizeof(error->s), "%s", strerror(ENOMEM));
    return -ENOMEM;
}

int explain_device(json_t **ret,
                   ClientError *error,
                   const char *path,
                   const DeviceArg *device)
{
    _cleanup_(json_decrefp) json_t *steps = json_array();
    _cleanup_(json_decrefp) json_t *explanation = NULL;
    _cleanup_(client_freep) Client *client = NULL;
    bool continues = true;
    int r = client_open(&client, error, path);

    if (r == 0)
        r = client_send(client, error, "Explain", device_arg_to_json(device),
                        true);
    while (r == 0 && continues) {
        _cleanup_(json_decrefp) json_t *reply = NULL;
        json_t *more;

        r = client_receive(client, error, &reply, &continues,
                           clock_monotonic_usec() + EXPLAIN_DEADLINE_USEC);
        if (r < 0)
            break;
        more = json_object_get(reply, "steps");
        if (json_is_array(more) && json_array_extend(steps, more) < 0)
            r = fail_memory(error);
        json_decref(explanation);
        explanation = json_incref(json_object_get(reply, "explanation"));
    }
    if (r == 0 && json_is_object(explanation) &&
        json_object_set(explanation, "steps", steps) < 0)
        r = fail_memory(error);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(explanation);
    return 0;
}

static int run_device(const Arguments *arguments,
                      Terminal *terminal,
                      const DeviceArg *device)
{
    _cleanup_(json_decrefp) json_t *explanation = NULL;
    const json_t *verdict;
    ClientError error;
    Status status;
    View view;
    int r;

    r = explain_device(&explanation, &error, client_path(arguments), device);
    if (r == -EREMOTEIO &&
        strcmp(error.name.s, CONTROL_ERROR_NO_SUCH_DEVICE) == 0)
        return complain_no_device(arguments->operands[0]);
    if (r < 0)
        return client_complain(&error);

    if (arguments_have(arguments, OPTION_JSON)) {
        view_json(terminal, explanation);
    } else {
        view_init(&view, terminal, clock_realtime_usec(), true);
        explain_view(&view, explanation, "", explain_detail(arguments), true);
    }
    verdict = json_object_get(explanation, "verdict");
    status = status_from_number((int64_t) member_number(verdict, "code"));
    return status == STATUS_INVALID ? CTL_EXIT_UNREACHABLE
                                    : status_exit(status);
}

/* Whether it is a DEVICE; what is not is a FILE. */
static bool is_device(DeviceArg *ret, const char *text)
{
    const char *colon = strchr(text, ':');

    if (!colon || !qube_name_parse(&ret->source, text, (size_t) (colon - text)))
        return false;
    ret->class =
        device_name_parse_any(&ret->device, colon + 1, strlen(colon + 1));
    return ret->class != DEVICE_CLASS_INVALID;
}

static int explain_run(const Arguments *arguments, Terminal *terminal)
{
    DeviceArg device;

    if (is_device(&device, arguments->operands[0]))
        return run_device(arguments, terminal, &device);
    return explain_file_run(arguments, terminal);
}

const Command explain_command = {
    .name = "explain",
    .summary = "what becomes of a device and why, rule by rule",
    .help = help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET) |
               OPTION_BIT(OPTION_SOURCE) | OPTION_BIT(OPTION_RULES_DIR),
    .operand = "a DEVICE, as sys-usb:sda, or a FILE",
    .operands_min = 1,
    .operands_max = 1,
    .run = explain_run,
};
