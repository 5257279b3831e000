/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "tests/property/model/hotplug.h"
#include "tests/property/model/judge.h"
#include "tests/property/model/person.h"
#include "tests/property/model/world.h"

#define POLICY_MAX_USEC (20 * USEC_PER_MSEC)
#define LOOK_MIN_USEC   (1 * USEC_PER_SEC)
#define LOOK_MAX_USEC   (8 * USEC_PER_SEC)
#define LATE_MAX_USEC   (20 * USEC_PER_SEC)
#define TIMEOUT_S       120U

Choice choice_of_target(const Target *target)
{
    switch (target->kind) {
    case TARGET_DISPVM_DEFAULT:
        return CHOICE_DISPVM;
    case TARGET_DISPVM:
        return strcmp(target->name.s, "dvm") == 0 ? CHOICE_DISPVM_DVM : CHOICES;
    case TARGET_QUBE:
        for (Choice i = CHOICE_WORK; i <= CHOICE_MEDIA; i++)
            if (strcmp(target->name.s, choice_name(i)) == 0)
                return i;
        break;
    case TARGET_INVALID:
        break;
    }
    return CHOICES;
}

/* policy */

void policy_on_question(Model *m, uint64_t id, const PolicyQuestion *question)
{
    Question *slot = m->questions;

    while (slot->used)
        slot++;
    assert(slot < m->questions + QUESTIONS_MAX);
    *slot = (Question){ .used = true,
                        .id = id,
                        .daemon_life = m->daemon_life,
                        .question = *question };
    dues_add(m, m->now.monotonic_usec + delay(m, POLICY_MAX_USEC), DUE_VERDICT,
             (int) (slot - m->questions), 0, 0);
}

static PolicyAnswer policy_answer(Model *m, const PolicyQuestion *question)
{
    Choice choice = choice_of_target(&question->target);
    Fault fault = m->policy_fault;

    if (fault != FAULT_NONE) {
        if (--m->n_policy_faults == 0)
            m->policy_fault = FAULT_NONE;
        m->policy_fault_tick = m->tick;
    }
    switch (fault) {
    case FAULT_NONE:
        break;
    case FAULT_EMPTY:
    case FAULT_EMPTY_DONE:
    case FAULT_GARBAGE:
        return POLICY_SILENT;
    case FAULT_EXCEPTION:
    case FAULT_REFUSED:
    case FAULTS:
        return POLICY_UNREACHABLE;
    case FAULT_SILENCE:
        return POLICY_TIMED_OUT;
    }
    if (choice == CHOICES)
        return POLICY_NO;
    switch (m->policy[choice]) {
    case RULE_ALLOW:
        return POLICY_YES;
    case RULE_ASK:
        return question->assume_yes ? POLICY_YES : POLICY_NO;
    case RULE_DENY:
        break;
    }
    return POLICY_NO;
}

bool policy_on_due(Model *m,
                   const Due *due,
                   Question *ret_question,
                   PolicyAnswer *ret_answer)
{
    Question *slot = &m->questions[due->a];

    slot->used = false;
    *ret_question = *slot;
    if (!m->manager || slot->daemon_life != m->daemon_life)
        return false;
    *ret_answer = policy_answer(m, &slot->question);
    return true;
}

/* prompts */

OpenWindow *window_new(Model *m, uint64_t id, const Prompt *prompt)
{
    OpenWindow *window = m->windows;

    while (window->used)
        window++;
    assert(window < m->windows + WINDOWS_OPEN_MAX);
    *window = (OpenWindow){ .used = true,
                            .life = window->life + 1,
                            .id = id,
                            .daemon_life = m->daemon_life,
                            .opened_usec = m->now.monotonic_usec,
                            .prompt = *prompt,
                            .seat = NO_SEAT };
    return window;
}

void window_await_click(Model *m, OpenWindow *window)
{
    uint64_t usec = m->now.monotonic_usec;
    unsigned int timeout_s = window->rule && window->rule->timeout_s
                                 ? window->rule->timeout_s
                                 : TIMEOUT_S;

    window->habit = m->habit;
    if (!m->agent_there) {
        dues_add(m, usec, DUE_CLICK, (int) (window - m->windows), 0,
                 window->life);
        return;
    }
    if (m->habit == HABIT_NEVER)
        return;
    usec += delay_between(m, LOOK_MIN_USEC, LOOK_MAX_USEC);
    if (m->habit == HABIT_LATE)
        usec += timeout_s * USEC_PER_SEC + delay(m, LATE_MAX_USEC);
    dues_add(m, usec, DUE_CLICK, (int) (window - m->windows), 0, window->life);
}

static PromptAnswer click(const Model *m, const OpenWindow *window)
{
    PromptAnswer answer = { .result = PROMPT_NO };

    if (!m->agent_there) {
        answer.result = window->habit == HABITS ? PROMPT_DIED : PROMPT_NO_AGENT;
        return answer;
    }
    switch (window->habit) {
    case HABIT_YES:
    case HABIT_LATE:
        answer.result = PROMPT_YES;
        answer.target = window->prompt.preselected;
        break;
    case HABIT_LAST:
        answer.result = PROMPT_YES;
        answer.target = window->prompt.n_targets - 1;
        break;
    case HABIT_DIE:
    case HABITS:
        answer.result = PROMPT_DIED;
        break;
    case HABIT_NO:
    case HABIT_NEVER:
        break;
    }
    return answer;
}

bool window_on_click(Model *m,
                     const Due *due,
                     OpenWindow *ret_window,
                     PromptAnswer *ret_answer)
{
    OpenWindow *window = &m->windows[due->a];

    if (!window->used || window->life != due->life)
        return false;
    window->used = false;
    *ret_window = *window;
    *ret_answer = click(m, window);
    return m->manager && window->daemon_life == m->daemon_life;
}

void agent_change(Model *m)
{
    m->agent_there = !m->agent_there;
    trace(m, "        the person logs %s", m->agent_there ? "in" : "out");
    if (m->agent_there) {
        m->agent_absent_tick = m->tick;
        return;
    }
    for (size_t i = 0; i < WINDOWS_OPEN_MAX; i++) {
        OpenWindow *window = &m->windows[i];

        if (!window->used)
            continue;
        window->life++;
        window->habit = HABITS;
        dues_add(m, m->now.monotonic_usec, DUE_CLICK, (int) i, 0, window->life);
    }
}

/* by hand */

void person_attach(Model *m, int seat, int qube)
{
    int dev = dev_listed_at(m, seat);
    const Qube *target = &m->qubes[qube];

    if (!m->qubesd_up || dev == NONE || dev_attached_at(m, seat) != NONE ||
        !m->devs[dev].exists || !qube_runs(m, qube) ||
        m->devs[dev].lingers_usec > m->now.monotonic_usec)
        return;
    if (m->devs[dev].class == DEVICE_CLASS_USB &&
        (target->usb_work > 0 || !target->usb_proxy))
        return;
    dev_attach(m, dev, qube, ACTOR_PERSON);
}

void person_detach(Model *m, int seat)
{
    int dev = dev_attached_at(m, seat);

    if (m->qubesd_up && dev != NONE)
        dev_detach(m, dev, CAUSE_PERSON);
}
