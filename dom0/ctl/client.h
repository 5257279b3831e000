/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Client: one call to the daemon, and its answer
 *
 * Waits for the daemon, but never longer than CLIENT_DEADLINE_USEC.
 */

#include <jansson.h>

#include "common/rate.h"

#define CLIENT_DEADLINE_USEC (10 * USEC_PER_SEC)
#define CLIENT_ERROR_MAX     511U

/* For the person: what is wrong, and what to do. Safe to print. */
typedef struct ClientError {
    char s[CLIENT_ERROR_MAX + 1];
} ClientError;

/*
 * Call @method of our interface at the daemon that listens at @path, and take
 * the parameters of its answer. Takes over @parameters, which may be NULL for
 * want of memory. Negative errno and @ret_error if there is no good answer.
 */
int client_call(json_t **ret,
                ClientError *ret_error,
                const char *path,
                const char *method,
                json_t *parameters);
