/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/wire/admin.h"

/* "1" SUBJECT EVENT, before the keys and values */
#define HEAD_FIELDS 3U
/* more keys than any event has; those behind are not looked at */
#define PAIRS_MAX 16U

typedef struct Field {
    const char *start;
    size_t len;
} Field;

typedef struct Frame {
    Field subject;
    Field event;
    Field keys[PAIRS_MAX];
    Field values[PAIRS_MAX];
    size_t n_pairs;
} Frame;

/* One NUL-ended field. False: it is not complete yet. */
static bool take(Field *ret, const char **at, const char *end)
{
    const char *nul = memchr(*at, '\0', (size_t) (end - *at));

    if (!nul)
        return false;
    *ret = (Field){ *at, (size_t) (nul - *at) };
    *at = nul + 1;
    return true;
}

static bool field_is(Field field, const char *text)
{
    return field.len == strlen(text) &&
           memcmp(field.start, text, field.len) == 0;
}

/* "1" SUBJECT EVENT (KEY VALUE)* "" */
static AdminFrameResult split(Frame *ret, const char **at, const char *end)
{
    Field field, value;

    if (!take(&field, at, end))
        return end - *at > 1 ? ADMIN_FRAME_BAD : ADMIN_FRAME_INCOMPLETE;
    if (!field_is(field, "1"))
        return ADMIN_FRAME_BAD;
    if (!take(&ret->subject, at, end) || !take(&ret->event, at, end))
        return ADMIN_FRAME_INCOMPLETE;

    for (;;) {
        if (!take(&field, at, end))
            return ADMIN_FRAME_INCOMPLETE;
        if (field.len == 0)
            return ADMIN_FRAME_GOOD;
        if (!take(&value, at, end))
            return ADMIN_FRAME_INCOMPLETE;
        if (ret->n_pairs < PAIRS_MAX) {
            ret->keys[ret->n_pairs] = field;
            ret->values[ret->n_pairs++] = value;
        }
    }
}

/* The value of @key, or an empty field. */
static Field frame_get(const Frame *frame, const char *key)
{
    for (size_t i = 0; i < frame->n_pairs; i++)
        if (field_is(frame->keys[i], key))
            return frame->values[i];
    return (Field){ "", 0 };
}

/* "BACKEND:PORT" or "BACKEND:PORT:DEVID" */
static bool decode_device(AdminEvent *ret, Field field)
{
    const char *end = field.start + field.len;
    const char *port, *port_end;

    port = memchr(field.start, ':', field.len);
    if (!port || !qube_name_parse(&ret->backend, field.start,
                                  (size_t) (port - field.start)))
        return false;
    port++;
    port_end = memchr(port, ':', (size_t) (end - port));
    if (!port_end)
        port_end = end;
    if (!device_name_parse(&ret->port, ret->class, port,
                           (size_t) (port_end - port)))
        return false;

    if (port_end < end)
        ret->has_identity = identity_parse(&ret->identity, port_end + 1,
                                           (size_t) (end - port_end - 1));
    return true;
}

/* "device-added:block" */
static bool decode_device_event(AdminEvent *ret, const Frame *frame)
{
    static const struct {
        const char *name;
        AdminEventType type;
        bool has_device;
    } events[] = {
        { "device-list-change:", ADMIN_EVENT_LIST_CHANGE, false },
        { "device-added:", ADMIN_EVENT_DEVICE_ADDED, true },
        { "device-removed:", ADMIN_EVENT_DEVICE_REMOVED, true },
        { "device-attach:", ADMIN_EVENT_ATTACH, true },
        { "device-detach:", ADMIN_EVENT_DETACH, true },
    };
    Field device;

    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        size_t len = strlen(events[i].name);
        Field class = { frame->event.start + len, frame->event.len - len };

        if (frame->event.len < len ||
            memcmp(frame->event.start, events[i].name, len) != 0)
            continue;
        ret->class = field_is(class, "block") ? DEVICE_CLASS_BLOCK
                     : field_is(class, "usb") ? DEVICE_CLASS_USB
                                              : DEVICE_CLASS_INVALID;
        if (ret->class == DEVICE_CLASS_INVALID)
            return false;
        ret->type = events[i].type;
        if (!events[i].has_device)
            return true;
        device = frame_get(frame, "device");
        if (device.len == 0)
            device = frame_get(frame, "port");
        return decode_device(ret, device);
    }
    return false;
}

static bool decode_event(AdminEvent *ret, const Frame *frame)
{
    static const struct {
        const char *name;
        AdminEventType type;
    } events[] = {
        { "domain-start", ADMIN_EVENT_DOMAIN_START },
        { "domain-shutdown", ADMIN_EVENT_DOMAIN_SHUTDOWN },
        { "domain-resumed", ADMIN_EVENT_DOMAIN_RESUMED },
        { "domain-unpaused", ADMIN_EVENT_DOMAIN_UNPAUSED },
    };

    if (field_is(frame->event, "connection-established")) {
        ret->type = ADMIN_EVENT_ESTABLISHED;
        return true;
    }
    if (!qube_name_parse(&ret->subject, frame->subject.start,
                         frame->subject.len))
        return false;

    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        if (!field_is(frame->event, events[i].name))
            continue;
        ret->type = events[i].type;
        return true;
    }
    return decode_device_event(ret, frame);
}

AdminFrameResult admin_decode_frame(AdminEvent *ret,
                                    size_t *ret_len,
                                    const char *untrusted_data,
                                    size_t untrusted_len)
{
    const char *at = untrusted_data;
    Frame frame = {};
    AdminFrameResult result = split(&frame, &at, at + untrusted_len);

    *ret = (AdminEvent){};
    if (result != ADMIN_FRAME_GOOD)
        return result;

    if (!decode_event(ret, &frame))
        *ret = (AdminEvent){};
    *ret_len = (size_t) (at - untrusted_data);
    return ADMIN_FRAME_GOOD;
}

bool admin_skip_frame(AdminFrameSkip *skip,
                      size_t *ret_len,
                      const char *untrusted_data,
                      size_t untrusted_len)
{
    for (size_t i = 0; i < untrusted_len; i++) {
        bool is_key = skip->n_fields >= HEAD_FIELDS &&
                      (skip->n_fields - HEAD_FIELDS) % 2 == 0;

        if (untrusted_data[i] != '\0') {
            skip->begun = true;
            continue;
        }
        if (is_key && !skip->begun) {
            *ret_len = i + 1;
            return true;
        }
        skip->n_fields++;
        skip->begun = false;
    }
    return false;
}
