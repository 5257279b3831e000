/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* World: time, qubes, and what is attached where. */

#include "tests/property/model/model.h"

/* time */
void dues_add(Model *m,
              uint64_t usec,
              DueKind kind,
              int a,
              int b,
              uint32_t life);
/* The same, but not before what the channel has under way. */
void dues_add_after(Model *m,
                    uint64_t *channel_usec,
                    uint64_t delay_usec,
                    DueKind kind,
                    int a,
                    int b);
/* It is not to happen any more. */
void dues_drop(Model *m, DueKind kind, int a, uint32_t life);
bool dues_take(Model *m, uint64_t until_usec, Due *ret);
uint64_t dues_next_usec(const Model *m);
/* Something that is mostly short, but at times as long as @max_usec. */
uint64_t delay(Model *m, uint64_t max_usec);
uint64_t delay_between(Model *m, uint64_t min_usec, uint64_t max_usec);
/* One time in @n. */
bool chance(Model *m, size_t n);

/* for people */
_printf_(2, 3) void trace(const Model *m, const char *format, ...);
/* The daemon has done wrong: the history ends here. */
_printf_(2, 3) _Noreturn void wrong(Model *m, const char *format, ...);

/* qubes */
void world_begin(Model *m);
int qube_find(const Model *m, const char *name);
/* The same, also one that is no more. */
int qube_named(const Model *m, const char *name);
bool qube_runs(const Model *m, int qube);
/* Whether it did not run at some time since @tick, or does not now. */
bool qube_idle_since(const Model *m, int qube, uint64_t tick);
/* False if there is nothing to start. */
bool qube_start(Model *m, int qube);
void qube_on_up(Model *m, const Due *due);
void qube_on_down(Model *m, const Due *due);
void qube_shutdown(Model *m, int qube);
void qube_halt(Model *m, int qube);
/* It is starting: do what Qube.abort says. */
void qube_abort(Model *m, int qube);
/* Both, one right after the other. */
void qube_restart(Model *m, int qube);
/* What crosses a call about @qube has come, see Crossing. */
void qube_cross(Model *m, int qube);
void qube_on_again(Model *m, const Due *due);
void qube_pause(Model *m, int qube, bool pause);
int qube_new_disposable(Model *m);
/* A target of a rule that is a qube. */
int qube_of_choice(Choice choice);

/* attachments */
bool dev_is_listed(const Model *m, const Dev *dev);
void dev_attach(Model *m, int dev, int qube, Actor actor);
void dev_detach(Model *m, int dev, Cause cause);
/* qubesd tells that @qube has it, or has it no longer. */
void dev_tell(Model *m,
              const Dev *dev,
              AdminEventType type,
              int qube,
              Cause cause,
              Actor actor);
