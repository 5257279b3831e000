/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as the policy agent's answer
 *
 * A yes is exactly "allow:" and the text of a target that was offered, and
 * that is a yes. What was chosen can go into requests of qubesd.
 */

#include <stdlib.h>
#include <string.h>

#include "dom0/wire/prompt.h"
#include "tests/fuzz/taken.h"
#include "tests/support/request-header.h"

#define ALLOW "allow:"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static Prompt offer(void)
{
    static const char *const targets[] = { "work", "work2",
                                           "@dispvm:media-dvm" };
    Prompt prompt = { .n_targets = ARRAY_SIZE(targets) };

    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        require(
            target_parse(&prompt.targets[i], targets[i], strlen(targets[i])));
    return prompt;
}

/* The target that @data allows, or the number of targets. */
static size_t allowed(const Prompt *prompt, const uint8_t *data, size_t size)
{
    size_t i;

    for (i = 0; i < prompt->n_targets; i++) {
        char yes[sizeof(ALLOW) + TARGET_STRING_MAX] = ALLOW;

        (void) target_to_string(&prompt->targets[i], yes + strlen(ALLOW));
        if (strlen(yes) == size && memcmp(yes, data, size) == 0)
            break;
    }
    return i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const Prompt prompt = offer();
    const PromptAnswer answer =
        prompt_decode(&prompt, (const char *) data, size);
    size_t target = allowed(&prompt, data, size);

    fuzz_set_taken(answer.result == PROMPT_YES);
    require((answer.result == PROMPT_DIED) == (size == 0));
    require(answer.result != PROMPT_NO_AGENT);
    require((answer.result == PROMPT_YES) == (target < prompt.n_targets));
    if (answer.result == PROMPT_YES) {
        require(answer.target == target);
        require(request_of_qube_is_true(&prompt.targets[target].name));
    }
    return 0;
}
