/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The autoattach.Event protocol, version 1: lines and values (DESIGN 3)
 *
 * One JSON object a line. This is the only encoder and the only decoder, used
 * by both ends. The decoder refuses whatever the encoder could not have
 * written: unknown, missing or duplicate keys, wrong types, values out of
 * their form or range. It holds no state: whether a message may come now (a
 * second hello, a seq that does not grow) is the connection's to decide.
 */

#include "common/boot-id.h"
#include "common/record.h"
#include "common/status.h"
#include "common/wire/json-text.h"

/* without the newline */
#define WIRE_LINE_MAX 8192U

typedef enum WireType {
    WIRE_INVALID,
    WIRE_HELLO,
    WIRE_EVENT,
    WIRE_SYNCED,
} WireType;

typedef struct WireHello {
    BootId boot_id;
    char agent[RECORD_AGENT_MAX + 1];
} WireHello;

typedef struct WireMessage {
    WireType type;
    int64_t seq; /* of an event */
    union {
        WireHello hello;
        Record record;
    };
} WireMessage;

/* An answer of dom0: what the source is told of one event. */
typedef struct WireAnswer {
    int64_t seq; /* 0: null, the line's seq could not be read */
    Status status;
} WireAnswer;

/*
 * Decode one line without its newline. STATUS_INVALID (zero) for a good one;
 * else what to answer: STATUS_MALFORMED, STATUS_UNSUPPORTED_VERSION or
 * STATUS_TOO_LARGE. Only then @ret_error (may be NULL) is set, to a constant
 * sentence for the journal; @ret->seq is the line's seq as far as it could be
 * read, else 0, and the rest of @ret is zero.
 */
Status wire_decode(WireMessage *ret,
                   const char *untrusted_line,
                   size_t untrusted_len,
                   const char **ret_error);

/* What a hello calls its sender, of whatever version it is: text as in
 * WireHello, or "". */
void wire_decode_agent(char ret[RECORD_AGENT_MAX + 1],
                       const char *untrusted_line,
                       size_t untrusted_len);

/*
 * Encoders: malloc()ed text with a newline at the end, NUL-terminated, its
 * length in @ret_len (may be NULL). -ENOMEM, or -EMSGSIZE for an event that
 * would be longer than WIRE_LINE_MAX.
 */
int wire_encode_hello(char **ret, size_t *ret_len, const WireHello *hello);
int wire_encode_event(char **ret,
                      size_t *ret_len,
                      int64_t seq,
                      const Record *record);
int wire_encode_synced(char **ret, size_t *ret_len);
int wire_encode_answer(char **ret, size_t *ret_len, const WireAnswer *answer);

/* The line of an event, however long, behind what is written already. */
void wire_put_event(JsonText *json, int64_t seq, const Record *record);

/* Decode a line of dom0's. False for what is none; @ret is left then. */
_must_check_ bool wire_decode_answer(WireAnswer *ret,
                                     const char *untrusted_line,
                                     size_t untrusted_len);
