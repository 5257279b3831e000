/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "tests/property/model/play.h"
#include "tests/property/model/rulebook.h"
#include "tests/property/model/shrink.h"

static bool fails(const ModelHistory *history)
{
    static Coverage coverage;

    return play(history, &coverage, false).failed;
}

static void drop(ModelHistory *history, size_t first, size_t n)
{
    memmove(&history->steps[first], &history->steps[first + n],
            (history->n_steps - first - n) * sizeof(history->steps[0]));
    history->n_steps -= n;
}

/* Leave out @n steps at a time, wherever it still fails without them. */
static bool drop_steps(ModelHistory *history, size_t n)
{
    static ModelHistory smaller;
    bool any = false;

    for (size_t i = history->n_steps; i-- > 0;) {
        if (i + n > history->n_steps)
            continue;
        smaller = *history;
        drop(&smaller, i, n);
        if (!fails(&smaller))
            continue;
        *history = smaller;
        any = true;
    }
    return any;
}

/* A history in which all comes to rest after each step is easier to read. */
static bool calm_steps(ModelHistory *history)
{
    static ModelHistory calmer;
    bool any = false;

    for (size_t i = 0; i < history->n_steps; i++) {
        if (history->steps[i].span == SPAN_QUIET)
            continue;
        calmer = *history;
        calmer.steps[i].span = SPAN_QUIET;
        if (!fails(&calmer))
            continue;
        *history = calmer;
        any = true;
    }
    return any;
}

static bool clear_knobs(ModelHistory *history)
{
    bool any = false;

    for (unsigned int i = 0; i < 32; i++) {
        ModelHistory plainer = *history;

        plainer.knobs &= ~(UINT32_C(1) << i);
        if (plainer.knobs == history->knobs || !fails(&plainer))
            continue;
        *history = plainer;
        any = true;
    }
    return any;
}

void history_shrink(ModelHistory *history)
{
    bool any = true;

    while (any) {
        any = false;
        for (size_t n = history->n_steps / 2 + 1; n > 0; n /= 2)
            any = drop_steps(history, n) || any;
        any = calm_steps(history) || any;
        any = clear_knobs(history) || any;
    }
}

void history_print(const ModelHistory *history)
{
    (void) printf("  knobs %#x, rules %zu\n", history->knobs,
                  (size_t) (history->rules % book_count()));
    for (size_t i = 0; i < history->n_steps; i++) {
        const Step *step = &history->steps[i];

        (void) printf("  %2zu. %s (%u, %u, %u), %s\n", i + 1,
                      step_name(step->kind), step->a, step->b, step->c,
                      step_span_name(step->span));
    }
}
