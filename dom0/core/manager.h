/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Manager: from records to outcomes
 *
 * Owns what is known of all sources, decides each record by the rules in
 * force, runs the jobs and keeps the history. Like the jobs it does nothing
 * itself: it is told what happened, and afterwards asked what it wants done:
 *
 *     manager_event(manager, ...);
 *     while (manager_next_call(manager, &id, &request)) ...
 *     while (manager_next_answer(manager, &connection, &seq, &status)) ...
 *     while (manager_next_close(manager, &connection)) ...
 *     arm a timer for manager_next_usec(manager);
 *
 * All times are CLOCK_MONOTONIC but for what goes into the history, and for
 * the end of a pause, which is CLOCK_BOOTTIME: a night's sleep counts, a clock
 * that is set does not.
 *
 * Bounded: MANAGER_SOURCES_MAX sources, each within the limits of source.h, and
 * the targets of target-start.h.
 */

#include "common/boot-id.h"
#include "common/record.h"
#include "common/status.h"
#include "dom0/core/admin.h"
#include "dom0/core/approval.h"
#include "dom0/core/history.h"
#include "dom0/core/report.h"
#include "dom0/core/ruleset.h"
#include "dom0/core/state.h"

#define MANAGER_SOURCES_MAX 16U
/* a window that was not answered so long no longer blocks others */
#define MANAGER_WINDOW_USEC (600 * USEC_PER_SEC)
/* without an agent: when to try again, doubling */
#define MANAGER_AGENT_USEC     (1 * USEC_PER_SEC)
#define MANAGER_AGENT_MAX_USEC (60 * USEC_PER_SEC)
#define MANAGER_PAUSE_FOREVER  UINT64_MAX

typedef struct Manager Manager;

typedef struct Instant {
    uint64_t monotonic_usec;
    uint64_t boottime_usec;
    uint64_t realtime_usec;
} Instant;

/* @unlimited switches off all rates: of lines, attaches and starts. */
int manager_new(Manager **ret, bool unlimited);
Manager *manager_free(Manager *manager);

/*
 * What is to outlive the daemon, see state.h: to be written before the calls
 * are made that manager_next_call() gives. -ENOMEM. Whether it is another one
 * than before is told by its digest.
 */
int manager_save(const Manager *manager, State **ret);
uint64_t manager_state_digest(const Manager *manager);
/* Into a new manager. After a failure it is to be freed. */
int manager_restore(Manager *manager, const State *state);

/* The rules in force from now on; takes a reference. */
void manager_set_rules(Manager *manager, Ruleset *ruleset);

/* The source opens a connection. STATUS_INVALID (0): granted, @ret_id is its
 * id; else STATUS_TOO_MANY, or STATUS_INTERNAL without memory. */
Status manager_connect(Manager *manager,
                       const QubeName *source,
                       Instant now,
                       uint64_t *ret_id);
void manager_disconnect(Manager *manager, uint64_t connection, Instant now);

/* Whether the source may send one more line now; if not, when. */
bool manager_take_line(Manager *manager,
                       uint64_t connection,
                       Instant now,
                       uint64_t *ret_when_usec);

void manager_hello(Manager *manager,
                   uint64_t connection,
                   const BootId *boot_id,
                   Instant now);
/* The outcome if it is known at once, else STATUS_INVALID (0): then it comes
 * by manager_next_answer(). It is what dom0 knows, see status_told(). */
Status manager_event(Manager *manager,
                     uint64_t connection,
                     int64_t seq,
                     const Record *record,
                     Instant now);
void manager_synced(Manager *manager, uint64_t connection, Instant now);
/* It sends nothing more: there is no picture to come. */
void manager_input_ended(Manager *manager, uint64_t connection, Instant now);

/* Every call got by manager_next_call() is answered exactly once. */
void manager_on_answer(Manager *manager,
                       uint64_t call,
                       const AdminAnswer *answer,
                       Instant now);
void manager_on_admin_event(Manager *manager,
                            const AdminEvent *event,
                            Instant now);
void manager_on_time(Manager *manager, Instant now);

/* What qubesd is, as far as it is known; jobs that waited for it go on. */
void manager_set_qubesd(Manager *manager, QubesdState state, Instant now);

bool manager_next_call(Manager *manager,
                       uint64_t *ret_call,
                       AdminRequest *ret_request);
