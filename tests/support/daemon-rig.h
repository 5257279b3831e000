/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the daemon has around it, in the same process: a small qubesd, a policy
 * daemon and an agent that say what they are told to, and a forwarder that
 * begins anew when it loses its connection. Nothing of them ever fails.
 */

#include "common/status.h"
#include "dom0/options.h"

#define RIG_DEVICES_MAX 2U

typedef struct DaemonRig {
    char folder[32];
    Options options; /* all paths are in @folder */

    /* what is said */
    const char *policy_answer;
    const char *agent_answer;
    const char *parent; /* the USB device that all are part of, or NULL */
    bool halted;        /* the target, until it is started */

    /* what has come of it */
    bool attached[RIG_DEVICES_MAX]; /* sda and sdb, to "work" */
    size_t n_attaches;
    size_t n_prompts;
} DaemonRig;

extern DaemonRig rig;

/* @rules is the text of the rule file. */
void daemon_rig_begin(const char *rules);
void daemon_rig_end(void);

/* All is as at the start of a boot: nothing is plugged in or kept. */
void daemon_rig_reset(void);

/* The daemon has ended: who called it has to call again. What is plugged in,
 * and what the daemon keeps, is as it was. */
void daemon_rig_rest(void);

/* One more device is there. */
void daemon_rig_plug(void);

/* Whoever has something to do does it. */
void daemon_rig_serve(void);

/* What the forwarder was told of a device in its present life: STATUS_INVALID
 * as long as it was told nothing. */
Status daemon_rig_answer(size_t device);
