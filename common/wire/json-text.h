/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * JsonText: JSON written straight into a text, for what is told often
 *
 * As compact as jansson writes it, without a tree in between. The caller opens
 * and closes. Keys are plain words, texts are valid UTF-8. Without memory it
 * goes on and says so at the end.
 */

#include "common/util.h"

typedef struct JsonText {
    char *text; /* freed by json_text_end() or its owner */
    size_t len;
    size_t size;
    bool failed;
    bool behind_value; /* a comma comes before the next one */
} JsonText;

/* @key is NULL in a list and for the outermost value. */
void json_text_open(JsonText *json, const char *key, char bracket);
void json_text_close(JsonText *json, char bracket);

void json_text_string(JsonText *json, const char *key, const char *value);
void json_text_number(JsonText *json, const char *key, int64_t value);
void json_text_bool(JsonText *json, const char *key, bool value);
void json_text_null(JsonText *json, const char *key);

/* What is written so far is a line; the next one may follow. */
void json_text_newline(JsonText *json);

/* Bytes as they are, before or between lines. */
void json_text_raw(JsonText *json, const char *bytes, size_t len);

/*
 * Hand over the text, NUL-terminated, its length in @ret_len (may be NULL).
 * -ENOMEM; nothing is to be freed then.
 */
int json_text_end(JsonText *json, char **ret, size_t *ret_len);
