/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Thin helpers over jansson
 *
 * Every text from outside goes through json_parse_object(): bounded by its
 * caller, duplicates refused, nothing but one object accepted. jansson bounds
 * the depth of nesting (JSON_PARSER_MAX_DEPTH).
 */

#include <jansson.h>

#include "common/util.h"

/*
 * -EBADMSG for what is not exactly one JSON object. Without memory the process
 * ends: jansson's parser cannot be trusted to survive that.
 */
int json_parse_object(json_t **ret,
                      const char *untrusted_text,
                      size_t untrusted_len);

/*
 * Takes over @json, which may be NULL (then -ENOMEM): compact text with a
 * newline, NUL-terminated. @ret_len (may be NULL) counts the newline.
 */
int json_to_line(char **ret, size_t *ret_len, json_t *json);
