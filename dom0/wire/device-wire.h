/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Devices and rules as JSON: what ListDevices and ListRules answer
 *
 * The forms are those of org.qubes-contrib.autoattach.varlink.
 */

#include <jansson.h>

#include "dom0/core/report.h"

/* So many of the largest fit into one reply. */
#define DEVICE_WIRE_BATCH 32U
#define RULE_WIRE_BATCH   64U

#define RULE_WIRE_TEXT_MAX 4096U /* of a rule's text; a longer one is cut */

/* Each NULL without memory. */
json_t *device_to_json(const ReportDevice *device);
/* A device that somebody has. */
json_t *attached_to_json(const ReportDevice *device);
json_t *rule_to_json(const ReportRule *rule);
