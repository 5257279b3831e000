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
 * Times are CLOCK_MONOTONIC, in microseconds, with two exceptions: the history
 * has CLOCK_REALTIME, and the end of a pause is CLOCK_BOOTTIME, so that the
 * time of a suspension counts and setting the clock makes no difference.
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
/* a prompt window that was not answered for so long no longer keeps other
 * prompts from being shown */
#define MANAGER_WINDOW_USEC (600 * USEC_PER_SEC)
/* without a policy agent: the wait before the next try, doubled up to the
 * maximum */
#define MANAGER_AGENT_USEC     (1 * USEC_PER_SEC)
#define MANAGER_AGENT_MAX_USEC (60 * USEC_PER_SEC)
/* the policy daemon has not answered: the same */
#define MANAGER_POLICY_USEC     (1 * USEC_PER_SEC)
#define MANAGER_POLICY_MAX_USEC (60 * USEC_PER_SEC)
/* who has the devices that no rule takes is asked for so many at once, then for
 * one a second */
#define MANAGER_CENSUS_BURST 64U
/* without memory for a job: the wait before the next try */
#define MANAGER_ROOM_USEC     (10 * USEC_PER_SEC)
#define MANAGER_PAUSE_FOREVER UINT64_MAX

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
 * What has to outlive the daemon, see state.h; -ENOMEM. It has to be in the
 * file before the calls are made that manager_next_call() gives. As long as the
 * digest stays the same the file need not be written again.
 */
int manager_save(const Manager *manager, State **ret);
uint64_t manager_state_digest(const Manager *manager);
/* Into a manager that is new. -ENOMEM, or another errno for a state that cannot
 * be; after a failure the manager is of no use and has to be freed. */
int manager_restore(Manager *manager, const State *state);

/* The rules in force from now on; takes a reference. What waits to be sent and
 * is not by these is not sent. */
void manager_set_rules(Manager *manager, Ruleset *ruleset, Instant now);

/* The source opens a connection. STATUS_INVALID (0): granted, @ret_id is its
 * id; else STATUS_TOO_MANY, or STATUS_INTERNAL without memory. */
Status manager_connect(Manager *manager,
                       const QubeName *source,
                       Instant now,
                       uint64_t *ret_id);
void manager_disconnect(Manager *manager, uint64_t connection, Instant now);

/* Whether one more line of this connection may be handled now; it is counted
 * then. If not, @ret_when_usec (CLOCK_MONOTONIC) says when to ask again. */
bool manager_take_line(Manager *manager,
                       uint64_t connection,
                       Instant now,
                       uint64_t *ret_when_usec);

void manager_hello(Manager *manager,
                   uint64_t connection,
                   const BootId *boot_id,
                   Instant now);
/* The outcome if it is known at once, else STATUS_INVALID (0): then it comes by
 * manager_next_answer(). Both are what dom0 knows; status_told() says what of
 * that the source may learn. */
Status manager_event(Manager *manager,
                     uint64_t connection,
                     int64_t seq,
                     const Record *record,
                     Instant now);
/* The connection has reported all that is there: other devices of the source
 * are gone. */
void manager_synced(Manager *manager, uint64_t connection, Instant now);
/* What the connection sent is not understood; it will be closed. @agent is what
 * its sender calls itself, "" if that is not known. For the report only. */
void manager_refused(Manager *manager,
                     uint64_t connection,
                     Status status,
                     const char *agent,
                     Instant now);
/* The connection sends no more lines. Without `synced` it never was a picture,
 * and nothing waits for it to become one. */
void manager_input_ended(Manager *manager, uint64_t connection, Instant now);

/* Every call got by manager_next_call() is answered exactly once, or twice if
 * its first answer is @pending. */
void manager_on_answer(Manager *manager,
                       uint64_t call,
                       const AdminAnswer *answer,
                       Instant now);
void manager_on_admin_event(Manager *manager,
                            const AdminEvent *event,
                            Instant now);
void manager_on_time(Manager *manager, Instant now);

/* Whether qubesd can be worked with. Each call means that events may have been
 * missed. With QUBESD_CONNECTED, jobs that waited for qubesd go on, and devices
 * are looked at again. */
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
/* The policy daemon's answer to a question that was not the manager's. */
void manager_note_policy(Manager *manager, PolicyAnswer answer, Instant now);
/*
 * A prompt that has to be shown now; to be answered by manager_on_prompt()
 * exactly once, however late. There is one window at a time; only one that was
 * not answered in MANAGER_WINDOW_USEC does not count any more.
 */
