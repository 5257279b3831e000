/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The lines of Available and Attached (WIRE 1)
 *
 *     PORT:DEVID device_id='DEVID' port_id='PORT' devclass='block' ...
 *     BACKEND+PORT:DEVID device_id='DEVID' ...
 *
 * Keys come in any order; a value escapes ' as \' but a backslash not at all,
 * so a hostile identity can make a line ambiguous. Such a line still tells
 * that the port is listed; what cannot be read for sure is left unknown.
 */

#include "dom0/core/admin.h"

/*
 * Find the line of @request's port (and backend, for Attached) in
 * @untrusted_data and fill in @ret->listing. False for what is no listing.
 */
bool admin_decode_listing(AdminAnswer *ret,
                          const AdminRequest *request,
                          const char *untrusted_data,
                          size_t untrusted_len);
