/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "dom0/wire/admin-qubes.h"

/* What is before the next @separator, or all; it is taken off. */
static const char *take(const char **data,
                        const char *end,
                        char separator,
                        size_t *ret_len)
{
    const char *start = *data;
    const char *stop = memchr(start, separator, (size_t) (end - start));

    *ret_len = (size_t) ((stop ? stop : end) - start);
    *data = stop ? stop + 1 : end;
    return start;
}

/* The value of "KEY=", if the word is that. */
static const char *value_of(const char *word, size_t *len, const char *key)
{
    size_t key_len = strlen(key);

    if (*len < key_len || memcmp(word, key, key_len) != 0)
        return NULL;
    *len -= key_len;
    return word + key_len;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool set_class(QubeInfo *qube, const char *untrusted_class, size_t len)
{
    if (len == 0 || len > QUBE_CLASS_MAX || qube->class[0] != '\0')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_letter(untrusted_class[i]))
            return false;
    memcpy(qube->class, untrusted_class, len);
    return true;
}

/* A line in which the class or the state comes twice makes no sense. */
static bool decode_line(QubeInfo *ret, const char *line, size_t line_len)
{
    const char *end = line + line_len;
    bool has_state = false;
    size_t len;
    const char *word = take(&line, end, ' ', &len);

    if (!qube_name_parse(&ret->name, word, len))
        return false;
    while (line < end) {
        size_t value_len;
        const char *value;

        word = take(&line, end, ' ', &len);
        value_len = len;
        value = value_of(word, &value_len, "class=");
        if (value && !set_class(ret, value, value_len))
            return false;
        value_len = len;
        value = value_of(word, &value_len, "state=");
        if (value && has_state)
            return false;
        if (value) {
            ret->power = power_state_from_string(value, value_len);
            has_state = true;
        }
    }
    return true;
}

static size_t count_lines(const char *data, const char *end)
{
    size_t n = 0;

    while (data < end) {
        size_t len;

        (void) take(&data, end, '\n', &len);
        n++;
    }
    return n;
}

int admin_decode_qubes(QubeList **ret,
                       const char *untrusted_data,
                       size_t untrusted_len)
{
    _cleanup_(qube_list_freep) QubeList *list = NULL;
    const char *data, *end;
    size_t max;

    if (untrusted_len < 2 || memcmp(untrusted_data, "0\0", 2) != 0)
        return -EBADMSG;
    data = untrusted_data + 2;
    end = untrusted_data + untrusted_len;
    if (data < end && end[-1] != '\n') /* it was cut */
        return -EBADMSG;
    max = count_lines(data, end);
    if (max > QUBE_LIST_MAX)
        return -EBADMSG;

    list = qube_list_new(max);
    if (!list)
        return -ENOMEM;
    while (data < end) {
        size_t len;
        const char *line = take(&data, end, '\n', &len);

        if (!decode_line(&list->qubes[list->n_qubes], line, len))
            return -EBADMSG;
        list->n_qubes++;
    }
    qube_list_sort(list);

    *ret = TAKE_PTR(list);
    return 0;
}
