/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The policy agent's prompt and notification (WIRE 4)
 *
 * The service's argument is "+RULE+DEVICE": the rule's name was chosen in
 * dom0, and the device's is a plain kernel name or left out.
 */

#include "dom0/core/approval.h"

/* more than "allow:" and the longest target is not read */
#define PROMPT_ANSWER_MAX 4096U

/* malloc()ed requests. -ENOMEM. */
int prompt_encode(char **ret, size_t *ret_len, const Prompt *prompt);
int notification_encode(char **ret,
                        size_t *ret_len,
                        const Notification *notification);

/* A complete answer: "allow:TARGET" with a target that was offered is a yes,
 * no word at all is an agent that died, everything else is a no. */
PromptAnswer prompt_decode(const Prompt *prompt,
                           const char *untrusted_data,
                           size_t untrusted_len);
