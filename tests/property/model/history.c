/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>

#include "common/rate.h"
#include "tests/property/model/catalogue.h"
#include "tests/property/model/history.h"

/* how often each kind of step is drawn */
static const struct {
    const char *name;
    unsigned int weight;
} kinds[STEP_KINDS] = {
    [STEP_WAIT] = { "wait", 4 },
    [STEP_PLUG] = { "plug", 30 },
    [STEP_UNPLUG] = { "unplug", 12 },
    [STEP_REPLUG] = { "replug", 8 },
    [STEP_SWAP] = { "swap", 5 },
    [STEP_EXCHANGE] = { "exchange", 4 },
    [STEP_MEDIUM] = { "medium", 4 },
    [STEP_MODE] = { "change of mode", 2 },
    [STEP_TOUCH] = { "touch", 6 },
    [STEP_ATTACH] = { "attach by hand", 8 },
    [STEP_DETACH] = { "detach by hand", 10 },
    [STEP_START] = { "start", 8 },
    [STEP_SHUTDOWN] = { "shutdown", 5 },
    [STEP_KILL] = { "kill", 5 },
    [STEP_RESTART] = { "restart", 5 },
    [STEP_ABORT] = { "stop during a start", 5 },
    [STEP_PAUSE] = { "pause", 3 },
    [STEP_UNPAUSE] = { "unpause", 4 },
    [STEP_SOURCE_STOP] = { "stop of a source", 2 },
    [STEP_SOURCE_START] = { "start of a source", 4 },
    [STEP_SOURCE_RESTART] = { "restart of a source", 2 },
    [STEP_SUSPEND] = { "suspend", 2 },
    [STEP_NATIVE] = { "native assignment", 3 },
    [STEP_QUBESD_CRASH] = { "crash of qubesd", 4 },
    [STEP_QUBESD_BUSY] = { "qubesd has no time", 4 },
    [STEP_STREAM_CUT] = { "cut of the events", 2 },
    [STEP_DAEMON_KILL] = { "kill of the daemon", 3 },
    [STEP_FWD_KILL] = { "kill of the forwarder", 4 },
    [STEP_SEND] = { "send by hand", 4 },
    [STEP_RULES] = { "rules", 8 },
    [STEP_POLICY] = { "policy", 5 },
    [STEP_POLICY_FAULT] = { "fault of policy", 1 },
    [STEP_HABIT] = { "habit", 8 },
    [STEP_AGENT] = { "login or logout", 2 },
    [STEP_FAULT] = { "fault", 4 },
    [STEP_CTL_PAUSE] = { "qvm-autoattach pause", 2 },
    [STEP_CTL_RESUME] = { "qvm-autoattach resume", 3 },
    [STEP_CTL_RETRY] = { "qvm-autoattach retry", 3 },
    [STEP_CTL_DETACH] = { "qvm-autoattach detach", 3 },
};

static const struct {
    const char *name;
    uint64_t usec;
    unsigned int weight;
} spans[] = {
    [SPAN_QUIET] = { "until rest", UINT64_MAX, 40 },
    { "at once", 0, 10 },
    { "20 ms", 20 * USEC_PER_MSEC, 10 },
    { "150 ms", 150 * USEC_PER_MSEC, 10 },
    { "700 ms", 700 * USEC_PER_MSEC, 10 },
    { "2 s", 2 * USEC_PER_SEC, 8 },
    { "4 s", 4 * USEC_PER_SEC, 6 },
    { "20 s", 20 * USEC_PER_SEC, 4 },
    { "65 s", 65 * USEC_PER_SEC, 2 },
    { "150 s", 150 * USEC_PER_SEC, 2 },
    { "700 s", 700 * USEC_PER_SEC, 1 },
};

uint64_t step_span_usec(unsigned int span)
{
    return spans[span].usec;
}

const char *step_span_name(unsigned int span)
{
    return spans[span].name;
}

const char *step_name(StepKind kind)
{
    return kinds[kind].name;
}

const char *fault_name(Fault fault)
{
    static const char *const names[] = {
        "none",         "an empty answer", "done, but an empty answer",
        "an exception", "garbage",         "silence",
        "no connection"
    };

    return names[fault];
}

const char *habit_name(Habit habit)
{
    static const char *const names[] = {
        "yes",   "yes, the last one", "no",
        "never", "yes, too late",     "the agent dies"
    };

    return names[habit];
}

static StepKind draw_kind(Random *random)
{
    unsigned int total = 0;
    size_t left;

    for (size_t i = 0; i < STEP_KINDS; i++)
        total += kinds[i].weight;
    left = random_below(random, total);
    for (size_t i = 0; i < STEP_KINDS; i++) {
        if (left < kinds[i].weight)
            return (StepKind) i;
        left -= kinds[i].weight;
    }
    return STEP_WAIT;
}

static unsigned int draw_span(Random *random)
{
    unsigned int total = 0;
    size_t left;

    for (size_t i = 0; i < ARRAY_SIZE(spans); i++)
        total += spans[i].weight;
    left = random_below(random, total);
    for (unsigned int i = 0; i < ARRAY_SIZE(spans); i++) {
        if (left < spans[i].weight)
            return i;
        left -= spans[i].weight;
    }
    return SPAN_QUIET;
}

void history_make(ModelHistory *ret, Random *random)
{
    *ret = (ModelHistory){
        .seed = random_next(random),
        .knobs = (uint32_t) random_next(random),
        .rules = (uint32_t) random_below(random, 1U << 16),
        .n_steps = 1 + random_below(random, STEPS_MAX),
    };
    for (size_t i = 0; i < ret->n_steps; i++)
        ret->steps[i] = (Step){
            .kind = draw_kind(random),
            .a = (uint32_t) (random_next(random) >> 32),
            .b = (uint32_t) (random_next(random) >> 32),
            .c = (uint32_t) (random_next(random) >> 32),
            .salt = random_next(random),
            .span = draw_span(random),
        };
}
