/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Outcome log: one line in the journal per outcome (DESIGN 7)
 *
 * At most OUTCOME_LOG_BURST lines at once and 10 a second after that; then one
 * line that says how many were left out. What a source was refused for counts
 * as a line too. What was attached or detached is counted by itself: no flood
 * of other records hides it. So are hellos, which nothing is told of if left
 * out.
 */

#include <systemd/sd-event.h>

#include "dom0/core/history.h"

#define OUTCOME_LOG_BURST 200U
#define OUTCOME_LOG_USEC  UINT64_C(100000)
/* when to tell how many were left out */
#define OUTCOME_LOG_REST_USEC UINT64_C(1000000)

typedef struct OutcomeLog OutcomeLog;

int outcome_log_new(OutcomeLog **ret, sd_event *event);
OutcomeLog *outcome_log_free(OutcomeLog *log);

/* All of @history, always the same one, that was not logged yet; what it has
 * dropped before that is counted as left out. */
void outcome_log_history(OutcomeLog *log, const History *history);
/* Whether that is to be done soon, lest it drops any. */
bool outcome_log_is_behind(const OutcomeLog *log, const History *history);
void outcome_log_entry(OutcomeLog *log, const HistoryEntry *entry);
/* A connection of @source was closed. */
void outcome_log_refused(OutcomeLog *log,
                         const QubeName *source,
                         Status status,
                         const char *reason);
/* A connection of @source has begun; @untrusted_agent is what its sender calls
 * itself. */
void outcome_log_hello(OutcomeLog *log,
                       const QubeName *source,
                       const char *untrusted_agent);

DEFINE_CLEANUP(OutcomeLog *, outcome_log_free)
