/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Values: JSON made of what the daemon knows
 *
 * Each answers a new reference, or NULL without memory; json_pack() with "o"
 * takes that over.
 */

#include <jansson.h>

#include "common/util.h"

/* JSON's numbers here are signed; no count or time gets that far. */
json_t *value_number(uint64_t value);
/* null for 0 */
json_t *value_number_or_null(uint64_t value);

/* A text that may not be UTF-8, as a path, is escaped then. */
json_t *value_text(const char *value);
/* null for NULL and "" */
json_t *value_text_or_null(const char *value);
/* Of more than @max bytes what is before, at a character's boundary, and
 * "...". */
json_t *value_text_cut(const char *value, size_t max);