/* A question for the policy daemon; answered exactly once. */
bool manager_next_question(Manager *manager,
                           uint64_t *ret_id,
                           PolicyQuestion *ret_question);
void manager_on_verdict(Manager *manager,
                        uint64_t id,
                        PolicyAnswer answer,
                        Instant now);
/*
 * A prompt that is to be shown now. It is answered exactly once, however late;
 * there is never more than one at a time, but for windows that nobody has
 * answered in MANAGER_WINDOW_USEC.
 */
bool manager_next_prompt(Manager *manager,
                         uint64_t *ret_id,
                         Prompt *ret_prompt,
                         Instant now);
void manager_on_prompt(Manager *manager,
                       uint64_t id,
                       const PromptAnswer *answer,
                       Instant now);
/* There may be a policy agent now. */
void manager_on_agent(Manager *manager, Instant now);
bool manager_next_notification(Manager *manager, Notification *ret);

bool manager_next_answer(Manager *manager,
                         uint64_t *ret_connection,
                         int64_t *ret_seq,
                         Status *ret_status);
/* A connection that a newer one has taken the place of. */
bool manager_next_close(Manager *manager, uint64_t *ret_connection);
/* When manager_on_time() is due; UINT64_MAX: no time at all. The end of a pause
 * is another time when it is. */
uint64_t manager_next_usec(const Manager *manager);

/*
 * What the person does (manager-acts). An act on a device is answered like a
 * record: at once, or by manager_next_answer() to its asker, with seq 0. An
 * asker makes one act at a time.
 */

typedef struct DeviceRef {
    QubeName source;
    DeviceClass class;
    DeviceName device;
} DeviceRef;

/*
 * Attach nothing until @until_usec, or with MANAGER_PAUSE_FOREVER until
 * manager_resume(). What is known is kept, devices that come and go are
 * followed, and what was attached is detached when it is unplugged. A job that
 * has not sent its Attach ends with STATUS_PAUSED, one that has goes on.
 */
void manager_pause(Manager *manager, uint64_t until_usec, Instant now);
/* Decide all that is plugged in as if it came now; a no and a detach by hand
 * are forgotten. Nothing if it is not paused. */
void manager_resume(Manager *manager, Instant now);
/* CLOCK_BOOTTIME or MANAGER_PAUSE_FOREVER; 0 if it is not paused. */
uint64_t manager_paused_until(const Manager *manager);

/* An id that no connection has. */
uint64_t manager_new_asker(Manager *manager);
/* It does not wait any more. */
void manager_drop_asker(Manager *manager, uint64_t asker);
/* Decide the device again; a no and a detach by hand are forgotten. */
Status manager_retry(Manager *manager,
                     const DeviceRef *ref,
                     uint64_t asker,
                     Instant now);
/* Detach it, whoever has it, and leave it alone until it is replugged, or
 * retried. STATUS_DETACHED, or STATUS_NOT_ATTACHED if that failed. */
Status manager_detach(Manager *manager,
                      const DeviceRef *ref,
                      uint64_t asker,
                      Instant now);

const History *manager_history(const Manager *manager);

/* Fill in pause, sources, attached devices, jobs and outcomes. */
void manager_report(const Manager *manager, Report *report, Instant now);

/* A place among the devices; zeroed, it is before the first. What comes and
 * goes meanwhile does no harm. */
typedef struct DeviceCursor {
    size_t source;
    uint64_t plug;
} DeviceCursor;

/* The next device that is plugged in, of each source in the order of coming;
 * false at the end. */
bool manager_next_device(const Manager *manager,
                         DeviceCursor *cursor,
                         ReportDevice *ret);
/* A plugged device that somebody has, and that no job is on the way to attach:
 * the one of @ref, or (NULL) one that the rule @rule gave. False if there is
 * none. Its rule is left out. */
bool manager_find_attached(const Manager *manager,
                           const DeviceRef *ref,
                           const char *rule,
                           ReportDevice *ret);

/* The rules in force; @index below their number. */
/* Whether at least @n jobs are in work. */
bool manager_has_jobs(const Manager *manager, size_t n);

size_t manager_count_rules(const Manager *manager);
ReportRule manager_get_rule(const Manager *manager, size_t index);
const Rule *manager_find_rule(const Manager *manager, const char *name);

DEFINE_CLEANUP(Manager *, manager_free)
