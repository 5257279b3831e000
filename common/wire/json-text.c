/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "common/wire/json-text.h"

#define SIZE_FIRST 512U
/* of one byte, as \u001F */
#define ESCAPE_MAX 6U
/* the longest number, and a NUL */
#define NUMBER_SIZE 21U

/* Room for @len bytes and a NUL behind what is written. */
static bool reserve(JsonText *json, size_t len)
{
    size_t size = json->size > 0 ? json->size : SIZE_FIRST;
    char *text;

    if (json->failed || len > SIZE_MAX / 4 - json->len) {
        json->failed = true;
        return false;
    }
    if (json->len + len < json->size)
        return true;

    while (size <= json->len + len)
        size *= 2;
    text = realloc(json->text, size);
    if (!text) {
        json->failed = true;
        return false;
    }
    json->text = text;
    json->size = size;
    return true;
}

void json_text_raw(JsonText *json, const char *bytes, size_t len)
{
    if (!reserve(json, len))
        return;
    memcpy(json->text + json->len, bytes, len);
    json->len += len;
}

static void put_char(JsonText *json, char c)
{
    json_text_raw(json, &c, 1);
}

static size_t escape(char ret[ESCAPE_MAX + 1], char c)
{
    switch (c) {
    case '"':
    case '\\':
        return text_format(ret, ESCAPE_MAX + 1, "\\%c", c);
    case '\b':
        return text_format(ret, ESCAPE_MAX + 1, "\\b");
    case '\f':
        return text_format(ret, ESCAPE_MAX + 1, "\\f");
    case '\n':
        return text_format(ret, ESCAPE_MAX + 1, "\\n");
    case '\r':
        return text_format(ret, ESCAPE_MAX + 1, "\\r");
    case '\t':
        return text_format(ret, ESCAPE_MAX + 1, "\\t");
    }
    return text_format(ret, ESCAPE_MAX + 1, "\\u%04X", (unsigned char) c);
}

static bool is_plain(char c)
{
    return (unsigned char) c >= ' ' && c != '"' && c != '\\';
}

static void put_string(JsonText *json, const char *value)
{
    put_char(json, '"');
    while (*value) {
        char escaped[ESCAPE_MAX + 1];
        size_t n = 0;

        while (value[n] && is_plain(value[n]))
            n++;
        json_text_raw(json, value, n);
        value += n;
        if (*value)
            json_text_raw(json, escaped, escape(escaped, *value++));
    }
    put_char(json, '"');
}

static void begin_value(JsonText *json, const char *key)
{
    if (json->behind_value)
        put_char(json, ',');
    if (key) {
        put_string(json, key);
        put_char(json, ':');
    }
    json->behind_value = true;
}

void json_text_open(JsonText *json, const char *key, char bracket)
{
    begin_value(json, key);
    put_char(json, bracket);
    json->behind_value = false;
}

void json_text_close(JsonText *json, char bracket)
{
    put_char(json, bracket);
    json->behind_value = true;
}

void json_text_string(JsonText *json, const char *key, const char *value)
{
    begin_value(json, key);
    put_string(json, value);
}

void json_text_number(JsonText *json, const char *key, int64_t value)
{
    char text[NUMBER_SIZE];
    size_t len = text_format(text, sizeof(text), "%" PRIi64, value);

    begin_value(json, key);
    json_text_raw(json, text, len);
}

void json_text_bool(JsonText *json, const char *key, bool value)
{
    const char *text = value ? "true" : "false";

    begin_value(json, key);
    json_text_raw(json, text, strlen(text));
}

void json_text_null(JsonText *json, const char *key)
{
    begin_value(json, key);
    json_text_raw(json, "null", 4);
}

void json_text_newline(JsonText *json)
{
    put_char(json, '\n');
    json->behind_value = false;
}

int json_text_end(JsonText *json, char **ret, size_t *ret_len)
{
    if (!reserve(json, 0)) {
        free(TAKE_PTR(json->text));
        return -ENOMEM;
    }

    json->text[json->len] = '\0';
    *ret = TAKE_PTR(json->text);
    if (ret_len)
        *ret_len = json->len;
    return 0;
}
