/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Report as JSON: what GetStatus answers
 *
 * The forms are those of org.qubes-contrib.autoattach.varlink. At its largest
 * it is well below CONTROL_REPLY_MAX, so that it can always be sent.
 */

#include <jansson.h>

#include "dom0/core/report.h"

#define REPORT_WIRE_ERRORS_MAX 50U /* sent; all are counted */

/* @now_usec is of CLOCK_REALTIME. NULL without memory. */
json_t *report_to_json(const Report *report, uint64_t now_usec);

/* Its part that is about the rules. */
json_t *rules_status_to_json(const Report *report);

json_t *outcome_to_json(const HistoryEntry *entry);

/* One error or warning, in the same form wherever it is told. */
json_t *diagnostic_to_json(const Diagnostic *diagnostic);
/* The first REPORT_WIRE_ERRORS_MAX, errors before warnings; of NULL none. */
json_t *diagnostics_to_json(const Diagnostics *diagnostics);
