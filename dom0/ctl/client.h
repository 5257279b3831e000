/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Client: calls to the daemon, and its answers
 *
 * Every failure has a message for the person: what is wrong, and what to do.
 */

#include <jansson.h>

#include "common/rate.h"
#include "dom0/ctl/command.h"
#include "dom0/wire/control-methods.h"

#define CLIENT_DEADLINE_USEC (10 * USEC_PER_SEC)
#define CLIENT_FOREVER       UINT64_MAX
#define CLIENT_ERROR_MAX     511U

typedef struct Client Client;

typedef struct ClientError {
    char s[CLIENT_ERROR_MAX + 1]; /* safe to print */
    ControlName name;             /* with -EREMOTEIO: the daemon's error */
} ClientError;

/* Connect to the daemon that listens at @path. */
int client_open(Client **ret, ClientError *ret_error, const char *path);
Client *client_free(Client *client);

/* From now on SIGINT and SIGTERM do not end the process: client_receive()
 * answers -EINTR then, and client_pause() true. */
int client_catch_signals(Client *client);
/* The same, once nobody reads any more what is written to @fd. */
void client_watch_output(Client *client, int fd);

/*
 * Call @method of our interface. Takes over @parameters, which may be NULL for
 * want of memory. All replies are to be received before the next call.
 */
int client_send(Client *client,
                ClientError *ret_error,
                const char *method,
                json_t *parameters,
                bool more);

/*
 * The parameters of the next reply, and whether others follow (may be NULL).
 * Waits until @until_usec of CLOCK_MONOTONIC, or CLIENT_FOREVER. -ETIMEDOUT;
 * -EREMOTEIO if the reply is an error; -EPIPE or -ECONNRESET if the daemon has
 * gone.
 */
int client_receive(Client *client,
                   ClientError *ret_error,
                   json_t **ret,
                   bool *ret_continues,
                   uint64_t until_usec);

/* Wait so long; true if a signal came that is to end the command. */
bool client_pause(Client *client, uint64_t usec);
/* Try to connect anew, after the daemon has gone. */
int client_reopen(Client *client, ClientError *ret_error);

/* Print the message; answers the exit status. */
int client_complain(const ClientError *error);
/* The socket that the options name, or the default one. */
const char *client_path(const Arguments *arguments);

/* One call and its reply, within CLIENT_DEADLINE_USEC. */
int client_call(json_t **ret,
                ClientError *ret_error,
                const char *path,
                const char *method,
                json_t *parameters);

/* All items of a list that comes in several replies, each under @key. */
int client_list(json_t **ret,
                ClientError *ret_error,
                const char *path,
                const char *method,
                const char *key);

DEFINE_CLEANUP(Client *, client_free)
