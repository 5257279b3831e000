/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "common/wire/json-text.h"

#define SIZE_FIRST 512U
/* of one byte, as \u001F */
#define ESCAPE_MAX 6U
/* the longest number */
#define NUMBER_MAX 20U

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

/* How much of @value stands for itself. */
static size_t count_plain(const char *value)
{
    size_t n = 0;

    /* the end is below ' ', too */
    while ((unsigned char) value[n] >= ' ' && value[n] != '"' &&
           value[n] != '\\')
        n++;
    return n;
}

static void put_string(JsonText *json, const char *value)
{
    put_char(json, '"');
    for (;;) {
        size_t n = count_plain(value);
        char escaped[ESCAPE_MAX + 1];

        json_text_raw(json, value, n);
        value += n;
        if (*value == '\0')
            break;
        json_text_raw(json, escaped, escape(escaped, *value++));
    }
    put_char(json, '"');
}

/* What stands before a value: keys are ours, and have nothing to escape. */
static void begin_value(JsonText *json, const char *key)
{
    size_t len = key ? strlen(key) : 0;
    char *at;

    if (!reserve(json, len + sizeof(",\"\":")))
        return;
    at = json->text + json->len;
    if (json->behind_value)
        *at++ = ',';
    if (key) {
        *at++ = '"';
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): it goes on */
        memcpy(at, key, len);
        at += len;
        *at++ = '"';
        *at++ = ':';
    }
    json->len = (size_t) (at - json->text);
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
    uint64_t rest = value < 0 ? -(uint64_t) value : (uint64_t) value;
    char text[NUMBER_MAX];
    size_t at = sizeof(text);

    do {
        text[--at] = (char) ('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        text[--at] = '-';

    begin_value(json, key);
    json_text_raw(json, text + at, sizeof(text) - at);
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
