/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>

#include "dom0/core/quota.h"
#include "dom0/core/target-start.h"

typedef struct TargetStart {
    QubeName target; /* "": a free place */
    bool running;
    bool wants_call;
    uint64_t call;
    uint64_t ended_usec; /* of the last start that went well; 0: none */
    Quota quota;
    uint64_t times[TARGET_STARTS_MAX];
} TargetStart;

struct TargetStarts {
    bool unlimited;
    TargetStart starts[TARGETS_MAX];
};

static const QuotaLimit start_limit = { .max = TARGET_STARTS_MAX,
                                        .span_usec = TARGET_STARTS_USEC };

int target_starts_new(TargetStarts **ret, bool unlimited)
{
    TargetStarts *starts = calloc(1, sizeof(*starts));

    if (!starts)
        return -ENOMEM;

    starts->unlimited = unlimited;
    *ret = starts;
    return 0;
}

TargetStarts *target_starts_free(TargetStarts *starts)
{
    free(starts);
    return NULL;
}

/* The entry of @target; if there is none, one that limits nothing any more is
 * taken for it. NULL if all are in use. */
static TargetStart *find(TargetStarts *starts,
                         const QubeName *target,
                         uint64_t now_usec)
{
    TargetStart *unused = NULL;

    for (size_t i = 0; i < TARGETS_MAX; i++) {
        TargetStart *start = &starts->starts[i];

        if (qube_name_equal(&start->target, target))
            return start;
        if (!start->running &&
            quota_is_idle(&start->quota, start->times, &start_limit, now_usec))
            unused = start;
    }
    if (unused)
        *unused = (TargetStart){ .target = *target };
    return unused;
}

Status target_starts_want(TargetStarts *starts,
                          const QubeName *target,
                          bool limited,
                          uint64_t now_usec,
                          const char **ret_detail)
{
    TargetStart *start = find(starts, target, now_usec);
    uint64_t when_usec;

    if (!start) {
        *ret_detail = "too many different targets were started of late";
        return STATUS_START_FAILED;
    }
    if (start->running)
        return STATUS_INVALID;

    if (limited && !starts->unlimited) {
        if (!quota_peek(&start->quota, start->times, &start_limit, now_usec,
                        &when_usec)) {
            *ret_detail = "it was started 3 times in the last 10 minutes";
            return STATUS_START_FAILED;
        }
        quota_take(&start->quota, start->times, &start_limit, now_usec);
    }
    start->running = true;
    start->wants_call = true;
    return STATUS_INVALID;
}

bool target_starts_next_call(TargetStarts *starts,
                             uint64_t call,
                             AdminRequest *ret_request)
{
    for (size_t i = 0; i < TARGETS_MAX; i++) {
        TargetStart *start = &starts->starts[i];

        if (!start->wants_call)
            continue;
        start->wants_call = false;
        start->call = call;
        *ret_request =
            (AdminRequest){ .method = ADMIN_START, .dest = start->target };
        return true;
    }
    return false;
}

bool target_starts_go_on(const TargetStarts *starts, const QubeName *target)
{
    for (size_t i = 0; i < TARGETS_MAX; i++)
        if (starts->starts[i].running &&
            qube_name_equal(&starts->starts[i].target, target))
            return true;
    return false;
}

bool target_starts_ended(const TargetStarts *starts,
                         const QubeName *target,
                         uint64_t since_usec)
{
    for (size_t i = 0; i < TARGETS_MAX; i++) {
        const TargetStart *start = &starts->starts[i];

        if (!start->running && since_usec != 0 &&
            start->ended_usec >= since_usec &&
            qube_name_equal(&start->target, target))
            return true;
    }
    return false;
}

bool target_starts_on_answer(TargetStarts *starts,
                             uint64_t call,
                             const AdminAnswer *answer,
                             uint64_t now_usec,
                             QubeName *ret_target)
{
    for (size_t i = 0; i < TARGETS_MAX; i++) {
        TargetStart *start = &starts->starts[i];

        if (start->call != call)
            continue;
        start->call = 0;
        start->running = false;
        if (answer->result == ADMIN_OK)
            start->ended_usec = now_usec;
        *ret_target = start->target;
        return true;
    }
    return false;
}

Status target_start_outcome(const AdminAnswer *answer)
{
    switch (answer->result) {
    case ADMIN_UNREACHABLE:
        return STATUS_UNAVAILABLE;
    case ADMIN_TIMED_OUT:
        return STATUS_TIMEOUT;
    case ADMIN_GARBAGE:
        return STATUS_QUBESD_REFUSED;
    case ADMIN_EXCEPTION:
        return STATUS_START_FAILED;
    case ADMIN_EMPTY: /* the Attach will tell */
    case ADMIN_OK:
        return STATUS_ATTACHED;
    }
    assert(false);
    return STATUS_INTERNAL;
}
