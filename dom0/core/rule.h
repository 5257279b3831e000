/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule: one line of /etc/qubes/autoattach.d/NAME.rules (DESIGN 4)
 *
 * A rule is made by rule-parse only, never changes afterwards, and belongs to
 * the Ruleset that it was read into. Matching has no side effects.
 */

#include "common/record.h"
#include "dom0/core/target.h"

#define RULE_NAME_MAX       31U
#define RULE_FRONTEND_MAX   8U
#define RULE_CONDITIONS_MAX 64U
#define RULE_NAMES_MAX      64U /* in one list after `from` or `to` */
/* how long the person has to answer, in microseconds */
#define RULE_TIMEOUT_DEFAULT_USEC (UINT64_C(120) * 1000000)
#define RULE_TIMEOUT_MIN_USEC     (UINT64_C(1) * 1000000)
#define RULE_TIMEOUT_MAX_USEC     (UINT64_C(3600) * 1000000)

/* 0 grants nothing. */
typedef enum RuleAction {
    RULE_DENY,
    RULE_ASK,
    RULE_ALLOW,
} RuleAction;

typedef enum RuleClass {
    RULE_CLASS_INVALID,
    RULE_CLASS_BLOCK,
    RULE_CLASS_USB,
    RULE_CLASS_ANY,
} RuleClass;

typedef enum RuleStart {
    RULE_START_TARGET, /* start the target if it does not run */
    RULE_IF_RUNNING,   /* never start it */
    RULE_WHEN_RUNNING, /* do not start it, attach as soon as it runs */
} RuleStart;

typedef struct RuleName {
    char s[RULE_NAME_MAX + 1];
} RuleName;

/* Whether @c may be in a rule's name, or be its first. */
bool rule_name_may_have(char c, bool first);
_must_check_ bool rule_name_parse(RuleName *ret,
                                  const char *untrusted_text,
                                  size_t untrusted_len);

typedef struct Condition Condition; /* see rule-condition.h */

typedef struct RuleOptions {
    bool read_only;
    bool cdrom;
    bool quiet;
    bool close;
    char frontend[RULE_FRONTEND_MAX + 1]; /* "" or "xvdX" */
    RuleStart start;
    uint64_t timeout_usec;
} RuleOptions;

/* Where something is written: from 1, columns in characters. */
typedef struct RulePlace {
    unsigned int line;
    unsigned int column;
} RulePlace;

typedef struct Rule {
    RuleName name;
    RuleAction action;
    RuleClass class;

    const Condition *conditions;
    size_t n_conditions;
    bool whole_disks;        /* of block devices: see RULE_IMPLICIT_DISK */
    const QubeName *sources; /* none: any source */
    size_t n_sources;
    const Target *targets; /* none only for deny */
    size_t n_targets;
    RuleOptions options;

    const char *file;              /* as ruleset_add_file() was told it */
    unsigned int line;             /* of the rule's name, from 1 */
    unsigned int column;           /* the same */
    const RulePlace *condition_at; /* of each condition's key */
    const RulePlace *source_at;    /* of each source */
    const RulePlace *target_at;    /* of each target */
    const char *text;              /* in normal form: see rule_equal() */
} Rule;

/* Why a rule does not take a device. */
typedef enum RuleMismatch {
    RULE_MATCHES,
    RULE_OTHER_CLASS,
    RULE_OTHER_SOURCE,
    RULE_IMPLICIT_DISK, /* allow and ask mean whole disks unless told */
    RULE_CONDITION,     /* @ret_condition tells which */
} RuleMismatch;

/*
 * Test class, then source, then the conditions in the order they are written.
 * @ret_condition may be NULL; it is set to the index of the first condition
 * that failed, for RULE_CONDITION.
 */
RuleMismatch rule_match(const Rule *rule,
                        const QubeName *source,
                        const Record *record,
                        size_t *ret_condition);

/* Same name and same meaning: what an approval is bound to. */
bool rule_equal(const Rule *a, const Rule *b);

const char *rule_action_to_string(RuleAction action);
const char *rule_class_to_string(RuleClass class);
