/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "dom0/wire/admin-listing.h"
#include "dom0/wire/admin.h"

#define SOURCE_OF_CALLS "dom0"

typedef struct MethodInfo {
    const char *prefix; /* before the class, if the method has one */
    const char *suffix; /* behind it; NULL: no class */
} MethodInfo;

static const MethodInfo methods[] = {
    [ADMIN_EVENTS] = { "admin.Events", NULL },
    [ADMIN_LIST] = { "admin.vm.List", NULL },
    [ADMIN_CURRENT_STATE] = { "admin.vm.CurrentState", NULL },
    [ADMIN_START] = { "admin.vm.Start", NULL },
    [ADMIN_AVAILABLE] = { "admin.vm.device.", ".Available" },
    [ADMIN_ATTACHED] = { "admin.vm.device.", ".Attached" },
    [ADMIN_ATTACH] = { "admin.vm.device.", ".Attach" },
    [ADMIN_DETACH] = { "admin.vm.device.", ".Detach" },
    [ADMIN_KILL] = { "admin.vm.Kill", NULL },
    [ADMIN_SHUTDOWN] = { "admin.vm.Shutdown", NULL },
    [ADMIN_REMOVE] = { "admin.vm.Remove", NULL },
    [ADMIN_CREATE_DISPOSABLE] = { "admin.vm.CreateDisposable", NULL },
    [ADMIN_PROPERTY_GET] = { "admin.vm.property.Get", NULL },
    [ADMIN_OLD_LIST] = { "admin.vm.device.", ".List" },
};

static const char *const properties[] = {
    [ADMIN_PROPERTY_GUIVM] = "guivm",
    [ADMIN_PROPERTY_ICON] = "icon",
    [ADMIN_PROPERTY_LABEL] = "label",
    [ADMIN_PROPERTY_DEFAULT_DISPVM] = "default_dispvm",
};

static size_t encode_argument(char *ret,
                              size_t size,
                              const AdminRequest *request)
{
    char identity[IDENTITY_SAFE_MAX + 1];

    switch (request->method) {
    case ADMIN_AVAILABLE:
        return text_format(ret, size, "%s", request->port.s);
    case ADMIN_ATTACH:
        if (request->pinned) {
            identity_encode(identity, &request->identity);
            return text_format(ret, size, "%s+%s+%s", request->backend.s,
                               request->port.s, identity);
        }
        return text_format(ret, size, "%s+%s", request->backend.s,
                           request->port.s);
    case ADMIN_DETACH:
        return text_format(ret, size, "%s+%s", request->backend.s,
                           request->port.s);
    case ADMIN_EVENTS:
    case ADMIN_LIST:
    case ADMIN_CURRENT_STATE:
    case ADMIN_START:
    case ADMIN_ATTACHED:
    case ADMIN_KILL:
    case ADMIN_SHUTDOWN:
    case ADMIN_REMOVE:
    case ADMIN_CREATE_DISPOSABLE:
    case ADMIN_OLD_LIST:
        return 0;
    case ADMIN_PROPERTY_GET:
        return text_format(ret, size, "%s", properties[request->property]);
    case ADMIN_INVALID:
        break;
    }
    assert(false);
    return 0;
}

/* "_read-only='yes' _frontend-dev='xvdj' _devtype='cdrom'" */
static size_t encode_options(char *ret,
                             size_t size,
                             const AttachOptions *options)
{
    size_t len = 0;

    ret[0] = '\0';
    if (options->read_only)
        len += text_format(ret, size, "_read-only='yes'");
    if (options->frontend[0])
        len += text_format(ret + len, size - len, "%s_frontend-dev='%s'",
                           len > 0 ? " " : "", options->frontend);
    if (options->cdrom)
        len += text_format(ret + len, size - len, "%s_devtype='cdrom'",
                           len > 0 ? " " : "");
    return len;
}

size_t admin_encode(char ret[ADMIN_REQUEST_MAX], const AdminRequest *request)
{
    const MethodInfo *method = &methods[request->method];
    const char *class = device_class_to_string(request->class);
    char argument[ADMIN_REQUEST_MAX] = "";
    size_t len;

    assert(method->prefix);
    assert(!method->suffix || class);

    (void) encode_argument(argument, sizeof(argument), request);
    len = text_format(ret, ADMIN_REQUEST_MAX, "%s%s%s+%s %s name %s",
                      method->prefix, method->suffix ? class : "",
                      method->suffix ? method->suffix : "", argument,
                      SOURCE_OF_CALLS, request->dest.s);
    len++; /* the header's NUL */
    if (request->method == ADMIN_ATTACH)
        len += encode_options(ret + len, ADMIN_REQUEST_MAX - len,
                              &request->options);

    assert(len < ADMIN_REQUEST_MAX);
    return len;
}

void admin_fail(AdminAnswer *ret, AdminResult result, const char *detail)
{
    *ret = (AdminAnswer){ .result = result };
    (void) text_format(ret->detail, sizeof(ret->detail), "%s", detail);
}

