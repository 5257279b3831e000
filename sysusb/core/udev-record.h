/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * From udev's words to a record (DESIGN 3, table of properties)
 *
 * What is not valid is left out, never repaired: half a serial number or a
 * label with its control characters taken out would be another device's.
 */

#include "common/record.h"
#include "sysusb/core/udev-view.h"

/*
 * Class and name only, as for a removal. False for what has neither; nothing
 * is set then.
 */
_must_check_ bool udev_record_name(Record *ret, const UdevNode *node);

/* The whole record, its action RECORD_PRESENT. False as above. */
_must_check_ bool udev_record_build(Record *ret, const UdevView *view);
