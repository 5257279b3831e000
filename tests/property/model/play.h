/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Play: carry a history out. */

#include "tests/property/model/model.h"

/* What has gone wrong, if anything; with @verbose all that happens is told. */
Failure play(const ModelHistory *history, Coverage *coverage, bool verbose);

/* What the daemon is told, by the others */
bool play_connect(Model *m, unsigned int source, uint64_t *ret_id);
void play_disconnect(Model *m, int connection);
bool play_take_line(Model *m, int connection, uint64_t *ret_when_usec);
void play_hello(Model *m, int connection);
void play_event(Model *m, int connection, int dev, RecordAction action);
void play_synced(Model *m, int connection);
void play_input_ended(Model *m, int connection);
void play_tell_qubesd(Model *m, QubesdState state);
/* Deliver what qubesd has told so far, at once. */
void play_flush_events(Model *m);

/* Outcomes that are new. */
void play_collect_outcomes(Model *m);

/* One step of the history begins. */
void step_do(Model *m, const Step *step);