static AdminError error_from_type(const char *untrusted_type, size_t len)
{
    static const struct {
        const char *type;
        AdminError error;
    } errors[] = {
        { "QubesVMNotRunningError", ADMIN_ERROR_NOT_RUNNING },
        { "QubesVMNotFoundError", ADMIN_ERROR_NO_SUCH_QUBE },
        { "DeviceAlreadyAttached", ADMIN_ERROR_ALREADY_ATTACHED },
        { "DeviceNotAssigned", ADMIN_ERROR_NOT_ATTACHED },
        { "QubesValueError", ADMIN_ERROR_VALUE },
        { "ProtocolError", ADMIN_ERROR_PROTOCOL },
        { "PermissionDenied", ADMIN_ERROR_PERMISSION },
        { "USBProxyNotInstalled", ADMIN_ERROR_USB_PROXY },
        { "QubesVMNotStartedError", ADMIN_ERROR_NOT_STARTED },
    };

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        if (strlen(errors[i].type) == len &&
            memcmp(errors[i].type, untrusted_type, len) == 0)
            return errors[i].error;
    return ADMIN_ERROR_OTHER;
}

/* A NUL-ended field; NULL, and nothing taken, if there is none. */
static const char *take_field(const char **data,
                              const char *end,
                              size_t *ret_len)
{
    const char *field = *data;
    const char *nul = memchr(field, '\0', (size_t) (end - field));

    if (!nul)
        return NULL;
    *ret_len = (size_t) (nul - field);
    *data = nul + 1;
    return field;
}

/* TYPE \0 TRACEBACK \0 MESSAGE \0 */
static bool decode_exception(AdminAnswer *ret,
                             const char *data,
                             const char *end)
{
    size_t type_len, trace_len, message_len, len;
    const char *type = take_field(&data, end, &type_len);
    const char *trace = type ? take_field(&data, end, &trace_len) : NULL;
    const char *message = trace ? take_field(&data, end, &message_len) : NULL;

    if (!message)
        return false;

    ret->result = ADMIN_EXCEPTION;
    ret->error = error_from_type(type, type_len);
    (void) text_escape(ret->detail, sizeof(ret->detail), type, type_len);
    len = strlen(ret->detail);
    if (message_len > 0 && len + 3 < sizeof(ret->detail)) {
        memcpy(ret->detail + len, ": ", 2);
        (void) text_escape(ret->detail + len + 2, sizeof(ret->detail) - len - 2,
                           message, message_len);
    }
    return true;
}

/* "... power_state=Running" */
static bool decode_state(AdminAnswer *ret, const char *data, const char *end)
{
    static const char key[] = "power_state=";
    const char *at = memmem(data, (size_t) (end - data), key, strlen(key));
    const char *stop;

    if (!at)
        return false;
    at += strlen(key);
    stop = memchr(at, ' ', (size_t) (end - at));
    ret->power =
        power_state_from_string(at, (size_t) ((stop ? stop : end) - at));
    return true;
}

static bool is_value_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* "default=True type=vm dom0"; the value may be empty */
static bool decode_property(AdminAnswer *ret, const char *data, const char *end)
{
    static const char key[] = " type=";
    const char *at = memmem(data, (size_t) (end - data), key, strlen(key));
    size_t len;

    at = at ? memchr(at + 1, ' ', (size_t) (end - at - 1)) : NULL;
    if (!at)
        return false;
    at++;
    len = (size_t) (end - at);
    if (len > ADMIN_VALUE_MAX)
        return true;
    for (size_t i = 0; i < len; i++)
        if (!is_value_byte(at[i]))
            return true;
    memcpy(ret->value.s, at, len);
    return true;
}

static bool decode_data(AdminAnswer *ret,
                        const AdminRequest *request,
                        const char *data,
                        const char *end)
{
    switch (request->method) {
    case ADMIN_AVAILABLE:
    case ADMIN_ATTACHED:
        return admin_decode_listing(ret, request, data, (size_t) (end - data));
    case ADMIN_CURRENT_STATE:
        return decode_state(ret, data, end);
    case ADMIN_CREATE_DISPOSABLE:
        return qube_name_parse(&ret->qube, data, (size_t) (end - data));
    case ADMIN_PROPERTY_GET:
        return decode_property(ret, data, end);
    case ADMIN_LIST:
    case ADMIN_OLD_LIST:
    case ADMIN_START:
    case ADMIN_ATTACH:
    case ADMIN_DETACH:
    case ADMIN_KILL:
    case ADMIN_SHUTDOWN:
    case ADMIN_REMOVE:
        return true;
    case ADMIN_INVALID:
    case ADMIN_EVENTS:
        break;
    }
    assert(false);
    return false;
}

void admin_decode(AdminAnswer *ret,
                  const AdminRequest *request,
                  const char *untrusted_data,
                  size_t untrusted_len)
{
    const char *end = untrusted_data + untrusted_len;

    if (untrusted_len == 0) {
        admin_fail(ret, ADMIN_EMPTY, "qubesd gave an empty answer");
        return;
    }
    if (untrusted_len >= 2 && memcmp(untrusted_data, "0\0", 2) == 0) {
        *ret = (AdminAnswer){ .result = ADMIN_OK };
        if (decode_data(ret, request, untrusted_data + 2, end))
            return;
    } else if (untrusted_len >= 2 && memcmp(untrusted_data, "2\0", 2) == 0) {
        *ret = (AdminAnswer){};
        if (decode_exception(ret, untrusted_data + 2, end))
            return;
    }
    admin_fail(ret, ADMIN_GARBAGE, "qubesd's answer makes no sense");
}
