/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/core/rule-names.h"
#include "dom0/core/ruleset.h"

#define SIZE_FIRST 32U
/* slots for each entry that there is room for */
#define SPREAD 4U

/* FNV-1a */
static size_t hash(const char *name)
{
    uint32_t h = 2166136261U;

    for (; *name; name++)
        h = (h ^ (unsigned char) *name) * 16777619U;
    return h;
}

/* The slot that holds @name, or the free one where it belongs. */
static size_t find_slot(const RuleNames *names, const char *name)
{
    size_t slot = hash(name) & (names->n_slots - 1);

    while (names->slots[slot] > 0 &&
           strcmp(names->entries[names->slots[slot] - 1].name.s, name) != 0)
        slot = (slot + 1) & (names->n_slots - 1);
    return slot;
}

void rule_names_clear(RuleNames *names)
{
    free(names->entries);
    free(names->slots);
    *names = (RuleNames){};
}

RuleNameEntry *rule_names_find(const RuleNames *names, const char *name)
{
    uint32_t index;

    if (names->n_slots == 0)
        return NULL;
    index = names->slots[find_slot(names, name)];
    return index > 0 ? &names->entries[index - 1] : NULL;
}

static int grow(RuleNames *names)
{
    RuleNames larger = {
        .n_entries = names->n_entries,
        .entries_size = names->entries_size * 2,
        .full_told = names->full_told,
    };

    if (larger.entries_size == 0)
        larger.entries_size = SIZE_FIRST;
    larger.n_slots = larger.entries_size * SPREAD;
    larger.entries = calloc(larger.entries_size, sizeof(*larger.entries));
    larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
    if (!larger.entries || !larger.slots) {
        rule_names_clear(&larger);
        return -ENOMEM;
    }

    for (size_t i = 0; i < names->n_entries; i++) {
        larger.entries[i] = names->entries[i];
        larger.slots[find_slot(&larger, larger.entries[i].name.s)] =
            (uint32_t) i + 1;
    }
    rule_names_clear(names);
    *names = larger;
    return 0;
}

int rule_names_add(RuleNames *names,
                   const RuleName *name,
                   const char *file,
                   unsigned int line)
{
    size_t slot;

    if (names->n_entries == RULESET_RULES_MAX)
        return -ENOSPC;
    if (names->n_entries == names->entries_size) {
        int r = grow(names);

        if (r < 0)
            return r;
    }

    slot = find_slot(names, name->s);
    assert(names->slots[slot] == 0);
    names->entries[names->n_entries] = (RuleNameEntry){
        .name = *name,
        .file = file,
        .line = line,
    };
    names->slots[slot] = (uint32_t) ++names->n_entries;
    return 0;
}
