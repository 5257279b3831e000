/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/rule-arena.h"

#define CHUNK_SIZE ((size_t) 32 * 1024)

struct RuleArenaChunk {
    RuleArenaChunk *older;
    size_t size;
    size_t used;
    max_align_t data[];
};

static RuleArenaChunk *chunk_new(size_t size)
{
    RuleArenaChunk *chunk;
    size_t whole;

    if (__builtin_add_overflow(size, sizeof(*chunk), &whole))
        return NULL;

    chunk = calloc(1, whole);
    if (chunk)
        chunk->size = size;
    return chunk;
}

void *rule_arena_alloc(RuleArena *arena, size_t size)
{
    RuleArenaChunk *chunk = arena->newest;
    size_t align = _Alignof(max_align_t), rounded;
    void *place;

    if (__builtin_add_overflow(size, align - 1, &rounded))
        return NULL;
    rounded -= rounded % align;

    if (!chunk || chunk->size - chunk->used < rounded) {
        chunk = chunk_new(rounded > CHUNK_SIZE ? rounded : CHUNK_SIZE);
        if (!chunk)
            return NULL;
        chunk->older = arena->newest;
        arena->newest = chunk;
    }

    place = (char *) chunk->data + chunk->used;
    chunk->used += rounded;
    return place;
}

void *rule_arena_copy(RuleArena *arena,
                      const void *elements,
                      size_t n,
                      size_t size)
{
    size_t whole;
    void *copy;

    if (__builtin_mul_overflow(n, size, &whole))
        return NULL;

    copy = rule_arena_alloc(arena, whole);
    if (copy && whole > 0)
        memcpy(copy, elements, whole);
    return copy;
}

char *rule_arena_text(RuleArena *arena, const char *text, size_t len)
{
    char *copy = rule_arena_alloc(arena, len + 1);

    if (copy)
        memcpy(copy, text, len);
    return copy;
}

void rule_arena_clear(RuleArena *arena)
{
    while (arena->newest) {
        RuleArenaChunk *older = arena->newest->older;

        free(arena->newest);
        arena->newest = older;
    }
}
