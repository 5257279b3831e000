/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Answers of qubesd, to the method that the first byte names, of a disk or (its
 * highest bit) of a USB device: whatever it says, what is taken from it is of
 * its form, and an identity that is taken cannot shift the header of the
 * request that it goes into.
 */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "tests/support/request-header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* the first byte */
#define N_METHODS    (ADMIN_OLD_LIST - ADMIN_LIST + 1)
#define N_PROPERTIES (ADMIN_PROPERTY_DEFAULT_DISPVM + 1)
#define USB          0x80

/* The identity can go into the header of an Attach. */
static void check_request(const AdminRequest *asked,
                          const DeviceIdentity *identity)
{
    AdminRequest request = *asked;

    request.method = ADMIN_ATTACH;
    request.pinned = true;
    request.identity = *identity;
    assert(identity->s[0] != '\0');
    assert(request_header_is_true(&request));
}

static bool is_qube(const QubeName *name)
{
    QubeName again;

    return qube_name_parse(&again, name->s, strlen(name->s));
}

static void check_listing(const AdminRequest *request,
                          const DeviceListing *listing)
{
    if (listing->has_identity)
        check_request(request, &listing->identity);
    else
        assert(listing->identity.s[0] == '\0');
    assert((listing->attachment == ATTACHMENT_QUBE) ==
           (listing->attached_to.s[0] != '\0'));
    if (listing->attachment == ATTACHMENT_QUBE)
        assert(is_qube(&listing->attached_to));
    if (!listing->listed)
        assert(!listing->has_identity &&
               listing->attachment == ATTACHMENT_UNKNOWN);
}

static void check_value(const AdminValue *value)
{
    size_t len = strnlen(value->s, sizeof(value->s));

    assert(len <= ADMIN_VALUE_MAX);
    for (size_t i = 0; i < len; i++)
        assert(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                      "0123456789-_.",
                      value->s[i]));
}

static void check_answer(const AdminRequest *request,
                         const AdminAnswer *answer,
                         size_t size)
{
    size_t len = strnlen(answer->detail, sizeof(answer->detail));

    assert((answer->result == ADMIN_EMPTY) == (size == 0));
    assert(len <= ADMIN_DETAIL_MAX);
    assert(text_is_plain(answer->detail, len));
    check_listing(request, &answer->listing);
    check_value(&answer->value);
    assert(answer->qube.s[0] == '\0' || is_qube(&answer->qube));
    assert(answer->power <= POWER_CRASHED);

    switch (answer->result) {
    case ADMIN_OK:
        assert(answer->error == ADMIN_ERROR_OTHER);
        break;
    case ADMIN_EXCEPTION:
    case ADMIN_EMPTY:
    case ADMIN_GARBAGE:
        assert(!answer->listing.listed && !answer->old_release);
        assert(answer->qube.s[0] == '\0' && answer->value.s[0] == '\0');
        break;
    case ADMIN_UNREACHABLE:
    case ADMIN_TIMED_OUT:
        assert(false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AdminRequest request = { .class = DEVICE_CLASS_BLOCK,
                             .dest = { "work" },
                             .backend = { "sys-usb" },
                             .port = { "sda" } };
    AdminAnswer answer;

    if (size == 0)
        return 0;

    request.method = (AdminMethod) (ADMIN_LIST + data[0] % N_METHODS);
    request.property = (AdminProperty) (data[0] / N_METHODS % N_PROPERTIES);
    if (data[0] & USB) {
        request.class = DEVICE_CLASS_USB;
        request.port = (DeviceName){ "2-1.4" };
    }
    memset(&answer, 0xff, sizeof(answer));
    admin_decode(&answer, &request, (const char *) data + 1, size - 1);
    check_answer(&request, &answer, size - 1);
    return 0;
}
