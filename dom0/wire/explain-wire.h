/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Explanations as JSON: what Explain answers, and `explain FILE` prints
 *
 * The forms are those of org.qubes-contrib.autoattach.varlink.
 */

#include <jansson.h>

#include "dom0/core/rule-explain.h"
#include "dom0/core/trial.h"

/* So many of the largest fit into one reply. */
#define EXPLAIN_WIRE_BATCH 64U

#define EXPLAIN_WIRE_TEXT_MAX 1024U /* of a condition or rule; else cut */

typedef struct Explanation {
    const Rule *rule; /* that takes the device, or NULL */
    size_t n_rules;   /* that there are */
    const TrialTarget *targets;
    size_t n_targets;
    TrialVerdict verdict;
} Explanation;

/* Each NULL without memory. A rule, and why it takes the device or not: */
json_t *step_to_json(const Rule *rule,
                     const QubeName *source,
                     const Record *record);
/* Takes over @device, which may be NULL for want of memory. */
json_t *explanation_to_json(const Explanation *explanation, json_t *device);

/* All qubes there are: the list that ListQubes answers. */
json_t *qubes_to_json(const QubeList *qubes);
