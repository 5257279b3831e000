/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Arguments: the command line, taken apart
 */

#include "dom0/ctl/command.h"

#define ARGUMENTS_ERROR_MAX 255U

typedef struct ArgumentsError {
    char s[ARGUMENTS_ERROR_MAX + 1];
} ArgumentsError;

/*
 * Take @argv apart; what is found points into it, and its order is changed: the
 * operands are moved to the front. False, and what is wrong with it, if
 * an option is unknown, or its value is missing or too much.
 */
_must_check_ bool arguments_parse(Arguments *ret,
                                  ArgumentsError *ret_error,
                                  int argc,
                                  char **argv);

/* An option's name, without its dashes. */
const char *arguments_option_name(OptionId option);

/* Whether all options that were given are among @options, a set of
 * OPTION_BIT(). */
_must_check_ bool arguments_allow(const Arguments *arguments,
                                  unsigned int options,
                                  ArgumentsError *ret_error);
