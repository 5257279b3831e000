/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleEdit: one file of the rules folder as it is, and as it is to be
 *
 * Reads the folder, makes the change in memory, and reads all rules again as
 * they would be then; so what a change would do is known before it is made.
 */

#include "dom0/ctl/client.h"
#include "dom0/ctl/rule-book.h"
#include "dom0/ctl/rules-folder.h"
#include "dom0/ctl/view.h"

/* exit status of add and remove, besides those of DESIGN 3 */
#define EDIT_EXIT_REFUSED 3

typedef struct RuleEdit {
    const Arguments *arguments;
    Terminal *terminal;
    RulesFolder folder;
    QubeName *qubes; /* that there are; NULL if that is not known */
    size_t n_qubes;
    RuleBook *before;
    RuleBook *after; /* NULL until there is a change */
    char *path;      /* of the file that changes */
    char *text;      /* what is in it then; NULL: the file is deleted */
    size_t len;
} RuleEdit;

/*
 * Read the folder. Answers 0, or the exit status after a message: also if the
 * rules have errors, for then the daemon would not take any change.
 */
int rule_edit_begin(RuleEdit *ret,
                    const Arguments *arguments,
                    Terminal *terminal);
void rule_edit_clear(RuleEdit *edit);

/* FOLDER/NAME as a path, malloc()ed. */
char *rule_edit_path(const RuleEdit *edit, const char *name);
/* What is in the file now, or NULL. */
const RulesFile *rule_edit_file(const RuleEdit *edit, const char *path);

/*
 * What is to be. @path and @text are taken over; @text NULL deletes the file.
 * -ENOMEM.
 */
int rule_edit_set(RuleEdit *edit, char *path, char *text, size_t len);

/* Errors and warnings that there would be after the change and are not there
 * before, in a list of type Diagnostic; NULL without memory. */
json_t *rule_edit_news(const RuleEdit *edit, size_t *ret_n_errors);
/* The same for a person, on standard error. */
void rule_edit_print_news(const RuleEdit *edit);

/* The errors because of which nothing is changed, in the same form; an empty
 * list if there are none. */
json_t *rule_edit_errors(const RuleEdit *edit);

/* Where to show the rule before it is changed: with --json and -q on standard
 * error, and only with -i, for then the person is asked about it. False:
 * nowhere. */
bool rule_edit_shows(const RuleEdit *edit, Terminal *ret);
/* With -i: whether the person says yes to @question. Without it: true. */
bool rule_edit_agree(const RuleEdit *edit, const char *question);

/*
 * Make the change on the disk. Answers 0, or the exit status after a message;
 * without the right to write, that is the command which would do it.
 */
int rule_edit_commit(const RuleEdit *edit);
/* The command that would do it, with all its words; NULL if they are too many,
 * or not all can be shown as they are to be typed. */
const char *rule_edit_command(const RuleEdit *edit, ShowText *ret);

/*
 * Have the daemon read the rules now. False, after a message, if it cannot be
 * told, reads another folder, or does not take them.
 */
bool rule_edit_tell_daemon(const RuleEdit *edit);

static inline void rule_edit_clearp(RuleEdit *edit)
{
    rule_edit_clear(edit);
}
