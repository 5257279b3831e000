/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The USB qube's end, and the floor to compare with, at little cost of its own.
 *
 *     bench-load latency ROUNDS PLAN          lanes in turn, see load-latency.c
 *     bench-load flood SOCKET PREAMBLE LINES COUNT PID
 *     bench-load parse LINES COUNT            what jansson alone needs for them
 *     bench-load spawn ROUNDS PLAN            programs, see load-spawn.c
 *
 * Figures come on standard output, times in nanoseconds.
 */

#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/load.h"

typedef struct Verb {
    const char *name;
    int n_arguments;
    int (*run)(int argc, char **argv);
} Verb;

int main(int argc, char **argv)
{
    static const Verb verbs[] = {
        { "latency", 2, load_latency },
        { "flood", 5, load_flood },
        { "parse", 2, load_parse },
        { "spawn", 2, load_spawn },
    };

    for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0 &&
            argc - 2 == verbs[i].n_arguments)
            return verbs[i].run(argc - 2, argv + 2);
    die("usage: bench-load latency|flood|parse|spawn ARGUMENT...");
}
