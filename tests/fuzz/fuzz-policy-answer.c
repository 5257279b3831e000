/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as the policy daemon's answer: only one text is a yes. */

#include <stdlib.h>
#include <string.h>

#include "dom0/wire/policy.h"
#include "tests/fuzz/taken.h"

#define YES "result=allow"
#define NO  "result=deny"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is(const uint8_t *data, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(data, text, size) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PolicyAnswer answer = policy_decode((const char *) data, size);

    fuzz_set_taken(answer == POLICY_YES || answer == POLICY_NO);
    if ((answer == POLICY_YES) != is(data, size, YES) ||
        (answer == POLICY_NO) != is(data, size, NO))
        abort();
    return 0;
}
