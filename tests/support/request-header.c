/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "tests/support/bytes.h"
#include "tests/support/request-header.h"

#define DEVICE_METHOD "admin.vm.device." /* CLASS.ACTION */

static const char *const methods[ADMIN_OLD_LIST + 1] = {
    [ADMIN_EVENTS] = "admin.Events",
    [ADMIN_LIST] = "admin.vm.List",
    [ADMIN_CURRENT_STATE] = "admin.vm.CurrentState",
    [ADMIN_START] = "admin.vm.Start",
    [ADMIN_KILL] = "admin.vm.Kill",
    [ADMIN_SHUTDOWN] = "admin.vm.Shutdown",
    [ADMIN_REMOVE] = "admin.vm.Remove",
    [ADMIN_CREATE_DISPOSABLE] = "admin.vm.CreateDisposable",
    [ADMIN_PROPERTY_GET] = "admin.vm.property.Get",
};

static const char *const actions[ADMIN_OLD_LIST + 1] = {
    [ADMIN_AVAILABLE] = "Available", [ADMIN_ATTACHED] = "Attached",
    [ADMIN_ATTACH] = "Attach",       [ADMIN_DETACH] = "Detach",
    [ADMIN_OLD_LIST] = "List",
};

static const char *const properties[] = {
    [ADMIN_PROPERTY_GUIVM] = "guivm",
    [ADMIN_PROPERTY_ICON] = "icon",
    [ADMIN_PROPERTY_LABEL] = "label",
    [ADMIN_PROPERTY_DEFAULT_DISPVM] = "default_dispvm",
};

/* Take what is before the first @mark, or all; whether there was one. */
static bool cut(Bytes *text, char mark, Bytes *ret)
{
    const size_t len = text->len;

    *ret = bytes_before(*text, mark, text);
    return ret->len < len;
}

static bool is_method(Bytes word, const AdminRequest *request)
{
    const char *class = request->class == DEVICE_CLASS_BLOCK ? "block" : "usb";
    Bytes action, first;

    if (methods[request->method])
        return bytes_are(word, methods[request->method]);
    if (!bytes_begin(word, DEVICE_METHOD))
        return false;
    action = bytes_behind(word, strlen(DEVICE_METHOD));
    return cut(&action, '.', &first) && bytes_are(first, class) &&
           bytes_are(action, actions[request->method]);
}

/* DEVID with its ":" written "+", and "?******" as "_______" */
static bool is_identity(Bytes text, const char *devid)
{
    while (*devid) {
        if (strncmp(devid, "?******", 7) == 0) {
            if (!bytes_begin(text, "_______"))
                return false;
            text = bytes_behind(text, 7);
            devid += 7;
            continue;
        }
        if (text.len == 0 || *text.start != (*devid == ':' ? '+' : *devid))
            return false;
        text = bytes_behind(text, 1);
        devid++;
    }
    return text.len == 0;
}

/* BACKEND+PORT, or BACKEND+PORT+DEVID */
static bool is_device(Bytes argument, const AdminRequest *request)
{
    bool pinned = request->method == ADMIN_ATTACH && request->pinned;
    Bytes backend, port;

    return cut(&argument, '+', &backend) &&
           bytes_are(backend, request->backend.s) &&
           cut(&argument, '+', &port) == pinned &&
           bytes_are(port, request->port.s) &&
           (!pinned || is_identity(argument, request->identity.s));
}

static bool is_argument(Bytes argument, const AdminRequest *request)
{
    Bytes port;

    if (request->method == ADMIN_ATTACH || request->method == ADMIN_DETACH)
        return is_device(argument, request);
    if (request->method == ADMIN_AVAILABLE)
        return !cut(&argument, '+', &port) && bytes_are(port, request->port.s);
    if (request->method == ADMIN_PROPERTY_GET)
        return bytes_are(argument, properties[request->property]);
    return argument.len == 0;
}

/* KEY='VALUE' with one space between two, each of them once at most */
static bool read_options(Bytes payload, AttachOptions *ret)
{
    bool more = payload.len > 0;
    Bytes key, quote, value, blank;

    *ret = (AttachOptions){};
    while (more) {
        if (!cut(&payload, '=', &key) || !cut(&payload, '\'', &quote) ||
            quote.len > 0 || !cut(&payload, '\'', &value))
            return false;
        more = cut(&payload, ' ', &blank);
        if (blank.len > 0)
            return false;
        if (bytes_are(key, "_read-only") && bytes_are(value, "yes") &&
            !ret->read_only)
            ret->read_only = true;
        else if (bytes_are(key, "_devtype") && bytes_are(value, "cdrom") &&
                 !ret->cdrom)
            ret->cdrom = true;
        else if (bytes_are(key, "_frontend-dev") && !ret->frontend[0] &&
                 value.len > 0 && value.len < sizeof(ret->frontend))
            memcpy(ret->frontend, value.start, value.len);
        else
            return false;
    }
    return true;
}

/* Only a disk that is attached has options. */
static bool is_payload(Bytes payload, const AdminRequest *request)
{
    const AttachOptions *wanted = &request->options;
    AttachOptions options;

    if (request->method != ADMIN_ATTACH || request->class != DEVICE_CLASS_BLOCK)
        return payload.len == 0;
    return read_options(payload, &options) &&
           options.read_only == wanted->read_only &&
           options.cdrom == wanted->cdrom &&
           strcmp(options.frontend, wanted->frontend) == 0;
}

bool request_header_is_true(const AdminRequest *request)
{
    char text[ADMIN_REQUEST_MAX];
    Bytes payload = { text, admin_encode(text, request) };
    Bytes header, call, method, source, kind, dest;

    return payload.len <= sizeof(text) && cut(&payload, '\0', &header) &&
           cut(&header, ' ', &call) && cut(&header, ' ', &source) &&
           cut(&header, ' ', &kind) && !cut(&header, ' ', &dest) &&
           cut(&call, '+', &method) && is_method(method, request) &&
           is_argument(call, request) && bytes_are(source, "dom0") &&
           bytes_are(kind, "name") && bytes_are(dest, request->dest.s) &&
           is_payload(payload, request);
}

bool request_of_qube_is_true(const QubeName *qube)
{
    static const AdminMethod of_qube[] = {
        ADMIN_CURRENT_STATE, ADMIN_START,  ADMIN_ATTACHED,
        ADMIN_KILL,          ADMIN_REMOVE, ADMIN_CREATE_DISPOSABLE,
        ADMIN_SHUTDOWN,      ADMIN_ATTACH,
    };
    AdminRequest request = { .class = DEVICE_CLASS_BLOCK,
                             .dest = *qube,
                             .backend = { "sys-usb" },
                             .port = { "sda" } };

    for (size_t i = 0; i < ARRAY_SIZE(of_qube); i++) {
        request.method = of_qube[i];
        if (!request_header_is_true(&request))
            return false;
    }
    return true;
}
