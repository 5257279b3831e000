/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* qubesd: calls with their latency, and the stream of events (WIRE 1). */

#include "tests/property/model/model.h"

/* To whoever listens; @cause and @actor are for the judge alone. */
void qubesd_emit(Model *m, const AdminEvent *event, Cause cause, Actor actor);

/* The daemon makes a call. */
void qubesd_call(Model *m, uint64_t id, const AdminRequest *request);
void qubesd_on_exec(Model *m, const Due *due);
void qubesd_on_worked(Model *m, const Due *due);
/* The call that is to be answered to the daemon now; NULL: nobody hears. */
Call *qubesd_on_answer(Model *m, const Due *due);
Call *qubesd_on_timeout(Model *m, const Due *due);
/* A qube has come up, or has gone down. */
void qubesd_on_power(Model *m, int qube);

void qubesd_crash(Model *m);
void qubesd_cut_stream(Model *m);
/* How many calls of the daemon are under way. */
size_t qubesd_count_calls(const Model *m);

const char *method_name(AdminMethod method);
