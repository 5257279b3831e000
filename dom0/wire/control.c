/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/wire/json.h"
#include "dom0/wire/control-interfaces.h"
#include "dom0/wire/control.h"

#define VENDOR  "qubes-contrib"
#define PRODUCT "qubes-autoattach"
#define URL     "https://github.com/QubesOS-contrib/qubes-autoattach"

typedef struct Interface {
    const char *name;
    const char *text;
} Interface;

static const Interface interfaces[] = {
    { CONTROL_SERVICE_INTERFACE, control_text_org_varlink_service },
    { CONTROL_INTERFACE, control_text_org_qubes_contrib_autoattach },
};

typedef struct Parameter {
    const char *name;
    json_type type;
} Parameter;

#define PARAMETERS_MAX 8U

typedef struct MethodInfo {
    ControlMethod method;
    const char *name;
    Parameter parameters[PARAMETERS_MAX]; /* all needed; ends with no name */
} MethodInfo;

static const MethodInfo methods[] = {
    { CONTROL_GET_INFO, CONTROL_SERVICE_INTERFACE ".GetInfo", {} },
    { CONTROL_GET_INTERFACE_DESCRIPTION,
      CONTROL_SERVICE_INTERFACE ".GetInterfaceDescription",
      { { "interface", JSON_STRING } } },
    { CONTROL_GET_STATUS, CONTROL_INTERFACE ".GetStatus", {} },
};

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

const char *control_interface_text(const char *interface)
{
    for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++)
        if (strcmp(interfaces[i].name, interface) == 0)
            return interfaces[i].text;
    return NULL;
}

static json_t *answer_get_info(void)
{
    _cleanup_(json_decrefp) json_t *names = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++)
        if (json_array_append_new(names, json_string(interfaces[i].name)) < 0)
            return NULL;
    return control_reply_new(json_pack("{s:s, s:s, s:s, s:s, s:O}", "vendor",
                                       VENDOR, "product", PRODUCT, "version",
                                       AUTOATTACH_VERSION, "url", URL,
                                       "interfaces", names),
                             false);
}

static json_t *answer_get_interface_description(const ControlCall *call)
{
    const char *untrusted_interface =
        json_string_value(json_object_get(call->parameters, "interface"));
    const char *text = control_interface_text(untrusted_interface);

    if (!text)
        return control_error_about(CONTROL_ERROR_INTERFACE_NOT_FOUND,
                                   "interface", untrusted_interface);
    return control_reply_new(json_pack("{s:s}", "description", text), false);
}

/* The interface or the method is not known: say which. */
static json_t *answer_not_found(const ControlCall *call)
{
    ControlName interface = call->method;

    *strrchr(interface.s, '.') = '\0';
    if (control_interface_text(interface.s))
        return control_error_about(CONTROL_ERROR_METHOD_NOT_FOUND, "method",
                                   call->method.s);
    return control_error_about(CONTROL_ERROR_INTERFACE_NOT_FOUND, "interface",
                               interface.s);
}

static const Parameter *find_parameter(const MethodInfo *info,
                                       const char *untrusted_name)
{
    for (const Parameter *p = info->parameters; p->name; p++)
        if (strcmp(p->name, untrusted_name) == 0)
            return p;
    return NULL;
}

/* The name of the first parameter that is missing, unknown or of another type;
 * NULL if all is well. */
static const char *find_bad_parameter(const MethodInfo *info,
                                      json_t *parameters)
{
    const char *key;
    json_t *value;

    json_object_foreach(parameters, key, value)
    {
        const Parameter *parameter = find_parameter(info, key);

        if (!parameter || json_typeof(value) != parameter->type)
            return key;
    }
    for (const Parameter *p = info->parameters; p->name; p++)
        if (!json_object_get(parameters, p->name))
            return p->name;
    return NULL;
}

static const MethodInfo *find_method(const ControlName *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (strcmp(methods[i].name, name->s) == 0)
            return &methods[i];
    return NULL;
}

/* The error that a call gets whatever the daemon's state is, or NULL; *@ret_bad
 * says whether there is one. */
static json_t *answer_bad_call(const MethodInfo *info,
                               const ControlCall *call,
                               bool *ret_bad)
{
    const char *bad;

    *ret_bad = true;
    if (!info)
        return answer_not_found(call);
    bad = find_bad_parameter(info, call->parameters);
    if (!bad && call->upgrade)
        bad = "upgrade";
    if (bad)
        return control_error_about(CONTROL_ERROR_INVALID_PARAMETER, "parameter",
                                   bad);

    *ret_bad = false;
    return NULL;
}

int control_call_route(ControlMethod *ret,
                       json_t **ret_answer,
                       const ControlCall *call)
{
    const MethodInfo *info = find_method(&call->method);
    json_t *answer;
    bool is_bad;

    *ret = CONTROL_METHOD_INVALID;
    *ret_answer = NULL;

    answer = answer_bad_call(info, call, &is_bad);
    if (!is_bad && info->method == CONTROL_GET_INFO)
        answer = answer_get_info();
    else if (!is_bad && info->method == CONTROL_GET_INTERFACE_DESCRIPTION)
        answer = answer_get_interface_description(call);
    else if (!is_bad) {
        *ret = info->method;
        return 0;
    }
    if (!answer)
        return -ENOMEM;

    *ret_answer = answer;
    return 0;
}
