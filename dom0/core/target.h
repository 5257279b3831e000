/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Target: where a rule wants a device to go
 *
 * A qube by its name, a new disposable of dom0's default template
 * (`@dispvm`), or one of a named template (`@dispvm:TEMPLATE`).
 */

#include "common/qube-name.h"

#define TARGET_STRING_MAX (QUBE_NAME_MAX + 8U) /* "@dispvm:" NAME */

typedef enum TargetKind {
    TARGET_INVALID,
    TARGET_QUBE,
    TARGET_DISPVM_DEFAULT,
    TARGET_DISPVM,
} TargetKind;

typedef struct Target {
    TargetKind kind;
    QubeName name; /* of the qube or of the template; else empty */
} Target;

_must_check_ bool target_parse(Target *ret, const char *text, size_t len);
bool target_equal(const Target *a, const Target *b);

/* As written in a rule. Answers @ret. */
char *target_to_string(const Target *target, char ret[TARGET_STRING_MAX + 1]);
