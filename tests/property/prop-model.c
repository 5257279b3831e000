/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The core against a model of dom0 (see model/model.h): random histories of a
 * person's acts and of what goes wrong, in virtual time, judged by what DESIGN
 * says.
 *
 *     AUTOATTACH_SEED       where the histories begin, if not at several seeds
 *     AUTOATTACH_HISTORIES  how many, from each
 *
 * A history that fails is made as small as it can be and printed, step by step
 * and with all that happened; its own seed repeats it alone.
 */

#include <stdio.h>
#include <stdlib.h>

#include "tests/property/model/play.h"
#include "tests/property/model/shrink.h"
#include "tests/support/random.h"
#include "tests/support/test.h"

#define HISTORIES (2500U / TESTS_SHARE)

static const uint64_t seeds[] = { 1, 2, 3, 4, 5 };

static size_t histories(void)
{
    const char *text = getenv("AUTOATTACH_HISTORIES");

    return text ? strtoul(text, NULL, 0) : HISTORIES;
}

static void fail_history(ModelHistory *history, uint64_t seed, size_t index)
{
    Coverage coverage = {};
    Failure failure;

    history_shrink(history);
    (void) printf("\nhistory %zu fails; made smaller:\n", index);
    history_print(history);
    (void) printf("what happened:\n");
    failure = play(history, &coverage, true);
    fail_msg("%s; history %zu, " RANDOM_SEED_FORMAT
             " AUTOATTACH_HISTORIES=1 repeats it",
             failure.text, index, seed);
}

static void play_all(Random random, size_t n, Coverage *coverage)
{
    for (size_t i = 0; i < n; i++) {
        static ModelHistory history;
        uint64_t seed = random.state;

        history_make(&history, &random);
        if (play(&history, coverage, false).failed)
            fail_history(&history, seed, i);
    }
}

static void test_every_history_ends_as_design_says(void **state)
{
    static Coverage coverage;
    bool one = getenv("AUTOATTACH_SEED") != NULL;
    size_t n = histories(), n_all = one ? n : n * ARRAY_SIZE(seeds);

    (void) state;

    if (one)
        play_all(random_begin(), n, &coverage);
    for (size_t i = 0; !one && i < ARRAY_SIZE(seeds); i++)
        play_all((Random){ .state = seeds[i] }, n, &coverage);
    (void) printf("%zu histories: %zu attached, %zu Detach calls, %zu prompts, "
                  "%zu times at rest\n",
                  n_all, (size_t) coverage.attaches, (size_t) coverage.detaches,
                  (size_t) coverage.prompts, (size_t) coverage.quiets);
    for (size_t i = 0; i < ARRAY_SIZE(coverage.outcomes); i++)
        if (coverage.outcomes[i] > 0)
            (void) printf("  %zu: %zu\n", i, (size_t) coverage.outcomes[i]);
    book_close();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_history_ends_as_design_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
