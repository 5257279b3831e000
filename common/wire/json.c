/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/wire/json.h"

int json_parse_object(json_t **ret,
                      const char *untrusted_text,
                      size_t untrusted_len)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    json_error_t error;

    json = json_loadb(untrusted_text, untrusted_len, JSON_REJECT_DUPLICATES,
                      &error);
    if (!json)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM
                                                                   : -EBADMSG;
    if (!json_is_object(json))
        return -EBADMSG;

    *ret = TAKE_PTR(json);
    return 0;
}

int json_to_line(char **ret, size_t *ret_len, json_t *json_arg)
{
    _cleanup_(json_decrefp) json_t *json = json_arg;
    char *text;
    size_t len;

    if (!json)
        return -ENOMEM;
    /* the two passes of jansson: how long, then into our own buffer */
    len = json_dumpb(json, NULL, 0, JSON_COMPACT);
    if (len == 0)
        return -ENOMEM;
    text = malloc(len + 2);
    if (!text)
        return -ENOMEM;
    if (json_dumpb(json, text, len, JSON_COMPACT) != len) {
        free(text);
        return -ENOMEM;
    }
    memcpy(text + len, "\n", 2);

    *ret = text;
    if (ret_len)
        *ret_len = len + 1;
    return 0;
}
