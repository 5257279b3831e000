/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "dom0/wire/descriptor.h"

#define SERVICE "autoattach.Event+ "

static bool skip(const char **text, const char *end, const char *word)
{
    size_t len = strlen(word);

    if ((size_t) (end - *text) < len || memcmp(*text, word, len) != 0)
        return false;
    *text += len;
    return true;
}

DescriptorResult descriptor_decode(QubeName *ret_source,
                                   size_t *ret_len,
                                   const char *untrusted_data,
                                   size_t untrusted_len)
{
    const char *text = untrusted_data;
    const char *end, *space;
    QubeName source;

    end =
        memchr(text, '\0',
               untrusted_len < DESCRIPTOR_MAX ? untrusted_len : DESCRIPTOR_MAX);
    if (!end)
        return untrusted_len < DESCRIPTOR_MAX ? DESCRIPTOR_INCOMPLETE
                                              : DESCRIPTOR_BAD;

    if (!skip(&text, end, SERVICE))
        return DESCRIPTOR_BAD;
    space = memchr(text, ' ', (size_t) (end - text));
    if (!space || !qube_name_parse(&source, text, (size_t) (space - text)) ||
        strcmp(source.s, "dom0") == 0)
        return DESCRIPTOR_BAD;
    text = space;
    if (!skip(&text, end, " name dom0") &&
        !skip(&text, end, " keyword adminvm"))
        return DESCRIPTOR_BAD;
    if (text != end)
        return DESCRIPTOR_BAD;

    *ret_source = source;
    *ret_len = (size_t) (end - untrusted_data) + 1;
    return DESCRIPTOR_GOOD;
}

char *descriptor_space(DescriptorBuffer *buffer, size_t *ret_size)
{
    *ret_size = sizeof(buffer->data) - buffer->len;
    return buffer->data + buffer->len;
}

DescriptorResult descriptor_filled(DescriptorBuffer *buffer,
                                   size_t n,
                                   QubeName *ret_source,
                                   LineBuffer *lines)
{
    DescriptorResult result;
    size_t len, rest, size;
    char *space;

    assert(n <= sizeof(buffer->data) - buffer->len);

    buffer->len += n;
    result = descriptor_decode(ret_source, &len, buffer->data, buffer->len);
    if (result != DESCRIPTOR_GOOD)
        return result;

    rest = buffer->len - len;
    space = line_buffer_space(lines, &size);
    assert(rest <= size);
    memcpy(space, buffer->data + len, rest);
    line_buffer_filled(lines, rest);
    return DESCRIPTOR_GOOD;
}
