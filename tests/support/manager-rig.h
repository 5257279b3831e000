/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A manager with rules, a clock that the test turns, and short words for what
 * a forwarder and qubesd say to it.
 */

#include "dom0/core/manager.h"

/* a day after the clock's start: no time is by chance 0 */
#define RIG_BEGIN_USEC (UINT64_C(86400) * USEC_PER_SEC)

typedef struct ManagerRig {
    Manager *manager;
    Ruleset *ruleset;
    Instant now;
    int64_t last_seq;
} ManagerRig;

/* @rules is the text of a rule file, without an error. */
Ruleset *rig_parse_rules(const char *rules);
void rig_set_rules(ManagerRig *rig, const char *rules);

void rig_begin(ManagerRig *rig, const char *rules);
void rig_end(ManagerRig *rig);

/* The daemon dies, and another one knows what was saved; it has not reached
 * qubesd yet. All connections are gone. */
void rig_restart(ManagerRig *rig);

/* Turn the clock, and let the manager see to what is due. */
void rig_pass(ManagerRig *rig, uint64_t usec);

/* sources: a connection that has said hello in boot @boot (any digit) */
uint64_t rig_connect(ManagerRig *rig, const char *source, char boot);
/* A record of a disk ("sda"), partition ("sda1") or USB device ("2-1"). */
Record rig_record(RecordAction action, const char *device);
/* The same with a path and a serial number; a disk's parent is the USB device
 * at @port, as "2-1". */
Record rig_record_at(RecordAction action,
                     const char *device,
                     const char *port,
                     const char *serial);
/* Its answer, STATUS_INVALID (0) if it comes later; the seq is @last_seq. */
Status rig_tell(ManagerRig *rig,
                uint64_t connection,
                RecordAction action,
                const char *device);
Status rig_tell_record(ManagerRig *rig,
                       uint64_t connection,
                       const Record *record);
/* The answer that is due next, 0 if none is. */
Status rig_answer(ManagerRig *rig);

/* qubesd */

/* The id of the next call, which must be of this method. Before a Detach what
 * is attached is looked at: the rig lists it, so that the Detach comes. */
uint64_t rig_call(ManagerRig *rig, AdminMethod method);
uint64_t rig_call_to(ManagerRig *rig,
                     AdminMethod method,
                     AdminRequest *ret_request);
/* No call is wanted. */
bool rig_is_quiet(ManagerRig *rig);

AdminAnswer answer_of(AdminResult result);
AdminAnswer answer_error(AdminError error);
/* Listed with an identity; @attached_to may be NULL. */
AdminAnswer answer_listed(const char *attached_to);
/* It is listed, in a line of which nothing can be told. */
AdminAnswer answer_unknown(void);
AdminAnswer answer_power(PowerState power);

void rig_reply(ManagerRig *rig, uint64_t call, AdminAnswer answer);
/* The next call, of this method, is answered thus. */
void rig_serve(ManagerRig *rig, AdminMethod method, AdminAnswer answer);

/* An event of a device of @source, or of a qube; @target may be NULL. */
void rig_notice(ManagerRig *rig,
                AdminEventType type,
                const char *source,
                const char *device,
                const char *target);
void rig_notice_qube(ManagerRig *rig, AdminEventType type, const char *qube);

QubeName rig_qube(const char *name);
DeviceRef rig_ref(const char *source, const char *device);
