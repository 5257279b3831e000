/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Device identity, as qubesd gives it (DEVID of WIRE 1)
 *
 * Made of what the device says of itself, so it may hold any byte, and weak:
 * it serves to attach exactly the device that was looked at, never to match a
 * rule. An identity can go into a request header only if identity_parse() has
 * found it safe, and then only in the form it has here.
 */

#include "common/record.h"

/* two numbers, a serial and 32 interfaces of 7 characters fit well */
#define IDENTITY_MAX 511U

typedef struct DeviceIdentity {
    char s[IDENTITY_MAX + 1]; /* in the form of the wire: ":" is "+" */
} DeviceIdentity;

/*
 * Take DEVID as qubesd shows it, as "0781:5581:4C53:u080650". False if it is
 * too long or, after WIRE's own encoding (":" is "+", "?******" is "_______"),
 * holds a character outside A-Za-z0-9:._-: such a one is never sent.
 */
_must_check_ bool identity_parse(DeviceIdentity *ret,
                                 const char *untrusted_devid,
                                 size_t untrusted_len);

bool identity_equal(const DeviceIdentity *a, const DeviceIdentity *b);

/*
 * Whether the identity begins with a VVVV:PPPP other than 0000:0000 that is
 * not @vendor_id and @product_id; these are 4 hex digits, or "" if not known.
 */
bool identity_contradicts(const DeviceIdentity *identity,
                          const char *vendor_id,
                          const char *product_id);

/* Whether the identity begins with these ids, neither of which is "". */
bool identity_is_of(const DeviceIdentity *identity,
                    const char *vendor_id,
                    const char *product_id);

/* Whether it begins with the ids of a device, other than 0000+0000. */
bool identity_has_ids(const DeviceIdentity *identity);

/*
 * The identity of a USB device ends with its interfaces, all of which are known
 * as "uCCSSPP": what comes before the last of them was not cut off.
 */
bool identity_has_interfaces(const DeviceIdentity *identity);

/* Whether it has an interface that is none of the @n of @codes. These may be
 * more: the forwarder also sees those that udev overlooks. */
bool identity_contradicts_interfaces(const DeviceIdentity *identity,
                                     const InterfaceCode *codes,
                                     size_t n);

/*
 * Whether both begin with a VVVV:PPPP other than 0000:0000, and these or the
 * serials behind them are not the same. What follows may change by itself.
 */
bool identity_is_of_another(const DeviceIdentity *a, const DeviceIdentity *b);
