/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What is a call and a reply of the control socket, without a check of the code
 * that is tested
 */

#include <jansson.h>

#include "tests/support/bytes.h"

/* Three parts or more with dots between them, of letters, digits and "-", which
 * neither begins nor ends one. */
static inline bool form_is_control_name(const json_t *value)
{
    const size_t len = json_string_length(value);
    Bytes rest = { json_string_value(value), len };
    size_t n_parts = 0;
    bool good = len > 0 && rest.start[len - 1] != '.';

    while (good && rest.len > 0) {
        Bytes part = bytes_before(rest, '.', &rest);

        good = part.len > 0 && part.start[0] != '-' &&
               part.start[part.len - 1] != '-' &&
               bytes_are_all_of(part, LETTERS DIGITS "-");
        n_parts++;
    }
    return good && n_parts >= 3 && len <= 255;
}

/* Of the members that may be left out: how many are there, SIZE_MAX if one of
 * them is something else. */
static inline size_t form_count_members(const json_t *message,
                                        const char *const *flags,
                                        size_t n_flags)
{
    const json_t *parameters = json_object_get(message, "parameters");
    size_t n = parameters != NULL;

    if (parameters && !json_is_object(parameters))
        return SIZE_MAX;
    for (size_t i = 0; i < n_flags; i++) {
        const json_t *flag = json_object_get(message, flags[i]);

        if (flag && !json_is_boolean(flag))
            return SIZE_MAX;
        n += flag != NULL;
    }
    return n;
}

static inline bool form_is_set(const json_t *message, const char *flag)
{
    return json_is_true(json_object_get(message, flag));
}

static inline bool form_is_call(const json_t *message)
{
    static const char *const flags[] = { "oneway", "more", "upgrade" };
    size_t n = form_count_members(message, flags, ARRAY_SIZE(flags));

    return n != SIZE_MAX && json_object_size(message) == n + 1 &&
           form_is_control_name(json_object_get(message, "method")) &&
           !(form_is_set(message, "oneway") &&
             (form_is_set(message, "more") || form_is_set(message, "upgrade")));
}

static inline bool form_is_reply(const json_t *message)
{
    static const char *const flags[] = { "continues" };
    const json_t *error = json_object_get(message, "error");
    size_t n = form_count_members(message, flags, ARRAY_SIZE(flags));

    return n != SIZE_MAX && json_object_size(message) == n + (error != NULL) &&
           (!error || (form_is_control_name(error) &&
                       !form_is_set(message, "continues")));
}