bool manager_next_prompt(Manager *manager,
                         uint64_t *ret_id,
                         Prompt *ret_prompt,
                         Instant now);
void manager_on_prompt(Manager *manager,
                       uint64_t id,
                       const PromptAnswer *answer,
                       Instant now);
/* A policy agent may be listening now: try again without waiting longer. */
void manager_on_agent(Manager *manager, Instant now);
bool manager_next_notification(Manager *manager, Notification *ret);

bool manager_next_answer(Manager *manager,
                         uint64_t *ret_connection,
                         int64_t *ret_seq,
                         Status *ret_status);
/* A connection to close, because a newer one has sent the picture of its
 * source, because an older one has contradicted its picture, or because the
 * source was shut down. */
bool manager_next_close(Manager *manager, uint64_t *ret_connection);
/* When to call manager_on_time(), by CLOCK_MONOTONIC; UINT64_MAX: not by time.
 * It is also to be called at the end of a pause, see manager_paused_until(). */
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
 * Attach nothing until @until_usec (CLOCK_BOOTTIME), or with
 * MANAGER_PAUSE_FOREVER until manager_resume(). What is known is kept, devices
 * that come and go are followed, and what was attached is detached when it is
 * unplugged. A job that has not sent its Attach ends with STATUS_PAUSED; one
 * that has sent it goes on. When the time is over, what was held up so is
 * decided again; nothing is forgotten.
 */
void manager_pause(Manager *manager, uint64_t until_usec, Instant now);
/* Decide every device that is plugged in as if it had just come: that the
 * person said no to it or detached it by hand is forgotten. Does nothing if
 * attaching is not paused. */
void manager_resume(Manager *manager, Instant now);
/* CLOCK_BOOTTIME or MANAGER_PAUSE_FOREVER; 0 if it is not paused. */
uint64_t manager_paused_until(const Manager *manager);

/* An id for somebody who asks for acts; no connection has the same. */
uint64_t manager_new_asker(Manager *manager);
/* The asker does not wait for its answer any more. */
void manager_drop_asker(Manager *manager, uint64_t asker);
/* Decide the device again; that the person said no to it or detached it by hand
 * is forgotten, and its prompt is shown also while those of its source are
 * silenced. STATUS_NO_SUCH_DEVICE if it is not plugged in. */
Status manager_retry(Manager *manager,
                     const DeviceRef *ref,
                     uint64_t asker,
                     Instant now);
/*
 * Detach the device from the qube that has it, by whatever it was attached, and
 * leave it alone until it is replugged or retried. The answer is
 * STATUS_DETACHED, or STATUS_NOT_ATTACHED if something of ours may be left
 * attached.
 */
Status manager_detach(Manager *manager,
                      const DeviceRef *ref,
                      uint64_t asker,
                      Instant now);

const History *manager_history(const Manager *manager);

/* Fill in policy, pause, sources, attached devices, jobs and outcomes. */
void manager_report(const Manager *manager, Report *report, Instant now);

/* A position in the list of devices; zeroed, it is before the first one.
 * Devices may come and go between two calls. */
typedef struct DeviceCursor {
    size_t source;
    uint64_t plug;
} DeviceCursor;

/* The next device that is plugged in: source by source, in the order in which
 * they came. False at the end. */
bool manager_next_device(const Manager *manager,
                         DeviceCursor *cursor,
                         ReportDevice *ret);
/*
 * A device that is plugged in and attached, which no attach job is still
 * working on, nor a look, and of which a record has told this run of the
 * daemon: the one that @ref names, or, with @ref NULL, one that we attached by
 * the rule named @rule, or found where that rule wants it. False if there is
 * none. @ret has no rule: to match one takes time.
 */
bool manager_find_attached(const Manager *manager,
                           const DeviceRef *ref,
                           const char *rule,
                           ReportDevice *ret);

/* Whether there are at least @n jobs. */
bool manager_has_jobs(const Manager *manager, size_t n);

/* The rules in force; @index below their number. */
size_t manager_count_rules(const Manager *manager);
ReportRule manager_get_rule(const Manager *manager, size_t index);
const Rule *manager_find_rule(const Manager *manager, const char *name);

DEFINE_CLEANUP(Manager *, manager_free)
