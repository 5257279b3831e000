/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleBook: rules as they are on the disk
 *
 * Reads rule files and folders into one set of rules, and keeps what was read,
 * so that what is said of a rule can be shown where it is written.
 */

#include "common/sys/rules-files.h"
#include "dom0/core/ruleset.h"
#include "dom0/ctl/rules-folder.h"

typedef struct RuleBook RuleBook;

int rule_book_new(RuleBook **ret);
RuleBook *rule_book_free(RuleBook *book);

/*
 * Add a file, or all rule files of a folder. Its rules have as file the path by
 * which the person finds it again. What is wrong becomes a diagnostic, also
 * that there is no such path, or that somebody else than root and @owner may
 * write it; RULES_OWNER_ANY: whoever may. "-" and "/dev/stdin" are the standard
 * input. Fails with -ENOMEM only.
 */
int rule_book_add(RuleBook *book, const char *path, uid_t owner);

/* The same for the folder that rules are read from, which may be a file if
 * --rules-dir has named it. */
int rule_book_add_rules(RuleBook *book, const RulesFolder *folder);

/* The path of a file in a folder, malloc()ed; NULL without memory. */
char *rule_book_join(const char *folder, const char *name);

/* The same for a text that is, or is to be, the file at @path. */
int rule_book_add_text(RuleBook *book,
                       const char *path,
                       const char *text,
                       size_t len);

const Ruleset *rule_book_rules(const RuleBook *book);
Diagnostics *rule_book_diagnostics(const RuleBook *book);

/* Those that could be read, in the order in which they were added. */
const RulesFile *rule_book_files(const RuleBook *book, size_t *ret_n);

DEFINE_CLEANUP(RuleBook *, rule_book_free)
