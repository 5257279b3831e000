/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The header of a request as qubesd reads it (WIRE 1): split at single spaces,
 * and its argument at plus signs
 */

#include "dom0/wire/admin.h"

/* Whether @request, encoded and read so, is an Attach, Detach or Available of
 * just the backend, the port and the identity that are in it. */
bool request_header_is_true(const AdminRequest *request);
