/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * History: what a person and fate do, step by step
 *
 * A value: made from a seed, printed for people, made smaller while it still
 * fails. A step that makes no sense when its time has come does nothing, and
 * each brings its own randomness, so any of them can be left out.
 */

#include "common/util.h"
#include "tests/support/random.h"

#define STEPS_MAX 64U

typedef struct Model Model;

typedef enum StepKind {
    STEP_WAIT,
    STEP_PLUG,     /* thing a into source b, port c */
    STEP_UNPLUG,   /* thing a */
    STEP_REPLUG,   /* thing a, back after a while of b */
    STEP_SWAP,     /* thing a by thing b, at the same port */
    STEP_EXCHANGE, /* the same, while thing a is being looked at or approved: c
                    */
    STEP_MEDIUM,   /* slot a of the card reader: in or out */
    STEP_MODE,     /* the phone's */
    STEP_TOUCH,    /* a "change" of seat a without a change */
    STEP_ATTACH,   /* the person: seat a to target b */
    STEP_DETACH,   /* the person: seat a */
    STEP_START,    /* target a */
    STEP_SHUTDOWN,
    STEP_KILL,
    STEP_RESTART, /* target a, once qubesd has answered a call about it: b */
    STEP_ABORT,   /* of target a, in its start that goes on or comes next: b */
    STEP_PAUSE,
    STEP_UNPAUSE,
    STEP_SOURCE_STOP,
    STEP_SOURCE_START,
    STEP_SOURCE_RESTART, /* at once */
    STEP_SUSPEND,        /* source a */
    STEP_NATIVE,         /* a native assignment of seat a to target b */
    STEP_QUBESD_CRASH,   /* for a while of a */
    STEP_QUBESD_BUSY,    /* for a while of a */
    STEP_STREAM_CUT,
    STEP_DAEMON_KILL, /* for a while of a */
    STEP_FWD_KILL,    /* of source a */
    STEP_SEND,        /* seat a, by hand */
    STEP_RULES,       /* set a */
    STEP_POLICY,      /* choice a: b */
    STEP_POLICY_FAULT,
    STEP_HABIT, /* a */
    STEP_AGENT, /* logs in or out */
    STEP_FAULT, /* of method a: b */
    STEP_CTL_PAUSE,
    STEP_CTL_RESUME,
    STEP_CTL_RETRY,  /* seat a */
    STEP_CTL_DETACH, /* seat a */
    STEP_KINDS,
} StepKind;

/* What goes wrong with one call. */
typedef enum Fault {
    FAULT_NONE,
    FAULT_EMPTY,      /* nothing was done */
    FAULT_EMPTY_DONE, /* it was done, but not told */
    FAULT_EXCEPTION,
    FAULT_GARBAGE,
    FAULT_SILENCE, /* nothing is done, nothing comes */
    FAULT_REFUSED, /* it is there, but takes no connection now */
    FAULTS,
} Fault;

/* What the person does with a prompt. */
typedef enum Habit {
    HABIT_YES,
    HABIT_LAST, /* yes, to the last one of the list */
    HABIT_NO,
    HABIT_NEVER,
    HABIT_LATE, /* yes, when the rule's time is over */
    HABIT_DIE,  /* the agent dies */
    HABITS,
} Habit;

typedef struct Step {
    StepKind kind;
    uint32_t a, b, c;
    uint64_t salt;
    unsigned int span; /* index, see step_span_usec() */
} Step;

typedef struct ModelHistory {
    uint64_t seed;
    uint32_t knobs;
    uint32_t rules;
    size_t n_steps;
    Step steps[STEPS_MAX];
} ModelHistory;

/* until all is quiet */
#define SPAN_QUIET 0U

void history_make(ModelHistory *ret, Random *random);
/* UINT64_MAX for SPAN_QUIET */
uint64_t step_span_usec(unsigned int span);
const char *step_span_name(unsigned int span);

const char *step_name(StepKind kind);
const char *fault_name(Fault fault);
const char *habit_name(Habit habit);
