/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Starts of targets
 *
 * However many jobs wait for a target, it is started once; and not more often
 * than TARGET_STARTS_MAX times in TARGET_STARTS_USEC. Pure like the jobs: the
 * calls are got by target_starts_next_call().
 */

#include "common/status.h"
#include "dom0/core/admin.h"

#define TARGETS_MAX        64U /* with starts in the last TARGET_STARTS_USEC */
#define TARGET_STARTS_MAX  3U
#define TARGET_STARTS_USEC (600 * USEC_PER_SEC)

typedef struct TargetStarts TargetStarts;

int target_starts_new(TargetStarts **ret, bool unlimited);
TargetStarts *target_starts_free(TargetStarts *starts);

/*
 * A job wants @target started. STATUS_INVALID (0): it is being started, for
 * this job or for another; else why not, with a sentence in @ret_detail. Only
 * starts that are @limited count for the limit: a disposable that was made for
 * one job is started once.
 */
Status target_starts_want(TargetStarts *starts,
                          const QubeName *target,
                          bool limited,
                          uint64_t now_usec,
                          const char **ret_detail);

/* Whether @target is being started. */
bool target_starts_go_on(const TargetStarts *starts, const QubeName *target);

/* Whether @target was started, with success, since @since_usec (0: never). */
bool target_starts_ended(const TargetStarts *starts,
                         const QubeName *target,
                         uint64_t since_usec);

/* Whether a start has to be made; @call is the id it gets. */
bool target_starts_next_call(TargetStarts *starts,
                             uint64_t call,
                             AdminRequest *ret_request);

/* Whether @call was a start; then the answer was taken, and @ret_target is what
 * was started. */
bool target_starts_on_answer(TargetStarts *starts,
                             uint64_t call,
                             const AdminAnswer *answer,
                             uint64_t now_usec,
                             QubeName *ret_target);

/*
 * What the answer to admin.vm.Start means. Success is not proof that the
 * target runs (WIRE 1): the Attach that follows is.
 */
Status target_start_outcome(const AdminAnswer *answer);

DEFINE_CLEANUP(TargetStarts *, target_starts_free)
