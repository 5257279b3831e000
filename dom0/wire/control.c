/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/wire/json.h"
#include "dom0/wire/control.h"

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

bool control_name_parse(ControlName *ret,
                        const char *untrusted_text,
                        size_t untrusted_len)
{
    ControlName name = {};
    size_t n_dots = 0;
    char before = '.'; /* no part is empty, none begins or ends with "-" */

    if (untrusted_len == 0 || untrusted_len > CONTROL_NAME_MAX)
        return false;
    for (size_t i = 0; i < untrusted_len; i++) {
        char c = untrusted_text[i];

        if (c == '.' && !is_letter_or_digit(before))
            return false;
        if (c == '-' && before == '.')
            return false;
        if (c != '.' && c != '-' && !is_letter_or_digit(c))
            return false;
        n_dots += c == '.';
        before = c;
    }
    if (n_dots < 2 || !is_letter_or_digit(before))
        return false;

    memcpy(name.s, untrusted_text, untrusted_len);
    *ret = name;
    return true;
}

/* A message has these members: one name, an object and flags. */
static bool take_name(ControlName *ret, const json_t *value)
{
    return json_is_string(value) &&
           control_name_parse(ret, json_string_value(value),
                              json_string_length(value));
}

static bool take_flag(bool *ret, const json_t *value)
{
    *ret = json_is_true(value);
    return json_is_boolean(value);
}

static bool take_object(json_t **ret, json_t *value)
{
    if (!json_is_object(value))
        return false;
    *ret = json_incref(value);
    return true;
}

/* The parameters that were left out are none. */
static int complete_parameters(json_t **parameters)
{
    if (!*parameters)
        *parameters = json_object();
    return *parameters ? 0 : -ENOMEM;
}

static bool call_take(ControlCall *call, const char *key, json_t *value)
{
    if (strcmp(key, "method") == 0)
        return take_name(&call->method, value);
    if (strcmp(key, "parameters") == 0)
        return take_object(&call->parameters, value);
    if (strcmp(key, "oneway") == 0)
        return take_flag(&call->oneway, value);
    if (strcmp(key, "more") == 0)
        return take_flag(&call->more, value);
    if (strcmp(key, "upgrade") == 0)
        return take_flag(&call->upgrade, value);
    return false;
}

int control_call_decode(ControlCall *ret,
                        const char *untrusted_message,
                        size_t untrusted_len)
{
    _cleanup_(control_call_clearp) ControlCall call = {};
    _cleanup_(json_decrefp) json_t *message = NULL;
    const char *key;
    json_t *value;
    int r;

    if (untrusted_len > CONTROL_CALL_MAX)
        return -EBADMSG;
    r = json_parse_object(&message, untrusted_message, untrusted_len);
    if (r < 0)
        return r;

    json_object_foreach(
        message, key, value) if (!call_take(&call, key, value)) return -EBADMSG;
    /* who wants no answer cannot want many, or another protocol after it */
    if (!call.method.s[0] || (call.oneway && (call.more || call.upgrade)))
        return -EBADMSG;
    r = complete_parameters(&call.parameters);
    if (r < 0)
        return r;

    *ret = call;
    call = (ControlCall){};
    return 0;
}

/* Set @key of @object to @value, which is taken over; NULL is no memory. */
static bool set_new(json_t *object, const char *key, json_t *value)
{
    return value && json_object_set_new(object, key, value) == 0;
}

static bool set_flag(json_t *object, const char *key, bool flag)
{
    return !flag || set_new(object, key, json_true());
}

json_t *control_call_to_json(const ControlCall *call)
{
    _cleanup_(json_decrefp) json_t *message = json_object();

    if (!message || !set_new(message, "method", json_string(call->method.s)) ||
        !set_new(message, "parameters", json_incref(call->parameters)) ||
        !set_flag(message, "oneway", call->oneway) ||
        !set_flag(message, "more", call->more) ||
        !set_flag(message, "upgrade", call->upgrade))
        return NULL;
    return TAKE_PTR(message);
}

void control_call_clear(ControlCall *call)
{
    json_decref(call->parameters);
    *call = (ControlCall){};
}

static bool reply_take(ControlReply *reply, const char *key, json_t *value)
{
    if (strcmp(key, "error") == 0)
        return take_name(&reply->error, value);
    if (strcmp(key, "parameters") == 0)
        return take_object(&reply->parameters, value);
    if (strcmp(key, "continues") == 0)
        return take_flag(&reply->continues, value);
    return false;
}

int control_reply_decode(ControlReply *ret,
                         const char *untrusted_message,
                         size_t untrusted_len)
{
    _cleanup_(control_reply_clearp) ControlReply reply = {};
    _cleanup_(json_decrefp) json_t *message = NULL;
    const char *key;
    json_t *value;
    int r;

    if (untrusted_len > CONTROL_REPLY_MAX)
        return -EBADMSG;
    r = json_parse_object(&message, untrusted_message, untrusted_len);
    if (r < 0)
        return r;

    json_object_foreach(
        message, key,
        value) if (!reply_take(&reply, key, value)) return -EBADMSG;
    /* an error is the last word */
    if (reply.error.s[0] && reply.continues)
        return -EBADMSG;
    r = complete_parameters(&reply.parameters);
    if (r < 0)
        return r;

    *ret = reply;
    reply = (ControlReply){};
    return 0;
}

json_t *control_reply_to_json(const ControlReply *reply)
{
    json_t *parameters = json_incref(reply->parameters);

    return reply->error.s[0] ? control_error_new(reply->error.s, parameters)
                             : control_reply_new(parameters, reply->continues);
}

void control_reply_clear(ControlReply *reply)
{
    json_decref(reply->parameters);
    *reply = (ControlReply){};
}

json_t *control_reply_new(json_t *parameters_arg, bool continues)
{
    _cleanup_(json_decrefp) json_t *parameters = parameters_arg;
    _cleanup_(json_decrefp) json_t *message = json_object();

    if (!message || !set_new(message, "parameters", json_incref(parameters)) ||
        !set_flag(message, "continues", continues))
        return NULL;
    return TAKE_PTR(message);
}

json_t *control_error_new(const char *error, json_t *parameters_arg)
{
    _cleanup_(json_decrefp) json_t *parameters = parameters_arg;
    _cleanup_(json_decrefp) json_t *message = json_object();

    if (!message || !set_new(message, "error", json_string(error)) ||
        !set_new(message, "parameters", json_incref(parameters)))
        return NULL;
    return TAKE_PTR(message);
}

json_t *control_error_about(const char *error,
                            const char *key,
                            const char *value)
{
    return control_error_new(error, json_pack("{s:s}", key, value));
}

int control_message_encode(char **ret,
                           size_t *ret_len,
                           json_t *message_arg,
                           size_t max)
{
    _cleanup_(json_decrefp) json_t *message = message_arg;
    const size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII;
    char *text;
    size_t len;

    if (!message)
        return -ENOMEM;
    len = json_dumpb(message, NULL, 0, flags);
    if (len == 0)
        return -ENOMEM;
    if (len > max)
        return -EMSGSIZE;
    text = malloc(len + 1);
    if (!text)
        return -ENOMEM;
    if (json_dumpb(message, text, len, flags) != len) {
        free(text);
        return -ENOMEM;
    }
    text[len] = '\0';

    *ret = text;
    *ret_len = len + 1;
    return 0;
}
