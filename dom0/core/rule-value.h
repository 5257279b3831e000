/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The value of a condition or an option, made from one token
 *
 * Each answers false when the token is refused; then why, and what would be
 * right, was reported (or @report holds -ENOMEM).
 */

#include "dom0/core/rule-arena.h"
#include "dom0/core/rule-condition.h"
#include "dom0/core/rule-report.h"
#include "dom0/core/rule.h"

_must_check_ bool rule_value_parse(ConditionValue *ret,
                                   ConditionKey key,
                                   const RuleToken *token,
                                   RuleArena *arena,
                                   RuleReport *report);

/* Which of the names are allowed depends on `cdrom`: see rule-check. */
bool rule_frontend_parse(char ret[RULE_FRONTEND_MAX + 1],
                         const RuleToken *token,
                         RuleReport *report);

bool rule_timeout_parse(uint64_t *ret,
                        const RuleToken *token,
                        RuleReport *report);

_must_check_ bool rule_source_parse(QubeName *ret,
                                    const RuleToken *token,
                                    RuleReport *report);
_must_check_ bool rule_target_parse(Target *ret,
                                    const RuleToken *token,
                                    RuleReport *report);
