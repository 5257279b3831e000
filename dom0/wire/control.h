/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Control: the Varlink messages of the control socket (DESIGN 7)
 *
 * A message is one JSON object, ended by a NUL that is not counted in a
 * message's length:
 *
 *     call   {"method":"INTERFACE.Name","parameters":{...},
 *             "more":true, "oneway":true, "upgrade":true}
 *     reply  {"parameters":{...},"continues":true}
 *     error  {"error":"INTERFACE.Name","parameters":{...}}
 *
 * All but "method" and "error" may be left out. Nothing else is accepted: a
 * message of another form breaks the protocol and has no answer. What is
 * written is ASCII.
 */

#include <jansson.h>

#include "common/util.h"

#define CONTROL_INTERFACE         "org.qubes-contrib.autoattach"
#define CONTROL_SERVICE_INTERFACE "org.varlink.service"

/* in bytes, without the NUL */
#define CONTROL_CALL_MAX  (64U * 1024U)
#define CONTROL_REPLY_MAX (1024U * 1024U - 1)
#define CONTROL_NAME_MAX  255U /* of a method or an error */

/* the standard errors */
#define CONTROL_ERROR_INTERFACE_NOT_FOUND \
    CONTROL_SERVICE_INTERFACE ".InterfaceNotFound"
#define CONTROL_ERROR_METHOD_NOT_FOUND \
    CONTROL_SERVICE_INTERFACE ".MethodNotFound"
#define CONTROL_ERROR_METHOD_NOT_IMPLEMENTED \
    CONTROL_SERVICE_INTERFACE ".MethodNotImplemented"
#define CONTROL_ERROR_INVALID_PARAMETER \
    CONTROL_SERVICE_INTERFACE ".InvalidParameter"
#define CONTROL_ERROR_PERMISSION_DENIED \
    CONTROL_SERVICE_INTERFACE ".PermissionDenied"
#define CONTROL_ERROR_EXPECTED_MORE CONTROL_SERVICE_INTERFACE ".ExpectedMore"

/* A name that holds nothing but letters, digits, "-" and ".". */
typedef struct ControlName {
    char s[CONTROL_NAME_MAX + 1];
} ControlName;

/* "INTERFACE.Name", with a dot in the interface; or nothing. */
_must_check_ bool control_name_parse(ControlName *ret,
                                     const char *untrusted_text,
                                     size_t untrusted_len);

typedef struct ControlCall {
    ControlName method;
    json_t *parameters; /* an object, owned */
    bool oneway;        /* no answer is wanted, not even an error */
    bool more;          /* any number of replies is wanted */
    bool upgrade;
} ControlCall;

typedef struct ControlReply {
    ControlName error;  /* "" if it is none */
    json_t *parameters; /* an object, owned */
    bool continues;     /* further replies follow */
} ControlReply;

/* -EBADMSG for what is no call, -ENOMEM; @ret is left then. */
int control_call_decode(ControlCall *ret,
                        const char *untrusted_message,
                        size_t untrusted_len);
/* The message, or NULL without memory; @call is left as it is. */
json_t *control_call_to_json(const ControlCall *call);
void control_call_clear(ControlCall *call);

/* The same for replies and errors. */
int control_reply_decode(ControlReply *ret,
                         const char *untrusted_message,
                         size_t untrusted_len);
json_t *control_reply_to_json(const ControlReply *reply);
void control_reply_clear(ControlReply *reply);

/*
 * Messages from their parts. Each takes over @parameters; where that is NULL
 * there was no memory for it, and there is no message either.
 */
json_t *control_reply_new(json_t *parameters, bool continues);
json_t *control_error_new(const char *error, json_t *parameters);
/* A standard error whose only parameter @key says what is meant. */
json_t *control_error_about(const char *error,
                            const char *key,
                            const char *value);

/*
 * Takes over @message, which may be NULL (then -ENOMEM): ASCII, ended by a NUL
 * that @ret_len counts, so that it can be sent as it is. -EMSGSIZE if that is
 * more than @max and the NUL.
 */
int control_message_encode(char **ret,
                           size_t *ret_len,
                           json_t *message,
                           size_t max);

static inline void control_call_clearp(ControlCall *call)
{
    control_call_clear(call);
}
static inline void control_reply_clearp(ControlReply *reply)
{
    control_reply_clear(reply);
}
