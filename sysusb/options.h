/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Command lines of the two programs
 *
 * Help and version go to standard output, what is wrong to standard error.
 */

#include "common/util.h"

/* sysexits(3) EX_USAGE */
#define EXIT_USAGE 64

/* longest --timeout: a day */
#define SEND_TIMEOUT_MAX_USEC UINT64_C(86400000000)

typedef enum OptionsResult {
    OPTIONS_WRONG, /* told; exit with EXIT_USAGE */
    OPTIONS_DONE,  /* told what was asked for; exit with 0 */
    OPTIONS_RUN,
} OptionsResult;

typedef struct ForwarderOptions {
    const char *qrexec_client;
    bool export_qemu;
} ForwarderOptions;

typedef struct SendOptions {
    const char *qrexec_client;
    bool export_qemu;
    uint64_t timeout_usec; /* 0: none */
    char **devices;        /* the rest of the command line */
    size_t n_devices;
} SendOptions;

OptionsResult forwarder_options_parse(ForwarderOptions *ret,
                                      int argc,
                                      char **argv);
OptionsResult send_options_parse(SendOptions *ret, int argc, char **argv);

/* "30s", "5m", "2h", or seconds as "30"; from 1 s to a day. */
_must_check_ bool timeout_parse(uint64_t *ret_usec, const char *text);
