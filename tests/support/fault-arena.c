/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * With -Wl,--wrap for these three: each piece that is taken from an arena fails
 * on its own, not only those for which the arena needs more memory.
 */

#include "dom0/core/rule-arena.h"
#include "tests/support/fault.h"

void *__real_rule_arena_alloc(RuleArena *arena, size_t size);
void *__wrap_rule_arena_alloc(RuleArena *arena, size_t size);
void *__real_rule_arena_copy(RuleArena *arena,
                             const void *elements,
                             size_t n,
                             size_t size);
void *__wrap_rule_arena_copy(RuleArena *arena,
                             const void *elements,
                             size_t n,
                             size_t size);
char *__real_rule_arena_text(RuleArena *arena, const char *text, size_t len);
char *__wrap_rule_arena_text(RuleArena *arena, const char *text, size_t len);

void *__wrap_rule_arena_alloc(RuleArena *arena, size_t size)
{
    return fault_fails() ? NULL : __real_rule_arena_alloc(arena, size);
}

void *__wrap_rule_arena_copy(RuleArena *arena,
                             const void *elements,
                             size_t n,
                             size_t size)
{
    return fault_fails() ? NULL
                         : __real_rule_arena_copy(arena, elements, n, size);
}

char *__wrap_rule_arena_text(RuleArena *arena, const char *text, size_t len)
{
    return fault_fails() ? NULL : __real_rule_arena_text(arena, text, len);
}
