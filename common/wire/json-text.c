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

/* What stands before a value, and room for @len bytes more: where they go, or
 * NULL. Keys are ours, and have nothing to escape. */
static char *begin_value(JsonText *json, const char *key, size_t len)
{
    size_t key_len = key ? strlen(key) : 0;
    char *at;

    if (!reserve(json, key_len + sizeof(",\"\":") + len))
        return NULL;
    at = json->text + json->len;
    if (json->behind_value)
        *at++ = ',';
    if (key) {
        *at++ = '"';
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): it goes on */
        memcpy(at, key, key_len);
        at += key_len;
        *at++ = '"';
        *at++ = ':';
    }
    json->behind_value = true;
    return at;
}

/* All up to @at is written. */
static void end_value(JsonText *json, const char *at)
{
    json->len = (size_t) (at - json->text);
}

static void put_value(JsonText *json,
                      const char *key,
                      const char *bytes,
                      size_t len)
{
    char *at = begin_value(json, key, len);

    if (!at)
        return;
    memcpy(at, bytes, len);
    end_value(json, at + len);
}

void json_text_open(JsonText *json, const char *key, char bracket)
{
    put_value(json, key, &bracket, 1);
    json->behind_value = false;
}

void json_text_close(JsonText *json, char bracket)
{
    put_char(json, bracket);
    json->behind_value = true;
}

/* The rest of a string, from what has to be escaped on. */
static void put_escaped(JsonText *json, const char *value)
{
    while (*value != '\0') {
        char escaped[ESCAPE_MAX + 1];
        size_t n;

        n = escape(escaped, *value++);
        json_text_raw(json, escaped, n);
        n = count_plain(value);
        json_text_raw(json, value, n);
        value += n;
    }
    put_char(json, '"');
}

void json_text_string(JsonText *json, const char *key, const char *value)
{
    size_t n = count_plain(value);
    char *at = begin_value(json, key, n + 2);

    if (!at)
        return;
    *at++ = '"';
    memcpy(at, value, n);
    at += n;
    if (value[n] == '\0')
        *at++ = '"';
    end_value(json, at);
    if (value[n] != '\0')
        put_escaped(json, value + n);
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

    put_value(json, key, text + at, sizeof(text) - at);
}

void json_text_bool(JsonText *json, const char *key, bool value)
{
    if (value)
        put_value(json, key, "true", 4);
    else
        put_value(json, key, "false", 5);
}

void json_text_null(JsonText *json, const char *key)
{
    put_value(json, key, "null", 4);
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
