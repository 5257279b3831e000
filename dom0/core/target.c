/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/target.h"

#define DISPVM          "@dispvm"
#define DISPVM_TEMPLATE "@dispvm:"

static bool begins_with(const char *text, size_t len, const char *prefix)
{
    return len >= strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0;
}

bool target_parse(Target *ret, const char *text, size_t len)
{
    Target target = {};

    if (len == strlen(DISPVM) && begins_with(text, len, DISPVM)) {
        target.kind = TARGET_DISPVM_DEFAULT;
    } else if (begins_with(text, len, DISPVM_TEMPLATE)) {
        target.kind = TARGET_DISPVM;
        text += strlen(DISPVM_TEMPLATE);
        len -= strlen(DISPVM_TEMPLATE);
    } else {
        target.kind = TARGET_QUBE;
    }

    if (target.kind != TARGET_DISPVM_DEFAULT &&
        !qube_name_parse(&target.name, text, len))
        return false;

    /* dom0 is no target, whatever else says so, and no template */
    if (strcmp(target.name.s, "dom0") == 0)
        return false;

    *ret = target;
    return true;
}

bool target_equal(const Target *a, const Target *b)
{
    return a->kind == b->kind && qube_name_equal(&a->name, &b->name);
}

char *target_to_string(const Target *target, char ret[TARGET_STRING_MAX + 1])
{
    const char *prefix = "";

    switch (target->kind) {
    case TARGET_INVALID:
    case TARGET_QUBE:
        break;
    case TARGET_DISPVM_DEFAULT:
        prefix = DISPVM;
        break;
    case TARGET_DISPVM:
        prefix = DISPVM_TEMPLATE;
        break;
    }

    (void) text_format(ret, TARGET_STRING_MAX + 1, "%s%s", prefix,
                       target->name.s);
    return ret;
}
