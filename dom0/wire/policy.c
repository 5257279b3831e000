/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "dom0/wire/policy.h"

static bool is_text(const char *data, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(data, text, len) == 0;
}

size_t policy_encode(char ret[POLICY_REQUEST_MAX],
                     const PolicyQuestion *question)
{
    char target[TARGET_STRING_MAX + 1];
    size_t len = text_format(
        ret, POLICY_REQUEST_MAX,
        "source=dom0\n"
        "intended_target=%s\n"
        "service_and_arg=autoattach.Attach+%s\n"
        "just_evaluate=yes\n"
        "%s\n",
        target_to_string(&question->target, target), question->source.s,
        question->assume_yes ? "assume_yes_for_ask=yes\n" : "");

    assert(len < POLICY_REQUEST_MAX - 1);
    return len;
}

PolicyAnswer policy_decode(const char *untrusted_data, size_t untrusted_len)
{
    if (is_text(untrusted_data, untrusted_len, "result=allow"))
        return POLICY_YES;
    if (is_text(untrusted_data, untrusted_len, "result=deny"))
        return POLICY_NO;
    return POLICY_SILENT;
}
