/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as the policy agent's answer
 *
 * A yes is exactly "allow:" and the text of a target that was offered.
 */

#include <stdlib.h>
#include <string.h>

#include "dom0/wire/prompt.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const Prompt prompt = offer();
    const PromptAnswer answer =
        prompt_decode(&prompt, (const char *) data, size);
    char target[TARGET_STRING_MAX + 1];
    size_t len;

    require((answer.result == PROMPT_DIED) == (size == 0));
    require(answer.result != PROMPT_NO_AGENT);
    if (answer.result != PROMPT_YES)
        return 0;

    require(answer.target < prompt.n_targets);
    (void) target_to_string(&prompt.targets[answer.target], target);
    len = strlen(target);
    require(size == strlen(ALLOW) + len &&
            memcmp(data, ALLOW, strlen(ALLOW)) == 0 &&
            memcmp(data + strlen(ALLOW), target, len) == 0);
    return 0;
}
