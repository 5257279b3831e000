/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Answers of qubesd, to the method that the first byte names, of a disk or (its
 * highest bit) of a USB device
 *
 * WIRE 1 is read here once more, in another way: what is taken from an answer
 * is what it says, no less and no more, and an identity or a qube's name that
 * is taken cannot shift the header of the request that it goes into. The same
 * bytes as the name of an icon: what is taken is that name.
 */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/approval.h"
#include "tests/fuzz/taken.h"
#include "tests/support/bytes.h"
#include "tests/support/pairs.h"
#include "tests/support/request-header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* the first byte */
#define N_METHODS   (ADMIN_OLD_LIST - ADMIN_LIST + 1)
#define N_ASKED_FOR (ADMIN_PROPERTY_DEFAULT_DISPVM + 1)
#define USB         0x80

static bool is_qube(Bytes name)
{
    QubeName again;

    return qube_name_parse(&again, name.start, name.len);
}

/* a listing */

/* The key's value is @wanted, or it is not there. */
static bool agrees(const Pairs *pairs, const char *key, Bytes wanted)
{
    const Pair *pair = pairs_find(pairs, (Bytes){ key, strlen(key) });

    return !pair || (pair->len == wanted.len &&
                     memcmp(pair->value, wanted.start, wanted.len) == 0);
}

/* DEVID as it goes into a request; false if that must not be. */
static bool want_argument(char ret[IDENTITY_SAFE_MAX + 1], Bytes devid)
{
    size_t i = 0;

    if (devid.len > IDENTITY_SAFE_MAX)
        return false;
    while (i < devid.len) {
        if (bytes_begin(bytes_behind(devid, i), "?******")) {
            memcpy(ret + i, "_______", 7);
            i += 7;
            continue;
        }
        if (!bytes_are_all_of((Bytes){ devid.start + i, 1 },
                              LETTERS DIGITS ":._-"))
            return false;
        ret[i] = devid.start[i] == ':' ? '+' : devid.start[i];
        i++;
    }
    ret[i] = '\0';
    return true;
}

/* The identity is DEVID, and goes into a request if it is safe. */
static void check_identity(const AdminRequest *asked,
                           const DeviceListing *listing,
                           Bytes devid)
{
    AdminRequest request = *asked;
    char wanted[IDENTITY_SAFE_MAX + 1], text[IDENTITY_SAFE_MAX + 1];
    bool good = devid.len > 0 && devid.len <= IDENTITY_MAX &&
                !memchr(devid.start, '\0', devid.len);

    assert(listing->has_identity == good);
    if (!good)
        return;
    assert(bytes_are(devid, listing->identity.s));
    assert(identity_is_safe(&listing->identity) ==
           want_argument(wanted, devid));
    if (!identity_is_safe(&listing->identity))
        return;
    identity_encode(text, &listing->identity);
    assert(strcmp(text, wanted) == 0);
    request.method = ADMIN_ATTACH;
    request.pinned = true;
    request.identity = listing->identity;
    assert(request_header_is_true(&request));
}

/* What stands in front of the line's keys, and in the only " device_id='" that
 * is to be seen in all of it; nothing if that is not so. */
static Bytes want_devid(Bytes line)
{
    static const char mark[] = " device_id='";
    Bytes value, rest;
    char text[VALUE_MAX + 1];
    size_t len = 0;

    if (!bytes_find(line, mark, &value) || bytes_find(value, mark, &rest))
        return (Bytes){};
    for (size_t i = 0; i < value.len && value.start[i] != '\''; i++) {
        if (bytes_begin(bytes_behind(value, i), "\\'"))
            i++;
        if (len == VALUE_MAX)
            return (Bytes){};
        text[len++] = value.start[i];
        /* the line ends before the value does */
        if (i + 1 == value.len)
            return (Bytes){};
    }
    if (len == 0 || line.len <= len || memcmp(line.start, text, len) != 0 ||
        line.start[len] != ' ')
        return (Bytes){};
    return (Bytes){ line.start, len };
}

/* The line of the device, behind "PORT:". */
static void check_line(const AdminRequest *request,
                       const DeviceListing *listing,
                       Bytes line)
{
    Bytes devid = want_devid(line);
    const Bytes port = { request->port.s, strlen(request->port.s) };
    const Bytes at_key = { "attachment", strlen("attachment") };
    Pairs pairs;
    const Pair *at;

    check_identity(request, listing, devid);
    if (devid.len == 0 || !pairs_read(&pairs, bytes_behind(line, devid.len)) ||
        !agrees(&pairs, "port_id", port)) {
        assert(listing->attachment == ATTACHMENT_UNKNOWN);
        return;
    }
    at = pairs_find(&pairs, at_key);
    if (at && !is_qube((Bytes){ at->value, at->len })) {
        assert(listing->attachment == ATTACHMENT_UNKNOWN);
        return;
    }
    assert(listing->attachment == (at ? ATTACHMENT_QUBE : ATTACHMENT_NONE));
    if (!at)
        return;
    assert(bytes_are((Bytes){ at->value, at->len }, listing->attached_to.s));
    assert(request_of_qube_is_true(&listing->attached_to));
}

