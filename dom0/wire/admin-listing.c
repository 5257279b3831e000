/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/wire/admin-listing.h"

/* more keys than any release has; a line with more is not read any further */
#define KEYS_MAX  64U
#define VALUE_MAX 1023U

#define DEVICE_ID "device_id"

typedef struct Span {
    const char *start;
    size_t len;
} Span;

typedef struct Pair {
    Span key;
    char value[VALUE_MAX + 1];
    size_t value_len;
} Pair;

static bool span_is(Span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.start, text, span.len) == 0;
}

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || c == '_' || c == '-';
}

/*
 * Take KEY='VALUE' from the start of @at. False for anything else, also for
 * a value that is too long.
 */
static bool take_pair(Pair *ret, const char **at, const char *end)
{
    const char *p = *at;

    ret->key.start = p;
    while (p < end && is_key_byte(*p))
        p++;
    ret->key.len = (size_t) (p - ret->key.start);
    if (ret->key.len == 0 || end - p < 2 || p[0] != '=' || p[1] != '\'')
        return false;
    p += 2;

    ret->value_len = 0;
    for (; p < end && *p != '\''; p++) {
        if (end - p >= 2 && p[0] == '\\' && p[1] == '\'')
            p++;
        if (ret->value_len == VALUE_MAX)
            return false;
        ret->value[ret->value_len++] = *p;
    }
    if (p == end)
        return false;
    ret->value[ret->value_len] = '\0';
    *at = p + 1;
    return true;
}

static bool value_is(const Pair *pair, const char *text, size_t len)
{
    return pair->value_len == len && memcmp(pair->value, text, len) == 0;
}

/* What one line says, as far as it can be believed. */
typedef struct Line {
    Attachment attachment;
    QubeName attached_to;
} Line;

/* False if the pair contradicts what is known of the line. */
static bool line_take(Line *line, const Pair *pair, const AdminRequest *request)
{
    if (span_is(pair->key, "port_id"))
        return value_is(pair, request->port.s, strlen(request->port.s));
    if (span_is(pair->key, "attachment")) {
        line->attachment = ATTACHMENT_QUBE;
        return qube_name_parse(&line->attached_to, pair->value,
                               pair->value_len);
    }
    return true;
}

/*
 * Read " KEY='VALUE'" to the end. Strictly: a line in which a key comes twice,
 * or that does not end where a value ends, has been tampered with.
 */
static bool line_parse(Line *line,
                       const char *at,
                       const char *end,
                       const AdminRequest *request)
{
    Span seen[KEYS_MAX];
    size_t n_seen = 0;

    line->attachment = ATTACHMENT_NONE;
    while (at < end) {
        Pair pair;

        if (*at++ != ' ' || !take_pair(&pair, &at, end) || n_seen == KEYS_MAX)
            return false;
        for (size_t i = 0; i < n_seen; i++)
            if (seen[i].len == pair.key.len &&
                memcmp(seen[i].start, pair.key.start, pair.key.len) == 0)
                return false;
        seen[n_seen++] = pair.key;
        if (!line_take(line, &pair, request))
            return false;
    }
    return true;
}

/*
 * The length of DEVID at @at, in front of " KEY='VALUE'"; 0 if it cannot be
 * told. It is what the device says of itself, and may look like keys and values
 * itself; but it stands in a key as well, where its quotes are escaped. So if
 * there is no more than one such key to be seen, it is the true one.
 */
static size_t find_devid(const char *at, const char *end)
{
    static const char mark[] = " " DEVICE_ID "='";
    const size_t mark_len = sizeof(mark) - 1;
    const char *key = memmem(at, (size_t) (end - at), mark, mark_len);
    const char *next;
    Pair pair;

    if (!key)
        return 0;
    next = key + mark_len;
    if (memmem(next, (size_t) (end - next), mark, mark_len))
        return 0;
    next = key + 1;
    if (!take_pair(&pair, &next, end) ||
        (size_t) (end - at) <= pair.value_len ||
        memcmp(at, pair.value, pair.value_len) != 0 ||
        at[pair.value_len] != ' ')
        return 0;
    return pair.value_len;
}

/* The line's port is ours: what does the rest say? */
static void read_line(AdminAnswer *ret,
                      const char *at,
                      const char *end,
                      const AdminRequest *request)
{
    size_t devid_len = find_devid(at, end);
    Line line = {};

    ret->listing.listed = true;
    ret->listing.attachment = ATTACHMENT_UNKNOWN;
    if (devid_len == 0)
        return;
    ret->listing.has_identity =
        identity_parse(&ret->listing.identity, at, devid_len);
    if (!line_parse(&line, at + devid_len, end, request))
        return;
    ret->listing.attachment = line.attachment;
    ret->listing.attached_to = line.attached_to;
}

/* R4.2: "PORT device_node=... ", without an identity */
static void refuse_old(AdminAnswer *ret)
{
    ret->old_release = true;
    (void) text_format(ret->detail, sizeof(ret->detail), "%s",
                       "qubesd is of a release before R4.3, which is not "
                       "supported");
}

/* "BACKEND+PORT:", of whatever backend */
static bool is_of_port(const char *at, const char *end, const DeviceName *port)
{
    const char *plus = memchr(at, '+', (size_t) (end - at));
    size_t len = strlen(port->s);

    return plus && (size_t) (end - plus - 1) > len &&
           memcmp(plus + 1, port->s, len) == 0 && plus[len + 1] == ':';
}

bool admin_decode_listing(AdminAnswer *ret,
                          const AdminRequest *request,
                          const char *untrusted_data,
                          size_t untrusted_len)
{
    const char *at = untrusted_data, *end = untrusted_data + untrusted_len;
    char prefix[QUBE_NAME_MAX + DEVICE_NAME_MAX + 2];
    size_t prefix_len =
        request->method == ADMIN_ATTACHED
            ? text_format(prefix, sizeof(prefix), "%s+%s", request->backend.s,
                          request->port.s)
            : text_format(prefix, sizeof(prefix), "%s", request->port.s);

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t) (end - at));
        size_t len;

        if (!newline)
            return false; /* the answer was cut */
        len = (size_t) (newline - at);
        if (len > prefix_len && memcmp(at, prefix, prefix_len) == 0) {
            if (at[prefix_len] == ':') {
                if (ret->listing.listed)
                    return false; /* one port, two devices */
                read_line(ret, at + prefix_len + 1, newline, request);
            } else if (at[prefix_len] == ' ') {
                refuse_old(ret);
            }
        } else if (request->method == ADMIN_ATTACHED) {
            ret->listing.namesake |= is_of_port(at, newline, &request->port);
        }
        at = newline + 1;
    }
    return true;
}
