/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/wire/json.h"

/*
 * jansson (2.14 and older) overlooks a failed allocation while it collects a
 * token: a string then lacks a byte, and if that was its closing quote, it is
 * copied beyond its end. So a failure must not come back to the parser.
 */
static void *malloc_or_abort(size_t size)
{
    void *memory = malloc(size);

    if (!memory)
        abort();
    return memory;
}

int json_parse_object(json_t **ret,
                      const char *untrusted_text,
                      size_t untrusted_len)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    json_malloc_t old_malloc;
    json_free_t old_free;

    json_get_alloc_funcs(&old_malloc, &old_free);
    json_set_alloc_funcs(malloc_or_abort, old_free);
    json = json_loadb(untrusted_text, untrusted_len, JSON_REJECT_DUPLICATES,
                      NULL);
    json_set_alloc_funcs(old_malloc, old_free);

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
