/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Nearest: the word that was probably meant
 */

#include "common/util.h"

#define NEAREST_WORD_MAX 32U /* a longer word is near to none */

/* How many letters must be added, left out, replaced, or swapped with their
 * neighbour; SIZE_MAX if one of the words is too long. */
size_t nearest_distance(const char *a, const char *b);

/*
 * Offer words one by one. @best (NULL at first) is kept unless @candidate is
 * nearer to @word, and near enough to be a slip, or begins with @word. Answers
 * the better of the two.
 */
const char *nearest_pick(const char *word,
                         const char *best,
                         const char *candidate);
