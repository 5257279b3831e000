/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Device identity, as qubesd gives it (DEVID of WIRE 1)
 *
 * Made of what the device says of itself, so it may hold any byte, and weak:
 * it serves to attach exactly the device that was looked at, never to match a
 * rule. It goes into a request header only if it is safe, as identity_encode()
 * writes it.
 */

#include "common/record.h"

/* Two numbers, a serial of 126 characters of 3 bytes, and the 73 interfaces
 * that udev tells at most fit. */
#define IDENTITY_MAX 1023U
/* what is sent: the same with ASCII and 32 interfaces fits well */
#define IDENTITY_SAFE_MAX 511U

typedef struct DeviceIdentity {
    char s[IDENTITY_MAX + 1]; /* as qubesd shows it; "" if not known */
} DeviceIdentity;

/* Take DEVID as qubesd shows it, as "0781:5581:4C53:u080650". False if it is
 * empty, too long, or holds a NUL. */
_must_check_ bool identity_parse(DeviceIdentity *ret,
                                 const char *untrusted_devid,
                                 size_t untrusted_len);

/* Whether it is not empty and of at most IDENTITY_SAFE_MAX bytes, and these are
 * A-Za-z0-9:._- and "?******" (an unknown interface): another one is never
 * sent. */
bool identity_is_safe(const DeviceIdentity *identity);

/* Write a safe one in the form of the wire: ":" is "+", "?******" is
 * "_______". */
void identity_encode(char ret[IDENTITY_SAFE_MAX + 1],
                     const DeviceIdentity *identity);

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

/* Whether it begins with the ids of a device, other than 0000:0000. */
bool identity_has_ids(const DeviceIdentity *identity);

/* The same, and no interface is unknown. */
bool identity_is_whole(const DeviceIdentity *identity);

/*
 * The identity of a USB device ends with its interfaces, as "uCCSSPP". Whether
 * one of them is none of the @n of @codes, or cannot be read; what qubesd
 * itself does not know is no contradiction. @codes may be more: the forwarder
 * also sees those that udev overlooks.
 */
bool identity_contradicts_interfaces(const DeviceIdentity *identity,
                                     const InterfaceCode *codes,
                                     size_t n);

/*
 * Whether both begin with a VVVV:PPPP other than 0000:0000, and these or the
 * serials behind them are not the same. What follows may change by itself.
 */
bool identity_is_of_another(const DeviceIdentity *a, const DeviceIdentity *b);

/* A number that differs where identity_is_of_another() tells two identities
 * apart, and else is the same; 0 for one that tells nothing. Not keyed: a
 * device that takes pains may pass for another one, as it may by its identity.
 */
uint64_t identity_hash(const DeviceIdentity *identity);
