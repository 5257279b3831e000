/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleArgs: what the options say of a rule that is to be written
 */

#include "dom0/core/approval.h"
#include "dom0/core/rule-compose.h"
#include "dom0/ctl/command.h"

/* the options that a rule is made of */
#define RULE_ARGS_OPTIONS                                       \
    (OPTION_BIT(OPTION_TO) | OPTION_BIT(OPTION_ASK) |           \
     OPTION_BIT(OPTION_ALLOW) | OPTION_BIT(OPTION_READ_ONLY) |  \
     OPTION_BIT(OPTION_START) | OPTION_BIT(OPTION_IF_RUNNING) | \
     OPTION_BIT(OPTION_CLOSE))

/* their lines in a help text */
#define RULE_ARGS_HELP                                                         \
    "      --to QUBE         where it goes: a qube, @dispvm, "                 \
    "@dispvm:TEMPLATE, "                                                       \
    "or\n"                                                                     \
    "                        several, as work,vault\n"                         \
    "      --ask             ask each time (the default)\n"                    \
    "      --allow           do not ask\n"                                     \
    "      --read-only       so that the qube cannot write to it\n"            \
    "      --start           start the qube if it does not run, also at each " \
    "boot\n"                                                                   \
    "                        with the device plugged in; else it is attached " \
    "as\n"                                                                     \
    "                        soon as the qube runs. A disposable is made in "  \
    "any\n"                                                                    \
    "                        case, with --allow at each plug and each boot\n"  \
    "      --if-running      only to a qube that runs at that moment; not "    \
    "for\n"                                                                    \
    "                        disposables\n"                                    \
    "      --close           shut the disposable down when it is unplugged\n"

typedef struct RuleArgs {
    RuleAction action;
    Target targets[APPROVAL_TARGETS_MAX];
    size_t n_targets; /* 0: --to was not given */
    RuleOptions options;
} RuleArgs;

/* False after a message that says what would be right. */
_must_check_ bool rule_args_parse(RuleArgs *ret, const Arguments *arguments);

/*
 * --match, as "id,serial": keys that the device has. False after a message.
 */
_must_check_ bool rule_args_match(ConditionKey ret[N_CONDITION_KEYS],
                                  size_t *ret_n,
                                  const char *match,
                                  const Record *record);

/*
 * What to match by when nothing is said: id and serial, or the port. False
 * after a message if it has none of them.
 */
_must_check_ bool rule_args_match_best(ConditionKey ret[N_CONDITION_KEYS],
                                       size_t *ret_n,
                                       const Record *record);
