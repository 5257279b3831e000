/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * DESIGN 3 read once more: what is a property and a line of the record
 * protocol, without a check or a table of the code that is tested
 */

#include <jansson.h>

#include "common/record.h"
#include "common/status.h"
#include "tests/support/bytes.h"

/* Whether it can be the value of a key that is a text, hex digits or a type. */
bool form_is_text(PropertyKey key, Bytes text);
/* The same for a number. */
bool form_is_number(PropertyKey key, int64_t number);
/* "ccsspp" */
bool form_is_interface(Bytes code);

/* What the line calls its sender, as "agent"; "" if that is none. */
const char *form_agent(const json_t *line);

/* What a line is to be told, which is NULL if it is not one JSON object:
 * STATUS_INVALID for a good one. */
Status form_of_line(const json_t *line);

/* Whether it is a line of dom0's, with a name of the table of DESIGN 3. */
bool form_is_answer(const json_t *line);

/* Whether the record is what the good line of an event says, whose properties
 * are there. */
bool form_says(const json_t *line, const Record *record);
