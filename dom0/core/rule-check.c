/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-check.h"

static bool has_option(const RuleDraft *draft, RuleOption option)
{
    return rule_token_is_set(&draft->option_at[option]);
}

static void check_conditions(const RuleDraft *draft, RuleReport *report)
{
    if (draft->class == RULE_CLASS_BLOCK || draft->class == RULE_CLASS_INVALID)
        return;

    for (size_t i = 0; i < draft->n_conditions; i++) {
        ConditionKey key = draft->conditions[i].key;

        if (!condition_key_is_block_only(key))
            continue;
        RULE_REPORT(report, &draft->condition_at[i],
                    "only block devices have '%s', and this rule is for class "
                    "'%s'; write 'block' there, or remove the condition",
                    condition_key_name(key),
                    rule_class_to_string(draft->class));
    }
}

static void check_block_options(const RuleDraft *draft, RuleReport *report)
{
    static const RuleOption options[] = {
        RULE_OPTION_READ_ONLY,
        RULE_OPTION_FRONTEND,
        RULE_OPTION_CDROM,
    };

    if (draft->class != RULE_CLASS_USB)
        return;

    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (has_option(draft, options[i]))
            RULE_REPORT(report, &draft->option_at[options[i]],
                        "'%s' is for block devices only; write class 'block', "
                        "or remove the option",
                        rule_option_name(options[i]));
}

/* xvda to xvdd are the target's own disks; xvdd is free for a cdrom. */
static void check_frontend(const RuleDraft *draft, RuleReport *report)
{
    const RuleToken *at = &draft->option_at[RULE_OPTION_FRONTEND];
    char last = draft->options.frontend[0] ? draft->options.frontend[3] : 'z';

    if (last < 'd')
        RULE_REPORT(report, at,
                    "%s is a disk of the target qube itself; choose xvde to "
                    "xvdz",
                    draft->options.frontend);
    else if (last == 'd' && !draft->options.cdrom)
        RULE_REPORT(report, at,
                    "xvdd is for a 'cdrom' only; choose xvde to xvdz, or add "
                    "'cdrom'");
}

static void check_options(const RuleDraft *draft, RuleReport *report)
{
    bool disposable = draft->targets_refused || draft->n_targets == 0;

    check_block_options(draft, report);
    check_frontend(draft, report);

    if (has_option(draft, RULE_OPTION_IF_RUNNING) &&
        has_option(draft, RULE_OPTION_WHEN_RUNNING))
        RULE_REPORT(report, &draft->option_at[RULE_OPTION_WHEN_RUNNING],
                    "'if-running' and 'when-running' exclude each other; keep "
                    "one: the first gives up, the second waits");

    for (size_t i = 0; i < draft->n_targets; i++)
        disposable |= draft->targets[i].kind != TARGET_QUBE;
    if (has_option(draft, RULE_OPTION_CLOSE) && !disposable)
        RULE_REPORT(report, &draft->option_at[RULE_OPTION_CLOSE],
                    "'close' shuts disposables down, and no target is one; "
                    "write 'to @dispvm', or remove it");
}

/* A source is never a target: it has the device already. */
static void check_source_as_target(const RuleDraft *draft, RuleReport *report)
{
    for (size_t i = 0; i < draft->n_targets; i++)
        for (size_t j = 0; j < draft->n_sources; j++)
            if (draft->targets[i].kind == TARGET_QUBE &&
                qube_name_equal(&draft->targets[i].name, &draft->sources[j]))
                RULE_REPORT(report, &draft->target_at[i],
                            "%s is %s of this rule and has the device already; "
                            "name another target%s",
                            draft->sources[j].s,
                            draft->n_sources > 1 ? "a source" : "the source",
                            draft->n_sources > 1
                                ? ", or write a rule for each source"
                                : "");
}

static void check_deny(const RuleDraft *draft, RuleReport *report)
{
    if (rule_token_is_set(&draft->to_at))
        RULE_REPORT(report, &draft->to_at,
                    "a 'deny' rule has no target; remove 'to' and what belongs "
                    "to it");

    for (size_t i = 0; i < N_RULE_OPTIONS; i++)
        if (has_option(draft, (RuleOption) i)) {
            RULE_REPORT(report, &draft->option_at[i],
                        "a 'deny' rule has no options; remove '%s'",
                        rule_option_name((RuleOption) i));
            break;
        }
}

void rule_check(const RuleDraft *draft, RuleReport *report)
{
    check_conditions(draft, report);

    /* RULE_DENY is also what a refused action is left as */
    if (!rule_token_is_set(&draft->action_at))
        return;
    if (draft->action == RULE_DENY) {
        check_deny(draft, report);
        return;
    }

    if (!rule_token_is_set(&draft->to_at))
        RULE_REPORT(report, &draft->action_at,
                    "'%s' needs a target; add 'to QUBE', 'to { QUBE QUBE }' or "
                    "'to @dispvm'",
                    rule_action_to_string(draft->action));
    check_source_as_target(draft, report);
    check_options(draft, report);
}
