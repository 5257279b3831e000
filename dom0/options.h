/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The daemon's command line: every path with its installed default. */

#include "common/util.h"

typedef struct Options {
    const char *qubesd_socket;
    const char *policy_socket;
    const char *agent_socket;
    const char *event_socket;
    const char *control_socket;
    const char *rules_dir;
    const char *state_dir;
    bool unlimited;
} Options;

typedef enum OptionsResult {
    OPTIONS_WRONG, /* told; exit with EXIT_USAGE */
    OPTIONS_DONE,  /* told what was asked for; exit with 0 */
    OPTIONS_RUN,
} OptionsResult;

/* sysexits(3) EX_USAGE */
#define EXIT_USAGE 64

OptionsResult options_parse(Options *ret, int argc, char **argv);
