/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What must hold between the parts of a rule
 */

#include "dom0/core/rule-draft.h"
#include "dom0/core/rule-report.h"

/* Report all that is wrong. What hangs on a part that was refused before is
 * not looked at. */
void rule_check(const RuleDraft *draft, RuleReport *report);
