/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/wire/event-session.h"

#define SECOND_HELLO "a second hello"

static const char *check_event(const EventSession *session,
                               const WireMessage *message)
{
    if (!session->greeted)
        return "a line before hello";
    if (message->seq <= session->last_seq)
        return "seq does not grow";
    if (session->synced && message->record.action == RECORD_PRESENT)
        return "present after synced";
    return NULL;
}

static const char *check(const EventSession *session,
                         const WireMessage *message)
{
    switch (message->type) {
    case WIRE_HELLO:
        return session->greeted ? SECOND_HELLO : NULL;
    case WIRE_EVENT:
        return check_event(session, message);
    case WIRE_SYNCED:
        if (!session->greeted)
            return "a line before hello";
        return session->synced ? "a second synced" : NULL;
    case WIRE_INVALID:
        break;
    }
    return "no message";
}

static SessionResult take(EventSession *session, const WireMessage *message)
{
    switch (message->type) {
    case WIRE_HELLO:
        session->greeted = true;
        memcpy(session->agent, message->hello.agent, sizeof(session->agent));
        return SESSION_HELLO;
    case WIRE_EVENT:
        session->last_seq = message->seq;
        return SESSION_EVENT;
    case WIRE_SYNCED:
        session->synced = true;
        return SESSION_SYNCED;
    case WIRE_INVALID:
        break;
    }
    return SESSION_REFUSED;
}

SessionResult event_session_take(EventSession *session,
                                 const char *untrusted_line,
                                 size_t untrusted_len,
                                 WireMessage *ret,
                                 WireAnswer *ret_answer,
                                 const char **ret_error)
{
    Status status = wire_decode(ret, untrusted_line, untrusted_len, ret_error);
    const char *error;

    if (status == STATUS_UNSUPPORTED_VERSION && session->greeted) {
        /* it is one, of whatever version */
        status = STATUS_MALFORMED;
        *ret_error = SECOND_HELLO;
    }
    if (status == STATUS_UNSUPPORTED_VERSION)
        wire_decode_agent(session->agent, untrusted_line, untrusted_len);
    if (status != STATUS_INVALID) {
        *ret_answer = (WireAnswer){ .seq = ret->seq, .status = status };
        return SESSION_REFUSED;
    }

    error = check(session, ret);
    if (error) {
        *ret_error = error;
        *ret_answer =
            (WireAnswer){ .seq = ret->seq, .status = STATUS_MALFORMED };
        *ret = (WireMessage){};
        ret->seq = ret_answer->seq;
        return SESSION_REFUSED;
    }
    return take(session, ret);
}
