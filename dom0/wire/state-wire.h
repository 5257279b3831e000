/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * State <-> a text of the state file (dom0/io/state-file.h)
 *
 * One JSON object a line: "state", then for each source "source" and its
 * devices, each a "plug" followed by its record in the form of the event
 * protocol, then "disposable" and "window", and "end" last: a file that was
 * cut is told from a whole one. Nobody else writes this file, but it is read as
 * strictly as what a source sends: a text with anything in it that the encoder
 * could not have written is refused as a whole.
 */

#include "dom0/core/state.h"

#define STATE_VERSION 1
/* more than the largest state takes */
#define STATE_SIZE_MAX ((size_t) 64 * 1024 * 1024)

/* malloc()ed, its length in @ret_len. -ENOMEM, or -EMSGSIZE. */
int state_encode(char **ret, size_t *ret_len, const State *state);

/* -EBADMSG for what is no state, with a constant sentence in @ret_error (may
 * be NULL), which is told with the line's number in @ret_line; -ENOMEM. */
int state_decode(State **ret,
                 const char *untrusted_text,
                 size_t untrusted_len,
                 size_t *ret_line,
                 const char **ret_error);
