/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Approval: what is asked of the policy daemon and of the person (DESIGN 5)
 *
 * Values only; their bytes are WIRE 3's and 4's, in dom0/wire/policy.h and
 * dom0/wire/prompt.h.
 */

#include "common/device.h"
#include "common/rate.h"
#include "dom0/core/admin.h"
#include "dom0/core/rule.h"

/* a qube's targets in one rule; the rule language allows no more */
#define APPROVAL_TARGETS_MAX 64U
#define APPROVAL_ICON_MAX    63U

#define POLICY_USEC (10 * USEC_PER_SEC)
/* as long as the person does not answer the window stays, and so do we */
#define NOTIFY_USEC (10 * USEC_PER_SEC)

/* May dom0 call autoattach.Attach+SOURCE on TARGET? */
typedef struct PolicyQuestion {
    QubeName source;
    Target target;
    bool assume_yes; /* "ask" counts as allow */
} PolicyQuestion;

typedef enum PolicyAnswer {
    POLICY_NO,          /* 0 */
    POLICY_SILENT,      /* an empty answer, or none that makes sense: no */
    POLICY_UNREACHABLE, /* nobody is there: no */
    POLICY_TIMED_OUT,   /* no */
    POLICY_YES,
} PolicyAnswer;

typedef struct IconName {
    char
        s[APPROVAL_ICON_MAX + 1]; /* as "appvm-red": letters, digits, - and _ */
} IconName;

_must_check_ bool icon_name_parse(IconName *ret,
                                  const char *untrusted_name,
                                  size_t untrusted_len);

/* What the person is shown. */
typedef struct Prompt {
    QubeName source;
    IconName source_icon;
    RuleName rule;
    DeviceName device; /* "": not of a plain kernel name, so not shown */
    Target targets[APPROVAL_TARGETS_MAX]; /* never TARGET_DISPVM_DEFAULT */
    IconName icons[APPROVAL_TARGETS_MAX];
    size_t n_targets;
    size_t preselected;
} Prompt;

typedef enum PromptResult {
    PROMPT_NO,       /* 0: anything but exactly a yes */
    PROMPT_NO_AGENT, /* nobody is logged in: ask again later */
    PROMPT_DIED,     /* the agent went without a word */
    PROMPT_YES,
} PromptResult;

typedef struct PromptAnswer {
    PromptResult result;
    size_t target; /* PROMPT_YES: index in the prompt's targets */
} PromptAnswer;

/* What the person is told afterwards, without being asked. */
typedef struct Notification {
    bool failed; /* else it was attached */
    QubeName source;
    RuleName rule;
    DeviceName device; /* as in Prompt */
    char target[TARGET_STRING_MAX + 1];
} Notification;

/*
 * Whether the person can be asked about devices of @source, by what qubesd has
 * answered of its property guivm: prompts are shown in that GUI domain, and
 * only dom0 as that can be served. If not, @ret_detail says why; else it is "".
 */
bool approval_can_ask(const QubeName *source,
                      const AdminAnswer *guivm,
                      char ret_detail[static ADMIN_DETAIL_MAX + 1]);

/*
 * Whether the name is one that the kernel gives by itself: sd*, mmcblk*,
 * nvme*, sr*, dm-*, md*, loop* with their partitions, or a USB port. No other
 * word of the device's choice gets near the prompt.
 */
bool device_name_is_plain(DeviceClass class, const DeviceName *name);
