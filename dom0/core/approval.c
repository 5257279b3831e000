/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/approval.h"

/* sda .. sdzzz: more letters could be a word */
#define DISK_LETTERS_MAX 3U

static bool is_icon_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool icon_name_parse(IconName *ret,
                     const char *untrusted_name,
                     size_t untrusted_len)
{
    IconName name = {};

    if (untrusted_len == 0 || untrusted_len > APPROVAL_ICON_MAX)
        return false;
    for (size_t i = 0; i < untrusted_len; i++)
        if (!is_icon_byte(untrusted_name[i]))
            return false;

    memcpy(name.s, untrusted_name, untrusted_len);
    *ret = name;
    return true;
}

bool approval_can_ask(const QubeName *source,
                      const AdminAnswer *guivm,
                      char ret_detail[static ADMIN_DETAIL_MAX + 1])
{
    ret_detail[0] = '\0';
    if (guivm->result != ADMIN_OK)
        (void) text_format(ret_detail, ADMIN_DETAIL_MAX + 1, "%s",
                           guivm->detail);
    else if (strcmp(guivm->value.s, "dom0") != 0)
        (void) text_format(ret_detail, ADMIN_DETAIL_MAX + 1,
                           "nobody can be asked: the GUI domain of %s is %s, "
                           "not dom0",
                           source->s,
                           guivm->value.s[0] ? guivm->value.s : "none");
    else
        return true;
    return false;
}

static bool skip(const char **at, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

static bool skip_digits(const char **at)
{
    const char *start = *at;

    while (**at >= '0' && **at <= '9')
        (*at)++;
    return *at > start;
}

static bool skip_letters(const char **at)
{
    const char *start = *at;

    while (**at >= 'a' && **at <= 'z')
        (*at)++;
    return *at > start && *at - start <= (ptrdiff_t) DISK_LETTERS_MAX;
}

/* "" or "pN" */
static bool is_partition_or_end(const char *at)
{
    return *at == '\0' || (skip(&at, "p") && skip_digits(&at) && *at == '\0');
}

static bool is_end(const char *at)
{
    return *at == '\0';
}

static bool is_plain_block(const char *at)
{
    if (skip(&at, "sd")) {
        if (!skip_letters(&at))
            return false;
        (void) skip_digits(&at);
        return is_end(at);
    }
    if (skip(&at, "nvme"))
        return skip_digits(&at) && skip(&at, "n") && skip_digits(&at) &&
               is_partition_or_end(at);
    if (skip(&at, "mmcblk") || skip(&at, "loop") || skip(&at, "md"))
        return skip_digits(&at) && is_partition_or_end(at);
    if (skip(&at, "sr") || skip(&at, "dm-"))
        return skip_digits(&at) && is_end(at);
    return false;
}

bool device_name_is_plain(DeviceClass class, const DeviceName *name)
{
    switch (class) {
    case DEVICE_CLASS_USB:
        return true; /* there is no other form */
    case DEVICE_CLASS_BLOCK:
        return is_plain_block(name->s);
    case DEVICE_CLASS_INVALID:
        break;
    }
    return false;
}
