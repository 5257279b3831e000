/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The first line of every connection to dom0: this boot and this program. */

#include "common/wire/record-wire.h"

/* the service in dom0 that is told of devices */
#define EVENT_SERVICE "autoattach.Event"

#define QREXEC_CLIENT_DEFAULT "/usr/bin/qrexec-client-vm"

int hello_make(WireHello *ret);
