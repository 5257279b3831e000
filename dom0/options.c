/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "dom0/options.h"

#define QUBESD_SOCKET  "/run/qubesd.sock"
#define POLICY_SOCKET  "/run/qubes/policy.sock"
#define AGENT_SOCKET   "/run/qubes/policy-agent.sock"
#define EVENT_SOCKET   "/run/qubes-autoattach/event.sock"
#define CONTROL_SOCKET "/run/qubes-autoattach/control.sock"
#define RULES_DIR      "/etc/qubes/autoattach.d"
#define STATE_DIR      "/run/qubes-autoattachd"

enum {
    ARG_QUBESD_SOCKET = 256,
    ARG_POLICY_SOCKET,
    ARG_AGENT_SOCKET,
    ARG_EVENT_SOCKET,
    ARG_CONTROL_SOCKET,
    ARG_RULES_DIR,
    ARG_STATE_DIR,
    ARG_UNLIMITED,
    ARG_VERSION,
};

static const struct option long_options[] = {
    { "qubesd-socket", required_argument, NULL, ARG_QUBESD_SOCKET },
    { "policy-socket", required_argument, NULL, ARG_POLICY_SOCKET },
    { "agent-socket", required_argument, NULL, ARG_AGENT_SOCKET },
    { "event-socket", required_argument, NULL, ARG_EVENT_SOCKET },
    { "control-socket", required_argument, NULL, ARG_CONTROL_SOCKET },
    { "rules-dir", required_argument, NULL, ARG_RULES_DIR },
    { "state-dir", required_argument, NULL, ARG_STATE_DIR },
    { "unlimited", no_argument, NULL, ARG_UNLIMITED },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, ARG_VERSION },
    {},
};

static void help(void)
{
    (void) fputs(
        "Usage: qubes-autoattachd [OPTION...]\n"
        "\n"
        "Attaches devices that USB qubes report, by the rules of dom0.\n"
        "systemd starts it; by hand it is of use for tests.\n"
        "\n"
        "      --qubesd-socket PATH   qubesd (" QUBESD_SOCKET ")\n"
        "      --policy-socket PATH   the policy daemon\n"
        "                             (" POLICY_SOCKET ")\n"
        "      --agent-socket PATH    the policy agent\n"
        "                             (" AGENT_SOCKET ")\n"
        "      --event-socket PATH    where USB qubes call, if systemd passes\n"
        "                             no socket of the name \"event\"\n"
        "                             (" EVENT_SOCKET ")\n"
        "      --control-socket PATH  the same for qvm-autoattach, "
        "\"control\"\n"
        "                             (" CONTROL_SOCKET ")\n"
        "      --rules-dir PATH       folder of the rules\n"
        "                             (" RULES_DIR ")\n"
        "      --state-dir PATH       what outlives the daemon\n"
        "                             (" STATE_DIR ")\n"
        "      --unlimited            no limits to rates; for benchmarks and\n"
        "                             tests, never on a real machine\n"
        "  -h, --help                 show this text\n"
        "      --version              show the version\n"
        "\n"
        "SIGHUP reads the rules anew. See qubes-autoattachd(8).\n",
        stdout);
}

/* Where the value of an option goes; NULL for those without one. */
static const char **option_value(Options *options, int option)
{
    switch (option) {
    case ARG_QUBESD_SOCKET:
        return &options->qubesd_socket;
    case ARG_POLICY_SOCKET:
        return &options->policy_socket;
    case ARG_AGENT_SOCKET:
        return &options->agent_socket;
    case ARG_EVENT_SOCKET:
        return &options->event_socket;
    case ARG_CONTROL_SOCKET:
        return &options->control_socket;
    case ARG_RULES_DIR:
        return &options->rules_dir;
    case ARG_STATE_DIR:
        return &options->state_dir;
    default:
        return NULL;
    }
}

static OptionsResult wrong(void)
{
    (void) fputs("Try 'qubes-autoattachd --help'.\n", stderr);
    return OPTIONS_WRONG;
}

OptionsResult options_parse(Options *ret, int argc, char **argv)
{
    int option;

    *ret = (Options){
        .qubesd_socket = QUBESD_SOCKET,
        .policy_socket = POLICY_SOCKET,
        .agent_socket = AGENT_SOCKET,
        .event_socket = EVENT_SOCKET,
        .control_socket = CONTROL_SOCKET,
        .rules_dir = RULES_DIR,
        .state_dir = STATE_DIR,
    };

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
        const char **value = option_value(ret, option);

        if (value) {
            if (optarg[0] == '\0') {
                (void) fputs("qubes-autoattachd: a path must not be empty\n",
                             stderr);
                return wrong();
            }
            *value = optarg;
        } else if (option == ARG_UNLIMITED) {
            ret->unlimited = true;
        } else if (option == ARG_VERSION) {
            (void) puts("qubes-autoattachd " AUTOATTACH_VERSION);
            return OPTIONS_DONE;
        } else if (option == 'h') {
            help();
            return OPTIONS_DONE;
        } else {
            return wrong();
        }
    }
    if (optind < argc) {
        (void) fprintf(stderr, "qubes-autoattachd: unexpected '%s'\n",
                       argv[optind]);
        return wrong();
    }
    return OPTIONS_RUN;
}
