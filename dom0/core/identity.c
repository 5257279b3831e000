/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/identity.h"

#define UNKNOWN_INTERFACE "?******"
#define UNKNOWN_ENCODED   "_______"
#define UNKNOWN_LEN       (sizeof(UNKNOWN_INTERFACE) - 1)
/* "VVVV+PPPP" */
#define HALF_LEN 4U
#define IDS_LEN  (2 * HALF_LEN + 1)
/* "uCCSSPP" */
#define USB_INTERFACE 'u'
#define CODE_LEN      (sizeof(((InterfaceCode *) 0)->s) - 1)

static bool is_safe(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == ':' || c == '.' || c == '_' ||
           c == '-';
}

bool identity_parse(DeviceIdentity *ret,
                    const char *untrusted_devid,
                    size_t untrusted_len)
{
    DeviceIdentity identity = {};
    size_t i = 0;

    if (untrusted_len == 0 || untrusted_len > IDENTITY_MAX)
        return false;

    while (i < untrusted_len) {
        char c = untrusted_devid[i];

        if (untrusted_len - i >= UNKNOWN_LEN &&
            memcmp(untrusted_devid + i, UNKNOWN_INTERFACE, UNKNOWN_LEN) == 0) {
            memcpy(identity.s + i, UNKNOWN_ENCODED, UNKNOWN_LEN);
            i += UNKNOWN_LEN;
            continue;
        }
        if (!is_safe(c))
            return false;
        identity.s[i++] = c == ':' ? '+' : c;
    }

    *ret = identity;
    return true;
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
    (void) text_format(ids, sizeof(ids), "%s+%s", vendor_id, product_id);
    return strncasecmp(identity->s, ids, IDS_LEN) == 0;
}

bool identity_has_ids(const DeviceIdentity *identity)
{
    const char *s = identity->s;

    return strlen(s) >= IDS_LEN && s[HALF_LEN] == '+' &&
           text_is_hex(s, HALF_LEN, false) &&
           text_is_hex(s + HALF_LEN + 1, HALF_LEN, false) &&
           (s[IDS_LEN] == '\0' || s[IDS_LEN] == '+') &&
           strncmp(s, "0000+0000", IDS_LEN) != 0;
}

bool identity_contradicts(const DeviceIdentity *identity,
                          const char *vendor_id,
                          const char *product_id)
{
    return vendor_id[0] != '\0' && product_id[0] != '\0' &&
           identity_has_ids(identity) &&
           !identity_is_of(identity, vendor_id, product_id);
}

/* Behind the last "+", "" if there is none. */
static const char *interfaces_of(const DeviceIdentity *identity)
{
    const char *plus = strrchr(identity->s, '+');

    return plus ? plus + 1 : "";
}

static bool is_interface(const char *text)
{
    return text[0] == USB_INTERFACE && strlen(text + 1) >= CODE_LEN &&
           text_is_hex(text + 1, CODE_LEN, false);
}

bool identity_has_interfaces(const DeviceIdentity *identity)
{
    const char *text = interfaces_of(identity);

    if (!identity_has_ids(identity) || text[0] == '\0')
        return false;
    for (; text[0] != '\0'; text += 1 + CODE_LEN)
        if (!is_interface(text))
            return false;
    return true;
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
    const char *text = interfaces_of(identity);

    if (!identity_has_interfaces(identity))
        return false;
    for (; text[0] != '\0'; text += 1 + CODE_LEN)
        if (!is_code_of(text, codes, n))
            return true;
    return false;
}

/* The length of the serial, which stands behind the ids and a "+". */
static size_t serial_len(const DeviceIdentity *identity)
{
    return identity->s[IDS_LEN] ? strcspn(identity->s + IDS_LEN + 1, "+") : 0;
}

bool identity_is_of_another(const DeviceIdentity *a, const DeviceIdentity *b)
{
    size_t len;

    if (!identity_has_ids(a) || !identity_has_ids(b))
        return false;
    len = serial_len(a);
    return strncasecmp(a->s, b->s, IDS_LEN) != 0 || serial_len(b) != len ||
           (len > 0 &&
            memcmp(a->s + IDS_LEN + 1, b->s + IDS_LEN + 1, len) != 0);
}
