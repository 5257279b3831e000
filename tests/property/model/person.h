/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The person: prompts, what policy says, and what is done by hand. */

#include "tests/property/model/model.h"

/* The policy daemon. */
void policy_on_question(Model *m, uint64_t id, const PolicyQuestion *question);
/* The answer that is due; false if nobody waits for it. */
bool policy_on_due(Model *m,
                   const Due *due,
                   Question *ret_question,
                   PolicyAnswer *ret_answer);

/* The policy agent. */
OpenWindow *window_new(Model *m, uint64_t id, const Prompt *prompt);
void window_await_click(Model *m, OpenWindow *window);
/* The answer that is due; false if nobody waits for it. */
bool window_on_click(Model *m,
                     const Due *due,
                     OpenWindow *ret_window,
                     PromptAnswer *ret_answer);
void agent_change(Model *m);

/* Nothing happens where qubesd would refuse it. */
void person_attach(Model *m, int seat, int qube);
void person_detach(Model *m, int seat);

/* CHOICES if there is none. */
Choice choice_of_target(const Target *target);
