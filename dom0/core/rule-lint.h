/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rule lint: what is right by the language and yet hardly meant (DESIGN 4)
 *
 * Adds a warning for a rule
 *
 *   - that can never match: an earlier one takes all that it would, or its
 *     conditions exclude each other;
 *   - whose source or target does not exist;
 *   - that allows by nothing but what is written on the disk;
 *   - that allows keyboards and mice to be taken away as USB devices;
 *   - that would wait for disposables, which are made when they are needed;
 *   - that attaches without a condition that tells devices apart;
 *   - that would take the same plug as an earlier one of the other class.
 *
 * None of it is said unless it is sure. What comparing all rules costs is
 * bounded; where it was too much one more warning says so.
 */

#include "common/qube-name.h"
#include "common/rules-file.h"
#include "dom0/core/ruleset.h"

typedef struct RuleLintHelp {
    /* what the rules were read from, each by the name that its rules have, to
     * show their lines */
    const RulesFile *files;
    size_t n_files;
    /* all qubes there are, ordered by name as strcmp() does; NULL if that is
     * not known */
    const QubeName *qubes;
    size_t n_qubes;
} RuleLintHelp;

/* Warnings are in the order of the rules. Fails only with -ENOMEM. */
int rule_lint(const Ruleset *ruleset,
              const RuleLintHelp *help,
              Diagnostics *diagnostics);
