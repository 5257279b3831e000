/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * GlobWalk: is there a text that some patterns take and others do not?
 *
 * All patterns are walked together, one character after the other, as one
 * automaton: a state is the set of parts that may come next, and each is gone
 * on from once. So GLOB_NONE and GLOB_SOME are right, for texts of any length;
 * what takes too many states, or more work than all walks together may do, is
 * GLOB_UNKNOWN.
 *
 * The patterns are those of up to GLOB_WALK_TERMS_MAX terms; a text must be
 * taken by at least one of each term's, or, if it is negated, by none of them:
 *
 *     begin, { { open, parts... , close }, term }, run
 */

#include "common/util.h"

#define GLOB_WALK_TERMS_MAX 62U
/* the steps of all walks together: about two seconds */
#define GLOB_WALK_WORK_MAX (UINT64_C(10) * 1000 * 1000)

typedef enum GlobFinding {
    GLOB_UNKNOWN,
    GLOB_NONE, /* there is no such text */
    GLOB_SOME, /* there is one */
} GlobFinding;

/* What texts are made of. */
typedef enum GlobAlphabet {
    GLOB_ALPHABET_TEXT,   /* whatever is no control character */
    GLOB_ALPHABET_FOLDED, /* the same, without regard to case */
    GLOB_ALPHABET_HEX,    /* 0-9, a-f without regard to case, and ':' */
    GLOB_ALPHABET_NAME,   /* a-z, 0-9 and '-' */
} GlobAlphabet;

typedef struct GlobWalk GlobWalk;

int glob_walk_new(GlobWalk **ret, uint64_t work_max);
GlobWalk *glob_walk_free(GlobWalk *walk);

void glob_walk_begin(GlobWalk *walk, GlobAlphabet alphabet);
/* A pattern is written as one or more patterns in normal form that follow each
 * other, which must live until the end of the walk. */
void glob_walk_open(GlobWalk *walk);
void glob_walk_parts(GlobWalk *walk, const char *pattern);
void glob_walk_close(GlobWalk *walk);
/* The patterns since the last one are those of one term. */
void glob_walk_term(GlobWalk *walk, bool negated);
GlobFinding glob_walk_run(GlobWalk *walk);

/* Count a step that is done elsewhere; false if there may be no more. */
bool glob_walk_spend(GlobWalk *walk);
/* Whether all the work was done that may be: what follows is unknown. */
bool glob_walk_is_spent(const GlobWalk *walk);

DEFINE_CLEANUP(GlobWalk *, glob_walk_free)
