/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One prompt, or one notification, by way of the policy agent
 *
 * A prompt has no deadline: its window stays until the person answers it, and
 * counts as open for as long. A notification has a deadline; whether it is
 * shown makes no difference.
 */

#include <systemd/sd-event.h>

#include "dom0/core/approval.h"

typedef struct PromptCall PromptCall;

/* Called exactly once, never from within prompt_call_new(); the call may be
 * freed by it. The answer to a notification means nothing. */
typedef void (*PromptCallFn)(PromptCall *call,
                             const PromptAnswer *answer,
                             void *userdata);

int prompt_call_new(PromptCall **ret,
                    sd_event *event,
                    const char *socket_path,
                    const Prompt *prompt,
                    PromptCallFn fn,
                    void *userdata);
int prompt_call_notify(PromptCall **ret,
                       sd_event *event,
                       const char *socket_path,
                       const Notification *notification,
                       PromptCallFn fn,
                       void *userdata);
PromptCall *prompt_call_free(PromptCall *call);

DEFINE_CLEANUP(PromptCall *, prompt_call_free)
