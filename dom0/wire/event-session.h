/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Event session: what may come when on one connection (DESIGN 3)
 *
 *     hello, then events and at most one synced; seq grows strictly; no
 *     `present` after synced
 *
 * Bytes of lines in, messages out. After SESSION_REFUSED nothing more is
 * taken: the connection is to be answered and closed.
 */

#include "common/wire/record-wire.h"

typedef struct EventSession {
    /* what its hello called the sender, also one of another version; "" */
    char agent[RECORD_AGENT_MAX + 1];
    bool greeted;
    bool synced;
    int64_t last_seq;
} EventSession;

typedef enum SessionResult {
    SESSION_REFUSED, /* 0: the answer is in @ret_answer */
    SESSION_HELLO,
    SESSION_EVENT,
    SESSION_SYNCED,
} SessionResult;

/*
 * Take one line without its newline. For SESSION_REFUSED nothing of @session
 * changes but its agent, @ret is zero but for its seq, and @ret_answer and
 * @ret_error (a sentence for the journal) are set; else these two are left.
 */
SessionResult event_session_take(EventSession *session,
                                 const char *untrusted_line,
                                 size_t untrusted_len,
                                 WireMessage *ret,
                                 WireAnswer *ret_answer,
                                 const char **ret_error);
