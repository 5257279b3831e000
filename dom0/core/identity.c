/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/identity.h"

#define UNKNOWN_INTERFACE "?******"
#define UNKNOWN_ENCODED   "_______"
#define UNKNOWN_LEN       (sizeof(UNKNOWN_INTERFACE) - 1)
/* "VVVV:PPPP" */
#define HALF_LEN 4U
#define IDS_LEN  (2 * HALF_LEN + 1)
/* FNV-1a of 64 bits */
#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)
/* "uCCSSPP" */
#define USB_INTERFACE 'u'
#define CODE_LEN      (sizeof(((InterfaceCode *) 0)->s) - 1)

static bool is_safe(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == ':' || c == '.' || c == '_' ||
           c == '-';
}

static bool is_unknown_interface(const char *text)
{
    return strncmp(text, UNKNOWN_INTERFACE, UNKNOWN_LEN) == 0;
}

bool identity_parse(DeviceIdentity *ret,
                    const char *untrusted_devid,
                    size_t untrusted_len)
{
    if (untrusted_len == 0 || untrusted_len > IDENTITY_MAX ||
        memchr(untrusted_devid, '\0', untrusted_len))
        return false;

    *ret = (DeviceIdentity){};
    memcpy(ret->s, untrusted_devid, untrusted_len);
    return true;
}

bool identity_is_safe(const DeviceIdentity *identity)
{
    const char *at = identity->s;

    while (*at != '\0')
        if (is_unknown_interface(at))
            at += UNKNOWN_LEN;
        else if (!is_safe(*at++))
            return false;
    return at != identity->s && at - identity->s <= IDENTITY_SAFE_MAX;
}

void identity_encode(char ret[IDENTITY_SAFE_MAX + 1],
                     const DeviceIdentity *identity)
{
    const char *s = identity->s;
    size_t i = 0;

    assert(identity_is_safe(identity));
    while (s[i] != '\0') {
        if (is_unknown_interface(s + i)) {
            memcpy(ret + i, UNKNOWN_ENCODED, UNKNOWN_LEN);
            i += UNKNOWN_LEN;
            continue;
        }
        ret[i] = s[i] == ':' ? '+' : s[i];
        i++;
    }
    ret[i] = '\0';
}

bool identity_equal(const DeviceIdentity *a, const DeviceIdentity *b)
{
    return strcmp(a->s, b->s) == 0;
}

bool identity_is_of(const DeviceIdentity *identity,
                    const char *vendor_id,
                    const char *product_id)
{
    char ids[IDS_LEN + 1];

    if (vendor_id[0] == '\0' || product_id[0] == '\0')
        return false;
    (void) text_format(ids, sizeof(ids), "%s:%s", vendor_id, product_id);
    return strncasecmp(identity->s, ids, IDS_LEN) == 0;
}

bool identity_has_ids(const DeviceIdentity *identity)
{
    const char *s = identity->s;

    return strlen(s) >= IDS_LEN && s[HALF_LEN] == ':' &&
           text_is_hex(s, HALF_LEN, false) &&
           text_is_hex(s + HALF_LEN + 1, HALF_LEN, false) &&
           (s[IDS_LEN] == '\0' || s[IDS_LEN] == ':') &&
           strncmp(s, "0000:0000", IDS_LEN) != 0;
}

bool identity_is_whole(const DeviceIdentity *identity)
{
    return identity_has_ids(identity) &&
           !strstr(identity->s, UNKNOWN_INTERFACE);
}

bool identity_contradicts(const DeviceIdentity *identity,
                          const char *vendor_id,
                          const char *product_id)
{
    return vendor_id[0] != '\0' && product_id[0] != '\0' &&
           identity_has_ids(identity) &&
           !identity_is_of(identity, vendor_id, product_id);
}

static bool is_interface(const char *text)
{
    return text[0] == USB_INTERFACE && strlen(text + 1) >= CODE_LEN &&
           text_is_hex(text + 1, CODE_LEN, false);
}

static bool is_code_of(const char *text, const InterfaceCode *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncasecmp(text + 1, codes[i].s, CODE_LEN) == 0)
            return true;
    return false;
}

bool identity_contradicts_interfaces(const DeviceIdentity *identity,
                                     const InterfaceCode *codes,
                                     size_t n)
{
    const char *text = strrchr(identity->s, ':');

    for (text = text ? text + 1 : ""; text[0] != '\0'; text += 1 + CODE_LEN)
        if (!is_unknown_interface(text) &&
            (!is_interface(text) || !is_code_of(text, codes, n)))
            return true;
    return false;
}

/* The length of what tells devices apart: the ids, and behind a ":" the serial,
 * which may hold some and stands in front of the interfaces. */
static size_t key_len(const DeviceIdentity *identity)
{
    const char *serial, *end = NULL;
    size_t len;

    if (identity->s[IDS_LEN] == '\0')
        return IDS_LEN;
    serial = identity->s + IDS_LEN + 1;
    for (const char *at = serial; (at = strchr(at, ':')); at++)
        if (!end || is_interface(at + 1) || is_unknown_interface(at + 1))
            end = at;
    len = end ? (size_t) (end - serial) : strlen(serial);
    return len > 0 ? IDS_LEN + 1 + len : IDS_LEN;
}

bool identity_is_of_another(const DeviceIdentity *a, const DeviceIdentity *b)
{
    size_t len;

    if (!identity_has_ids(a) || !identity_has_ids(b))
        return false;
    len = key_len(a);
    return key_len(b) != len || strncasecmp(a->s, b->s, IDS_LEN) != 0 ||
           memcmp(a->s + IDS_LEN, b->s + IDS_LEN, len - IDS_LEN) != 0;
}

uint64_t identity_hash(const DeviceIdentity *identity)
{
    uint64_t hash = HASH_BEGIN;
    size_t len;

    if (!identity_has_ids(identity))
        return 0;
    len = key_len(identity);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char) identity->s[i];

        if (i < IDS_LEN && c >= 'A' && c <= 'F')
            c = (unsigned char) (c - 'A' + 'a');
        hash = (hash ^ c) * HASH_PRIME;
    }
    return hash != 0 ? hash : 1;
}
