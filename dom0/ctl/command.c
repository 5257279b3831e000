/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/text.h"
#include "dom0/ctl/arguments.h"
#include "dom0/ctl/nearest.h"
#include "dom0/ctl/show.h"

static const char help_head[] =
    "Usage: " CTL_NAME " COMMAND [OPTION...]\n"
    "\n"
    "See what qubes-autoattach does with the devices that are plugged in, and\n"
    "write and check its rules.\n"
    "\n"
    "Commands:\n";

static const char help_tail[] =
    "\n"
    "Options:\n"
    "      --json       for programs: one JSON object, in ASCII\n"
    "  -q, --quiet      say less\n"
    "  -v, --verbose    say more\n"
    "  -h, --help       this text, or that of a command\n"
    "      --version    the version of this command\n"
    "\n"
    "Exit status: 0 if all is well, 5 if the daemon cannot be reached, 64 for\n"
    "wrong usage; the commands' own ones are in their help.\n"
    "\n"
    "Examples: see what happened; write a rule by which the stick that is\n"
    "plugged in goes to the qube backups:\n"
    "  " CTL_NAME " status\n"
    "  " CTL_NAME " devices\n"
    "  sudo " CTL_NAME " add stick sys-usb:sda --to backups\n";

_printf_(1, 2) static int fail_usage(const char *format, ...)
{
    va_list args;

    (void) fputs(CTL_NAME ": ", stderr);
    va_start(args, format);
    (void) vfprintf(stderr, format, args);
    va_end(args);
    (void) fputs("\n", stderr);
    return CTL_EXIT_USAGE;
}

static void print_help(const Command *const *commands,
                       size_t n_commands,
                       FILE *out)
{
    (void) fputs(help_head, out);
    for (size_t i = 0; i < n_commands; i++)
        (void) fprintf(out, "  %-10s %s\n", commands[i]->name,
                       commands[i]->summary);
    (void) fputs(help_tail, out);
}

static const Command *find_command(const Command *const *commands,
                                   size_t n_commands,
                                   const char *name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* What others call it; NULL if that is not known. */
static const char *find_other_word(const char *name)
{
    static const struct {
        const char *word;
        const char *meant;
    } others[] = {
        { "help", "--help" },  { "version", "--version" },
        { "log", "history" },  { "journal", "history" },
        { "list", "devices" }, { "lint", "check" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (strcmp(others[i].word, name) == 0)
            return others[i].meant;
    return NULL;
}

static int fail_unknown_command(const Command *const *commands,
                                size_t n_commands,
                                const char *name)
{
    const char *best = NULL, *other = find_other_word(name);
    ShowText shown;

    for (size_t i = 0; i < n_commands; i++)
        best = nearest_pick(name, best, commands[i]->name);

    show_quoted(&shown, name, false);
    if (other || best)
        return fail_usage("unknown command %s; did you mean %s?", shown.s,
                          other ? other : best);
    return fail_usage("unknown command %s; %s --help lists them", shown.s,
                      CTL_NAME);
}

static int run_command(const Command *command,
                       const Arguments *arguments,
                       Terminal *terminal)
{
    ArgumentsError error;
    ShowText shown;

    if (arguments_have(arguments, OPTION_HELP)) {
        (void) fputs(command->help, terminal->out);
        return CTL_EXIT_OK;
    }
    if (!arguments_allow(arguments, command->options, &error))
        return fail_usage("%s; see %s %s --help", error.s, CTL_NAME,
                          command->name);
    if (arguments->n_operands < command->operands_min)
        return fail_usage("%s needs %s; see %s %s --help", command->name,
                          command->operand, CTL_NAME, command->name);
    if (arguments->n_operands > command->operands_max) {
        show_quoted(&shown, arguments->operands[command->operands_max], false);
        return fail_usage("%s is one word too many; see %s %s --help", shown.s,
                          CTL_NAME, command->name);
    }
    return command->run(arguments, terminal);
}

static int run(const Command *const *commands,
               size_t n_commands,
               const Arguments *arguments,
               Terminal *terminal)
{
    const Command *command = NULL;

    if (arguments->command) {
        command = find_command(commands, n_commands, arguments->command);
        if (!command)
            return fail_unknown_command(commands, n_commands,
                                        arguments->command);
    }
    if (arguments_have(arguments, OPTION_VERSION)) {
        (void) fprintf(terminal->out, CTL_NAME " " AUTOATTACH_VERSION "\n");
        return CTL_EXIT_OK;
    }
    if (command)
        return run_command(command, arguments, terminal);
    if (!arguments_have(arguments, OPTION_HELP))
        return fail_usage("a command is missing; %s --help lists them",
                          CTL_NAME);

    print_help(commands, n_commands, terminal->out);
    return CTL_EXIT_OK;
}

int command_main(const Command *const *commands,
                 size_t n_commands,
                 int argc,
                 char **argv,
                 Terminal *terminal)
{
    Arguments arguments;
    ArgumentsError error;
    int status, r;

    if (!arguments_parse(&arguments, &error, argc, argv))
        return fail_usage("%s", error.s);

    status = run(commands, n_commands, &arguments, terminal);
    /* a full disk or a closed pipe must not look like success */
    r = terminal_finish(terminal);
    if (r < 0 && status == CTL_EXIT_OK) {
        errno = -r;
        (void) fprintf(stderr, CTL_NAME ": cannot write the output: %m\n");
        status = CTL_EXIT_UNREACHABLE;
    }
    return status;
}
