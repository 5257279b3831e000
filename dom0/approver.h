/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Approver: the policy daemon and the policy agent (DESIGN 5)
 *
 * Asks the one, has the other ask the person, and notices when an agent may
 * have come: its socket appears with the desktop session.
 */

#include <systemd/sd-event.h>

#include "dom0/core/approval.h"

typedef struct Approver Approver;

typedef struct ApproverHooks {
    /* each question and each prompt is answered once */
    void (*on_verdict)(uint64_t id, PolicyAnswer answer, void *userdata);
    void (*on_prompt)(uint64_t id, const PromptAnswer *answer, void *userdata);
    /* a policy agent may have begun to listen */
    void (*on_agent)(void *userdata);
} ApproverHooks;

typedef struct ApproverPaths {
    const char *policy_socket;
    const char *agent_socket;
    /* written when the agent's socket is there but not writable for us; the
     * path unit that can change that watches this file */
    const char *refused_file;
} ApproverPaths;

/* Paths and @hooks are borrowed. */
int approver_new(Approver **ret,
                 sd_event *event,
                 const ApproverPaths *paths,
                 const ApproverHooks *hooks,
                 void *userdata);
Approver *approver_free(Approver *approver);

/* Whether the agent's socket is there, but may not be used by us. */
bool approver_is_refused(const Approver *approver);

/* A negative errno: it was not begun, and will not be answered. */
int approver_judge(Approver *approver,
                   uint64_t id,
                   const PolicyQuestion *question);
int approver_prompt(Approver *approver, uint64_t id, const Prompt *prompt);
/* Whether it is shown makes no difference: failures are not told. */
void approver_notify(Approver *approver, const Notification *notification);

DEFINE_CLEANUP(Approver *, approver_free)
