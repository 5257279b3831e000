/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Agent: tells dom0 what is plugged in, for as long as it runs
 *
 *     udev source > snapshot > line > qrexec call > dom0
 *
 *     WAITING <--------- child is gone --------- CALLING
 *        '------------- backoff is over ------------^
 *
 * Every call begins with the whole snapshot (the picture), so whatever happens
 * while there is no call, or is lost with one, is in the next picture. When
 * dom0 reads so slowly that the queue is full, or answers 429 (too many), or
 * sends what is no answer, the call is closed and made anew after the backoff.
 * Nothing dom0 answers has another effect; answers go to the journal.
 */

#include <systemd/sd-event.h>

#include "common/util.h"

/* bytes waiting to be written: the largest possible picture (SNAPSHOT_MAX
 * lines of WIRE_LINE_MAX), and nearly as much again of changes after it */
#define AGENT_QUEUE_MAX (8U * 1024 * 1024)

typedef struct Agent Agent;

typedef struct AgentConfig {
    const char *qrexec_client;
    bool export_qemu;
    size_t queue_max;
} AgentConfig;

/*
 * Listens, looks at what is there, tells systemd READY=1 and makes the first
 * call. SIGCHLD must be blocked and SIGPIPE ignored. @config's texts outlive
 * the agent.
 */
int agent_new(Agent **ret, sd_event *event, const AgentConfig *config);
Agent *agent_free(Agent *agent);

/* End: the event loop exits once the call has ended. */
void agent_stop(Agent *agent);

DEFINE_CLEANUP(Agent *, agent_free)
