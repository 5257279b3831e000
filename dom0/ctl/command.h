/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Command: one subcommand of qvm-autoattach, and what it was given
 *
 * Options may stand anywhere, before and after the subcommand and its
 * operands; `--` ends them. An option means the same wherever it is taken, so
 * all are in one list, and each command says which it takes.
 */

#include "dom0/ctl/terminal.h"

#define CTL_NAME           "qvm-autoattach"
#define CTL_SOCKET_DEFAULT "/run/qubes-autoattach/control.sock"
#define CTL_RULES_DEFAULT  "/etc/qubes/autoattach.d"

/* exit status: DESIGN 3 and 7 */
#define CTL_EXIT_OK          0
#define CTL_EXIT_UNREACHABLE 5 /* also: the output could not be written */
#define CTL_EXIT_USAGE       64
#define CTL_EXIT_INTERRUPTED 130 /* as a shell has it for SIGINT */

typedef enum OptionId {
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_JSON,
    OPTION_QUIET,
    OPTION_VERBOSE,
    OPTION_SOCKET,
    OPTION_NUMBER,
    OPTION_FOLLOW,
    OPTION_TIMEOUT,
    OPTION_SOURCE,
    OPTION_RULES_DIR,
    OPTION_TO,
    OPTION_ASK,
    OPTION_ALLOW,
    OPTION_MATCH,
    OPTION_READ_ONLY,
    OPTION_START,
    OPTION_IF_RUNNING,
    OPTION_CLOSE,
    OPTION_FORCE,
    OPTION_INTERACTIVE,
} OptionId;
#define N_OPTIONS     (OPTION_INTERACTIVE + 1)
#define OPTION_BIT(o) (1U << (o))
/* what every command takes */
#define OPTIONS_COMMON                                      \
    (OPTION_BIT(OPTION_HELP) | OPTION_BIT(OPTION_VERSION) | \
     OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_QUIET) |   \
     OPTION_BIT(OPTION_VERBOSE))

typedef struct Arguments {
    const char *command;           /* NULL: none was named */
    unsigned int given;            /* OPTION_BIT() of each option */
    const char *values[N_OPTIONS]; /* NULL: not given, or takes none */
    char **operands;
    size_t n_operands;
} Arguments;

typedef struct Command {
    const char *name;
    const char *summary;  /* one line of the list of commands */
    const char *help;     /* the whole text of --help */
    unsigned int options; /* OPTION_BIT() of each that it takes */
    const char *operand;  /* as "a DEVICE"; of those that need one */
    size_t operands_min;
    size_t operands_max;
    int (*run)(const Arguments *arguments, Terminal *terminal);
} Command;

static inline bool arguments_have(const Arguments *arguments, OptionId option)
{
    return (arguments->given & OPTION_BIT(option)) != 0;
}

/* Run the command of @arguments, given all commands there are. Messages go to
 * standard error, what was asked for to @terminal. Answers the exit status. */
int command_main(const Command *const *commands,
                 size_t n_commands,
                 int argc,
                 char **argv,
                 Terminal *terminal);
