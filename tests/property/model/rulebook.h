/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rulebook: the rules that a history may put in force
 *
 * Each rule is written down as a value. From it comes the text that the core
 * parses, and a matching that knows nothing of the core's.
 */

#include "common/record.h"
#include "dom0/core/ruleset.h"

/* Where a rule may want a device to go. */
typedef enum Choice {
    CHOICE_WORK,
    CHOICE_VAULT,
    CHOICE_MEDIA,
    CHOICE_DISPVM,     /* @dispvm */
    CHOICE_DISPVM_DVM, /* @dispvm:dvm */
    CHOICES,
} Choice;

#define BOOK_TARGETS_MAX 3

typedef struct BookRule {
    const char *name; /* NULL: no more rules in this set */
    RuleAction action;
    RuleClass class;
    const char *id;        /* as "0781:5581"; or NULL */
    const char *prefix;    /* of a block device's name; or NULL */
    const char *fs_uuid;   /* or NULL */
    const char *interface; /* or NULL */
    DeviceType type;       /* 0: not said */
    const char *source;    /* NULL: any */
    Choice targets[BOOK_TARGETS_MAX];
    size_t n_targets;
    RuleStart start;
    unsigned int timeout_s; /* 0: not said */
    bool read_only;
    bool close;
    bool quiet;
    const char *frontend; /* or NULL */
} BookRule;

size_t book_count(void);
/* The first rule of set @set that matches; NULL if none does. */
const BookRule *book_match(size_t set,
                           const char *source,
                           const Record *record);
/* Whether both are rules of the same name and meaning. */
bool book_rule_equal(const BookRule *a, const BookRule *b);
bool book_rule_has(const BookRule *rule, Choice choice);
/* The rules of a set as the core has them; owned by the book. */
Ruleset *book_ruleset(size_t set);
void book_close(void);

const char *choice_name(Choice choice);
