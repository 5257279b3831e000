/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The policy daemon's questions and answers (WIRE 3), always with
 * just_evaluate: it must never prompt by itself. */

#include "dom0/core/approval.h"

#define POLICY_REQUEST_MAX 256U
#define POLICY_ANSWER_MAX  4096U

/* Write the question; answers its length. Cannot fail. */
size_t policy_encode(char ret[POLICY_REQUEST_MAX],
                     const PolicyQuestion *question);

PolicyAnswer policy_decode(const char *untrusted_data, size_t untrusted_len);
