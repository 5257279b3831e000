/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The stream of admin.Events: every frame that is taken ends where its last
 * byte is, is not complete before, and is the event that it says. WIRE 1 is
 * read here once more, in another way.
 */

#include <assert.h>
#include <string.h>

#include "tests/fuzz/taken.h"
#include "tests/support/bytes.h"
#include "tests/support/request-header.h"

/* Who passes over a frame, however it comes in two pieces, finds its end. */
static void check_skip(const char *frame, size_t len, size_t cut)
{
    AdminFrameSkip skip = {};
    size_t end = SIZE_MAX;

    assert(!admin_skip_frame(&skip, &end, frame, cut));
    assert(end == SIZE_MAX);
    assert(admin_skip_frame(&skip, &end, frame + cut, len - cut));
    assert(end == len - cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* frames of which every beginning is tried */
#define THOROUGH_MAX 512U

/* of a frame: those behind are not looked at */
#define PAIRS_MAX 16U

typedef struct Pairs {
    Bytes keys[PAIRS_MAX];
    Bytes values[PAIRS_MAX];
    size_t n;
} Pairs;

/* The next field; false if its NUL is not there. */
static bool read_field(Bytes *ret, Bytes *data)
{
    if (data->len == 0 || !memchr(data->start, '\0', data->len))
        return false;
    *ret = bytes_before(*data, '\0', data);
    return true;
}

/* "1" SUBJECT EVENT (KEY VALUE)* "", each with a NUL; @data is behind it. */
static AdminFrameResult read_frame(Bytes *subject,
                                   Bytes *event,
                                   Pairs *pairs,
                                   Bytes *data)
{
    Bytes one, key, value;

    if (!read_field(&one, data))
        return data->len > 1 ? ADMIN_FRAME_BAD : ADMIN_FRAME_INCOMPLETE;
    if (!bytes_are(one, "1"))
        return ADMIN_FRAME_BAD;
    if (!read_field(subject, data) || !read_field(event, data))
        return ADMIN_FRAME_INCOMPLETE;
    pairs->n = 0;
    while (read_field(&key, data)) {
        if (key.len == 0)
            return ADMIN_FRAME_GOOD;
        if (!read_field(&value, data))
            break;
        if (pairs->n == PAIRS_MAX)
            continue;
        pairs->keys[pairs->n] = key;
        pairs->values[pairs->n++] = value;
    }
    return ADMIN_FRAME_INCOMPLETE;
}

static Bytes value_of(const Pairs *pairs, const char *key)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (bytes_are(pairs->keys[i], key))
            return pairs->values[i];
    return (Bytes){ "", 0 };
}

/* BACKEND:PORT, or with :DEVID behind it */
static bool want_device(AdminEvent *wanted, const Pairs *pairs)
{
    Bytes device = value_of(pairs, "device"), backend, port, devid;

    if (device.len == 0)
        device = value_of(pairs, "port");
    backend = bytes_before(device, ':', &devid);
    port = bytes_before(devid, ':', &devid);
    if (!qube_name_parse(&wanted->backend, backend.start, backend.len) ||
        !device_name_parse(&wanted->port, wanted->class, port.start, port.len))
        return false;
    wanted->has_identity =
        identity_parse(&wanted->identity, devid.start, devid.len);
    return true;
}

/* What the frame says; ADMIN_EVENT_OTHER if that does not concern us. */
static AdminEvent want_event(Bytes subject, Bytes name, const Pairs *pairs)
{
    static const struct {
        const char *name;
        AdminEventType type;
        DeviceClass class;
    } events[] = {
        { "connection-established", ADMIN_EVENT_ESTABLISHED,
          DEVICE_CLASS_INVALID },
        { "domain-start", ADMIN_EVENT_DOMAIN_START, DEVICE_CLASS_INVALID },
        { "domain-shutdown", ADMIN_EVENT_DOMAIN_SHUTDOWN,
          DEVICE_CLASS_INVALID },
        { "domain-resumed", ADMIN_EVENT_DOMAIN_RESUMED, DEVICE_CLASS_INVALID },
        { "domain-unpaused", ADMIN_EVENT_DOMAIN_UNPAUSED,
          DEVICE_CLASS_INVALID },
        { "device-list-change:block", ADMIN_EVENT_LIST_CHANGE,
          DEVICE_CLASS_BLOCK },
        { "device-list-change:usb", ADMIN_EVENT_LIST_CHANGE, DEVICE_CLASS_USB },
        { "device-added:block", ADMIN_EVENT_DEVICE_ADDED, DEVICE_CLASS_BLOCK },
        { "device-added:usb", ADMIN_EVENT_DEVICE_ADDED, DEVICE_CLASS_USB },
        { "device-removed:block", ADMIN_EVENT_DEVICE_REMOVED,
          DEVICE_CLASS_BLOCK },
        { "device-removed:usb", ADMIN_EVENT_DEVICE_REMOVED, DEVICE_CLASS_USB },
        { "device-attach:block", ADMIN_EVENT_ATTACH, DEVICE_CLASS_BLOCK },
        { "device-attach:usb", ADMIN_EVENT_ATTACH, DEVICE_CLASS_USB },
        { "device-detach:block", ADMIN_EVENT_DETACH, DEVICE_CLASS_BLOCK },
        { "device-detach:usb", ADMIN_EVENT_DETACH, DEVICE_CLASS_USB },
    };
    AdminEvent wanted = {};

    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        if (bytes_are(name, events[i].name))
            wanted = (AdminEvent){ .type = events[i].type,
                                   .class = events[i].class };
    if (wanted.type == ADMIN_EVENT_ESTABLISHED)
        return wanted;
    if (!qube_name_parse(&wanted.subject, subject.start, subject.len))
        return (AdminEvent){};
    if (wanted.class != DEVICE_CLASS_INVALID &&
        wanted.type != ADMIN_EVENT_LIST_CHANGE && !want_device(&wanted, pairs))
        return (AdminEvent){};
    return wanted.type == ADMIN_EVENT_OTHER ? (AdminEvent){} : wanted;
}

/* What is told of a device can be asked for. */
static void check_request(const AdminEvent *event)
{
    AdminRequest request = { .method = ADMIN_ATTACH,
                             .class = event->class,
                             .dest = event->subject,
                             .backend = event->backend,
                             .port = event->port,
                             .pinned = identity_is_safe(&event->identity),
                             .identity = event->identity };

    assert(request_header_is_true(&request));
    request.method = ADMIN_DETACH;
    assert(request_header_is_true(&request));
}

static void check_event(const AdminEvent *event, const AdminEvent *wanted)
{
    assert(event->type == wanted->type && event->class == wanted->class);
    assert(qube_name_equal(&event->subject, &wanted->subject));
    assert(qube_name_equal(&event->backend, &wanted->backend));
    assert(device_name_equal(&event->port, &wanted->port));
    assert(event->has_identity == wanted->has_identity);
    assert(identity_equal(&event->identity, &wanted->identity));
    if (event->port.s[0] != '\0')
        check_request(event);
}

/* Of no beginning of the frame is anything taken. */
static void check_beginnings(const char *at, size_t len)
{
    for (size_t n = 0; n < len && len <= THOROUGH_MAX; n++) {
        AdminEvent before;
        size_t untouched = SIZE_MAX;

        assert(admin_decode_frame(&before, &untouched, at, n) ==
               ADMIN_FRAME_INCOMPLETE);
        assert(untouched == SIZE_MAX);
        check_skip(at, len, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Bytes rest = { (const char *) data, size };

    for (;;) {
        const Bytes all = rest;
        Bytes subject = {}, name = {};
        Pairs pairs;
        AdminEvent event, wanted = {};
        size_t len = SIZE_MAX;
        AdminFrameResult result = read_frame(&subject, &name, &pairs, &rest);

        memset(&event, 0xff, sizeof(event));
        assert(admin_decode_frame(&event, &len, all.start, all.len) == result);
        if (result == ADMIN_FRAME_GOOD)
            wanted = want_event(subject, name, &pairs);
        check_event(&event, &wanted);
        if (result != ADMIN_FRAME_GOOD) {
            assert(len == SIZE_MAX);
            fuzz_set_taken(size > 0 && all.len == 0);
            return 0;
        }
        assert(len == all.len - rest.len);
        check_beginnings(all.start, len);
    }
}
