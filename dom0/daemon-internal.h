/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside of daemon
 *
 *     daemon-input  what the adapters tell, to the manager    (in)
 *     daemon-pump   what the manager wants, to the adapters   (out), and time
 *     daemon        start and end, the rules, what control asks
 */

#include "dom0/approver.h"
#include "dom0/control.h"
#include "dom0/daemon.h"
#include "dom0/io/event-service.h"
#include "dom0/io/rules-dir.h"
#include "dom0/outcome-log.h"
#include "dom0/qubesd.h"
#include "dom0/rules.h"
#include "dom0/state-keeper.h"

struct Daemon {
    const Options *options;
    sd_event *event;
    sd_event_source *pump_source; /* runs after all inputs that are there */
    size_t n_inputs;              /* since the last pump */
    sd_event_source *timer;
    uint64_t timer_usec;          /* what @timer is set to */
    sd_event_source *pause_timer; /* CLOCK_BOOTTIME */
    uint64_t pause_usec;
    uint64_t begun_usec;

    StateKeeper *keeper;
    Manager *manager;
    Rules *rules;
    RulesDir *rules_dir;
    OutcomeLog *log;

    Qubesd *qubesd;
    Approver *approver;
    char *refused_file;
    EventService *event_service;
    Control *control;
    int event_fd; /* until its service has it */
    int control_fd;
    bool owns_event_socket; /* made by us: removed at the end */
    bool owns_control_socket;
};

/* daemon-input */

/* Their userdata is the Daemon. */
extern const EventServiceHooks daemon_event_hooks;
extern const QubesdHooks daemon_qubesd_hooks;
extern const ApproverHooks daemon_approver_hooks;

/* daemon-pump */

/* The sources that run it; before anything that may wake it. */
int daemon_open_pump(Daemon *daemon);

/* Do what the manager wants done, until it wants nothing more. */
void daemon_pump(Daemon *daemon);

/* Something has happened: pump once all inputs that are there have been
 * handled, or after INPUTS_PER_PUMP of them. */
void daemon_wake_later(Daemon *daemon);

/* Something has happened: pump at once if there is only one job. With more of
 * them, first handle all inputs that are there, so that the state is written
 * once and not again for each. */
void daemon_wake(Daemon *daemon);

/* All that were not logged yet. */
void daemon_log_outcomes(Daemon *daemon);

/* For inputs that came together with the signal to end: what is decided is told
 * and kept. Nothing is begun any more, as the loop takes no more sources. */
void daemon_wind_up(Daemon *daemon);
