/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Judge: what DESIGN says of what the daemon does
 *
 * It hears what the daemon is told, before the daemon does, and remembers what
 * that means; it sees what the daemon wants, and ends the history with wrong()
 * where that must not be; and when all is quiet it looks at the whole.
 */

#include "tests/property/model/model.h"

void judge_begin(Model *m);
/* The daemon has started anew. */
void judge_on_restart(Model *m);

/* told */
void judge_on_hello(Model *m, const Connection *connection);
void judge_on_record(Model *m,
                     const Connection *connection,
                     const Dev *dev,
                     const Record *record);
void judge_on_synced(Model *m, const Connection *connection);
void judge_on_event(Model *m, const StreamEvent *event);
void judge_on_qubesd(Model *m, QubesdState state);
void judge_on_answer(Model *m, const Call *call);
void judge_on_verdict(Model *m, const Question *question, PolicyAnswer answer);
void judge_on_click(Model *m,
                    const OpenWindow *window,
                    const PromptAnswer *answer);

/* Other rules are in force. */
void judge_on_rules(Model *m);

/* The person at the command. */
void judge_on_pause(Model *m, uint64_t until_usec);
void judge_on_resume(Model *m);
/* Its time is over. */
void judge_on_pause_over(Model *m);
void judge_on_act(Model *m, int seat, bool detaches);
/* It is answered that there is no such device. */
void judge_on_act_unknown(Model *m, int seat);
void judge_on_act_answer(Model *m, const Asker *asker, Status status);

/* wanted and said by the daemon */
void judge_on_call(Model *m, const AdminRequest *request);
void judge_on_prompt(Model *m, OpenWindow *window);
void judge_on_outcome(Model *m, const HistoryEntry *entry);
/* The answer to an event of a forwarder. */
void judge_on_reply(Model *m, const Waiting *waiting, Status status);
void judge_on_notification(Model *m, const Notification *notification);
void judge_on_report(Model *m, const Report *report);

/* truth */
void judge_on_truth_attached(Model *m, const Dev *dev);
void judge_on_truth_detached(Model *m, const Dev *dev, Cause cause);

/* Nothing moves any more but by the person's hand. */
void judge_on_quiet(Model *m, const Report *report);

/* among the judge's own parts */
Group *group_of(Model *m, int seat);
/* Whether the person has taken it away while nobody heard, and a look could
 * still tell: what had it runs all the time. */
bool is_taken(const Model *m, int seat);
/* Whether the person's yes was for @choice. */
bool is_approved_for(const Seat *seat, Choice choice);
/* Whether the person has taken it, or another part of its plug, away. */
Sure left_alone(Model *m, int seat);
void leave_alone(Model *m, int index, Sure sure);
const BookRule *rule_of(const Model *m, int seat, size_t set);
/* Whether two seats are parts of one plug that exclude one another. */
bool seats_exclude(const Model *m, int a, int b);
/* Whether what device-added told of it is still so, as far as is known. */
bool is_announced(const Model *m, const Seat *seat);
/* A decision is called for. */
/* Whether no job can have wished for the call: it asks who has a device, only
 * to show that. */
bool judge_is_census(const Model *m, const AdminRequest *request, int seat);

void trigger(Model *m, Seat *seat);
/* A decision may be made, though nothing calls for it. */
void permit(Model *m, Seat *seat);
uint64_t seat_since(const Seat *seat);
bool attached_since(const Model *m, int seat, uint64_t tick);
bool told_at_since(const Seat *seat, uint64_t tick);
bool qubesd_away_since(const Model *m, uint64_t tick);
/* Whether an earlier run attached it while its target started: of that start
 * this one has heard, and takes what the target had for lost. */
bool is_taken_for_lost(const Model *m, const Dev *dev);
/* Whether what the job waits for is the person's, or never comes. */
bool is_at_rest(const Model *m, const ReportJob *job);
