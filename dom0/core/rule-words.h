/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The words that mean something in a rule
 */

#include "common/util.h"

typedef enum RuleWordKind {
    RULE_WORD_OTHER,
    RULE_WORD_ACTION,
    RULE_WORD_CLASS,
    RULE_WORD_NOT,
    RULE_WORD_CONDITION,
    RULE_WORD_FROM,
    RULE_WORD_TO,
    RULE_WORD_OPTION,
} RuleWordKind;

/* In the order of the normal form. */
typedef enum RuleOption {
    RULE_OPTION_READ_ONLY,
    RULE_OPTION_FRONTEND,
    RULE_OPTION_CDROM,
    RULE_OPTION_IF_RUNNING,
    RULE_OPTION_WHEN_RUNNING,
    RULE_OPTION_TIMEOUT,
    RULE_OPTION_QUIET,
    RULE_OPTION_CLOSE,
} RuleOption;
#define N_RULE_OPTIONS (RULE_OPTION_CLOSE + 1)

typedef struct RuleWord {
    RuleWordKind kind;
    unsigned int value; /* RuleAction, RuleClass, ConditionKey, RuleOption */
} RuleWord;

RuleWord rule_word_find(const char *text, size_t len);

/* Whether a value or a qube's name that is this word has to be quoted. */
bool rule_word_is_reserved(RuleWord word);
/* Whether something begins with it that may follow the class. */
bool rule_word_begins_part(RuleWord word);

const char *rule_option_name(RuleOption option);

/* The word out of the kinds (1 << RuleWordKind) that was probably meant, or
 * NULL. */
const char *rule_word_suggest(const char *text, size_t len, unsigned int kinds);
