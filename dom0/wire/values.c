/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/wire/values.h"

#define ELLIPSIS "..."

json_t *value_number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t) value);
}

json_t *value_number_or_null(uint64_t value)
{
    return value ? value_number(value) : json_null();
}

json_t *value_text(const char *value)
{
    size_t len = strlen(value);
    json_t *json = json_stringn(value, len);
    size_t size = len * TEXT_ESCAPE_FACTOR + 1;
    char *escaped;

    if (json)
        return json;
    escaped = malloc(size);
    if (!escaped)
        return NULL;
    json = json_string(text_escape(escaped, size, value, len));
    free(escaped);
    return json;
}

json_t *value_text_or_null(const char *value)
{
    return value && value[0] ? value_text(value) : json_null();
}

json_t *value_text_cut(const char *value, size_t max)
{
    _cleanup_(freep) char *cut = NULL;
    size_t len = strlen(value);

    if (len <= max)
        return value_text(value);

    len = max;
    while (len > 0 && ((unsigned char) value[len] & 0xc0) == 0x80)
        len--;
    cut = malloc(len + sizeof(ELLIPSIS));
    if (!cut)
        return NULL;
    (void) text_format(cut, len + sizeof(ELLIPSIS), "%.*s" ELLIPSIS, (int) len,
                       value);
    return value_text(cut);
}
