/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A request as qubesd reads it (WIRE 1): its header split at single spaces, the
 * argument in it at plus signs, and behind the NUL the options of an Attach
 */

#include "dom0/wire/admin.h"

/* Whether @request, encoded and read so, is of just the method, the qube, the
 * backend, the port, the identity and the options that are in it. */
bool request_header_is_true(const AdminRequest *request);

/* Whether that holds for what is asked of @qube itself: to start it, make a
 * disposable of it, do away with it, and attach to it. */
bool request_of_qube_is_true(const QubeName *qube);
