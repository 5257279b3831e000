/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One question to the policy daemon, answered within POLICY_USEC. */

#include <systemd/sd-event.h>

#include "dom0/core/approval.h"

typedef struct PolicyCall PolicyCall;

/* Called exactly once, never from within policy_call_new(); the call may be
 * freed by it. */
typedef void (*PolicyCallFn)(PolicyCall *call,
                             PolicyAnswer answer,
                             void *userdata);

int policy_call_new(PolicyCall **ret,
                    sd_event *event,
                    const char *socket_path,
                    const PolicyQuestion *question,
                    PolicyCallFn fn,
                    void *userdata);
PolicyCall *policy_call_free(PolicyCall *call);

DEFINE_CLEANUP(PolicyCall *, policy_call_free)
