/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The stream of admin.Events: every frame that is taken ends where its last
 * byte is, is not complete before, and holds nothing but values of their form.
 */

#include <assert.h>
#include <string.h>

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

static bool is_qube(const QubeName *name)
{
    QubeName again;

    return qube_name_parse(&again, name->s, strlen(name->s));
}

/* What is told of a device can be asked for. */
static void check_request(const AdminEvent *event)
{
    AdminRequest request = { .method = ADMIN_ATTACH,
                             .class = event->class,
                             .dest = event->subject,
                             .backend = event->backend,
                             .port = event->port,
                             .pinned = event->has_identity,
                             .identity = event->identity };

    assert(request_header_is_true(&request));
    request.method = ADMIN_DETACH;
    assert(request_header_is_true(&request));
}

static void check_device(const AdminEvent *event)
{
    DeviceName again;

    assert(is_qube(&event->backend));
    assert(device_name_parse(&again, event->class, event->port.s,
                             strlen(event->port.s)));
    check_request(event);
}

static void check_event(const AdminEvent *event)
{
    assert(event->has_identity == (event->identity.s[0] != '\0'));
    for (const char *c = event->identity.s; *c; c++)
        assert(*c > ' ' && *c < 0x7f);

    switch (event->type) {
    case ADMIN_EVENT_OTHER:
    case ADMIN_EVENT_ESTABLISHED:
        assert(event->subject.s[0] == '\0' && event->backend.s[0] == '\0' &&
               event->port.s[0] == '\0' && !event->has_identity);
        break;
    case ADMIN_EVENT_LIST_CHANGE:
        assert(is_qube(&event->subject));
        assert(event->class != DEVICE_CLASS_INVALID);
        break;
    case ADMIN_EVENT_DEVICE_ADDED:
    case ADMIN_EVENT_DEVICE_REMOVED:
    case ADMIN_EVENT_ATTACH:
    case ADMIN_EVENT_DETACH:
        assert(is_qube(&event->subject));
        check_device(event);
        break;
    case ADMIN_EVENT_DOMAIN_START:
    case ADMIN_EVENT_DOMAIN_SHUTDOWN:
    case ADMIN_EVENT_DOMAIN_RESUMED:
    case ADMIN_EVENT_DOMAIN_UNPAUSED:
        assert(is_qube(&event->subject));
        assert(event->port.s[0] == '\0');
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *) data, *end = at + size;

    for (;;) {
        AdminEvent event;
        size_t len = 0;
        AdminFrameResult result =
            admin_decode_frame(&event, &len, at, (size_t) (end - at));

        check_event(&event);
        if (result != ADMIN_FRAME_GOOD)
            return 0;
        assert(len > 0 && len <= (size_t) (end - at) && at[len - 1] == '\0');
        for (size_t n = 0; n < len && len <= THOROUGH_MAX; n++) {
            AdminEvent before;
            size_t untouched = SIZE_MAX;

            assert(admin_decode_frame(&before, &untouched, at, n) ==
                   ADMIN_FRAME_INCOMPLETE);
            assert(untouched == SIZE_MAX);
            check_skip(at, len, n);
        }
        at += len;
    }
}