/* Whether it is one; then it says what @answer says. */
static bool check_listing(const AdminRequest *request,
                          const AdminAnswer *answer,
                          Bytes data)
{
    const DeviceListing *listing = &answer->listing;
    bool namesake = false, old = false;
    Bytes mine = {};
    char port[DEVICE_NAME_MAX + 2], prefix[QUBE_NAME_MAX + sizeof(port) + 1];

    if (data.len > 0 && data.start[data.len - 1] != '\n')
        return false;
    (void) text_format(port, sizeof(port), "%s:", request->port.s);
    (void) text_format(prefix, sizeof(prefix), "%s%s%s",
                       request->method == ADMIN_ATTACHED ? request->backend.s
                                                         : "",
                       request->method == ADMIN_ATTACHED ? "+" : "", port);
    while (data.len > 0) {
        Bytes line = bytes_before(data, '\n', &data), rest;

        if (bytes_begin(line, prefix)) {
            if (mine.start)
                return false;
            mine = bytes_behind(line, strlen(prefix));
            continue;
        }
        (void) bytes_before(line, '+', &rest);
        namesake |=
            request->method == ADMIN_ATTACHED && bytes_begin(rest, port);
        /* "PORT ": R4.2 */
        prefix[strlen(prefix) - 1] = ' ';
        old |= bytes_begin(line, prefix);
        prefix[strlen(prefix) - 1] = ':';
    }
    assert(listing->listed == (mine.start != NULL));
    assert(listing->namesake == namesake && answer->old_release == old);
    if (mine.start)
        check_line(request, listing, mine);
    return true;
}

/* other answers */

static bool check_state(const AdminAnswer *answer, Bytes data)
{
    static const char *const words[] = {
        [POWER_HALTED] = "Halted",       [POWER_TRANSIENT] = "Transient",
        [POWER_RUNNING] = "Running",     [POWER_PAUSED] = "Paused",
        [POWER_SUSPENDED] = "Suspended", [POWER_HALTING] = "Halting",
        [POWER_DYING] = "Dying",         [POWER_CRASHED] = "Crashed",
    };
    PowerState wanted = POWER_UNKNOWN;
    Bytes word;

    if (!bytes_find(data, "power_state=", &word))
        return false;
    word = bytes_before(word, ' ', &data);
    for (size_t i = 1; i < ARRAY_SIZE(words); i++)
        if (bytes_are(word, words[i]))
            wanted = (PowerState) i;
    assert(answer->power == wanted);
    return true;
}

static bool check_property(const AdminAnswer *answer, Bytes data)
{
    Bytes value;

    if (!bytes_find(data, " type=", &data) || !bytes_find(data, " ", &value))
        return false;
    if (value.len <= ADMIN_VALUE_MAX &&
        bytes_are_all_of(value, LETTERS DIGITS "-_."))
        assert(bytes_are(value, answer->value.s));
    else
        assert(answer->value.s[0] == '\0');
    return true;
}

static bool check_disposable(const AdminAnswer *answer, Bytes data)
{
    if (!is_qube(data))
        return false;
    assert(bytes_are(data, answer->qube.s));
    assert(request_of_qube_is_true(&answer->qube));
    return true;
}

/* Whether @data is an answer to the method; then it says what @answer says. */
static bool check_data(const AdminRequest *request,
                       const AdminAnswer *answer,
                       Bytes data)
{
    if (request->method == ADMIN_AVAILABLE || request->method == ADMIN_ATTACHED)
        return check_listing(request, answer, data);
    if (request->method == ADMIN_CURRENT_STATE)
        return check_state(answer, data);
    if (request->method == ADMIN_CREATE_DISPOSABLE)
        return check_disposable(answer, data);
    if (request->method == ADMIN_PROPERTY_GET)
        return check_property(answer, data);
    return true;
}

static void check_exception(const AdminAnswer *answer, Bytes data)
{
    static const char *const types[] = {
        [ADMIN_ERROR_NOT_RUNNING] = "QubesVMNotRunningError",
        [ADMIN_ERROR_NO_SUCH_QUBE] = "QubesVMNotFoundError",
        [ADMIN_ERROR_ALREADY_ATTACHED] = "DeviceAlreadyAttached",
        [ADMIN_ERROR_NOT_ATTACHED] = "DeviceNotAssigned",
        [ADMIN_ERROR_VALUE] = "QubesValueError",
        [ADMIN_ERROR_PROTOCOL] = "ProtocolError",
        [ADMIN_ERROR_PERMISSION] = "PermissionDenied",
        [ADMIN_ERROR_USB_PROXY] = "USBProxyNotInstalled",
        [ADMIN_ERROR_NOT_STARTED] = "QubesVMNotStartedError",
    };
    AdminError wanted = ADMIN_ERROR_OTHER;
    Bytes type = bytes_before(data, '\0', &data);

    for (size_t i = 1; i < ARRAY_SIZE(types); i++)
        if (bytes_are(type, types[i]))
            wanted = (AdminError) i;
    assert(answer->error == wanted);
    if (wanted != ADMIN_ERROR_OTHER)
        assert(strncmp(answer->detail, type.start, type.len) == 0);
}

