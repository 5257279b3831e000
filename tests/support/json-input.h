/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * An input as JSON, to compare it with what was made of it
 */

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include <jansson.h>

#include "common/util.h"

/* NULL if it is not one object. */
static inline json_t *json_input(const char *text, size_t len)
{
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

    if (json && !json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* What may be left out where it is empty. */
static inline void json_complete(json_t *object, const char *key)
{
    int r = 0;

    if (!json_object_get(object, key))
        r = json_object_set_new(object, key, json_object());
    assert(r == 0);
}

static inline const char *json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* What is kept in lower case, if it is there. */
static inline void json_lower(json_t *object, const char *key)
{
    char text[256];
    size_t len = strlen(json_text(object, key));
    int r = 0;

    for (size_t i = 0; i < len && i < sizeof(text); i++)
        text[i] = (char) tolower(json_text(object, key)[i]);
    if (len > 0 && len < sizeof(text))
        r = json_object_set_new(object, key, json_stringn(text, len));
    assert(r == 0);
}

static inline bool json_says(const json_t *object,
                             const char *key,
                             const char *text)
{
    return strcmp(json_text(object, key), text) == 0;
}
