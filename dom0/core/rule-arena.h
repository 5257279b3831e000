/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleArena: memory that lives as long as a ruleset
 *
 * What a ruleset is made of is allocated piece by piece while files are read,
 * never changed and freed all at once. Zeroed memory is an empty arena.
 */

#include "common/util.h"

typedef struct RuleArenaChunk RuleArenaChunk;

typedef struct RuleArena {
    RuleArenaChunk *newest;
} RuleArena;

/* Zeroed and aligned for any type; NULL without memory. */
void *rule_arena_alloc(RuleArena *arena, size_t size);
/* A copy of @n elements of @size bytes; of none, not NULL but nothing. */
void *rule_arena_copy(RuleArena *arena,
                      const void *elements,
                      size_t n,
                      size_t size);
/* A NUL-terminated copy. */
char *rule_arena_text(RuleArena *arena, const char *text, size_t len);

void rule_arena_clear(RuleArena *arena);