/* TYPE \0 TRACEBACK \0 MESSAGE \0 */
static bool is_exception(Bytes data)
{
    size_t n_nuls = 0;

    for (size_t i = 0; i < data.len; i++)
        n_nuls += data.start[i] == '\0';
    return n_nuls >= 3;
}

/* Nothing of @answer that the method does not ask for, or that it says. */
static void check_rest(const AdminRequest *request, const AdminAnswer *answer)
{
    bool good = answer->result == ADMIN_OK;
    bool lists = good && (request->method == ADMIN_AVAILABLE ||
                          request->method == ADMIN_ATTACHED);
    size_t len = strnlen(answer->detail, sizeof(answer->detail));

    assert(len <= ADMIN_DETAIL_MAX && text_is_plain(answer->detail, len));
    assert(good || len > 0 || answer->result == ADMIN_EXCEPTION);
    assert(lists || (!answer->listing.listed && !answer->old_release &&
                     !answer->listing.namesake));
    if (!answer->listing.listed)
        assert(answer->listing.attachment == ATTACHMENT_UNKNOWN &&
               !answer->listing.has_identity);
    assert(answer->listing.has_identity ==
           (answer->listing.identity.s[0] != '\0'));
    assert((answer->listing.attachment == ATTACHMENT_QUBE) ==
           (answer->listing.attached_to.s[0] != '\0'));
    assert((good && request->method == ADMIN_CURRENT_STATE) ||
           answer->power == POWER_UNKNOWN);
    assert((good && request->method == ADMIN_CREATE_DISPOSABLE) ||
           answer->qube.s[0] == '\0');
    assert((good && request->method == ADMIN_PROPERTY_GET) ||
           answer->value.s[0] == '\0');
    assert(answer->result == ADMIN_EXCEPTION ||
           answer->error == ADMIN_ERROR_OTHER);
    assert(!answer->pending);
}

/* All that the method asks for is in it, or it says why not. */
static bool is_taken(const AdminAnswer *answer)
{
    const DeviceListing *listing = &answer->listing;

    if (answer->result != ADMIN_OK)
        return answer->result == ADMIN_EXCEPTION;
    return !listing->listed ||
           (listing->has_identity && listing->attachment != ATTACHMENT_UNKNOWN);
}

static void check_answer(const AdminRequest *request,
                         const AdminAnswer *answer,
                         Bytes bytes)
{
    AdminResult wanted = ADMIN_GARBAGE;

    if (bytes.len == 0)
        wanted = ADMIN_EMPTY;
    else if (bytes.len >= 2 && memcmp(bytes.start, "0\0", 2) == 0 &&
             check_data(request, answer, bytes_behind(bytes, 2)))
        wanted = ADMIN_OK;
    else if (bytes.len >= 2 && memcmp(bytes.start, "2\0", 2) == 0 &&
             is_exception(bytes_behind(bytes, 2)))
        wanted = ADMIN_EXCEPTION;
    assert(answer->result == wanted);
    if (wanted == ADMIN_EXCEPTION)
        check_exception(answer, bytes_behind(bytes, 2));
    check_rest(request, answer);
    fuzz_set_taken(is_taken(answer));
}

static void check_icon(Bytes name)
{
    IconName icon = { "untouched" };
    bool good = name.len > 0 && name.len <= APPROVAL_ICON_MAX &&
                bytes_are_all_of(name, LETTERS DIGITS "-_");

    assert(icon_name_parse(&icon, name.start, name.len) == good);
    if (good)
        assert(bytes_are(name, icon.s));
    else
        assert(strcmp(icon.s, "untouched") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AdminRequest request = { .class = DEVICE_CLASS_BLOCK,
                             .dest = { "work" },
                             .backend = { "sys-usb" },
                             .port = { "sda" } };
    AdminAnswer answer;
    Bytes bytes;

    if (size == 0)
        return 0;

    request.method = (AdminMethod) (ADMIN_LIST + data[0] % N_METHODS);
    request.property = (AdminProperty) (data[0] / N_METHODS % N_ASKED_FOR);
    if (data[0] & USB) {
        request.class = DEVICE_CLASS_USB;
        request.port = (DeviceName){ "2-1.4" };
    }
    bytes = (Bytes){ (const char *) data + 1, size - 1 };
    memset(&answer, 0xff, sizeof(answer));
    admin_decode(&answer, &request, bytes.start, bytes.len);
    check_answer(&request, &answer, bytes);
    check_icon(bytes);
    return 0;
}
